"""What state a guest is in, in words, and in which order guests are shown.

Pure, standard library only. Every face says the same of a guest with these words.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from aerostat.daemon.names import clean_name
from aerostat.daemon.snapshot import GuestRow, ReservationRow, Snapshot
from aerostat.tui.text import short_age
from aerostat.units import format_size

FRESH = "fresh"  # figures mean what they say, and need no word
EXEMPT = "exempt"
ON_HOLD = "on hold"


def condition_words(guest: GuestRow) -> str:
    """Return a guest's condition, and for how long it has been in it unless all is well."""
    word = condition_word(guest)
    if guest.condition == FRESH or guest.condition_since is None:
        return word
    return f"{word} {short_age(guest.condition_since)}"


def condition_word(guest: GuestRow) -> str:
    """Return a guest's condition; that it is left alone is told by the order that says so."""
    if guest.held_by_operator and guest.condition in (FRESH, EXEMPT):
        return ON_HOLD
    return clean_name(guest.condition)


def marks(guest: GuestRow) -> list[str]:
    """Return what else must be known of a guest: orders of an operator, and how it is read."""
    told = condition_word(guest) == ON_HOLD
    words = [ON_HOLD] if guest.held_by_operator and not told else []
    if guest.pinned is not None:
        words.append(f"set to {format_size(guest.pinned)}")
    if guest.way not in (None, "queue"):
        words.append(f"by its {clean_name(guest.way or '')}")
    return words


def state_words(guest: GuestRow) -> str:
    """Return the condition and the marks of a guest: ``stuck 45s, on hold``."""
    return ", ".join([condition_words(guest), *marks(guest)])


def reservation_words(reservation: ReservationRow) -> str:
    """Return a reservation: ``db2 8 GiB, not there yet, 4m left``."""
    there = "there" if reservation.backed else "not there yet"
    left = short_age(reservation.left)
    return f"{clean_name(reservation.name)} {format_size(reservation.size)}, {there}, {left} left"


def worries(snapshot: Snapshot) -> Iterable[str]:
    """Yield what is out of the ordinary among the guests, with how many there are of it."""
    counts: dict[str, int] = {}
    for guest in snapshot.guests:
        word = condition_word(guest)
        if word not in (FRESH, EXEMPT):
            counts[word] = counts.get(word, 0) + 1
    return (f"{count} {word}" for word, count in counts.items())


def _largest(attribute: str) -> Callable[[GuestRow], tuple[float, str]]:
    def key(guest: GuestRow) -> tuple[float, str]:
        value = getattr(guest, attribute)
        return (float("inf") if value is None else -value, guest.name)

    return key


SORTS: Mapping[str, Callable[[GuestRow], object]] = MappingProxyType(
    {
        "name": lambda guest: (guest.name, guest.key),
        "pressure": _largest("pressure"),
        "size": _largest("guest_size"),
        "held": _largest("held"),
        "demand": _largest("demand"),
        "available": _largest("available_memory"),
        "max": _largest("max_size"),
        "age": _largest("sample_age"),
        "condition": lambda guest: (guest.condition == FRESH, guest.condition, guest.name),
    }
)
"""How guests may be put in order, by name: figures the largest first, unknown ones last."""


def sort(guests: Iterable[GuestRow], by: str) -> tuple[GuestRow, ...]:
    """Return the guests in an order of `SORTS`."""
    return tuple(sorted(guests, key=SORTS[by]))  # type: ignore[arg-type]  # each kind of key by itself
