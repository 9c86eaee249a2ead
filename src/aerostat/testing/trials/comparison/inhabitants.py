"""The guests of the comparison: user-mode Linux and QEMU, each with a disk, some with swap.

Every one has a data disk that it reads through its page cache, so that what was let go too early
costs reads of that disk. Touches processes and files through the laboratory.
"""

import asyncio
import contextlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from aerostat.errors import LinkError, MissingError, PeerError
from aerostat.host.held import held_by, memory_files
from aerostat.model.workload import Workload
from aerostat.testing.guests.parts import find_newer_uml
from aerostat.testing.guests.python import PythonGuest, player_files
from aerostat.testing.guests.qemu import Parts
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.trials.comparison.scenes import SIZE
from aerostat.units import MIB

DISK_SIZE = 256 * MIB
SWAP_SIZE = 128 * MIB
#: What a QEMU holds besides its guest's memory, as measured: 43 to 50 MiB.
OVERHEAD = 48 * MIB

_PAGE = 4096
_PATIENCE = 60.0
# In the guest.
_PLAN, _READY, _REPORT = "/plan.json", "/ready", "/report.json"


class Kind(NamedTuple):
    """What a guest is."""

    name: str
    program: str
    """``uml`` or ``qemu``."""
    newer: bool = False
    """On a kernel that tells of stalls and reclaim: 16 tags, and not 8 or 10."""
    swaps: bool = False


#: The usual house. A machine that has no newer kernels has older ones in their place.
KINDS = (
    Kind("uml1", "uml", swaps=True),
    Kind("uml2", "uml", newer=True),
    Kind("uml3", "uml"),
    Kind("uml4", "uml", newer=True, swaps=True),
    Kind("uml5", "uml", swaps=True),
    Kind("uml6", "uml", newer=True),
    Kind("qemu1", "qemu", newer=True, swaps=True),
    Kind("qemu2", "qemu"),
)

#: Eight in QEMU: for KVM.
VIRTUAL = tuple(
    Kind(f"qemu{number}", "qemu", newer=number % 2 == 0, swaps=number % 4 < 2)
    for number in range(1, 9)
)


class Inhabitant(Protocol):
    """A guest that works and is looked at."""

    kind: Kind

    @property
    def socket(self) -> Path:
        """Where its balloon is asked for."""

    async def start(self) -> None:
        """Boot; return when it obeys. Raises `LinkError`, `MissingError`."""

    async def play(self, workload: Workload, since: float) -> None:
        """Begin to work, or begin again, at second `since` of the plan."""

    async def report(self) -> Mapping[str, Any] | None:
        """Return what came of the work so far (`inside.workload.Player.report`), {} before that.

        None where its programs were killed. Raises `LinkError` where it does not answer.
        """

    async def vmstat(self) -> Mapping[str, int]:
        """Return the kernel's counters. Raises `AerostatError`."""

    def held(self) -> int | None:
        """Return the bytes that it holds on the host; None where it is gone."""

    async def stop(self) -> None:
        """End it."""


def make_disk(path: Path) -> Path:
    """Make what guests read, unless it is there, and return its path."""
    if not path.exists():
        with path.open("wb") as disk:
            disk.truncate(DISK_SIZE)
    return path


