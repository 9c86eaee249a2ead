"""What a front-end has said of its device and its rings, each word checked against the rest.

Implements "Starting and stopping rings" of QEMU's "Vhost-user Protocol", and the device status of
virtio 1.2, 2.1 as vhost-user passes it on. Pure, standard library only.
"""

from collections.abc import Mapping
from typing import Any

from aerostat.errors import PeerError
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import RingAddresses
from aerostat.virtio.features import RING_PACKED, has
from aerostat.virtio.memory import Byteorder
from aerostat.virtio.ring import is_size

# virtio 1.2, 2.1: bits of the device status that the device's own side sets or withholds.
FEATURES_OK = 8
NEEDS_RESET = 64

_PROTOCOL_BIT = 1 << messages.F_PROTOCOL_FEATURES
_BYTEORDERS: dict[int, Byteorder] = {
    messages.RING_LITTLE_ENDIAN: "little",
    messages.RING_BIG_ENDIAN: "big",
}


class RefusalError(PeerError):
    """One request that is refused; the conversation goes on."""


class RingSetup:
    """What the front-end has said of one ring; all but `enabled` is forgotten when it ends."""

    __slots__ = ("addresses", "base", "byteorder", "enabled", "size", "started")

    def __init__(self) -> None:
        self.enabled = False
        self.forget()

    def forget(self) -> None:
        """Go back to a ring that was never described."""
        self.size = 0
        self.base = 0
        self.addresses: RingAddresses | None = None
        self.byteorder: Byteorder = "little"
        self.started = False

    def state(self) -> dict[str, Any]:
        """Return it, as values that JSON has."""
        return {name: getattr(self, name) for name in self.__slots__}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be as another was, by its `state`; size and base are checked by the `Setup`."""
        self.enabled = state["enabled"]
        self.started = state["started"]
        self.byteorder = state["byteorder"]
        if state["addresses"] is not None:
            self.addresses = RingAddresses(*state["addresses"])

    @property
    def ready(self) -> bool:
        """Whether the ring may be served: described, started by its kick, and enabled."""
        return self.enabled and self.started and self.size > 0 and self.addresses is not None


class Setup:
    """The device as its front-end has set it up. Every method raises `RefusalError`."""

    def __init__(self, offered_features: int, ring_count: int) -> None:
        self.offered_features = offered_features | _PROTOCOL_BIT
        self.features = 0
        self.rings = tuple(RingSetup() for _ in range(ring_count))
        self.needs_reset = False
        self._status = 0
        self._features_refused = False

    @property
    def running(self) -> bool:
        """Whether any ring may be served."""
        return any(ring.ready for ring in self.rings)

    def reset(self) -> None:
        """Disable and forget every ring; the device starts over (virtio 1.2, 2.1.2)."""
        for ring in self.rings:
            ring.enabled = False
            ring.forget()
        self.needs_reset = False
        self._status = 0

    # ---- going on in another process

    def state(self) -> dict[str, Any]:
        """Return all that was said, as values that JSON has."""
        return {
            "features": self.features,
            "features_refused": self._features_refused,
            "status": self._status,
            "needs_reset": self.needs_reset,
            "rings": [ring.state() for ring in self.rings],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be as another was, by its `state`."""
        if state["features"] & ~self.offered_features:
            raise RefusalError(f"features {state['features']:#x} were not all offered")
        self.features = state["features"]
        self._features_refused = state["features_refused"]
        self.set_status(state["status"])
        self.needs_reset = state["needs_reset"]
        for index, said in enumerate(state["rings"]):
            if said["size"]:
                self.set_size(index, said["size"])
            self.set_base(index, said["base"])
            ring = self.ring(index)
            ring.restore(said)

    # ---- features and status

    def set_features(self, features: int) -> None:
        """Take the driver's choice. A driver starts, unless rings are running."""
        self._features_refused = bool(features & ~self.offered_features)
        if self._features_refused:
            raise RefusalError(f"features {features:#x} were not all offered")
        if self.running:
            if features != self.features:
                raise RefusalError("features cannot change while a ring is running")
        else:
            # What an earlier driver said of its rings does not hold for this one. (User-mode
            # Linux resets a device without ending its rings one by one.)
            for ring in self.rings:
                ring.forget()
            self.needs_reset = False
        self.features = features
        if not features & _PROTOCOL_BIT:
            # "Ring states": without protocol features rings start out enabled.
            for ring in self.rings:
                ring.enabled = True

    @property
    def status(self) -> int:
        """The device status, as the driver would read it.

        FEATURES_OK stays away where the features were refused (3.1.1); a device that cannot go on
        says so (2.1.2).
        """
        status = self._status
        if self._features_refused:
            status &= ~FEATURES_OK
        return status | (NEEDS_RESET if self.needs_reset else 0)

    def set_status(self, status: int) -> None:
        """Take the status that the driver has written; 0 is a reset."""
        if not 0 <= status <= 0xFF:
            raise RefusalError(f"a device status of {status:#x}")
        if status == 0:
            self.reset()
        self._status = status

    # ---- rings

    def ring(self, index: int) -> RingSetup:
        """Return what was said of a ring."""
        if index >= len(self.rings):
            raise RefusalError(f"ring {index} of {len(self.rings)}")
        return self.rings[index]

    def _idle(self, index: int) -> RingSetup:
        ring = self.ring(index)
        if ring.ready:
            raise RefusalError(f"ring {index} is running")
        return ring

    def set_size(self, index: int, size: int) -> None:
        """Take a ring's number of entries."""
        ring = self._idle(index)
        if not is_size(self.features, size):
            raise RefusalError(f"ring {index} with {size} entries")
        ring.size = size

    def set_addresses(self, addresses: RingAddresses) -> None:
        """Take the places of a ring's areas."""
        self._idle(addresses.ring).addresses = addresses

    def set_base(self, index: int, base: int) -> None:
        """Take where to begin: an available index, or both positions of a packed ring."""
        ring = self._idle(index)
        if base > 0xFFFF and not has(self.features, RING_PACKED):
            raise RefusalError(f"ring {index} from index {base}")
        ring.base = base

    def set_byteorder(self, index: int, value: int) -> None:
        """Take the byte order of a legacy guest's ring (virtio 1.2, 2.7.3)."""
        ring = self._idle(index)
        if value not in _BYTEORDERS:
            raise RefusalError(f"ring {index} in byte order {value}")
        ring.byteorder = _BYTEORDERS[value]

    def set_enabled(self, index: int, value: int) -> None:
        """Enable or disable a ring."""
        if value > 1:
            raise RefusalError(f"ring {index} enabled as {value}")
        self.ring(index).enabled = bool(value)
