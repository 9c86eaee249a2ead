"""One step of the brain: observe, estimate, decide, plan."""

from dataclasses import replace

import numpy as np

from aerostat.engine.accounts import SETTLED, Ledger, add_up, keep_ledger
from aerostat.engine.conditions import Condition, Sign, follow, known_condition
from aerostat.engine.convergence import Progress, doubted, follow_balloons
from aerostat.engine.estimates import Estimates, estimate
from aerostat.engine.gain import Gain, verify
from aerostat.engine.observation import BoolArray, FloatArray, Guests, Hosts
from aerostat.engine.plan import Plan
from aerostat.engine.pressure import Cause
from aerostat.engine.reserves import reserve, scarce
from aerostat.engine.safeguards import Decision, Situation, decide
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.strain import follow_hosts
from aerostat.engine.targets import divide
from aerostat.engine.wishes import Wishes, as_told

_DEFAULT = Settings()


def step(
    state: State,
    now: float,
    hosts: Hosts,
    guests: Guests,
    settings: Settings = _DEFAULT,
    wishes: Wishes | None = None,
) -> tuple[State, Plan]:
    """Return what is known after this observation, and what to do about it.

    `now` is monotonic seconds. `wishes` are another policy's. Pure and deterministic: the same
    arguments give the same answer.
    """
    hosts, guests = hosts.sane(), guests.sane()
    state = state.aligned(guests.keys, hosts.names)
    estimates = estimate(state, now, guests, settings)
    elapsed = _elapsed(state, now, settings)
    ledger = keep_ledger(state, elapsed, guests, settings)
    accounts = add_up(state, ledger, guests, hosts, settings)
    strain = follow_hosts(state, elapsed, hosts, accounts, settings)

    progress = follow_balloons(state, now, guests, ledger, settings)
    gain = verify(state, now, guests, settings)
    signs = _signs(state, now, guests, estimates, ledger, progress, gain, settings)
    condition, condition_since = follow(state.condition, state.condition_since, now, signs)
    blind = estimates.confidence < 1.0

    harmed = estimates.pressure >= settings.harm_pressure
    harm_time = np.where(harmed, now, np.minimum(state.harm_time, now))
    spared = harmed | (now - harm_time < settings.cooldown)
    keeps = spared | (condition == Condition.STUCK)
    wished = wishes.heard(guests, blind | keeps) if wishes else np.full(len(guests), np.nan)
    told = as_told(guests, wished) if wishes else guests
    spare = reserve(
        guests,
        accounts,
        ledger,
        estimates.demand,
        estimates.growth,
        estimates.rush,
        estimates.brittle,
        settings,
    )
    # Whoever feels it now is asked for nothing, not even for what it says is free.
    feels = estimates.felt >= settings.harm_pressure
    loose = np.where(feels, 0.0, np.maximum(estimates.loose - spare, 0.0))
    keep = np.where(spared, guests.guest_size - loose, 0.0)
    keep = np.where(condition == Condition.STUCK, guests.guest_size, keep)
    # A guest known for bursts is in distress before it feels it: it may run out within a
    # reaction time.
    acute = estimates.trust * scarce(estimates.idle, spare, settings)
    acute = np.maximum(estimates.felt, acute)
    # Who has plenty again can give of that: the cooling down is over.
    plenty = estimates.idle > settings.plenty * spare
    harm_time = np.where(~harmed & plenty & ~blind, np.nan, harm_time)
    cause = np.where(acute > estimates.pressure, Cause.SCARCITY, estimates.cause)
    targets = divide(
        accounts, ledger, strain.lid, told, estimates, spare, condition, keep, settings
    )
    situation = Situation(
        elapsed=elapsed,
        guests=guests,
        ledger=ledger,
        accounts=accounts,
        strain=strain,
        targets=targets,
        condition=condition,
        progress=progress,
        blind=blind,
        seldom=estimates.seldom,
        # A guest that has what it needs may feel its own page cache turn over; more is comfort.
        distressed=(acute >= settings.distress_pressure) & (targets.want > guests.guest_size),
        acute=acute,
        harmed=spared,
        loose=loose,
    )
    decision = decide(situation, settings)
    grants = _grants(guests, ledger, decision)
    granted_now = np.bincount(guests.host, grants, minlength=len(hosts)).astype(np.float64)
    backed = accounts.backing(granted_now)
    plan = Plan(
        keys=guests.keys,
        host=guests.host,
        guest_size=guests.guest_size,
        target_size=decision.target_size,
        reason=decision.reason,
        condition=condition,
        condition_since=condition_since,
        demand=estimates.demand,
        reserve=spare,
        idle=estimates.idle,
        pressure=estimates.pressure,
        acute=acute,
        cause=cause.astype(np.int64),
        confidence=estimates.confidence,
        age=estimates.age,
        entitlement=targets.entitlement,
        want=targets.want,
        aim=targets.target,
        pinned=guests.pinned,
        asked=ledger.asked,
        speed_up=progress.speed_up,
        speed_down=progress.speed_down,
        need=decision.need,
        hosts=hosts,
        host_strain=strain.strain,
        reserved_backed=backed,
        accounts=accounts,
        wished=wished,
        why_wished=wishes.why if wishes else str,
    )
    learned = replace(
        state,
        stepped=now,
        harm_time=harm_time,
        condition=condition.astype(np.float64),
        condition_since=condition_since,
        asked_time=progress.asked_time,
        asked_from=progress.asked_from,
        speed_up=progress.speed_up,
        speed_down=doubted(progress.speed_down, progress.unmoved, settings),
        taking_held=gain.taking_held,
        taking_size=gain.taking_size,
        gain_due=gain.due,
        host_strain=strain.strain,
        host_lid=np.where(np.isinf(strain.lid), np.nan, strain.lid),
        host_backed=backed,
    )
    return _remember(learned, now, guests, estimates, ledger, decision, grants), plan