def make_swap(path: Path) -> Path:
    """Make a file that a guest can swap to (Linux, union swap_header), and return its path."""
    header = bytearray(_PAGE)
    struct.pack_into("=II", header, 1024, 1, SWAP_SIZE // _PAGE - 1)
    header[-10:] = b"SWAPSPACE2"
    with path.open("wb") as file:
        file.write(header)
        file.truncate(SWAP_SIZE)
    return path


def inhabitants(
    laboratory: Laboratory, kinds: Sequence[Kind], accelerator: str | None
) -> list[Inhabitant]:
    """Return the guests of a house, not yet started. `accelerator` is QEMU's."""
    return [
        UmlInhabitant(laboratory, kind)
        if kind.program == "uml"
        else QemuInhabitant(laboratory.directory, kind, accelerator)
        for kind in kinds
    ]


class UmlInhabitant:
    """One in user-mode Linux."""

    def __init__(self, laboratory: Laboratory, kind: Kind) -> None:
        self.kind = kind
        self._laboratory = laboratory
        self._guest: UmlGuest | None = None

    @property
    def socket(self) -> Path:
        """Where its balloon is asked for."""
        return self._laboratory.directory / f"{self.kind.name}.sock"

    async def start(self) -> None:
        """Boot, and swap where it is to."""
        directory = self._laboratory.directory
        # Of its own: the guests' programs lock what they read, and not in one another's way.
        arguments = [f"ubd0r={make_disk(directory / f'{self.kind.name}.disk')}"]
        if self.kind.swaps:
            arguments.append(f"ubd1={make_swap(directory / f'{self.kind.name}.swap')}")
        kernel = None
        if self.kind.newer:
            with contextlib.suppress(MissingError):
                kernel = find_newer_uml().resolve()
        self._guest = await self._laboratory.start_guest(
            self.kind.name, SIZE, arguments=arguments, kernel=kernel
        )
        if not self.held():
            raise MissingError("what a guest holds is only seen where /dev/shm has room for it")
        if self.kind.swaps:
            await self._guest.command("swap_on", path="/dev/ubdb")

    async def play(self, workload: Workload, since: float) -> None:
        """Begin to work."""
        assert self._guest is not None
        await self._guest.play(workload, file=Path("/dev/ubda"), since=since)

    async def report(self) -> Mapping[str, Any] | None:
        """Return what came of the work."""
        assert self._guest is not None
        try:
            return await self._guest.report()
        except PeerError:
            return None

    async def vmstat(self) -> Mapping[str, int]:
        """Return the kernel's counters."""
        assert self._guest is not None
        answer: dict[str, dict[str, int]] = await self._guest.command("counters", within=_PATIENCE)
        return answer["vmstat"]

    def held(self) -> int | None:
        """Return what its memory file holds."""
        if self._guest is None or self._guest.pid is None or not self._guest.alive:
            return None
        return sum(memory_files(self._guest.pid).values())

    async def stop(self) -> None:
        """Leave it to the laboratory, which ends it before its device."""


class QemuInhabitant:
    """One in QEMU, with a Python inside."""

    def __init__(self, directory: Path, kind: Kind, accelerator: str | None) -> None:
        self.kind = kind
        disk = make_disk(directory / f"{kind.name}.disk")
        swap = directory / f"{kind.name}.swap"
        how: dict[str, Any] = {"disk": disk}
        if kind.swaps:
            how["options"] = ("-drive", f"if=virtio,file={swap},format=raw")
            make_swap(swap)
        if accelerator:
            how["accelerator"] = accelerator
        if kind.newer:
            with contextlib.suppress(MissingError):
                how["parts"] = Parts.of_linux("newest")
        self._guest = PythonGuest(
            kind.name, size=SIZE, directory=directory, files=player_files(), **how
        )
        self._player: int | None = None

    @property
    def socket(self) -> Path:
        """Where its balloon is asked for."""
        return self._guest.control

    async def start(self) -> None:
        """Boot, swap where it is to, and make ready to work."""
        await self._guest.start(within=_PATIENCE * 2)
        if self.kind.swaps:
            await self._guest.run("swapon /dev/vdb")
        await self._start_player()
        await self._guest.run(f"until test -e {_READY}; do sleep 0.1; done")

    async def _start_player(self) -> None:
        await self._guest.run(f"rm -f {_PLAN} {_READY} {_REPORT}")
        self._player = await self._guest.begin(
            "python3 -S -m aerostat.testing.guests.inside.play "
            f"{_PLAN} {_READY} /dev/vda /store {_REPORT}"
        )

    async def play(self, workload: Workload, since: float) -> None:
        """Begin to work."""
        if not await self._works():
            await self._start_player()
        plan = json.dumps([workload.to_dict(), since])
        await self._guest.put(f"{_PLAN}.new", plan.encode())
        await self._guest.run(f"mv {_PLAN}.new {_PLAN}")

    async def _works(self) -> bool:
        return self._player is not None and await self._guest.running(self._player)

    async def report(self) -> Mapping[str, Any] | None:
        """Return what came of the work up to a second ago."""
        if not await self._works():
            return None
        with contextlib.suppress(PeerError, json.JSONDecodeError):
            report: dict[str, Any] = json.loads(await self._guest.read(_REPORT))
            return report
        return {}  # it has only just begun

    async def vmstat(self) -> Mapping[str, int]:
        """Return the kernel's counters."""
        return (await self._guest.counters())["vmstat"]

    def held(self) -> int | None:
        """Return what QEMU holds, its own memory included: as its manager sees it."""
        if self._guest.pid is None or not self._guest.alive:
            return None
        return held_by(self._guest.pid)

    async def stop(self) -> None:
        """End it."""
        with contextlib.suppress(LinkError):
            await self._guest.stop()


async def start_all(guests: Sequence[Inhabitant], at_once: int = 2) -> None:
    """Boot all guests, a few at a time. Raises what the first that fails raises."""
    turns = asyncio.Semaphore(at_once)

    async def start(guest: Inhabitant) -> None:
        async with turns:
            await guest.start()

    try:
        async with asyncio.TaskGroup() as group:
            for guest in guests:
                group.create_task(start(guest))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
