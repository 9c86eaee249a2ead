"""What a worker process inside a laboratory guest does: holds memory, reads, writes and checks.

Runs inside the guest (see `guest_init`), standard library only.

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
from typing import Any

CHUNK = 4 << 20
_PAGE = 4096
# Chunks differ in where in the pattern they begin, so that one cannot pass for its neighbour.
_SHIFTS = 256


class Pattern:
    """Pseudo-random bytes that fill chunks, and by which they are known again."""

    def __init__(self, store: str, seed: int) -> None:
        self._bytes = random.Random(seed).randbytes(CHUNK + _SHIFTS * _PAGE)  # noqa: S311
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
    os.unlink(path)  # noqa: PTH108 (light)
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

    def damaged(self) -> list[int]:
        """Return the numbers of the chunks whose contents have changed."""
        return [
            index
            for index, chunk in enumerate(self._chunks)
            if not self._pattern.holds(chunk, index)
        ]


class Worker:
    """Obeys requests from init; see the methods whose names begin with `do_`."""

    def __init__(self, link: socket.socket, store: str) -> None:
        self._link = link
        self._store = store
        self._partial = b""
        self._holding = Holding(Pattern(store, seed=1))

    def serve(self) -> None:
        """Serve until init closes the link."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._link, selectors.EVENT_READ)
            while True:
                selector.select()
                data = self._link.recv(65536)
                if not data:
                    return
                *lines, self._partial = (self._partial + data).split(b"\n")
                for line in lines:
                    self._answer(loads(line))

    def _answer(self, request: dict[str, Any]) -> None:
        number, name = request.pop("id"), request.pop("do")
        began = time.monotonic()
        answer: dict[str, object] = {"id": number}
        try:
            command: Callable[..., Mapping[str, object]] = getattr(self, f"do_{name}")
            result = command(**request)
            answer["result"] = {**result, "seconds": time.monotonic() - began}
        except Exception as error:  # noqa: BLE001 (whatever it is, the laboratory is told)
            answer["error"] = f"{name}: {error!r}"
        self._link.sendall(dumps(answer).encode() + b"\n")

    def do_hold(self, size: int) -> Mapping[str, object]:
        """Hold `size` bytes of anonymous memory, filled with a pattern."""
        self._holding.resize(size)
        return {"held": self._holding.size}

    def do_check(self) -> Mapping[str, object]:
        """Check all that is held; `damaged` counts chunks that have changed."""
        return {"held": self._holding.size, "damaged": len(self._holding.damaged())}

    def do_write_file(self, name: str, size: int, seed: int) -> Mapping[str, object]:
        """Write `size` pseudo-random bytes to the file `name` of the guest's memory file system."""
        block = random.Random(seed).randbytes(1 << 20)  # noqa: S311 (data, not secrets)
        checksum = 0
        with open(f"{self._store}/{name}", "wb", buffering=0) as file:  # noqa: PTH123 (light)
            for number in range(0, size, len(block)):
                # Each block begins with its own number, so that no two are alike.
                piece = (number.to_bytes(8, "little") + block[8:])[: size - number]
                file.write(piece)
                checksum = zlib.crc32(piece, checksum)
        return {"checksum": checksum}

    def do_checksum(self, name: str) -> Mapping[str, object]:
        """Return the CRC-32 of the file `name` as it is now."""
        checksum = 0
        with open(f"{self._store}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 (light)
            while block := file.read(1 << 16):
                checksum = zlib.crc32(block, checksum)
        return {"checksum": checksum}

    def do_remove_file(self, name: str) -> Mapping[str, object]:
        """Remove the file `name`, freeing its memory."""
        os.unlink(f"{self._store}/{name}")  # noqa: PTH108 (light)
        return {}

    def do_read_host_file(self, path: str, size: int, offset: int = 0) -> Mapping[str, object]:
        """Read `size` bytes of a file of the host, which the guest's page cache then keeps."""
        done = 0
        buffer = memoryview(bytearray(1 << 16))
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (light)
            file.seek(offset)
            while done < size and (got := file.readinto(buffer[: size - done])):
                done += got
        return {"read": done}
