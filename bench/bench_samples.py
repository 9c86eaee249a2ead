"""What it costs the manager to read a guest: our QMP connector against ``qemu.qmp``.

Monitors in another process (`bench.monitors`) answer both at once; both run on asyncio in this
process, read all guests together, and send the same commands. A sample of our device is one
command. A sample of QEMU's balloon is four: the timer off and on, so that it fires, the
balloon's size, and after some milliseconds the figures. The rival hands out what the monitor
answered; the connector hands out a reading of which every value was checked.
"""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from bench.devices import start_process, stop_process
from bench.harness import Figure, Goal, in_turns, judge, main
from bench.monitors import BALLOON, INTERVAL
from qemu.qmp import QMPClient

from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp.connector import QmpConnector

_GUESTS = 32
_TIMEOUT = 5.0

# As the connector does: the timer's interval, and when to look for the figures.
_INTERVAL_SECONDS = 3600
_LOOK_SECONDS = 0.004

_SOURCES = {
    "device": ("our device", (Goal("ours", "<=", 0.15), Goal("ratio", "<=", 0.5))),
    "qemu": ("QEMU's balloon", (Goal("ratio", "<=", 0.5),)),
}


class Client(Protocol):
    """Somebody who reads all the guests."""

    async def start(self) -> None:
        """Connect to every monitor."""

    async def sweep(self) -> None:
        """Read every guest once. Raises if one cannot be read."""

    async def close(self) -> None:
        """Disconnect."""


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure the client's CPU milliseconds a sample."""
    sweeps, repeats = (3, 1) if quick else (15, 7)
    for kind, (source, goals) in _SOURCES.items():
        with _monitors(kind) as directory, asyncio.Runner() as runner:
            clients: tuple[Client, Client] = OurClient(directory), RivalClient(kind, directory)
            for client in clients:
                runner.run(client.start())
            ours, rival = (partial(_cpu_a_sample, runner, client, sweeps) for client in clients)
            pairs = in_turns(ours, rival, repeats=repeats)
            for client in clients:
                runner.run(client.close())
        yield judge(f"manager CPU a sample, {source}", "ms", "qemu.qmp", pairs, *goals)


@contextlib.contextmanager
def _monitors(kind: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        program = ["-m", "bench.monitors", kind, str(_GUESTS), name]
        process = start_process(program, directory / f"{_GUESTS - 1}.sock")
        try:
            yield directory
        finally:
            stop_process(process)


def _cpu_a_sample(runner: asyncio.Runner, client: Client, sweeps: int) -> float:
    async def all_sweeps() -> float:
        began = time.process_time()
        for _ in range(sweeps):
            await client.sweep()
        return time.process_time() - began

    return runner.run(all_sweeps()) * 1000 / (sweeps * _GUESTS)


class OurClient:
    """The connector, as the manager uses it."""

    def __init__(self, directory: Path) -> None:
        self._connector = QmpConnector([str(directory / "*.sock")])
        self._keys: list[str] = []

    async def start(self) -> None:
        """Connect to every monitor."""
        await self._connector.start()
        self._keys = [guest.key for guest in await self._connector.guests()]
        await self.sweep()

    async def sweep(self) -> None:
        """Read every guest once."""
        answers = await self._connector.sample(self._keys, _TIMEOUT)
        for answer in answers.values():
            if not isinstance(answer, Reading):
                raise answer
        if len(answers) != _GUESTS:
            raise RuntimeError(f"{len(answers)} guests of {_GUESTS}")

    async def close(self) -> None:
        """Disconnect."""
        await self._connector.close()


class RivalClient:
    """QEMU's own library for Python, one client a monitor."""

    def __init__(self, kind: str, directory: Path) -> None:
        self._paths = [str(directory / f"{number}.sock") for number in range(_GUESTS)]
        self._clients: list[QMPClient] = []
        self._sample = self._sample_device if kind == "device" else self._sample_qemu

    async def start(self) -> None:
        """Connect to every monitor."""
        for path in self._paths:
            client = QMPClient()
            await client.connect(path)
            self._clients.append(client)

    async def sweep(self) -> None:
        """Read every guest once."""
        await asyncio.gather(*(self._sample(client) for client in self._clients))

    async def close(self) -> None:
        """Disconnect."""
        for client in self._clients:
            await client.disconnect()

    async def _sample_device(self, client: QMPClient) -> None:
        await client.execute("aerostat-sample", {"timeout": _TIMEOUT})

    async def _sample_qemu(self, client: QMPClient) -> None:
        timer = {"path": BALLOON, "property": INTERVAL}
        await client.execute("qom-set", {**timer, "value": 0})
        await client.execute("qom-set", {**timer, "value": _INTERVAL_SECONDS})
        await client.execute("query-balloon")
        await asyncio.sleep(_LOOK_SECONDS)
        await client.execute("qom-get", {"path": BALLOON, "property": "guest-stats"})


if __name__ == "__main__":
    main(run)
