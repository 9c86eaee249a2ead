"""Descriptor chains: from a head in the descriptor table to the buffers it stands for.

Implements virtio 1.2, 2.7.5 (the descriptor table) and 2.7.5.3 (indirect descriptors) for the
device. Lists of packed rings are `packed_ring`'s. Reads guest memory, never writes it.

Everything in a descriptor is the guest's word: each one is copied out once, whole, and decoded
from the copy, since the guest may change it between two looks. Lengths and addresses are not
looked up here; `GuestMemory` does that when the buffer is used.
"""

from struct import Struct
from typing import NamedTuple

from aerostat.errors import PeerError
from aerostat.virtio.memory import BadAddress, Byteorder, GuestMemory

NEXT = 1
WRITE = 2
INDIRECT = 4

# Address, length, flags, next. Legacy guests write them in their own order (2.7.3).
DESCRIPTORS = {"little": Struct("<QIHH"), "big": Struct(">QIHH")}
DESCRIPTOR_SIZE = 16

# Bounds the walk of one indirect table, and the copy made of it (16 KiB).
MAX_TABLE_DESCRIPTORS = 1024

# Bounds what is copied out of one chain: 256 Ki page frame numbers, 1 GiB of guest memory.
MAX_READ = 1 << 20


class BadChain(PeerError):
    """A chain breaks the rules. Its `head` is sound, so the buffer can be given back."""

    def __init__(self, head: int, problem: str) -> None:
        super().__init__(f"chain at descriptor {head}: {problem}")
        self.head = head


class Chain(NamedTuple):
    """The buffers of one request: (address, length) each, in the driver's order.

    Empty buffers are left out. `head` names the request when it is given back.
    """

    head: int
    readable: tuple[tuple[int, int], ...]
    writable: tuple[tuple[int, int], ...]

    @property
    def readable_length(self) -> int:
        """The bytes that the driver says it wrote for us; as large as it likes to say."""
        return sum([length for _, length in self.readable])

    def read(self, memory: GuestMemory, limit: int = MAX_READ) -> bytes:
        """Return a copy of the readable bytes, at most `limit`. Raises `BadAddress`.

        How they are split over descriptors makes no difference (virtio 1.2, 2.7.4).
        """
        if len(self.readable) == 1:  # nearly always
            ((address, length),) = self.readable
            return memory.read(address, min(length, limit))
        parts = []
        for address, length in self.readable:
            size = min(length, limit)
            parts.append(memory.read(address, size))
            limit -= size
            if limit == 0:
                break
        return b"".join(parts)


def walk(
    memory: GuestMemory,
    table: memoryview,
    head: int,
    *,
    indirect: bool,
    byteorder: Byteorder = "little",
) -> Chain:
    """Return the chain that begins at `head` of the descriptor `table`.

    `indirect` says whether RING_INDIRECT_DESC was negotiated, `byteorder` is the descriptors'.
    Raises `BadChain`.
    """
    unpack = DESCRIPTORS[byteorder].unpack
    readable: list[tuple[int, int]] = []
    writable: list[tuple[int, int]] = []
    size = table.nbytes // DESCRIPTOR_SIZE
    descriptors: memoryview | bytes = table
    index, steps, nested = head, 0, False
    while True:
        steps += 1
        # No descriptor may come twice in a chain (2.7.5.1), so a longer walk is a loop.
        if index >= size or steps > size:
            raise BadChain(head, "a loop" if steps > size else f"next is {index} of {size}")
        at = index * DESCRIPTOR_SIZE
        copy = bytes(descriptors[at : at + DESCRIPTOR_SIZE])
        address, length, flags, following = unpack(copy)
        if flags & INDIRECT:
            if nested or not indirect or flags & NEXT:
                raise BadChain(head, "an indirect table that is nested, continued or not agreed")
            # WRITE means nothing here and must be ignored (2.7.5.3.2).
            descriptors = copy_table(memory, head, address, length)
            size = length // DESCRIPTOR_SIZE
            index, steps, nested = 0, 0, True
            continue
        if flags & WRITE:
            if length:
                writable.append((address, length))
        elif writable:
            raise BadChain(head, "a readable buffer after a writable one")
        elif length:
            readable.append((address, length))
        if not flags & NEXT:
            return Chain(head, tuple(readable), tuple(writable))
        index = following


def copy_table(memory: GuestMemory, head: int, address: int, length: int) -> bytes:
    """Return a copy of the indirect table of the chain at `head`. Raises `BadChain`."""
    count, rest = divmod(length, DESCRIPTOR_SIZE)
    if rest or not 0 < count <= MAX_TABLE_DESCRIPTORS:
        raise BadChain(head, f"an indirect table of {length} bytes")
    try:
        return memory.read(address, length)
    except BadAddress as error:
        raise BadChain(head, f"an indirect table outside memory: {error}") from error