def _elapsed(state: State, now: float, settings: Settings) -> float:
    if np.isnan(state.stepped):
        return 0.0
    return float(np.clip(now - state.stepped, 0.0, settings.longest_tick))


def _signs(
    state: State,
    now: float,
    guests: Guests,
    estimates: Estimates,
    ledger: Ledger,
    progress: Progress,
    gain: Gain,
    settings: Settings,
) -> dict[Sign, BoolArray]:
    """Return which signs are seen of which guests."""
    before = known_condition(state.condition)
    age = now - np.minimum(state.condition_since, now)
    stuck = (before == Condition.STUCK) & (age < settings.stuck_for) & ~progress.moved
    useless = (before == Condition.USELESS) & (age < settings.useless_for) & ~gain.paid
    return {
        Sign.UNMANAGED: ~guests.managed,
        Sign.NO_GAIN: gain.failed,
        Sign.NO_MOTION: progress.unmoved,
        Sign.WAITS: stuck | useless,
        Sign.IMPOSSIBLE: ~estimates.plausible,
        Sign.NO_FIGURES: estimates.age > settings.silent_after,
        Sign.OLD_FIGURES: estimates.age > settings.fresh_for,
        Sign.SHRINKS: ledger.asked < guests.guest_size,
    }


def _permitted(guests: Guests, ledger: Ledger, decision: Decision) -> FloatArray:
    """Return what each guest may use once `decision` is sent: a shrink frees nothing yet."""
    target = decision.target_size
    return np.where(np.isnan(target), ledger.permitted, np.fmax(guests.guest_size, target))


def _grants(guests: Guests, ledger: Ledger, decision: Decision) -> FloatArray:
    """Return what `decision` permits each guest beyond what it was permitted."""
    return np.maximum(_permitted(guests, ledger, decision) - ledger.permitted, 0.0)


def _remember(
    state: State,
    now: float,
    guests: Guests,
    estimates: Estimates,
    ledger: Ledger,
    decision: Decision,
    grants: FloatArray,
) -> State:
    """Return the state after `decision`."""
    target = decision.target_size
    moves = ~np.isnan(target)
    permitted = _permitted(guests, ledger, decision)
    begins = moves & (target < guests.guest_size) & np.isnan(state.taking_held)
    left = np.maximum(permitted + ledger.overhead - ledger.held, 0.0)
    fell = guests.guest_size < state.guest_size - SETTLED
    return replace(
        state,
        statistics=estimates.statistics,
        gap=estimates.gap,
        sample_time=estimates.sample_time,
        sample_size=estimates.sample_size,
        guest_size=guests.guest_size,
        held=ledger.held,
        demand=estimates.demand,
        growth=estimates.growth,
        mapped=estimates.files.mapped,
        programs=estimates.files.programs,
        worth=estimates.files.worth,
        worth_time=estimates.files.worth_time,
        trust=estimates.trust,
        block_reads=estimates.files.block_reads,
        reads_time=estimates.files.reads_time,
        read_rate=estimates.files.read_rate,
        read_floor=estimates.files.read_floor,
        read_owed=estimates.files.read_owed,
        pressure=estimates.pressure,
        cause=estimates.cause,
        asked=np.where(moves, target, ledger.asked),
        asked_time=np.where(moves, now, state.asked_time),
        granted=np.minimum(ledger.granted + grants, left),
        overhead=ledger.overhead,
        asked_from=np.where(moves, guests.guest_size, state.asked_from),
        taken_time=np.where(fell, now, np.minimum(state.taken_time, now)),
        taking_held=np.where(begins, guests.held, state.taking_held),
        taking_size=np.where(begins, guests.guest_size, state.taking_size),
    )
