"""The promises: which part of the targets may be carried out now.

Whatever a policy wishes passes through here, and it is here that a guest's guarantee, the rate of
shrinking, the cool-down after harm, the ledger and the silence of a guest have their say. When
promises clash, the order is: the guarantee, the host's survival, a guest in distress up to its
entitlement, nothing promised twice, fairness, no squeeze in the dark, the rest.
"""

from dataclasses import dataclass

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.engine.accounts import SETTLED, Accounts, Ledger
from aerostat.engine.conditions import Condition
from aerostat.engine.fill import waterfill
from aerostat.engine.observation import BoolArray, FloatArray, Guests, IntArray
from aerostat.engine.plan import Reason
from aerostat.engine.settings import Settings
from aerostat.engine.targets import Targets

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
    targets: Targets
    condition: IntArray
    left_alone: BoolArray
    """The guest is asked for nothing at all: it is exempt, or its balloon is useless."""
    blind: BoolArray
    distressed: BoolArray
    harmed: BoolArray
    """The guest feels it now, or felt it within the cool-down."""
    unmoved: BoolArray
    """A request to shrink is under way and the balloon has not moved for too long."""

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

    def move(rows: BoolArray, size: FloatArray, why: IntArray | Reason) -> None:
        # A size is a whole number of balloon pages, and rounding never costs the guarantee, which
        # is one too (`Guests.sane`).
        highest = np.maximum(guests.ceiling, guests.guest_size)
        pages = np.floor(np.clip(size, guests.guarantee, highest) / PAGE_SIZE) * PAGE_SIZE
        target[rows] = pages[rows]
        reason[rows] = np.broadcast_to(np.asarray(why, dtype=np.int64), rows.shape)[rows]

    survival = (situation.accounts.urgency > 1.0)[guests.host]
    move(shrink < situation.ledger.permitted, shrink, shrink_reason)
    move(situation.unmoved & ~situation.left_alone, guests.guest_size, Reason.WITHDRAW)
    # Whoever feels it, or needs about all that is left, is asked for no more.
    grows = grow > situation.asked_size
    ease = situation.harmed & ~survival | grows & (grow <= guests.guest_size + SETTLED)
    ease &= situation.draining & ~situation.left_alone
    move(ease, guests.guest_size, Reason.EASE)
    move(grows & (~ease | (grow > guests.guest_size + SETTLED)), grow, grow_reason)
    # Nothing to ask where that is what was asked last, or what there is.
    target[target == situation.asked_size] = np.nan
    return Decision(target_size=target, reason=reason, need=need)


def _smallest_move(guests: Guests, settings: Settings) -> FloatArray:
    return np.maximum(settings.smallest_move, settings.smallest_move_share * guests.max_size)


def _growth(situation: Situation, settings: Settings) -> tuple[FloatArray, IntArray, BoolArray]:
    """Return the size that each guest may grow to now, why, and who is not covered yet.

    What is already permitted is free; more than that is covered by classes: the guarantee always;
    then distress, up to the entitlement, by what the host can really back; then needs, then
    comfort, by what the budget has not permitted to anybody.
    """
    guests, targets, accounts = situation.guests, situation.targets, situation.accounts
    from_size, permitted = situation.asked_size, situation.ledger.permitted
    pinned = ~np.isnan(guests.pinned)

    # An operator's own word goes before what the guest's figures say.
    distress = situation.distressed & ~situation.blind & ~pinned
    must = np.where(distress, np.maximum(targets.needed, targets.entitlement), targets.needed)
    least = np.where(distress | pinned, PAGE_SIZE, _smallest_move(guests, settings))
    needs = (must >= from_size + least) | (from_size < guests.guarantee)
    comfort = ~needs & ~situation.draining & (targets.target >= from_size + least)
    step = settings.comfort_rate * guests.max_size * situation.elapsed
    wish = np.where(needs, must, from_size)
    wish = np.where(comfort, np.minimum(targets.target, from_size + step), wish)
    wish = np.where(situation.left_alone, from_size, np.minimum(wish, guests.ceiling))

    covered = np.maximum(permitted, np.minimum(guests.guarantee, wish))
    for brim, amount in (
        (np.where(distress, targets.entitlement, 0.0), np.maximum(accounts.spare, accounts.cover)),
        (np.where(needs, guests.ceiling, 0.0), accounts.spare),
        (guests.ceiling, accounts.spare - settings.pool_share * accounts.budget),
    ):
        grants = np.maximum(covered - permitted, 0.0)
        given = np.bincount(guests.host, grants, minlength=len(amount))
        room = np.maximum(np.minimum(wish, brim) - covered, 0.0)
        rest = np.maximum(amount - given, 0.0)
        covered += waterfill(rest, np.zeros_like(room), room, guests.shares, guests.host)

    allowed = np.minimum(wish, covered)
    # A drop is not worth a request, unless it is the last to an exact size that was promised.
    exact = pinned | (from_size < guests.guarantee)
    worth_it = allowed >= from_size + np.where(exact, PAGE_SIZE, SETTLED)
    reason = np.select(
        [pinned, distress, needs],
        [Reason.GROW_PINNED, Reason.GROW_DISTRESS, Reason.GROW_NEED],
        Reason.GROW_COMFORT,
    )
    return np.where(worth_it, allowed, from_size), reason, needs & (allowed < wish)


