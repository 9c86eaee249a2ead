"""The service around the manager, in processes of its own: one writer, killed and started again."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from aerostat.daemon import paths, protect
from aerostat.daemon.api.client import Client
from aerostat.daemon.config import parse
from aerostat.daemon.host_keeper import HostKeeper
from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.savefile import Lock
from aerostat.daemon.service import Extras, serve
from aerostat.daemon.snapshot import MoveRow, Snapshot
from aerostat.errors import LinkError, UsageError
from aerostat.host.meminfo import read_meminfo
from aerostat.units import GIB, MIB

PROGRAM = """
import asyncio, sys
from aerostat.daemon.config import parse
from aerostat.daemon.service import serve
from aerostat.errors import UsageError
from aerostat.testing.mocks.connector import FakeConnector, FakeGuest
from aerostat.units import MIB

directory = sys.argv[1]
config = parse({"manage": True, "interval": 0.1, "state_directory": directory,
                "host": {"budget": "4GiB"}, "api": {"socket": directory + "/s"}}, "test")
guest = FakeGuest("a")
guest.uses(300 * MIB)
try:
    asyncio.run(serve(config, [FakeConnector(guest)], protected=False))
except UsageError as error:
    sys.exit(str(error))
"""


def start(directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(directory)], stderr=subprocess.PIPE, text=True
    )


def wait_for_api(directory: Path, limit: float = 30.0) -> Client:
    client, deadline = Client(directory / "s"), time.monotonic() + limit
    while True:
        try:
            client.guest("a")
        except (LinkError, UsageError):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return client


@pytest.mark.slow
def test_one_writer_killed_started_again_and_ended(tmp_path: Path) -> None:
    first = start(tmp_path)
    try:
        client = wait_for_api(tmp_path)
        second = start(tmp_path)
        message = second.communicate(timeout=30)[1]
        assert second.returncode == 1
        assert f"another manager (process {first.pid})" in message
        client.set_target("a", 200 * MIB)
        first.kill()
        first.communicate(timeout=30)
        assert (tmp_path / "s").exists()  # left behind
        first = start(tmp_path)
        client = wait_for_api(tmp_path)
        client.set_target("a", 200 * MIB)
        first.send_signal(signal.SIGTERM)
        assert first.communicate(timeout=30)[1] == ""
        assert first.returncode == 0
        assert not (tmp_path / "s").exists()
        first = start(tmp_path)
        assert wait_for_api(tmp_path).guest("a")["pinned"] == 200 * MIB
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)
        assert first.returncode == 0
    finally:
        first.kill()
        first.communicate()
    with JournalReader(tmp_path / "journal.sqlite") as reader:
        recorded = list(reader.observations())
    assert len(recorded) >= 3
    assert recorded[-1].guests.keys == ("fake:a",)


def test_a_locked_state_directory_is_refused_before_anything_is_touched(
    tmp_path: Path,
) -> None:
    lock = Lock.take(tmp_path)
    config = parse({"state_directory": str(tmp_path)}, "test")
    with pytest.raises(UsageError, match=f"another manager \\(process {os.getpid()}\\)"):
        asyncio.run(serve(config, [], protected=False))
    assert [child.name for child in tmp_path.iterdir()] == ["manager.lock"]
    lock.release()
    Lock.take(tmp_path).release()


def test_a_state_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="choose another state_directory"):
        Lock.take(tmp_path / "file")


def test_the_host_as_configured() -> None:
    fixed = HostKeeper(parse({"host": {"budget": "3GiB"}}, "test")).read(0)
    assert fixed.budget == 3 * GIB
    total = read_meminfo().total
    most = HostKeeper(parse({}, "test")).read(total)
    assert most.budget == total - int(total * 0.10)
    none = HostKeeper(parse({"host": {"reserve": "100%"}}, "test")).read(total)
    assert none.budget == 0


def test_places_follow_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(paths.api_socket()) == "/run/aerostat/aerostat.sock"
    assert str(paths.state_directory()) == "/var/lib/aerostat"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setenv("XDG_STATE_HOME", "/home/u/state")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/u/config")
    assert str(paths.api_socket()) == "/run/user/1000/aerostat/aerostat.sock"
    assert str(paths.state_directory()) == "/home/u/state/aerostat"
    assert str(paths.config_file()) == "/home/u/config/aerostat/aerostat.toml"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert str(paths.api_socket()) == "/home/u/state/aerostat/aerostat.sock"


def run(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


class TestProtection:
    def test_what_is_not_allowed_is_said_and_no_failure(self) -> None:
        program = (
            "import resource; resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))\n"
            "from aerostat.daemon import protect\n"
            "protect._CAP_IPC_LOCK = 0\n"
            "print(protect.protect())\n"
        )
        done = run(program)
        assert done.returncode == 0, done.stderr
        assert "memory is not locked: that needs CAP_IPC_LOCK" in done.stdout

    def test_protected_or_told_why_not(self) -> None:
        program = (
            "from aerostat.daemon.protect import protect\n"
            "print(protect())\n"
            "print(open('/proc/self/status').read())\n"
            "print('score', open('/proc/self/oom_score_adj').read())\n"
        )
        done = run(program)
        assert done.returncode == 0, done.stderr
        locked = int(done.stdout.split("VmLck:")[1].split()[0])
        assert ("memory is not locked" in done.stdout) == (locked == 0)
        assert ("not spared" in done.stdout) == (f"score {protect.OOM_SCORE}" not in done.stdout)

    @pytest.mark.parametrize("abstract", [False, True])
    def test_systemd_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
    ) -> None:
        address = f"@aerostat-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind("\0" + address[1:] if abstract else address)
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            assert protect.notify("READY=1")
            assert listener.recv(64) == b"READY=1"

    @pytest.mark.parametrize("address", [None, "", "relative", "/nowhere/at/all"])
    def test_no_systemd_is_no_failure(
        self, monkeypatch: pytest.MonkeyPatch, address: str | None
    ) -> None:
        if address is None:
            monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        else:
            monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not protect.notify("READY=1")


async def test_watchers_and_a_stop_by_signal(tmp_path: Path) -> None:
    seen: list[Snapshot] = []

    def watch(snapshot: Snapshot, _: Sequence[MoveRow]) -> None:
        seen.append(snapshot)
        os.kill(os.getpid(), signal.SIGTERM)

    table = {"state_directory": str(tmp_path), "api": {"enabled": False}}
    config = parse(table | {"journal": {"enabled": False}, "host": {"budget": "1GiB"}}, "test")
    await asyncio.wait_for(serve(config, [], extras=Extras([watch]), protected=False), 20)
    assert len(seen) >= 1
    assert seen[0].journal == "off"
