"""What a worker process inside a laboratory guest does: holds memory, reads, writes and checks.

Runs inside the guest (see `init`), standard library only.

In user-mode Linux the first touch of a page by a process costs about 0.2 ms, the same page
touched by the kernel on its behalf about 1 µs. So memory is filled and checked through `preadv`
and `pwrite` of whole chunks.
"""

import mmap
import os
import random
import selectors
import socket
import time
import zlib
from collections.abc import Callable, Mapping
from json import dumps, loads
from pathlib import Path
from typing import Any

from aerostat.model.workload import Step, Workload

CHUNK = 4 << 20
_PAGE = 4096
# Chunks differ in where in the pattern they begin, so that one cannot pass for its neighbour.
_SHIFTS = 256

TICK = 0.1
_READ = 64 << 10
# Taking a chunk usually takes some 20 ms; what takes longer than this is a stall.
_PROMPT = 0.1
# After a stall a workload does not make up for more than this many seconds of growth or reading.
_BACKLOG = 0.5


class Pattern:
    """Pseudo-random bytes that fill chunks, and by which they are known again."""

    def __init__(self, store: str, seed: int) -> None:
        self._bytes = random.Random(seed).randbytes(CHUNK + _SHIFTS * _PAGE)
        self._file = _memory_file(store, f"pattern-{os.getpid()}")
        os.pwrite(self._file, self._bytes, 0)
        self._copy_file = _memory_file(store, f"copy-{os.getpid()}")
        self._copy = bytearray(CHUNK)

    def fill(self, chunk: mmap.mmap, index: int) -> None:
        """Write the bytes of chunk number `index`."""
        if os.preadv(self._file, [chunk], index % _SHIFTS * _PAGE) != CHUNK:
            raise MemoryError("the kernel could not fill a chunk")

    def holds(self, chunk: mmap.mmap, index: int) -> bool:
        """Return whether chunk number `index` is as it was filled."""
        os.pwrite(self._copy_file, chunk, 0)
        os.preadv(self._copy_file, [self._copy], 0)
        begin = index % _SHIFTS * _PAGE
        return self._copy == memoryview(self._bytes)[begin : begin + CHUNK]


def _memory_file(store: str, name: str) -> int:
    path = f"{store}/{name}"
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    Path(path).unlink()
    return file