def _need(situation: Situation, settings: Settings) -> FloatArray:
    """Return what each host's guests must give for permissions and needs to fit the budget."""
    guests, targets, accounts = situation.guests, situation.targets, situation.accounts
    permitted = situation.ledger.permitted
    hosts = len(accounts.budget)
    if settings.mode == "density":
        idle = np.maximum(permitted - targets.target, 0.0)
        return np.bincount(guests.host, idle, minlength=hosts).astype(np.float64)
    wanted = np.where(situation.left_alone, 0.0, np.maximum(targets.needed - permitted, 0.0))
    wanted_here = np.bincount(guests.host, wanted, minlength=hosts)
    pool = settings.pool_share * accounts.budget
    need = np.maximum(
        accounts.permitted + accounts.reserved + wanted_here - (accounts.budget - pool), 0.0
    )
    # A pool that lacks a little is not refilled drop by drop.
    return np.where(need >= _REFILL * pool, need, 0.0)


def _shrinking(
    situation: Situation, need: FloatArray, settings: Settings
) -> tuple[FloatArray, IntArray, BoolArray]:
    """Return the size that each guest may be shrunk to now, why, and who is spared for harm."""
    guests, targets, accounts = situation.guests, situation.targets, situation.accounts
    permitted = situation.ledger.permitted
    told = permitted > guests.pinned  # by an operator; false where nothing is pinned
    urgency = accounts.urgency[guests.host]
    survival = urgency > 1.0

    # Without a fresh sample, and against harm when the host itself is in danger, nothing is taken
    # below the entitlement.
    floor = np.where(situation.blind | situation.harmed, targets.entitlement, 0.0)
    goal = np.maximum(targets.target, floor)
    surplus = np.maximum(permitted - goal, 0.0)
    able = ~situation.left_alone & (situation.condition != Condition.STUCK) & ~situation.draining
    spared = able & situation.harmed & ~survival & (surplus > 0)
    able &= ~spared & (surplus >= np.where(told, PAGE_SIZE, settings.smallest_move))

    speed = np.clip(urgency, settings.calm_factor, 1.0)
    speed = np.where(survival, settings.survival_factor, speed)
    speed = np.where(situation.blind, settings.blind_factor, speed)
    step = settings.shrink_rate * guests.max_size * situation.elapsed * speed
    take = np.where(able, np.minimum(surplus, step), 0.0)

    # Take only on need: what all could give is scaled down to what is needed. An operator's own
    # request needs no other reason.
    offered = np.bincount(guests.host, np.where(told, 0.0, take), minlength=len(need))
    scale = np.divide(need, offered, out=np.ones_like(need), where=offered > need)
    take = np.where(told, take, take * scale[guests.host])
    take = np.where(told | (take >= SETTLED), take, 0.0)
    reason = np.select(
        [told, survival, situation.blind, targets.want > targets.entitlement],
        [
            Reason.SHRINK_PINNED,
            Reason.SHRINK_SURVIVAL,
            Reason.SHRINK_BLIND,
            Reason.SHRINK_SHARE,
        ],
        Reason.SHRINK_IDLE,
    )
    return permitted - take, reason, spared


def _resting(
    situation: Situation,
    need: FloatArray,
    spared: BoolArray,
    uncovered: BoolArray,
    settings: Settings,
) -> IntArray:
    """Return why each guest is not moved, should it not be."""
    guests = situation.guests
    surplus = situation.ledger.permitted - situation.targets.want
    return np.select(
        [
            situation.left_alone | (situation.condition == Condition.STUCK),
            situation.draining,
            uncovered,
            situation.blind,
            spared,
            (surplus > _smallest_move(guests, settings)) & (need[guests.host] <= 0),
        ],
        [
            Reason.ALONE,
            Reason.DRAINING,
            Reason.NOT_COVERED,
            Reason.BLIND,
            Reason.FELT_IT,
            Reason.NOT_NEEDED,
        ],
        Reason.CONTENT,
    ).astype(np.int64)
