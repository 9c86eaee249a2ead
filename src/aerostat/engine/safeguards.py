"""The promises: which part of the targets may be carried out now.

Whatever a policy wishes passes through here, and it is here that a guest's guarantee, the rate of
shrinking, the cool-down after harm, the ledger and the silence of a guest have their say. When
promises clash, the order is: the guarantee, the host's survival, what a reservation is backed by,
a guest in distress up to its entitlement, nothing promised twice, needs up to the entitlement,
reservations that are not backed yet, fairness, no squeeze in the dark, the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.engine.accounts import SETTLED, Accounts, Ledger
from aerostat.engine.conditions import Condition
from aerostat.engine.convergence import Progress, feasible
from aerostat.engine.fill import share_out
from aerostat.engine.observation import BoolArray, FloatArray, Guests, IntArray, known_or
from aerostat.engine.plan import Reason
from aerostat.engine.settings import Settings
from aerostat.engine.strain import Strain
from aerostat.engine.targets import Targets

_ALONE = (Condition.EXEMPT, Condition.USELESS, Condition.STUCK)

_REFILL = 0.25
"""Nothing is taken for a pool that lacks less than this fraction of itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """What the safeguards look at, one row a guest."""

    elapsed: float
    """Seconds that rate limits may count since the last step."""
    guests: Guests
    ledger: Ledger
    accounts: Accounts
    strain: Strain
    """Of the hosts."""
    targets: Targets
    condition: IntArray
    progress: Progress
    blind: BoolArray
    seldom: FloatArray
    """How seldom the guest is heard, 0 (often enough) to 1 (too seldom to see a burst in time)."""
    distressed: BoolArray
    acute: FloatArray
    harmed: BoolArray
    """The guest feels it now, or felt it within the cool-down."""
    loose: FloatArray
    """What of its memory is free, beyond its reserve: to lose that harms nobody."""

    @property
    def exempt(self) -> BoolArray:
        """Tell which guests are asked for nothing at all."""
        return np.equal(self.condition, Condition.EXEMPT)

    @property
    def useless(self) -> BoolArray:
        """Tell from which guests nothing is taken, since the host gains nothing."""
        return np.equal(self.condition, Condition.USELESS)

    @property
    def asked_size(self) -> FloatArray:
        """Return the size last asked for where that is under way, else the size there is."""
        return np.where(np.isnan(self.ledger.asked), self.guests.guest_size, self.ledger.asked)

    @property
    def draining(self) -> BoolArray:
        """Tell where a request to shrink is under way."""
        return self.ledger.asked < self.guests.guest_size


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What may be done now."""

    target_size: FloatArray
    """NaN for nothing."""
    reason: IntArray
    need: FloatArray
    """One row a host: what its guests have to give."""


def decide(situation: Situation, settings: Settings) -> Decision:
    """Return the part of the targets that may be carried out now."""
    guests = situation.guests
    grow, grow_reason, uncovered = _growth(situation, settings)
    need = _need(situation, settings)
    shrink, shrink_reason, spared = _shrinking(situation, need, settings)

    target = np.full(len(guests), np.nan)
    reason = _resting(situation, need, spared, uncovered, settings)

    def move(which: BoolArray, size: FloatArray, why: IntArray | Reason) -> None:
        # A size is a whole number of balloon pages, and rounding never costs the guarantee, which
        # is one too (`Guests.sane`).
        rows = np.flatnonzero(which)  # mostly few
        highest = np.maximum(guests.ceiling[rows], guests.guest_size[rows])
        sizes = np.clip(size[rows], guests.guarantee[rows], highest)
        target[rows] = np.floor(sizes / PAGE_SIZE) * PAGE_SIZE
        reason[rows] = why if isinstance(why, Reason) else why[rows]

    survival = (situation.accounts.urgency > 1.0)[guests.host]
    move(shrink < situation.ledger.permitted, shrink, shrink_reason)
    futile = situation.progress.unmoved | situation.useless & situation.draining
    move(futile & ~situation.exempt, guests.guest_size, Reason.WITHDRAW)
    # Whoever feels it, or needs about all that is left, is asked for no more.
    grows = grow > situation.asked_size
    felt = situation.harmed & (situation.loose <= 0)
    ease = felt & ~survival | grows & (grow <= guests.guest_size + SETTLED)
    ease &= situation.draining & ~situation.exempt & ~situation.useless
    move(ease, guests.guest_size, Reason.EASE)
    move(grows & (~ease | (grow > guests.guest_size + SETTLED)), grow, grow_reason)
    # Nothing to ask where that is what was asked last, or what there is.
    target[target == situation.asked_size] = np.nan
    return Decision(target_size=target, reason=reason, need=need.total)


def _smallest_move(guests: Guests, settings: Settings) -> FloatArray:
    return np.maximum(settings.smallest_move, settings.smallest_move_share * guests.max_size)


def _growth(situation: Situation, settings: Settings) -> tuple[FloatArray, IntArray, BoolArray]:
    """Return the size that each guest may grow to now, why, and who is not covered yet.

    What is already permitted is free; more than that is covered by classes: the guarantee always;
    then distress, up to the entitlement, by what the host can really back; then needs; then all
    else that may help in an emergency; then comfort, by what is occupied by nobody.
    """
    guests, targets, accounts = situation.guests, situation.targets, situation.accounts
    from_size, permitted = situation.asked_size, situation.ledger.permitted
    pinned = ~np.isnan(guests.pinned)
    useless = situation.useless

    # An operator's own word goes before what the guest's figures say.
    distress = situation.distressed & ~situation.blind & ~pinned
    emergency = situation.acute >= settings.emergency_pressure
    emergency = distress & ~useless & (emergency | situation.progress.stalled)
    claim = np.minimum(targets.want, targets.entitlement)
    must = np.where(distress, np.maximum(targets.needed, claim), targets.needed)
    least = np.where(distress | pinned, PAGE_SIZE, _smallest_move(guests, settings))
    needs = (must >= from_size + least) | (from_size < guests.guarantee)
    comfort = ~needs & ~situation.draining & (targets.target >= from_size + least)
    step = settings.comfort_rate * guests.max_size * situation.elapsed
    # What is given back to a guest of which the host holds everything anyway need not be slow.
    step = np.where(useless, np.inf, step)
    wish = np.where(needs, must, from_size)
    wish = np.where(comfort, np.minimum(targets.target, from_size + step), wish)
    wish = np.where(emergency, guests.ceiling, wish)
    wish = np.where(situation.exempt, from_size, np.minimum(wish, guests.ceiling))

    spare = accounts.spare
    beyond = spare - settings.pool_share * accounts.budget
    covered = np.maximum(permitted, np.minimum(guests.guarantee, wish))
    for brim, amount in (
        (np.where(distress, claim, 0.0), accounts.cover),
        *_by_need(targets, needs, must, accounts),
        (np.where(emergency, guests.ceiling, 0.0), beyond),
        (guests.ceiling, np.minimum(beyond, situation.strain.lid - accounts.occupied)),
    ):
        room = np.minimum(wish, brim) - covered
        rows = np.flatnonzero(room > 0)
        if not len(rows):
            continue
        grants = np.maximum(covered - permitted, 0.0)
        given = np.bincount(guests.host, grants, minlength=len(amount))
        rest = np.maximum(amount - given, 0.0)
        covered[rows] += share_out(rest, room[rows], guests.shares[rows], guests.host[rows])

    allowed = np.minimum(wish, covered)
    # A drop is not worth a request, unless it is the last to an exact size that was promised.
    exact = pinned | (from_size < guests.guarantee)
    worth_it = allowed >= from_size + np.where(exact, PAGE_SIZE, SETTLED)
    lacks = from_size < targets.want
    reason = np.select(
        [useless, pinned, emergency & (allowed > must), distress, needs & lacks, needs],
        [
            Reason.GIVE_BACK,
            Reason.GROW_PINNED,
            Reason.GROW_EMERGENCY,
            Reason.GROW_DISTRESS,
            Reason.GROW_NEED,
            Reason.GROW_READY,
        ],
        Reason.GROW_COMFORT,
    )
    uncovered = needs & (allowed < np.minimum(np.minimum(wish, must), targets.want) - SETTLED)
    return np.where(worth_it, allowed, from_size), reason, uncovered


def _by_need(
    targets: Targets, needs: BoolArray, must: FloatArray, accounts: Accounts
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield up to which size needs are covered, and by what: use, then reserves, then files."""
    for need in (targets.used, targets.want, must):
        brim = np.where(needs, np.minimum(need, must), 0.0)
        yield np.minimum(brim, targets.entitlement), accounts.spare_for_entitled
        yield brim, accounts.spare