class Holding:
    """Anonymous memory, held in chunks of 4 MiB that are filled with a pattern."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern
        self._chunks: list[mmap.mmap] = []

    @property
    def size(self) -> int:
        """Bytes held."""
        return len(self._chunks) * CHUNK

    def resize(self, size: int) -> None:
        """Hold `size` bytes, rounded down to whole chunks."""
        while self.size > size:
            self._chunks.pop().close()
        while self.size + CHUNK <= size:
            self.grow()

    def grow(self) -> None:
        """Hold one chunk more."""
        chunk = mmap.mmap(-1, CHUNK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._pattern.fill(chunk, len(self._chunks))
        self._chunks.append(chunk)

    def intact(self, index: int) -> bool:
        """Return whether chunk number `index` holds what was written to it."""
        return self._pattern.holds(self._chunks[index], index)

    def damaged(self) -> int:
        """Count the chunks whose contents have changed."""
        return sum(not self.intact(index) for index in range(len(self._chunks)))


class Player:
    """Plays a workload: holds, reads, and looks again at what it holds, a little every tick.

    Work that falls behind is made up for within half a second; what falls further behind is lost.
    """

    def __init__(self, workload: Workload, holding: Holding, file: str, *, since: float) -> None:
        self._workload = workload
        self._holding = holding
        self._file = os.open(file, os.O_RDONLY) if file else -1
        self._buffer = bytearray(_READ)
        self._chance = random.Random(1)  # the same places in every run
        self._began = time.monotonic() - since
        self._last = self._began + since
        self._may_grow = self._may_read = self._may_look = 0.0
        self._offset = self._looked_at = 0
        self._totals = dict.fromkeys(("grown", "read", "checked", "damaged"), 0)
        self._stalled = self._slowest = self._lost = 0.0

    def tick(self) -> None:
        """Do what is due now."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        step = self._workload.wanted(now - self._began)
        # One program does all of it: what keeps it from one kind of work keeps it from the others.
        late = self._hold(step.hold, passed), self._read(step, passed), self._look(passed)
        self._lost += max(late)

    def report(self) -> dict[str, object]:
        """Return what came of it so far; bytes and seconds.

        `stalled` is the time for which taking memory kept the workload waiting, `slowest` the
        longest that one chunk took, `lost` how many seconds' work was never done, `damaged` how
        often a chunk was not what had been written.
        """
        seconds = time.monotonic() - self._began
        return {
            "name": self._workload.name,
            "seconds_played": seconds,
            "wanted": self._workload.wanted(seconds).hold,
            "held": self._holding.size,
            "stalled": self._stalled,
            "slowest": self._slowest,
            "lost": self._lost,
            **self._totals,
        }

    def _hold(self, size: int, passed: float) -> float:
        """Hold `size` bytes, as far as it can be had by now; return the seconds of it lost."""
        if size < self._holding.size:
            self._holding.resize(size)
        due = self._may_grow + passed if size else 0.0
        self._may_grow = min(_BACKLOG, due)
        lost = due - self._may_grow if self._holding.size + CHUNK <= size else 0.0
        chunk_seconds = CHUNK / self._workload.grow_rate
        while self._holding.size + CHUNK <= size and self._may_grow >= chunk_seconds:
            began = time.monotonic()
            self._holding.grow()
            took = time.monotonic() - began
            self._may_grow -= chunk_seconds
            self._totals["grown"] += CHUNK
            self._stalled += max(0.0, took - _PROMPT)
            self._slowest = max(self._slowest, took)
        return lost

    def _read(self, step: Step, passed: float) -> float:
        """Read what is due; return the seconds of reading lost."""
        if not step.read_span or self._file < 0:
            return 0.0
        due = self._may_read + passed
        self._may_read = min(_BACKLOG, due)
        lost = due - self._may_read
        while self._may_read * step.read_rate >= _READ:
            self._may_read -= _READ / step.read_rate
            self._totals["read"] += os.preadv(self._file, [self._buffer], self._place(step))
        return lost

    def _place(self, step: Step) -> int:
        """Return where to read next."""
        span = max(_READ, step.read_span // _READ * _READ)
        if step.skew:
            part = 1 - (1 - self._chance.random()) ** (1 / step.skew)
            return min(int(part * span), span - 1) // _READ * _READ
        place, self._offset = self._offset % span, (self._offset + _READ) % span
        return place

    def _look(self, passed: float) -> float:
        """Look at a chunk for each tick that has passed; return the seconds of looking lost."""
        count = self._holding.size // CHUNK
        due = self._may_look + passed if count else 0.0
        self._may_look = min(_BACKLOG, due)
        lost = due - self._may_look
        while self._may_look >= TICK:
            self._may_look -= TICK
            self._looked_at = self._next(count)
            self._totals["checked"] += CHUNK
            self._totals["damaged"] += not self._holding.intact(self._looked_at)
        return lost

    def _next(self, count: int) -> int:
        """Return which chunk to look at next."""
        if self._workload.at_random:
            return self._chance.randrange(count)
        return (self._looked_at + 1) % count


class Worker:
    """Obeys requests from init; see the methods whose names begin with `do_`."""

    def __init__(self, link: socket.socket, store: str) -> None:
        self._link = link
        self._store = store
        self._partial = b""
        self._holding = Holding(Pattern(store, seed=1))
        self._files: dict[str, int] = {}
        self._player: Player | None = None

    def serve(self) -> None:
        """Serve until init closes the link."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._link, selectors.EVENT_READ)
            tick = 0.0
            while True:
                patience = max(0.0, tick - time.monotonic()) if self._player else None
                if selector.select(patience) and not self._obey():
                    return
                if self._player and time.monotonic() >= tick:
                    self._player.tick()
                    tick = time.monotonic() + TICK

    def _obey(self) -> bool:
        """Answer the requests that have come; return whether init is still there."""
        data = self._link.recv(65536)
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._answer(loads(line))
        return bool(data)

    def _answer(self, request: dict[str, Any]) -> None:
        number, name = request.pop("id"), request.pop("do")
        began = time.monotonic()
        answer: dict[str, object] = {"id": number}
        try:
            command: Callable[..., Mapping[str, object]] = getattr(self, f"do_{name}")
            result = command(**request)
            answer["result"] = {**result, "seconds": time.monotonic() - began}
        except Exception as error:  # noqa: BLE001 - whatever it is, the laboratory is told
            answer["error"] = f"{name}: {error!r}"
        self._link.sendall(dumps(answer).encode() + b"\n")

    def do_hold(self, size: int) -> Mapping[str, object]:
        """Hold `size` bytes of anonymous memory, filled with a pattern."""
        self._holding.resize(size)
        return {"held": self._holding.size}

    def do_check(self) -> Mapping[str, object]:
        """Check all that is held; `damaged` counts chunks that have changed."""
        return {"held": self._holding.size, "damaged": self._holding.damaged()}

    def do_play(
        self, workload: Mapping[str, Any], file: str = "", since: float = 0.0
    ) -> Mapping[str, object]:
        """Play a workload from its second `since` on, reading the guest's or the host's `file`."""
        self._player = Player(Workload.from_dict(workload), self._holding, file, since=since)
        return {}

    def do_report(self) -> Mapping[str, object]:
        """Return what came of the workload so far."""
        if self._player is None:
            raise ValueError("no workload is played")
        return self._player.report()

    def do_write_file(self, name: str, size: int, seed: int) -> Mapping[str, object]:
        """Write `size` pseudo-random bytes to the file `name` of the guest's memory file system."""
        block = random.Random(seed).randbytes(1 << 20)
        checksum = 0
        with Path(self._store, name).open("wb", buffering=0) as file:
            for number in range(0, size, len(block)):
                # Each block begins with its own number, so that no two are alike.
                piece = (number.to_bytes(8, "little") + block[8:])[: size - number]
                file.write(piece)
                checksum = zlib.crc32(piece, checksum)
        return {"checksum": checksum}

    def do_checksum(self, name: str) -> Mapping[str, object]:
        """Return the CRC-32 of the file `name` as it is now."""
        checksum = 0
        with Path(self._store, name).open("rb", buffering=0) as file:
            while block := file.read(1 << 16):
                checksum = zlib.crc32(block, checksum)
        return {"checksum": checksum}

    def do_remove_file(self, name: str) -> Mapping[str, object]:
        """Remove the file `name`, freeing its memory."""
        Path(self._store, name).unlink()
        return {}

    def do_read_host_file(self, path: str, size: int, offset: int = 0) -> Mapping[str, object]:
        """Read `size` bytes of a file of the host, which the guest's page cache then keeps."""
        # The kernel drops what it has cached of a host's file when nobody has it open any more.
        if path not in self._files:
            self._files[path] = os.open(path, os.O_RDONLY)
        buffer = bytearray(_READ)
        done = 0
        while done < size and (got := os.preadv(self._files[path], [buffer], offset + done)):
            done += got
        return {"read": done}
