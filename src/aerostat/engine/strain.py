"""How the host itself fares, whatever its budget says.

Other programs take memory too, and a budget that is a mere size does not see it. What is
available, if little, limits what guests may have, at once: see `aerostat.engine.accounts`. What
is described here are the softer signs, pressure (PSI) and swapping out. They have other causes as
well, so they must last, and they are answered with care: the host gets a *lid*, up to which guests
may fill it to be comfortable. It sinks while the host is strained and still feels it, stays
while that is not sure, and rises slowly once the host is at ease; it never takes what a guest
needs.
"""

from typing import NamedTuple

import numpy as np

from aerostat.engine.accounts import Accounts
from aerostat.engine.observation import BoolArray, FloatArray, Hosts
from aerostat.engine.settings import Settings
from aerostat.engine.state import State


class Strain(NamedTuple):
    """One row a host."""

    strain: FloatArray
    """0 (at ease) to 1 (it does little else than look for memory)."""
    lid: FloatArray
    """What guests may occupy for comfort, bytes; infinite for no lid."""

    def lasts(self, settings: Settings) -> BoolArray:
        """Tell which hosts are strained now, and need memory for themselves."""
        return self.strain >= settings.strain_begins


def follow_hosts(
    state: State, elapsed: float, hosts: Hosts, accounts: Accounts, settings: Settings
) -> Strain:
    """Return how each host fares, `elapsed` seconds after the last step. `hosts` are sane."""
    felt = _felt(hosts, settings)
    slowness = np.where(felt > state.host_strain, settings.strain_rise, settings.strain_fall)
    strain = felt + (state.host_strain - felt) * np.exp(-elapsed / slowness)

    before = np.nan_to_num(state.host_lid, nan=np.inf)
    sinking = settings.lid_fall * elapsed * hosts.budget
    lower = np.minimum(before, accounts.occupied) - sinking
    lower = np.maximum(lower, settings.lid_lowest_share * hosts.budget)
    higher = before + settings.lid_rise * elapsed * hosts.budget
    sinks = (strain >= settings.strain_begins) & (felt >= settings.strain_ends)
    lid = np.where(sinks, np.minimum(lower, before), before)
    lid = np.where(strain < settings.strain_ends, higher, lid)
    return Strain(strain=strain, lid=np.where(lid >= hosts.budget, np.inf, lid))


def _felt(hosts: Hosts, settings: Settings) -> FloatArray:
    """Return what the newest figures show; what is not known shows nothing."""
    waits = np.nan_to_num(hosts.pressure, nan=0.0)
    waits = waits / (waits + settings.half_host_pressure)
    swaps = np.nan_to_num(hosts.swap_out, nan=0.0, posinf=0.0)
    swaps = swaps / (swaps + np.maximum(settings.half_host_swap_out * hosts.budget, 1.0))
    return np.asarray(1.0 - (1.0 - waits) * (1.0 - swaps))
