"""The balloon's numbers: features, queues, configuration space (virtio 1.2, 5.5.1 to 5.5.4).

Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from struct import Struct
from typing import Literal

from aerostat.virtio.features import has

DEVICE_ID = 5

# The unit of the whole interface, whatever page size guest and host use (5.5.6).
PAGE_SIZE = 4096

MUST_TELL_HOST = 0
STATS_VQ = 1
DEFLATE_ON_OOM = 2
FREE_PAGE_HINT = 3
PAGE_POISON = 4
PAGE_REPORTING = 5

#: Of `free_page_hint_cmd_id` and the buffers that answer it (5.5.6.5): no hints for now, no need
#: of what was hinted any more, and from where to where the ids of rounds go.
CMD_ID_STOP, CMD_ID_DONE = 0, 1
CMD_ID_FIRST, CMD_ID_LAST = 2, 0xFFFFFFFF


class Queue(IntEnum):
    """What a virtqueue is for; the value is its number in the specification's table (5.5.2)."""

    INFLATE = 0
    DEFLATE = 1
    STATS = 2
    HINT = 3
    REPORTING = 4


#: The feature without which a queue does not exist.
QUEUE_FEATURES = {
    Queue.STATS: STATS_VQ,
    Queue.HINT: FREE_PAGE_HINT,
    Queue.REPORTING: PAGE_REPORTING,
}


def _queues(features: int) -> list[Queue]:
    return [q for q in Queue if q not in QUEUE_FEATURES or has(features, QUEUE_FEATURES[q])]


#: How queues are numbered: Linux's drivers, QEMU's devices, the specification's table.
QueueRule = Literal["dense-negotiated", "dense-offered", "fixed"]


def queue_maps(offered: int, negotiated: int) -> dict[QueueRule, dict[int, Queue]]:
    """Return which queue each virtqueue index is, by each rule.

    The specification's table has fixed numbers, with holes where a feature is missing (5.5.2).
    Linux numbers densely over the negotiated features, QEMU over the offered ones.
    """
    exist = _queues(negotiated)
    return {
        "dense-negotiated": dict(enumerate(exist)),
        "dense-offered": {i: q for i, q in enumerate(_queues(offered)) if q in exist},
        "fixed": {int(q): q for q in exist},
    }


def number_queues(
    offered: int, negotiated: int, configured: Collection[int], rule: QueueRule | None = None
) -> dict[int, Queue]:
    """Return which queue each virtqueue index is, for a driver that `configured` these indices.

    Without a `rule` the indices that were given addresses show which one is meant; where they do
    not, Linux's is taken.
    """
    maps = queue_maps(offered, negotiated)
    if rule is not None:
        return maps[rule]
    used = set(configured)
    for candidate in maps.values():
        if used == candidate.keys():
            return candidate
    for candidate in maps.values():  # a driver that leaves queues alone
        if used <= candidate.keys():
            return candidate
    return maps["dense-negotiated"]


class Config:
    """The configuration space: 16 bytes, little-endian under the legacy interface too (5.5.4).

    `num_pages` is the balloon's target, `actual` what the driver says that it holds, both in
    pages of 4096 bytes.
    """

    SIZE = 16

    __slots__ = ("_raw_actual", "actual", "cmd_id", "num_pages", "poison_val")

    _FORMAT = Struct("<I4sII")
    _ACTUAL = slice(4, 8)
    _POISON_VAL = slice(12, 16)

    def __init__(self) -> None:
        self.num_pages = 0
        self.cmd_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget what the driver wrote; what the device wants stays."""
        self._raw_actual = bytes(4)
        self.actual = 0
        self.poison_val = 0

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from `offset`, zeros beyond the end. The caller bounds `size`.

        Drivers must not mind a larger space than they know (2.5.1), and some ask for one.
        """
        return self._pack()[offset : offset + size].ljust(size, b"\0")

    def write(self, offset: int, data: bytes, *, poison: bool = False) -> None:
        """Take from a driver's write what a driver may write; `poison_val` only with `poison`.

        Some front-ends send the field, some the whole space with stale copies of the rest, so
        everything but `actual` and `poison_val` is passed over in silence (5.5.4).
        """
        raw = bytearray(self._pack())
        data = data[: max(0, self.SIZE - offset)]
        raw[offset : offset + len(data)] = data
        self._raw_actual = bytes(raw[self._ACTUAL])
        # Byte by byte, it counts when the most significant byte is there (5.5.6.2.1).
        if offset < self._ACTUAL.stop <= offset + len(data):
            self.actual = int.from_bytes(self._raw_actual, "little")
        if poison:
            self.poison_val = int.from_bytes(raw[self._POISON_VAL], "little")

    def state(self) -> dict[str, int]:
        """Return all of it by name."""
        raw_actual = int.from_bytes(self._raw_actual, "little")
        return {
            "num_pages": self.num_pages,
            "cmd_id": self.cmd_id,
            "actual": self.actual,
            "raw_actual": raw_actual,
            "poison_val": self.poison_val,
        }

    def restore(self, state: Mapping[str, int]) -> None:
        """Be as another was, by its `state`; numbers of 32 bits."""
        self.num_pages = state["num_pages"]
        self.cmd_id = state["cmd_id"]
        self.actual = state["actual"]
        self._raw_actual = state["raw_actual"].to_bytes(4, "little")
        self.poison_val = state["poison_val"]

    def _pack(self) -> bytes:
        return self._FORMAT.pack(self.num_pages, self._raw_actual, self.cmd_id, self.poison_val)
