"""A command line to call, and a manager of guests in memory for it to reach."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from aerostat.balloon.statistics import Tag
from aerostat.cli.main import invoke
from aerostat.daemon.api.server import Api
from aerostat.daemon.config import Config, parse
from aerostat.daemon.manager import Manager
from aerostat.host.budget import HostReading
from aerostat.testing.mocks.connector import FakeConnector, FakeGuest
from aerostat.units import GIB, MIB


class Twin(FakeGuest):
    """A guest of its own key, whatever its name."""

    @property
    def key(self) -> str:
        """A key that the name does not tell."""
        return "fake:other"


class Result(NamedTuple):
    """What a call came to."""

    code: int
    out: str
    err: str


Call = Callable[..., Result]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that runs one command line in this process."""
    monkeypatch.delenv("AEROSTAT_SOCKET", raising=False)

    def run(*arguments: str | Path) -> Result:
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def run_manager(config: Config, socket: Path, ready: threading.Event, stop: list[object]) -> None:
    """Serve a manager of three fake guests, two of one name, until the function in `stop`."""

    async def serve() -> None:
        web = FakeGuest("web", statistics={Tag.SWAP_IN: 4096, 4242: 7})
        web.uses(200 * MIB)
        connector = FakeConnector(web, FakeGuest("twin"), Twin("twin"))
        loop = asyncio.get_running_loop()
        manager = Manager(
            config, [connector], host=lambda _held: HostReading(8 * GIB, 16 * GIB, 8 * GIB)
        )
        manager.watchers.append(lambda _snapshot, _moves: ready.set())
        api = Api(manager, socket)
        await api.start()
        stop.append(lambda: loop.call_soon_threadsafe(manager.stop))
        await manager.run()
        await api.close()

    asyncio.run(serve())


@pytest.fixture(params=[True])
def socket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Give the socket of a running manager, which manages unless parametrized to observe."""
    path = tmp_path / "api.sock"
    config = parse({"manage": request.param, "interval": 0.1}, "test")
    ready, stop = threading.Event(), list[Callable[[], None]]()
    thread = threading.Thread(target=run_manager, args=(config, path, ready, stop))
    thread.start()
    assert ready.wait(30)
    yield path
    stop[0]()
    thread.join(30)
    assert not thread.is_alive()
