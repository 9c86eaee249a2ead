"""A rival for the engine: a threshold rule, one guest after the other, in plain Python.

The formula is that of the balloon rules which oVirt's Memory Overcommitment Manager ships, written
anew: averages over the last ten samples; while less than a fifth of the host is free every guest
is shrunk a little, to what it uses and a part of the rest, and otherwise every guest is grown a
little. Amounts in bytes.
"""

from collections import deque
from collections.abc import Iterable

_SAMPLES = 10
_PRESSURE_THRESHOLD = 0.20
_PRESSURE_CRITICAL = 0.05
_MIN_GUEST_FREE = 0.20
_MAX_CHANGE = 0.05
_MIN_CHANGE = 0.0025


class RuledGuest:
    """A guest and its last samples."""

    __slots__ = ("free", "max_size", "min_size", "size", "sizes")

    def __init__(self, max_size: float, min_size: float) -> None:
        self.max_size = max_size
        self.min_size = min_size
        self.size = max_size
        self.sizes: deque[float] = deque(maxlen=_SAMPLES)
        self.free: deque[float] = deque(maxlen=_SAMPLES)

    def sample(self, size: float, free_memory: float) -> None:
        """Take a sample."""
        self.size = size
        self.sizes.append(size)
        self.free.append(free_memory)


def decide(free_share: float, guests: Iterable[RuledGuest]) -> list[float | None]:
    """Return each guest's target, None where it stays; `free_share` of the host is free."""
    if free_share >= _PRESSURE_THRESHOLD:
        return [_grow(guest) for guest in guests]
    if free_share <= _PRESSURE_CRITICAL:
        kept_free = free_share - _PRESSURE_CRITICAL  # below zero: the guest has to swap
    else:
        kept_free = _MIN_GUEST_FREE * free_share / _PRESSURE_THRESHOLD
    return [_shrink(guest, kept_free) for guest in guests]


def _used(guest: RuledGuest) -> float:
    return sum(guest.sizes) / len(guest.sizes) - sum(guest.free) / len(guest.free)


def _shrink(guest: RuledGuest, kept_free: float) -> float | None:
    floor = max(guest.min_size, _used(guest) + kept_free * guest.size)
    target = max(floor, (1 - _MAX_CHANGE) * guest.size)
    return target if guest.size - target > _MIN_CHANGE * guest.size else None


def _grow(guest: RuledGuest) -> float | None:
    if guest.size >= guest.max_size:
        return None
    floor = max(guest.min_size, _used(guest) + _MIN_GUEST_FREE * guest.size)
    target = min(guest.max_size, max(floor, (1 + _MAX_CHANGE) * guest.size))
    return target if abs(target - guest.size) > _MIN_CHANGE * guest.size else None
