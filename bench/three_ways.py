"""One real guest that can be read in three ways at once, and what each of them costs.

The guest is Linux on QEMU with QEMU's own balloon, whose driver answers on the statistics queue;
with QEMU's guest agent, which is pulled through a virtio serial port; and with a daemon that
reports through another such port, at an interval.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

from bench.guests import seconds_of

from aerostat.errors import AerostatError, LinkError, MissingError
from aerostat.hypervisors.agents.figures import read_figures
from aerostat.hypervisors.agents.sockets import AgentSockets
from aerostat.hypervisors.qmp.link import Ask, QmpLink, open_link
from aerostat.testing.guests.python import PythonGuest
from aerostat.testing.guests.qemu import Parts
from aerostat.testing.polling import until
from aerostat.units import MIB

REPORTER = Path(__file__).with_name("inside_reporter.py")

# The guest's disk, which it reads again and again when it thrashes: more than it has memory.
DISK_SIZE = 512 * MIB
SIZE = 256 * MIB
# Of what the guest has free, it keeps so much for its cache when it thrashes.
_LEFT = 24 * MIB

_BALLOON = "/machine/peripheral/balloon0"
_INTERVAL = "guest-stats-polling-interval"
_LOOK = 0.004
_PORTS = {"agent": "org.qemu.guest_agent.0", "report": "report"}


class Sample(NamedTuple):
    """One look at the guest; seconds."""

    latency: float
    """Until the figures were at hand."""
    age: float
    """How old they can be at that moment: since the question, or since they arrived."""


class Way(Protocol):
    """One way to read the guest."""

    async def sample(self, limit: float) -> Sample:
        """Look at the guest. Raises `LinkError` where nothing new comes within `limit` seconds."""

    async def close(self) -> None:
        """Let go."""


class Counted:
    """A unix socket in front of another, that counts the bytes of both directions."""

    def __init__(self) -> None:
        self.bytes = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, path: Path, behind: Path) -> None:
        """Stand at `path` for the socket `behind`."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            theirs = await asyncio.open_unix_connection(behind)
            for source, sink in ((reader, theirs[1]), (theirs[0], writer)):
                task = asyncio.create_task(self._carry(source, sink))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        self._server = await asyncio.start_unix_server(serve, path)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                self.bytes += len(data)
                sink.write(data)
        except OSError:
            pass  # the other end hung up
        finally:
            sink.close()

    async def close(self) -> None:
        """Stand there no more."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Queue:
    """The statistics queue, as a QMP client asks for a fresh sample of QEMU's balloon."""

    def __init__(self, link: QmpLink) -> None:
        self._link = link
        self.tags = 0

    async def sample(self, limit: float) -> Sample:
        """Have the timer fire, and look for figures that are new."""
        began = time.monotonic()
        before = await self._figures()
        await self._link.ask(
            *(
                Ask("qom-set", {"path": _BALLOON, "property": _INTERVAL, "value": value})
                for value in (0, 3600)
            ),
            Ask("query-balloon"),
        )
        look = _LOOK
        while True:
            await asyncio.sleep(look)
            look *= 2
            figures = await self._figures()
            now = time.monotonic()
            if figures != before:
                self.tags = sum(value < 1 << 63 for value in figures["stats"].values())
                return Sample(now - began, now - began)
            if now - began > limit:
                raise LinkError("no new figures")

    async def _figures(self) -> dict[str, dict[str, int]]:
        (figures,) = await self._link.ask(
            Ask("qom-get", {"path": _BALLOON, "property": "guest-stats"})
        )
        return dict(figures)

    async def processor(self) -> int:
        """Return the thread of QEMU's that is the guest's only processor."""
        (processors,) = await self._link.ask(Ask("query-cpus-fast"))
        return int(processors[0]["thread-id"])

    async def close(self) -> None:
        """Disconnect."""
        self._link.close()


class Agent:
    """The guest agent, pulled."""

    def __init__(self, path: Path) -> None:
        self._agents = AgentSockets(str(path))

    async def sample(self, limit: float) -> Sample:
        """Have the agent read both files."""
        began = time.monotonic()
        async with asyncio.timeout(limit) as timer:
            try:
                await read_figures(self._agents, "one", limit)
            except AerostatError as error:
                raise LinkError(str(error)) from error
            except TimeoutError:
                assert timer.expired()
                raise
        latency = time.monotonic() - began
        return Sample(latency, latency)

    async def close(self) -> None:
        """Disconnect."""
        self._agents.close()


class Daemon:
    """The daemon in the guest, which reports when it will."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._arrived = float("-inf")
        self._used = float("-inf")
        self.longest = 0
        self._task = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._arrived = time.monotonic()
            self.longest = max(self.longest, len(line))

    async def sample(self, limit: float) -> Sample:
        """Take the last report, or wait for one that was not taken before."""
        began = time.monotonic()
        while self._arrived <= self._used:
            if time.monotonic() - began > limit:
                raise LinkError("no new report")
            await asyncio.sleep(_LOOK)
        self._used = self._arrived
        now = time.monotonic()
        return Sample(now - began, now - self._used)

    async def close(self) -> None:
        """Disconnect."""
        self._task.cancel()
        self._writer.close()


class ThreeWayGuest(PythonGuest):
    """The guest, with a serial port for the agent and another for the daemon."""

    def _machine(self) -> list[str]:
        ports: list[str] = []
        for port, name in _PORTS.items():
            place = f"path={self.directory}/{port},server=on,wait=off"
            ports += ["-chardev", f"socket,id={port},{place}"]
            ports += ["-device", f"virtserialport,chardev={port},name={name}"]
        return [*super()._machine(), "-device", "virtio-serial-pci", *ports]

    def _initramfs(self, parts: Parts) -> bytes:
        self.board = replace(self.board, modules=(*self.board.modules, "virtio_console"))
        return super()._initramfs(parts)


class Cost(NamedTuple):
    """CPU seconds: of the guest's processor, and of all else that the host does for it."""

    guest: float
    host: float


