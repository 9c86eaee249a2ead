"""Somebody else's policy under our safeguards: it wishes, and they decide.

Whatever the policy raises, and any answer that is none, is kept from the caller: for that step our
own policy decides. It is asked every `interval` seconds of its own; between two answers a wish
stands, and so it does while the balloon is on its way there. Where the policy asks for nothing and
nothing is under way, it wishes the guest to stay as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from aerostat.engine.accounts import SETTLED
from aerostat.engine.observation import Guests, Hosts
from aerostat.engine.plan import Plan
from aerostat.engine.policies.base import Decided, Decision, Memory, Policy
from aerostat.engine.settings import Settings
from aerostat.engine.state import State
from aerostat.engine.step import step
from aerostat.engine.wishes import Wishes

_LONGEST_SENTENCE = 300

_EARLY = 0.1
"""A step so much too early, of the interval or in seconds, is in time: clocks tick unevenly."""

_Columns = TypeVar("_Columns", Guests, Hosts)


@dataclass(frozen=True, slots=True)
class Consulted:
    """What is remembered of a policy that is consulted, from one step to the next."""

    memory: Any = None
    """The policy's own."""
    begun: bool = False
    """Whether it has any."""
    asked: float = np.nan
    """When it was last asked, monotonic seconds."""
    keys: tuple[str, ...] = ()
    """Of the guests that it was asked about."""
    decided: Decided = field(default_factory=lambda: Decision(np.empty(0)))
    """What it said then."""
    wishes: Memory = field(default_factory=Memory.blank)
    """Columns ``size``, NaN for none, and ``reached``, 1 where the guest has had it since."""
    failures: int = 0


class Advice(NamedTuple):
    """What came of consulting a policy."""

    consulted: Consulted
    wishes: Wishes | None
    """None where it failed."""
    problem: str
    """How it failed, or ""."""


def consult(policy: Policy, before: Consulted, now: float, hosts: Hosts, guests: Guests) -> Advice:
    """Return what `policy` wishes, asking it where its interval is over. Raises nothing of its."""
    try:
        after = _follow(before, guests)
        if not 0 <= now - before.asked < policy.interval - min(_EARLY, _EARLY * policy.interval):
            after = _ask(policy, after, now, hosts, guests)
    except Exception as error:  # noqa: BLE001 - somebody else's code, which may raise anything
        failed = replace(before, failures=before.failures + 1)
        return Advice(failed, None, f"{type(error).__name__}: {_line(error)}")
    wishes = Wishes(after.wishes["size"], _sentences(policy.name, after, guests.keys))
    return Advice(after, wishes, "")


def _follow(before: Consulted, guests: Guests) -> Consulted:
    """Note which guests have got what was wished."""
    wishes = before.wishes.aligned(guests.keys, size=np.nan, reached=0.0)
    near = np.abs(guests.guest_size - wishes["size"]) <= SETTLED
    reached = np.where(near, 1.0, wishes["reached"])
    columns = {"size": wishes["size"], "reached": reached}
    return replace(before, wishes=Memory(guests.keys, columns))


def _ask(policy: Policy, before: Consulted, now: float, hosts: Hosts, guests: Guests) -> Consulted:
    shown = _shown(guests.sane())
    known = before.memory if before.begun else policy.start()
    memory, decided = policy.step(known, now, _shown(hosts.sane()), shown)
    said = np.array(decided.target_size, dtype=np.float64)
    if said.shape != (len(guests),):
        raise ValueError(f"{said.shape} sizes for {len(guests)} guests")
    if not callable(decided.sentence):
        raise TypeError("a decision has a sentence for each row")
    said[~np.isfinite(said)] = np.nan
    last, reached = before.wishes["size"], before.wishes["reached"]
    under_way = ~np.isnan(last) & (reached == 0)
    size = np.where(np.isnan(said), np.where(under_way, last, shown.guest_size), said)
    reached = np.where(np.isnan(said), reached, 0.0)
    return replace(
        before,
        memory=memory,
        begun=True,
        asked=now,
        keys=guests.keys,
        decided=decided,
        wishes=Memory(guests.keys, {"size": size, "reached": reached}),
    )


def _shown(columns: _Columns) -> _Columns:
    """Return the same columns, of which nothing can be changed."""
    return replace(
        columns, **{each.name: _locked(getattr(columns, each.name)) for each in fields(columns)}
    )


def _locked(column: Any) -> Any:
    if isinstance(column, np.ndarray):
        column = column.view()
        column.flags.writeable = False
    return column


def _sentences(name: str, after: Consulted, keys: tuple[str, ...]) -> Callable[[int], str]:
    def why(row: int) -> str:
        try:
            said = after.decided.sentence(after.keys.index(keys[row]))
        except Exception as error:  # noqa: BLE001 - as above; the decision itself was right
            said = f"it cannot say why ({type(error).__name__})"
        return f"policy {name}: {_line(said)}"

    return why


def _line(text: object) -> str:
    """Return text of somebody else as one short line."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "?" for c in words)[:_LONGEST_SENTENCE]


class GuardedMemory(NamedTuple):
    """What the engine has learned, and what is remembered of the policy."""

    state: State
    consulted: Consulted


@dataclass(frozen=True, slots=True)
class Guarded:
    """Another policy's sizes, as far as our safeguards allow."""

    name: ClassVar[str] = "guarded"

    policy: Policy
    settings: Settings = field(default_factory=Settings)
    interval: float = 1.0

    def start(self) -> GuardedMemory:
        """Return the memory of a manager that has seen nothing."""
        return GuardedMemory(State.empty(), Consulted())

    def step(
        self, memory: GuardedMemory, now: float, hosts: Hosts, guests: Guests
    ) -> tuple[GuardedMemory, Plan]:
        """Return what is known after this observation, and what to do about it."""
        consulted, wishes, _ = consult(self.policy, memory.consulted, now, hosts, guests)
        state, plan = step(memory.state, now, hosts, guests, self.settings, wishes)
        return GuardedMemory(state, consulted), plan
