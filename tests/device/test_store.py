"""A device whose service is restarted: what systemd's descriptor store keeps of it.

The service manager is played here, by its documented words (sd_notify(3), sd_listen_fds(3)).
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.device import store
from aerostat.device.__main__ import main
from aerostat.errors import PeerError
from aerostat.testing.closing import Closing
from aerostat.testing.control_client import ControlClient
from aerostat.testing.descriptors import open_descriptors
from aerostat.testing.mocks.frontend import SharedFile
from aerostat.testing.mocks.guest import MockGuest

MIB = 1 << 20
RINGS = 64 * PAGE_SIZE
PFN = 8 * MIB // PAGE_SIZE
ROOT = Path(__file__).parents[2]

# What systemd does between fork and exec: descriptors from 3 on, and their names.
_START = """
import os, sys
numbers, names = eval(sys.argv[1]), sys.argv[2]
high = [os.dup2(number, 200 + at) for at, number in enumerate(numbers)]
os.closerange(3, 200)
for at, number in enumerate(high):
    os.dup2(number, 3 + at)
os.closerange(200, 300)
if numbers:
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(numbers)),
                   "LISTEN_FDNAMES": names}
os.execv(sys.executable, [sys.executable, "-m", "aerostat.device", *sys.argv[3:]])
"""


class Service(Closing):
    """A service manager with one service, a device; `kept` is its descriptor store."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kept: dict[str, int] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._path = directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def start(self) -> Self:
        where = ("--socket", self.directory / "vhost", "--control", self.directory / "control")
        numbers = list(self.kept.values())
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", _START, repr(numbers), ":".join(self.kept)),
                *(*map(str, where), "--size", "12MiB", "--descriptor-store"),
            ],
            env=os.environ | {"NOTIFY_SOCKET": str(self._path)},
            pass_fds=numbers,
            stderr=subprocess.PIPE,
        )
        return self

    def client(self) -> ControlClient:
        """Return a client of the process, as soon as there is one."""
        for _ in range(500):
            assert self.process is not None
            assert self.process.poll() is None, self.process.communicate()
            try:
                return ControlClient(self.directory / "control")
            except OSError:
                threading.Event().wait(0.02)
        raise AssertionError("no device")

    def stop(self, number: int = signal.SIGTERM) -> bytes:
        """Stop the service; return what it said."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.communicate(timeout=10)[1]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.sendto(b"END", str(self._path))
        self._thread.join()
        self._socket.close()
        for number in self.kept.values():
            os.close(number)

    def _listen(self) -> None:
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 4096, 16)
            words = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            if words.get("FDSTORE") == "1":
                self.kept[words["FDNAME"]] = descriptors.pop()
            elif words.get("FDSTOREREMOVE") == "1":
                os.close(self.kept.pop(words["FDNAME"]))
            for number in descriptors:  # of a barrier, which ends by that
                os.close(number)
            if data == b"END":
                return


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    before = open_descriptors()
    service = Service(tmp_path)
    yield service
    service.close()
    assert open_descriptors() == before


@pytest.fixture
def shared() -> Iterator[SharedFile]:
    memory = SharedFile(((0, 4 * MIB), (8 * MIB, 8 * MIB)), 2 * MIB)
    yield memory
    memory.close()


def machine(service: Service, memory: SharedFile) -> MockGuest:
    return MockGuest(str(service.directory / "vhost"), memory, RINGS)


@pytest.mark.slow
def test_a_guest_outlives_the_restarts_of_its_service(service: Service, shared: SharedFile) -> None:
    service.start()
    service.client().close()
    guest = machine(service, shared)
    for number in range(1, 4):
        with service.client() as control:
            guest.driver.collect(Queue.STATS)
            guest.send_statistics(free_memory=number)
            control.wait_until(
                lambda number=number: (  # type: ignore[misc]
                    control.sample(timeout=0)["stats"].get("stat-free-memory") == number
                )
            )
            control.run("balloon", value=8 * MIB - number * MIB)
        assert service.stop() == b""
        guest.driver.inflate([PFN])  # while there is nobody
        guest.kick(Queue.INFLATE)
        assert {"state", "front-end", "socket", "control", "memory-0"} < set(service.kept)
        service.start()
        assert len(guest.wait_for(Queue.INFLATE)) == 1
        with service.client() as control:
            sample = control.sample(timeout=0)
        assert sample["stats"]["stat-free-memory"] == number
        assert sample["target-size"] == 8 * MIB - number * MIB
        assert sample["counters"]["punches"] == number
        assert sample["counters"]["front_ends"] == 1
        # A service that ends now has nothing that stays open.
        deadline = time.monotonic() + 10
        while service.kept and time.monotonic() < deadline:
            time.sleep(0.01)
        assert service.kept == {}
    guest.close()


@pytest.mark.slow
@pytest.mark.parametrize("end", ["quit", "SIGINT"])
def test_an_end_that_is_wanted_keeps_nothing(
    service: Service, shared: SharedFile, end: str
) -> None:
    service.start().client().close()
    guest = machine(service, shared)
    if end == "quit":
        with service.client() as control:
            control.run("quit")
    else:
        service.stop(signal.SIGINT)
    assert guest.frontend.disconnected()
    assert service.kept == {}
    guest.close()


@pytest.mark.slow
def test_what_cannot_be_gone_on_with_is_let_go(service: Service, shared: SharedFile) -> None:
    service.start().client().close()
    guest = machine(service, shared)
    service.stop()
    os.ftruncate(service.kept["state"], 100)
    service.start()
    assert guest.frontend.disconnected()
    guest.close()
    service.client().close()  # it begins anew
    another = machine(service, shared)
    another.balloon(Queue.INFLATE, [PFN])
    another.close()
    assert service.kept == {}
    assert b"begins anew: state document" in service.stop()


@pytest.mark.slow
def test_a_manager_that_is_gone_keeps_nothing_and_holds_nobody_up(
    service: Service, shared: SharedFile
) -> None:
    service.start().client().close()
    (service.directory / "notify").rename(service.directory / "away")
    assert b"the guest cannot be kept" in service.stop()
    assert not (service.directory / "vhost").exists()
    (service.directory / "away").rename(service.directory / "notify")


def test_without_a_service_there_is_no_store(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert main(["--socket", "a", "--control", "b", "--descriptor-store"]) == 2
    assert "for services of systemd" in capsys.readouterr().err
    assert store.kept({}) is None
    assert store.kept({"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "state"}) is None
    environment = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "state", "LISTEN_PID": str(os.getpid())}
    with pytest.raises(PeerError, match="2 descriptors for 1 names"):
        store.kept(environment)
    assert environment == {}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.slow
def test_the_unit_of_the_page_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs/vmm-developers.md").read_text()
    (unit,) = re.findall(r"^```ini\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert "FileDescriptorStoreMax=64" in unit
    path = tmp_path / "aerostat-device@.service"
    path.write_text(unit.replace("/usr/local/bin/aerostat", sys.executable))
    command = ["systemd-analyze", "verify", str(tmp_path / "aerostat-device@a.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "aerostat-device" in done.stderr) == (0, False), done.stderr
