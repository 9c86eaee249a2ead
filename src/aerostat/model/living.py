"""Guests live through many intervals by their plans, each guest by itself. Pure.

The loop that is compiled: all intervals of one guest, then those of the next, so that all that is
known of a guest stays in the processor's nearest cache. See `aerostat.model.advance`.
"""

from aerostat.model.balloon import ask, move_balloon
from aerostat.model.columns import Column, Table
from aerostat.model.interval import pass_interval
from aerostat.model.pace import Pace
from aerostat.model.plans import (
    COLD,
    HOLD,
    MAPPED,
    READ_RATE,
    READ_SPAN,
    SKEW,
    WRITE_RATE,
    Arrays,
)
from aerostat.model.reclaim import whole_pages
from aerostat.model.rows import (
    COLD_HOLD,
    GROWTH,
    MAPPING,
    READ,
    TOUCHED,
    WRITTEN,
    Record,
)
from aerostat.model.rows import HOLD as WANTED_HOLD
from aerostat.model.rows import READ_SPAN as WANTED_SPAN
from aerostat.model.rows import SKEW as WANTED_SKEW


def live(
    guest: Record,
    plans: Arrays,
    which: int,
    target_size: float,
    host_stall: float,
    now: float,
    dt: float,
    count: int,
    pace: Pace,
) -> None:
    """Let `count` intervals pass for the guest whose record this is, and whose plan is `which`."""
    ask(guest, target_size)
    disk = whole_pages(pace.disk * dt)
    guest[GROWTH] = whole_pages(plans.grow_rate[which] * dt)
    first, end = plans.first[which], plans.end[which]
    moment = last_before(plans.at, first, end, now)
    for interval in range(count):
        second = now + interval * dt
        if second < plans.arrives[which] or second >= plans.departs[which]:
            continue
        while moment + 1 < end and plans.at[moment + 1] <= second:
            moment += 1
        want(guest, plans, moment, min(moment + 1, end - 1), second, dt, pace)
        written = move_balloon(guest, dt, pace, disk)
        pass_interval(guest, dt, pace, disk - written, host_stall)


def last_before(at: Column, first: int, end: int, now: float) -> int:
    """Return the last moment at or before `now`, or the first."""
    low, high = first, end
    while high - low > 1:
        middle = (low + high) // 2
        if at[middle] <= now:
            low = middle
        else:
            high = middle
    return low


def want(
    guest: Record, plans: Arrays, moment: int, after: int, now: float, dt: float, pace: Pace
) -> None:
    """Have programs want what the plan says of this second; as `Plans.demand`, to the last bit."""
    at, wants = plans.at, plans.wants
    length = at[after] - at[moment]
    share = 0.0
    if length > 0.0:
        share = min(max(now - at[moment], 0.0), length) / length
    hold = whole_pages(between(wants, moment, after, share, HOLD))
    cold = whole_pages(min(between(wants, moment, after, share, COLD), hold))
    guest[WANTED_HOLD] = hold
    guest[COLD_HOLD] = cold
    guest[TOUCHED] = (hold - cold) * (dt / pace.round)
    guest[MAPPING] = whole_pages(between(wants, moment, after, share, MAPPED))
    guest[READ] = between(wants, moment, after, share, READ_RATE) * dt
    guest[WANTED_SPAN] = whole_pages(between(wants, moment, after, share, READ_SPAN))
    guest[WANTED_SKEW] = between(wants, moment, after, share, SKEW)
    guest[WRITTEN] = between(wants, moment, after, share, WRITE_RATE) * dt


def between(wants: Table, moment: int, after: int, share: float, field: int) -> float:
    """Return what is wanted on the straight line from one moment to the one after it."""
    before: float = wants[moment, field]
    then: float = wants[after, field]
    return before + (then - before) * share


def live_all(
    states: Table,
    outcomes: Table,
    guest: Record,
    plans: Arrays,
    target_size: Column,
    host_stall: Column,
    now: float,
    dt: float,
    count: int,
    pace: Pace,
) -> None:
    """Let `count` intervals pass for all guests; `guest` is room for the record of one."""
    state_rows, outcome_rows = states.shape[0], outcomes.shape[0]
    outcome_first = len(guest) - outcome_rows
    for which in range(states.shape[1]):
        for row in range(state_rows):
            guest[row] = states[row, which]
        for row in range(outcome_rows):
            guest[outcome_first + row] = 0.0
        live(
            guest,
            plans,
            which,
            target_size[which],
            host_stall[which],
            now,
            dt,
            count,
            pace,
        )
        for row in range(state_rows):
            states[row, which] = guest[row]
        for row in range(outcome_rows):
            outcomes[row, which] = guest[outcome_first + row]
