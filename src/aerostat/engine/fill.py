"""Exact weighted water-filling, for all hosts at once.

Memory is divided as water divides among vessels that stand side by side: vessel *i* has width
``weight[i]``, a bottom at ``low[i]`` and a brim at ``high[i]``. Pouring until the amount is used
up gives every vessel the same level, except those that are full or whose bottom is above it. That
is weighted max-min fairness: nobody can get more without somebody who has less, by weight, losing.

`waterfill` is the whole of it, and sorts. `share_out` is for vessels that all stand on the floor,
which is most of what the engine asks for, and takes a few passes and no sorting.
"""

import numpy as np

from aerostat.engine.observation import BoolArray, FloatArray, IntArray


def share_out(
    amount: FloatArray, room: FloatArray, weight: FloatArray, host: IntArray
) -> FloatArray:
    """Return ``min(weight * level[host], room)`` whose sum on each host is `amount`.

    `amount` has one entry a host; the others have one a guest, with ``room >= 0`` and
    ``weight > 0``. Where `amount` is more than the sum of `room` the result is `room`.
    """
    hosts = len(amount)
    # Mostly few have room, and only those are looked at.
    rows = np.flatnonzero((room > 0) & (amount > 0)[host])
    content = np.zeros(len(room))
    if not len(rows):
        return content
    content[rows] = room[rows]
    where = host[rows]
    rest = np.where(np.bincount(where, room[rows], minlength=hosts) > amount, amount, 0.0)
    rows = rows[(rest > 0)[where]]
    # What is left rises among all that are not full; those that it fills drop out, and what they
    # leave rises again. The level never overshoots, and each pass fills at least one vessel, so
    # this ends; as a Newton iteration it does so after a handful of passes.
    while len(rows):
        where, width = host[rows], weight[rows]
        widths = np.bincount(where, width, minlength=hosts)
        level = np.divide(rest, widths, out=np.zeros_like(rest), where=widths > 0)
        got = width * level[where]
        content[rows] = np.minimum(got, room[rows])
        full = got >= room[rows]
        rest = np.maximum(rest - np.bincount(where[full], room[rows[full]], minlength=hosts), 0.0)
        again = np.bincount(where[full], minlength=hosts) > 0
        rows = rows[~full & again[where]]
    return content


def waterfill(
    amount: FloatArray, low: FloatArray, high: FloatArray, weight: FloatArray, host: IntArray
) -> FloatArray:
    """Return ``clip(weight * level[host], low, high)`` whose sum on each host is `amount`.

    `amount` has one entry a host; the others have one a guest, with ``low <= high`` and
    ``weight > 0``. Where `amount` is less than the sum of `low` the result is `low`; where it is
    more than the sum of `high` it is `high`.
    """
    if len(low) == 0:
        return low.copy()
    # As the level rises, a vessel's content grows with slope `weight` from low/weight on and stops
    # at high/weight: the total on a host is piecewise linear, and its kinks are these levels.
    levels = np.concatenate((low / weight, high / weight))
    slopes = np.concatenate((weight, -weight))
    hosts = np.concatenate((host, host))
    order = np.lexsort((levels, hosts)) if len(amount) > 1 else np.argsort(levels, kind="stable")
    levels, slopes, hosts = levels[order], slopes[order], hosts[order]

    first = np.concatenate(([True], hosts[1:] != hosts[:-1]))
    slope_after = _running_sum(slopes, first)
    # The slopes of a host sum to zero; what rounding leaves at its last kink must not count.
    slope_after[np.concatenate((first[1:], [True]))] = 0.0
    gained = np.concatenate(([0.0], slope_after[:-1] * np.diff(levels)))
    total = _running_sum(np.where(first, 0.0, gained), first)
    total += np.bincount(host, low, minlength=len(amount))[hosts]

    # The level sought lies after the last kink at which the total is still within the amount.
    within = np.bincount(hosts, total <= amount[hosts], minlength=len(amount)).astype(np.int64)
    begins = np.searchsorted(hosts, np.arange(len(amount)))
    kink = np.clip(begins + within - 1, 0, len(levels) - 1)
    rest = amount - total[kink]
    slope = slope_after[kink]
    rise = np.divide(rest, slope, out=np.zeros_like(rest), where=slope > 0)
    level = np.where(within > 0, levels[kink] + rise, -np.inf)
    return np.clip(weight * level[host], low, high)


def _running_sum(values: FloatArray, first: BoolArray) -> FloatArray:
    """Return the running sum of `values`, begun anew wherever `first` is true."""
    total = np.cumsum(values)
    begins = np.flatnonzero(first)
    before = total[begins] - values[begins]
    return np.asarray(total - before[np.cumsum(first) - 1])