class _Need(NamedTuple):
    """What each host's guests must give, one row a host."""

    total: FloatArray
    of_guests: FloatArray
    """The part of it that guests need that are there: no reservation, and not the host itself."""
    of_host: FloatArray
    """What the host itself needs, strained as it is."""
    to_the_last: BoolArray
    """Whether drops count: what is reserved was promised to the byte, and so is survival."""


def _need(situation: Situation, settings: Settings) -> _Need:
    """Return what must be given for guests, their needs and reservations to fit the budget."""
    guests, targets, accounts = situation.guests, situation.targets, situation.accounts
    permitted, hosts = situation.ledger.permitted, len(accounts.budget)
    none = np.zeros(hosts)

    def total(column: FloatArray) -> FloatArray:
        return np.bincount(guests.host, column, minlength=hosts).astype(np.float64)

    if settings.mode == "density":
        idle = total(np.maximum(permitted - targets.target, 0.0))
        return _Need(total=idle, of_guests=idle, of_host=none, to_the_last=none > 0)
    wanted = np.maximum(targets.needed - permitted, 0.0)
    wanted = total(np.where(situation.exempt | situation.useless, 0.0, wanted))
    # What a balloon that is on its way will soon have taken need not be asked of others as well.
    soon = settings.reaction_time * known_or(situation.progress.speed_down, 0.0)
    coming = np.clip(guests.guest_size - situation.ledger.asked, 0.0, soon)
    lacking = accounts.occupied + wanted - total(known_or(coming, 0.0))

    pool = settings.pool_share * accounts.budget
    # A pool that lacks a little is not refilled drop by drop.
    of_guests = lacking - (accounts.limit - pool)
    of_guests = np.where(of_guests >= _REFILL * pool, of_guests, 0.0)
    claimed = np.where(accounts.reserved > 0, lacking + accounts.reserved - accounts.limit, 0.0)
    claimed = np.maximum(claimed, accounts.reserved - accounts.backing(none))
    strained = situation.strain.lasts(settings)
    of_host = np.where(strained, accounts.occupied - situation.strain.lid, 0.0)
    of_host = np.maximum(of_host, 0.0)
    total_need = np.maximum(of_guests, np.maximum(claimed, of_host))
    return _Need(total_need, of_guests, of_host, (claimed > 0) | (accounts.urgency > 1.0))