class Machine:
    """A guest that runs, with the agent in it."""

    def __init__(self, guest: ThreeWayGuest) -> None:
        self.guest = guest
        self._daemon: int | None = None
        self._thrashing: list[int] = []

    async def report_every(self, seconds: float) -> None:
        """Have the daemon report at an interval; 0 for not at all."""
        if self._daemon is not None:
            await self.guest.signal(self._daemon, "KILL")
            await self.guest.ended(self._daemon)
            self._daemon = None
        if seconds:
            command = f"python3 -S -E /opt/{REPORTER.name} /dev/vport0p2 {seconds}"
            self._daemon = await self.guest.begin(command)

    async def thrash(self) -> None:
        """Leave the guest hardly any memory, and have two programs read more than fits into it."""
        free = (await self.guest.counters())["meminfo"]["MemAvailable"]
        await self.guest.fill(free - _LEFT)
        reads = "sh -c 'while cat /dev/vda >/dev/null; do :; done'"
        self._thrashing = [await self.guest.begin(reads) for _ in range(2)]

    async def rest(self) -> None:
        """End that."""
        for pid in self._thrashing:
            await self.guest.signal(pid, "KILL")
            await self.guest.ended(pid, within=60.0)
        self._thrashing = []
        await self.guest.run("killall cat", within=60.0)
        await self.guest.free()

    async def resident(self, name: str) -> int:
        """Return the bytes that a program of the guest's has in memory."""
        pids = (await self.guest.run(f"pidof {name}")).output.split()
        ran = await self.guest.run(f"grep VmRSS /proc/{pids[0]}/status")
        return int(ran.output.split()[1]) * 1024

    async def module(self, name: str) -> int:
        """Return the bytes that a module of the guest's kernel takes."""
        ran = await self.guest.run(f"grep ^{name} /proc/modules")
        return int(ran.output.split()[1])

    async def open_queue(self) -> Queue:
        """Return the first way."""
        return Queue(await open_link(str(self.guest.control), 5.0))

    async def open_agent(self, path: Path | None = None) -> Agent:
        """Return the second."""
        return Agent(path or self.guest.directory / "agent")

    async def open_daemon(self) -> Daemon:
        """Return the third."""
        streams = await asyncio.open_unix_connection(self.guest.directory / "report")
        return Daemon(*streams)

    def cost(self, processor: int) -> Cost:
        """Return what was spent so far, this process included.

        `processor` is the thread of QEMU's that is the guest's processor.
        """
        guest = host = 0.0
        for task in Path(f"/proc/{self.guest.pid}/task").iterdir():
            spent = seconds_of((task / "schedstat").read_text())
            if int(task.name) == processor:
                guest += spent
            else:
                host += spent
        return Cost(guest, host + time.process_time())


@contextlib.asynccontextmanager
async def machine(directory: Path) -> AsyncIterator[Machine]:
    """Boot the guest, with the agent in it. Raises `MissingError`."""
    program = find_agent()
    disk = directory / "disk"
    with disk.open("wb") as sparse:
        sparse.truncate(DISK_SIZE)
    files = {"usr/sbin/qemu-ga": program.read_bytes(), **_libraries(program)}
    files[f"opt/{REPORTER.name}"] = REPORTER.read_bytes()
    guest = ThreeWayGuest("one", size=SIZE, directory=directory, disk=disk, files=files)
    try:
        await guest.start()
        await guest.run("chmod 755 /usr/sbin/qemu-ga; mkdir -p /var/run")
        await guest.begin("/usr/sbin/qemu-ga -m virtio-serial -p /dev/vport0p1 -t /tmp -f /tmp/pid")
        whole = Machine(guest)
        agent = await whole.open_agent()

        async def answers() -> bool:
            with contextlib.suppress(LinkError, TimeoutError):
                await agent.sample(1.0)
                return True
            return False

        await until(answers, within=30.0)
        await agent.close()
        yield whole
    finally:
        await guest.stop()


def find_agent() -> Path:
    """Return QEMU's guest agent as the distribution has it. Raises `MissingError`."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = shutil.which("qemu-ga", path=path)
    if found is None:
        raise MissingError("no qemu-ga here; get it with: make lab-libvirt")
    return Path(found)


def _libraries(program: Path) -> dict[str, bytes]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    names = [line.split() for line in listed.splitlines() if "=> /" in line]
    return {f"lib/{words[0]}": Path(words[2]).read_bytes() for words in names}


async def looks(way: Way, count: int, interval: float, limit: float) -> tuple[list[Sample], int]:
    """Look `count` times, an interval apart; return the samples, and how many were lost."""
    samples, lost = [], 0
    for _ in range(count):
        began = time.monotonic()
        try:
            samples.append(await way.sample(limit))
        except (LinkError, TimeoutError):
            lost += 1
        await asyncio.sleep(max(0.0, began + interval - time.monotonic()))
    return samples, lost


def mean(values: Sequence[float]) -> float:
    """Return the mean; of nothing, not a number."""
    return sum(values) / len(values) if values else float("nan")
