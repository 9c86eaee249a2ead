"""One step of the brain: observe, estimate, decide, plan."""

from dataclasses import replace

import numpy as np

from aerostat.engine.accounts import SETTLED, Ledger, add_up, keep_ledger
from aerostat.engine.estimates import Estimates, estimate
from aerostat.engine.gain import verify
from aerostat.engine.observation import BoolArray, FloatArray, Guests, Hosts, IntArray
from aerostat.engine.plan import Condition, Plan
from aerostat.engine.safeguards import Decision, Situation, decide
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.targets import divide

_DEFAULT = Settings()


def step(
    state: State, now: float, hosts: Hosts, guests: Guests, settings: Settings = _DEFAULT
) -> tuple[State, Plan]:
    """Return what is known after this observation, and what to do about it.

    `now` is monotonic seconds. Pure and deterministic: the same arguments give the same answer.
    """
    guests = guests.sane()
    state = state.aligned(guests.keys)
    estimates = estimate(state, now, guests, settings)
    ledger = keep_ledger(state, guests)
    accounts = add_up(ledger, guests, hosts)

    progress = _progress_time(state, now, guests, ledger)
    under_way_too_long = now - progress > settings.patience
    unmoved = under_way_too_long & (ledger.asked < guests.guest_size)
    stuck_until = np.where(unmoved, now + settings.stuck_for, state.stuck_until)
    stuck_until = np.minimum(stuck_until, now + settings.stuck_for)
    condition = _condition(now, guests, state, estimates, stuck_until, settings)
    blind = estimates.confidence < 1.0

    harmed = estimates.pressure >= settings.harm_pressure
    harm_time = np.where(harmed, now, np.minimum(state.harm_time, now))
    spared = harmed | (now - harm_time < settings.cooldown)
    left_alone = np.isin(condition, (Condition.EXEMPT, Condition.USELESS))
    keeps = spared | (condition == Condition.STUCK)
    targets = divide(hosts, guests, estimates, ~left_alone, blind, keeps, settings)
    situation = Situation(
        elapsed=_elapsed(state, now, settings),
        guests=guests,
        ledger=ledger,
        accounts=accounts,
        targets=targets,
        condition=condition,
        left_alone=left_alone,
        blind=blind,
        # A guest that has what it needs may feel its own page cache turn over; more is comfort.
        distressed=(estimates.acute >= settings.distress_pressure)
        & (targets.want > guests.guest_size),
        harmed=spared,
        unmoved=unmoved,
    )
    decision = decide(situation, settings)
    plan = Plan(
        keys=guests.keys,
        host=guests.host,
        guest_size=guests.guest_size,
        target_size=decision.target_size,
        reason=decision.reason,
        condition=condition,
        demand=estimates.demand,
        reserve=estimates.reserve,
        idle=estimates.idle,
        pressure=estimates.pressure,
        acute=estimates.acute,
        cause=estimates.cause.astype(np.int64),
        confidence=estimates.confidence,
        age=estimates.age,
        entitlement=targets.entitlement,
        want=targets.want,
        aim=targets.target,
        pinned=guests.pinned,
        asked=ledger.asked,
        need=decision.need,
        accounts=accounts,
    )
    learned = replace(
        state, harm_time=harm_time, stuck_until=stuck_until, asked_time=progress, stepped=now
    )
    return _remember(learned, now, guests, estimates, ledger, decision, settings), plan


def _elapsed(state: State, now: float, settings: Settings) -> float:
    if np.isnan(state.stepped):
        return 0.0
    return float(np.clip(now - state.stepped, 0.0, settings.longest_tick))


def _progress_time(state: State, now: float, guests: Guests, ledger: Ledger) -> FloatArray:
    """Return when each balloon was asked or last moved towards what was asked; NaN at rest."""
    before = np.abs(state.asked - state.guest_size)
    moved = np.abs(ledger.asked - guests.guest_size) < before - SETTLED
    since = np.where(moved, now, np.minimum(state.asked_time, now))
    return np.where(np.isnan(ledger.asked), np.nan, since)


def _condition(
    now: float,
    guests: Guests,
    state: State,
    estimates: Estimates,
    stuck_until: FloatArray,
    settings: Settings,
) -> IntArray:
    """Return each guest's `Condition`: the first of these that holds."""
    table: list[tuple[BoolArray, Condition]] = [
        (~guests.managed, Condition.EXEMPT),
        (state.useless_until > now, Condition.USELESS),
        (stuck_until > now, Condition.STUCK),
        (~estimates.plausible, Condition.IMPLAUSIBLE),
        (estimates.age > settings.silent_after, Condition.SILENT),
        (estimates.age > settings.fresh_for, Condition.STALE),
    ]
    holds, conditions = zip(*table, strict=True)
    return np.asarray(np.select(holds, conditions, Condition.FRESH), dtype=np.int64)


def _remember(
    state: State,
    now: float,
    guests: Guests,
    estimates: Estimates,
    ledger: Ledger,
    decision: Decision,
    settings: Settings,
) -> State:
    """Return the state after `decision`."""
    target = decision.target_size
    moves = ~np.isnan(target)
    permitted = np.where(moves, np.fmax(guests.guest_size, target), ledger.permitted)
    grants = ledger.granted + np.maximum(permitted - ledger.permitted, 0.0)
    gain = verify(state, now, guests, moves & (target < guests.guest_size), settings)
    return replace(
        state,
        statistics=estimates.statistics,
        sample_time=estimates.sample_time,
        sample_size=estimates.sample_size,
        guest_size=guests.guest_size,
        held=ledger.held,
        demand=estimates.demand,
        growth=estimates.growth,
        pressure=estimates.pressure,
        cause=estimates.cause,
        asked=np.where(moves, target, ledger.asked),
        asked_time=np.where(moves, now, state.asked_time),
        granted=np.minimum(grants, np.maximum(permitted - ledger.held, 0.0)),
        taking_held=gain.taking_held,
        gain_due=gain.due,
        useless_until=gain.useless_until,
    )