def _shrinking(
    situation: Situation, need: _Need, settings: Settings
) -> tuple[FloatArray, IntArray, BoolArray]:
    """Return the size that each guest may be shrunk to now, why, and who is spared for harm."""
    guests, targets, accounts = situation.guests, situation.targets, situation.accounts
    host, blind = guests.host, situation.blind
    permitted = situation.ledger.permitted
    told = permitted > guests.pinned  # by an operator; false where nothing is pinned
    survival = (accounts.urgency > 1.0)[host]

    # Without a fresh sample, and against harm when the host itself is in danger, nothing is taken
    # below the entitlement, and nothing of that is for a reservation.
    felt = situation.harmed & (survival | (situation.loose <= 0))
    floor = np.where(blind | felt, targets.fair_share, _share_kept(situation))
    # An operator's word goes as far as it says; below that other needs decide.
    floor = np.where(told, np.maximum(floor, guests.pinned), floor)
    surplus = np.maximum(permitted - np.maximum(targets.target, floor), 0.0)
    able = ~situation.exempt & ~situation.useless & ~situation.draining
    able &= situation.condition != Condition.STUCK
    spared = able & situation.harmed & ~survival & (surplus > situation.loose)
    surplus = np.where(spared, situation.loose, surplus)
    # ... and in the dark no drops are taken for what is reserved.
    exact = told | np.where(blind, survival, need.to_the_last[host])
    able &= surplus >= np.where(exact, PAGE_SIZE, settings.smallest_move)

    waiting = (accounts.backed < accounts.reserved) | situation.strain.lasts(settings)
    speed = np.where(waiting, 1.0, np.clip(accounts.urgency, settings.calm_factor, 1.0))[host]
    speed = np.where(survival, settings.survival_factor, speed)
    speed = np.where(blind, settings.blind_factor, speed)
    step = settings.shrink_rate * guests.max_size * situation.elapsed * speed
    loose = settings.loose_rate * guests.max_size * situation.elapsed
    step = np.maximum(step, np.minimum(situation.loose, loose))
    step = np.minimum(step, feasible(situation.progress.speed_down, settings))
    take = np.where(able, np.minimum(surplus, step), 0.0)

    # Take only on need: what all could give is scaled down to what is needed, and what is taken
    # in the dark to what the guests need that are there. An operator's own request needs no other
    # reason.
    offers = np.where(told, 0.0, take)
    offered = np.bincount(host, offers, minlength=len(need.total)).astype(np.float64)
    scale = _part(need.total, offered)[host]
    scale = np.where(blind, _part(need.of_guests, offered)[host], scale)
    take = np.where(told, take, take * scale)
    take = np.where(exact | (take >= SETTLED), take, 0.0)
    for_others = (need.of_guests > 0)[host]
    reason = np.select(
        [
            told,
            survival,
            blind,
            ~for_others & (need.total > need.of_host)[host],
            ~for_others,
            targets.want > targets.entitlement,
        ],
        [
            Reason.SHRINK_PINNED,
            Reason.SHRINK_SURVIVAL,
            Reason.SHRINK_BLIND,
            Reason.SHRINK_RESERVED,
            Reason.SHRINK_STRAIN,
            Reason.SHRINK_SHARE,
        ],
        Reason.SHRINK_IDLE,
    )
    return permitted - take, reason, spared


