"""A ring that looks at what the driver puts into it, by the statements of virtio 1.2, 2.7 and 2.8.

Passes everything on to the ring that it stands before, and touches guest memory only to look.
"""

from collections.abc import Callable

from aerostat.virtio.chain import BadChain, Chain
from aerostat.virtio.memory import BadAddress, GuestMemory
from aerostat.virtio.ring import BrokenRing, DeviceSide

#: Told of an offence: the statement's id, and what was seen.
Offended = Callable[[str, str], None]

# Which statement a ring's complaint is about, by words that are in it, the first that fits.
_ABOUT = {
    "not all available": "PK-4",
    "buffer id": "PK-2",
    "in a list": "PK-5",
    "a list of more": "VQ-DRV-3",
    "readable buffer after a writable": "VQ-DRV-2",
    "indirect table": "VQ-DRV-4",
    "loop": "VQ-DRV-3",
    "next is": "VQ-DRV-3",
    "avail index": "VQ-DRV-5",
    "head": "VQ-DRV-6",
}
_PACKED = "PK-1"


def statement_of(complaint: str) -> str:
    """Return the id of the statement that a ring complains of. What is new is of packed rings."""
    return next((id_ for words, id_ in _ABOUT.items() if words in complaint), _PACKED)


class WatchedRing:
    """The device's side of a ring, watched; `offended` is told of what the driver does wrong."""

    def __init__(self, ring: DeviceSide, offended: Offended) -> None:
        self.memory = ring.memory
        self.size = ring.size
        self._ring = ring
        self._offended = offended
        self._out: dict[int, tuple[Chain, bytes]] = {}
        self._last: int | None = None

    @property
    def base(self) -> int:
        """What a successor must know to go on from here."""
        return self._ring.base

    @property
    def begun(self) -> bool:
        """Whether a buffer has been used."""
        return self._ring.begun

    @property
    def waiting(self) -> bool:
        """Whether there is a chain to take. Raises `BrokenRing`."""
        try:
            return self._ring.waiting
        except BrokenRing as error:
            self._complain(error)
            raise

    def pop(self) -> Chain | None:
        """Take the next chain, and remember what is in it. Raises as the ring does."""
        try:
            chain = self._ring.pop()
        except (BadChain, BrokenRing) as error:
            self._complain(error)
            raise
        if chain is not None:
            self._out[chain.head] = chain, self._read(chain)
            self._last = chain.head
        return chain

    def unpop(self) -> None:
        """Put the chain taken last into the ring again."""
        if self._last is not None:
            self._out.pop(self._last, None)
        self._ring.unpop()

    def push(self, head: int, written: int = 0) -> None:
        """Give a chain back, if it is as it was."""
        before = self._out.pop(head, None)
        if before is not None and self._read(before[0]) != before[1]:
            self._offended("VQ-DRV-10", "changed a buffer that was with the device")
        self._ring.push(head, written)

    def rebind(self, memory: GuestMemory, desc: int, avail: int, used: int) -> None:
        """Carry on where we are in a changed memory table. Raises `BrokenRing`."""
        self._ring.rebind(memory, desc, avail, used)
        self.memory = memory

    def release(self) -> None:
        """Let go of the memory."""
        self._ring.release()

    def _read(self, chain: Chain) -> bytes:
        try:
            return chain.read(self._ring.memory)
        except BadAddress:
            return b""

    def _complain(self, error: BadChain | BrokenRing) -> None:
        self._offended(statement_of(str(error)), str(error))
