"""What is promised of a policy, each promise with the check that finds out whether it is kept."""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from aerostat.engine.policies.base import Policy
from aerostat.testing.policies import conduct, contract


class Kind(Enum):
    """Who has to keep a promise."""

    CONTRACT = "contract"
    """Every policy, or it can neither be simulated nor replayed."""
    SAFETY = "safety"
    """Whoever moves real guests; under the engine's safeguards every policy does."""
    CONDUCT = "conduct"
    """A good policy."""


class Promise(NamedTuple):
    """One promise; `number` is its place in the list of ``docs/policies.md``, 0 for none."""

    name: str
    kind: Kind
    number: int
    words: str
    check: Callable[[Policy], None]
    """Raises `stage.Broken`, or whatever the policy raises."""


_CONTRACT, _SAFETY, _CONDUCT = Kind.CONTRACT, Kind.SAFETY, Kind.CONDUCT

PROMISES: tuple[Promise, ...] = (
    Promise(
        "answers", _CONTRACT, 10, "a size or NaN for each guest, and a sentence", contract.answers
    ),
    Promise(
        "pure", _CONTRACT, 0, "the same arguments, the same answer; nothing is read or changed",
        contract.is_pure,
    ),
    Promise(
        "hosts apart", _CONTRACT, 8, "a host among others fares as it does alone",
        contract.hosts_are_apart,
    ),
    Promise(
        "order", _CONTRACT, 0, "the order of guests changes nothing", contract.order_is_nothing
    ),
    Promise(
        "come and go", _CONTRACT, 11, "guests come, go and come back", contract.guests_come_and_go
    ),
    Promise(
        "not known", _CONTRACT, 5, "figures may be missing", contract.survives_what_is_not_known
    ),
    Promise(
        "nonsense", _CONTRACT, 8, "one guest's impossible figures harm nobody",
        contract.survives_nonsense,
    ),
    Promise(
        "guarantee", _SAFETY, 2, "no target is below the guarantee, nor above the ceiling",
        conduct.within_bounds,
    ),
    Promise(
        "gives at once", _SAFETY, 3, "distress is answered at once, up to the entitlement",
        conduct.gives_at_once,
    ),
    Promise("takes slowly", _SAFETY, 3, "shrinking is rate-limited", conduct.takes_slowly),
    Promise(
        "stops at harm", _SAFETY, 3, "a guest that suffers is not shrunk", conduct.stops_at_harm
    ),
    Promise(
        "fair claims", _SAFETY, 4, "a liar gains nothing at others' expense",
        conduct.claims_gain_nothing,
    ),
    Promise(
        "in the dark", _SAFETY, 5, "a silent guest is not squeezed", conduct.nothing_in_the_dark
    ),
    Promise("on need", _SAFETY, 6, "nothing is taken that nobody needs", conduct.only_on_need),
    Promise("nothing twice", _SAFETY, 7, "no memory is promised twice", conduct.nothing_twice),
    Promise(
        "no gain", _SAFETY, 9, "a balloon that frees nothing is left alone",
        conduct.leaves_what_frees_nothing,
    ),
    Promise("rests", _CONDUCT, 0, "steady guests are left in peace", conduct.rests),
    Promise(
        "explains", _CONDUCT, 10, "different moves have different reasons", conduct.explains
    ),
)  # fmt: skip
