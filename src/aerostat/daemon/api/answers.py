"""What goes over the API: the bodies of requests, and of answers. Types only.

Sizes are bytes, times seconds, null is unknown.
"""

from dataclasses import fields
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta, Struct

from aerostat.daemon.names import NAME_LIMIT, TEXT_LIMIT
from aerostat.daemon.reservations import LONGEST_LEASE
from aerostat.daemon.snapshot import GuestRow, MoveRow, ReservationRow, Snapshot
from aerostat.hypervisors.base import Examination

Size = Annotated[int, Meta(gt=0, lt=1 << 53, description="bytes")]
Lease = Annotated[float, Meta(gt=0, le=LONGEST_LEASE, description="seconds from now")]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_LIMIT)]
Note = Annotated[str, Meta(max_length=TEXT_LIMIT)]


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    """What a request brings."""


class Target(Body, frozen=True):
    """The size that a guest is pinned to; null lets the manager decide again."""

    size: int | None


class Hold(Body, frozen=True):
    """Why a guest is not to be moved: for those who see it later."""

    note: Note = ""


class Claim(Body, frozen=True):
    """Room for a guest to come."""

    name: Name
    size: Size
    lease: Lease


class Renewal(Body, frozen=True):
    """How much longer a reservation is to last."""

    lease: Lease


class Answer(Struct, frozen=True, kw_only=True):
    """What every answer has."""

    schema: Literal[1] = 1  # `aerostat.daemon.snapshot.SCHEMA`


class Failure(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """Why it was not done, and what would be right; `keys` are the guests that a name means."""

    schema: Literal[1]
    error: str
    keys: tuple[str, ...] = ()


class Guests(Answer, frozen=True, kw_only=True):
    """All guests, as they were at `wall` (seconds since the epoch)."""

    wall: float
    guests: tuple[GuestRow, ...]


class Guest(Answer, frozen=True, kw_only=True):
    """One guest, as it was at `wall` (seconds since the epoch)."""

    wall: float
    guest: GuestRow


class Explanation(Answer, frozen=True, kw_only=True):
    """What is done with a guest and why: in words, and the values behind them."""

    key: str
    name: str
    explanation: str
    values: dict[str, Any]


class Examined(Answer, frozen=True, kw_only=True):
    """How a guest is set up, as far as its hypervisor tells."""

    key: str
    name: str
    examination: Examination


class Ordered(Answer, frozen=True, kw_only=True):
    """What holds for a guest now; or would, were it not a dry run."""

    key: str
    name: str
    dry_run: bool = False


class Pinned(Ordered, frozen=True, kw_only=True):
    """The size that a guest is pinned to now."""

    size: int | None


class Held(Ordered, frozen=True, kw_only=True):
    """Whether an operator holds a guest now."""

    held: bool


class Released(Answer, frozen=True, kw_only=True):
    """The guests that are given memory back, as much as the host can cover."""

    keys: tuple[str, ...]
    dry_run: bool = False


class Reservations(Answer, frozen=True, kw_only=True):
    """All reservations, in the order in which they are backed."""

    reservations: tuple[ReservationRow, ...]


class Reserved(Answer, frozen=True, kw_only=True):
    """One reservation, as it is now."""

    reservation: ReservationRow
    dry_run: bool = False


class Cancelled(Answer, frozen=True, kw_only=True):
    """The reservation that there is no more."""

    name: str
    dry_run: bool = False


class Reloaded(Answer, frozen=True, kw_only=True):
    """What of a configuration that was read again waits for the next start, if anything."""

    problem: str | None = None


class Moves(Answer, frozen=True, kw_only=True):
    """The last moves, the newest first."""

    moves: tuple[MoveRow, ...]


def _status_type() -> type[Struct]:
    """Return the type of a snapshot without its guests' rows."""
    hints = get_type_hints(Snapshot)
    rest = [(field.name, hints[field.name]) for field in fields(Snapshot)]
    rest = [field for field in rest if field[0] != "guests"]
    own: list[tuple[str, type]] = [("guests", int), ("version", str), ("pid", int)]
    made = msgspec.defstruct("Status", [*own, *rest], bases=(Answer,), frozen=True, kw_only=True)
    made.__doc__ = "The manager and its hosts; `guests` is how many there are."
    return made


Status = _status_type()
