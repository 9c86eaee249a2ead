"""Real QEMU guests to take memory from, and what that costs the host, thread by thread.

A guest has QEMU's own balloon, on memory of either kind, or a device process of ours. Whichever it
is, nothing asks it anything while memory is taken: the end is seen from outside, by the pages that
come back to the host, since each question would cost one side more than the other.
"""

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple, Self

from bench.harness import cpu_of

from aerostat.errors import MissingError
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests import initramfs, qemu
from aerostat.testing.guests.parts import find_part
from aerostat.testing.guests.python import GuestPython
from aerostat.testing.guests.qemu import QemuGuest
from aerostat.testing.processes.device import DeviceProcess
from aerostat.units import GIB, MIB

_GET_IT = "make lab-newer"

# Seconds between two looks at what a process holds, and without a change until it is over.
_LOOK = 0.004
_QUIET = 0.25
# Seconds until memory that does not come is given up.
_PATIENCE = 120.0

# A change of less is QEMU's own coming and going.
_NOISE = MIB

# What a driver holds may differ by so much from what it was asked for, where it is done.
_NEAR = MIB

_PAGE = os.sysconf("SC_PAGE_SIZE")

# In the guest: a file in memory, page after page as the kernel has them to give, and then holes.
_SHATTER = b"""
import mmap, os, sys
size, piece = map(int, sys.argv[1:])
file = os.open("/store/pieces", os.O_RDWR | os.O_CREAT)
for _ in range(size >> 20): os.write(file, bytes(1 << 20))
memory = mmap.mmap(file, size)
for at in range(0, size, 2 * piece): memory.madvise(mmap.MADV_REMOVE, at, piece)
"""


class Cost(NamedTuple):
    """What taking memory cost, for each GiB taken."""

    device: float
    """CPU seconds of the device: its process, or the main thread of a QEMU whose own it is."""
    whole: float
    """CPU seconds of all of QEMU's threads and the device process."""
    wall: float
    """Seconds from the request until the last page was the host's."""


class Times(NamedTuple):
    """CPU seconds used so far."""

    main: float
    qemu: float
    device: float


def thread_cpu(pid: int, thread: int) -> float:
    """Return the CPU seconds of one thread of process `pid`; its main thread's number is `pid`."""
    return seconds_of(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text())


def seconds_of(schedstat: str) -> float:
    """Return the CPU seconds that a ``schedstat`` file tells of."""
    return int(schedstat.partition(" ")[0]) / 1e9


def resident_bytes(statm: str) -> int:
    """Return the bytes of a process that are in memory, as its ``statm`` file has it."""
    return int(statm.split()[1]) * _PAGE


def check_qemu() -> None:
    """Choose the laboratory's own QEMU 11 where there is one, unless another was chosen.

    Raises `MissingError` where the QEMU is too old for our device.
    """
    with contextlib.suppress(MissingError):
        os.environ.setdefault("AEROSTAT_QEMU", str(find_part("qemu11", _GET_IT)))
    program = qemu.Parts().program
    if not qemu.has_device(program, qemu.GENERIC_DEVICE):
        raise MissingError(f"{program} has no {qemu.GENERIC_DEVICE}; get one: {_GET_IT}")


class _GuestWithPython(QemuGuest):
    """Any QEMU guest, with this Python inside."""

    def _initramfs(self, parts: qemu.Parts) -> bytes:
        python = GuestPython.here().archive(parts.directory / "cache")
        return super()._initramfs(parts) + python + initramfs.pack({"shatter.py": _SHATTER})


class BenchGuest:
    """A guest under measurement, and its device process if it is `ours`; a context manager.

    `size` is in bytes; `memory` and `accelerator` are as for `QemuGuest`.
    """

    def __init__(
        self,
        runner: asyncio.Runner,
        name: str,
        directory: Path,
        size: int,
        *,
        ours: bool = False,
        memory: str = qemu.MEMFD,
        accelerator: str = qemu.TCG,
    ) -> None:
        self.size = size
        self._runner = runner
        self._device = DeviceProcess(name, size=size, directory=directory) if ours else None
        self._guest = _GuestWithPython(
            name,
            size=size,
            directory=directory,
            device_socket=self._device.socket if self._device else None,
            memory=memory,
            accelerator=accelerator,
        )
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            processes = (self._device, self._guest) if self._device else (self._guest,)
            for process in processes:
                stack.callback(self._stop, process)
                self._runner.run(process.start())
            self._control = stack.enter_context(ControlClient(processes[0].control))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _stop(self, process: DeviceProcess | QemuGuest) -> None:
        self._runner.run(process.stop())

    def run(self, command: str) -> None:
        """Run a line of shell in the guest. Raises `RuntimeError` if it fails there."""
        ran = self._runner.run(self._guest.run(command, within=_PATIENCE))
        if ran.status:
            raise RuntimeError(f"{command[:80]!r} failed in the guest: {ran.output[-300:]}")

    def touch(self, size: int) -> None:
        """Have the guest write to `size` bytes and free them, so that the host has them."""
        self.run(f"dd if=/dev/zero of=/store/touched bs=1M count={size // MIB} 2>/dev/null")
        self.run("rm /store/touched")

    def shatter(self, size: int, piece: int) -> None:
        """Have the guest write to `size` bytes, and free every second piece of `piece` bytes."""
        self.run(f"python3 /shatter.py {size} {piece}")

    def mend(self) -> None:
        """Free the rest of it."""
        self.run("rm -f /store/*")

    def take(self, size: int) -> Cost:
        """Take `size` bytes from the guest; return the cost a GiB."""
        before, held, began = self._times(), self._resident(), time.monotonic()
        done = self._ask_for(self.size - size)
        after, freed = self._times(), held - self._resident()
        if freed < 0.9 * size:
            raise RuntimeError(f"{freed // MIB} of {size // MIB} MiB came back to the host")
        device = after.device - before.device
        return Cost(
            device=(device if self._device else after.main - before.main) * GIB / size,
            whole=(after.qemu - before.qemu + device) * GIB / size,
            wall=(done - began) * GIB / size,
        )

    def give_back(self) -> None:
        """Empty the balloon."""
        self._ask_for(self.size)

    def _ask_for(self, target: int) -> float:
        """Set the target and wait; return the moment at which the last memory came back."""
        self._control.run("balloon", value=target)
        deadline = time.monotonic() + _PATIENCE
        while True:
            settled = self._settle()
            size = self._control.run("query-balloon")["actual"]
            if abs(size - target) < _NEAR:
                return settled
            if time.monotonic() > deadline:
                raise RuntimeError(f"{size // MIB} MiB, not {target // MIB}")

    def _settle(self) -> float:
        """Wait until the host gains no more; return the moment at which it last did."""
        lowest, changed = self._resident(), time.monotonic()
        while (now := time.monotonic()) < changed + _QUIET:
            resident = self._resident()
            if resident < lowest - _NOISE:
                lowest, changed = resident, now
            time.sleep(_LOOK)
        return changed

    def _times(self) -> Times:
        pid = self._guest.pid
        assert pid is not None
        device = self._device.pid if self._device else None
        return Times(thread_cpu(pid, pid), cpu_of(pid), cpu_of(device) if device else 0.0)

    def _resident(self) -> int:
        return resident_bytes(Path(f"/proc/{self._guest.pid}/statm").read_text())