def _share_kept(situation: Situation) -> FloatArray:
    """Return the part of its share that a guest keeps because it is seldom heard, bytes."""
    return situation.seldom * situation.targets.fair_share


def _part(need: FloatArray, offered: FloatArray) -> FloatArray:
    """Return which part of what is offered is needed, 0 to 1."""
    return np.divide(need, offered, out=np.ones_like(need), where=offered > need)


def _resting(
    situation: Situation,
    need: _Need,
    spared: BoolArray,
    uncovered: BoolArray,
    settings: Settings,
) -> IntArray:
    """Return why each guest is not moved, should it not be."""
    guests = situation.guests
    surplus = situation.ledger.permitted - situation.targets.want
    large = surplus > _smallest_move(guests, settings)
    return np.select(
        [
            np.isin(situation.condition, _ALONE),
            situation.draining,
            uncovered,
            situation.blind,
            spared,
            large & (need.total[guests.host] <= 0),
            large & (situation.ledger.permitted <= _share_kept(situation) + settings.smallest_move),
        ],
        [
            Reason.ALONE,
            Reason.DRAINING,
            Reason.NOT_COVERED,
            Reason.BLIND,
            Reason.FELT_IT,
            Reason.NOT_NEEDED,
            Reason.SELDOM,
        ],
        Reason.CONTENT,
    ).astype(np.int64)
