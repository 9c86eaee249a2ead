"""Whether the host gains what balloons take.

A balloon that grows inside a guest whose memory is locked, on huge pages or passed through to a
device frees nothing: the guest suffers and nobody profits. So what a guest held when a taking
began is remembered; once its size is below that, it must have let go of most of the difference
within a while, or it is left alone. Taking pages that were never touched frees nothing either, and
is no fault: then the guest held less than its new size to begin with.
"""

from typing import NamedTuple

import numpy as np

from aerostat.engine.observation import BoolArray, FloatArray, Guests
from aerostat.engine.settings import Settings
from aerostat.engine.state import State

LEAST_GAIN = 0.25
"""A gain below this fraction of what was due counts as none."""


class Gain(NamedTuple):
    """One row a guest; NaN where nothing is under way."""

    taking_held: FloatArray
    taking_size: FloatArray
    due: FloatArray
    failed: BoolArray
    """The host should have gained by now, and has not."""
    paid: BoolArray
    """The host has gained what was taken."""


def verify(state: State, now: float, guests: Guests, settings: Settings) -> Gain:
    """Return what is known of each guest's gain by now."""
    grown = guests.guest_size > state.guest_size
    began = np.where(grown, np.nan, state.taking_held)
    size = np.where(grown, np.nan, state.taking_size)
    # What it held beyond its size was not the balloon's to take.
    expected = np.fmin(began, size) - guests.guest_size
    owed = expected >= settings.gain_least
    gained = began - guests.held >= LEAST_GAIN * expected
    # Pages that were never touched are hidden behind the monitor's own memory: as far as that may
    # be all there is, nothing is held against the balloon.
    monitor = np.minimum(settings.monitor, settings.monitor_share * guests.max_size)
    kept = guests.held - guests.guest_size >= settings.gain_least + monitor
    waiting = owed & ~gained & kept
    due = np.where(waiting, np.fmin(state.gain_due, now + settings.gain_patience), np.nan)
    failed = due <= now
    return Gain(
        # A taking that has paid off begins anew from what is held now.
        taking_held=np.where(owed & gained, guests.held, began),
        taking_size=np.where(owed & gained, guests.guest_size, size),
        due=np.where(failed, np.nan, due),
        failed=failed,
        paid=owed & gained,
    )
