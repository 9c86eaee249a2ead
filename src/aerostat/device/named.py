"""Descriptors by name, on their way from one device process to the next.

Touches nothing but the descriptors; standard library only.
"""

from collections.abc import Mapping, Sequence

from aerostat.errors import PeerError
from aerostat.vhost_user.descriptors import OwnedDescriptor


class Descriptors:
    """Descriptors by name; each is taken by whoever needs it, and `close` closes the rest."""

    def __init__(self, descriptors: Mapping[str, OwnedDescriptor]) -> None:
        self._descriptors = dict(descriptors)

    @classmethod
    def named(cls, names: Sequence[str], descriptors: Sequence[OwnedDescriptor]) -> "Descriptors":
        """Give each its name. Raises `PeerError` if there are not as many, and takes none."""
        if not len(set(names)) == len(names) == len(descriptors):
            raise PeerError(f"{len(descriptors)} descriptors for {len(names)} names")
        return cls(dict(zip(names, descriptors, strict=True)))

    def take(self, name: str) -> OwnedDescriptor:
        """Return a descriptor, which is the caller's now. Raises `PeerError` if there is none."""
        descriptor = self.take_if_any(name)
        if descriptor is None:
            raise PeerError(f"the descriptor {name} did not come along")
        return descriptor

    def take_numbered(self, name: str, count: int) -> list[OwnedDescriptor]:
        """Return ``NAME-0`` and so on; raises `PeerError`, and takes none, if one is missing."""
        names = [f"{name}-{number}" for number in range(count)]
        for each in names:
            if each not in self._descriptors:
                raise PeerError(f"the descriptor {each} did not come along")
        return [self.take(each) for each in names]

    def take_if_any(self, name: str) -> OwnedDescriptor | None:
        """Return a descriptor, or None."""
        return self._descriptors.pop(name, None)

    def close(self) -> None:
        """Close those that nobody took."""
        for descriptor in self._descriptors.values():
            descriptor.close()
        self._descriptors.clear()
