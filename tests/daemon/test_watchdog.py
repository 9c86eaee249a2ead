"""What systemd is told: that the manager is ready, alive, and reading its configuration again."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aerostat.daemon import watchdog
from aerostat.daemon.config import Config, load
from aerostat.daemon.service import Extras, serve
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.daemon.watchdog import Watchdog
from aerostat.errors import LinkError
from aerostat.testing.mocks.connector import FakeConnector


class Systemd:
    """Listens as systemd does."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def heard(self) -> list[str]:
        """Return the messages since the last call."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    async def hears(self, words: str, within: float = 20.0) -> str:
        """Wait for a message with these words in it."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            for message in self.heard():
                if words in message:
                    return message
            await asyncio.sleep(0.01)
        raise LinkError(f"nobody said {words}")


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    listener = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield listener
    listener.socket.close()


async def test_it_is_pinged_while_the_loop_ticks_and_no_longer(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.setattr(watchdog, "_LATE", 0.0)
    dog = Watchdog()
    dog.saw(Snapshot(1.0, 2.0, interval=30.0), ())
    assert systemd.heard() == ["READY=1\nWATCHDOG=1\nSTATUS=observes 0 guests, 0 moves"]
    pinging = asyncio.create_task(dog.run())
    await systemd.hears("WATCHDOG=1")
    dog.saw(Snapshot(1.0, 2.0, interval=0.0), ())  # the next tick is overdue at once
    systemd.heard()
    await asyncio.sleep(0.05)
    assert systemd.heard() == []
    pinging.cancel()


@pytest.mark.parametrize("settings", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_PID": "1"}])
async def test_it_is_not_pinged_unasked(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    if "WATCHDOG_PID" in settings:
        monkeypatch.setenv("WATCHDOG_USEC", "1000")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    await asyncio.wait_for(Watchdog().run(), 1)


async def test_a_reload_by_signal(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aerostat.daemon.connectors._make", lambda *_: FakeConnector())
    path = tmp_path / "aerostat.toml"
    text = f'state_directory = "{tmp_path}/state"\ninterval = 0.05\n[api]\nenabled = false\n'
    text += '[journal]\nenabled = false\n[host]\nbudget = "1GiB"\n'
    text += '[[connector]]\nkind = "qmp"\nsockets = ["/x"]\n'
    seen: list[Snapshot] = []

    def watch(snapshot: Snapshot, _: Sequence[MoveRow]) -> None:
        seen.append(snapshot)

    def write(text: str) -> Config:
        path.write_text(text)
        return load(path)

    serving = asyncio.create_task(
        serve(
            write(text),
            [FakeConnector()],
            extras=Extras([watch]),
            read_config=lambda: load(path),
            protected=False,
        )
    )
    await systemd.hears("READY=1")
    write(text.replace("0.05", "0.06"))
    os.kill(os.getpid(), signal.SIGHUP)
    message = await systemd.hears("RELOADING=1")
    assert 0 < time.monotonic_ns() // 1000 - int(message.partition("MONOTONIC_USEC=")[2]) < 20e6
    await systemd.hears("READY=1")
    path.unlink()
    os.kill(os.getpid(), signal.SIGHUP)
    await systemd.hears("RELOADING=1")
    await systemd.hears("READY=1\nWATCHDOG=1")
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(serving, 20)
    assert {snapshot.interval for snapshot in seen} == {0.05, 0.06}
    assert "was not reloaded" in (seen[-1].config_problem or "")
    assert "STOPPING=1" in systemd.heard()
