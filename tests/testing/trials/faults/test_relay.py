"""What stands between two that talk."""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerostat.testing.trials.faults.relay import Relay


class Ends:
    """Both ends of a conversation through a relay."""

    def __init__(self, relay: Relay, server: socket.socket) -> None:
        self.relay = relay
        self._server = server
        self._open = contextlib.ExitStack()

    def connect(self) -> tuple[socket.socket, socket.socket]:
        ours = self._open.enter_context(socket.socket(socket.AF_UNIX))
        ours.connect(str(self.relay.path))
        theirs = self._open.enter_context(self._server.accept()[0])
        for end in (ours, theirs):
            end.settimeout(10)
        return ours, theirs

    def close(self) -> None:
        self._open.close()


@contextlib.contextmanager
def ends_in(run_directory: Path, *, framed: bool) -> Iterator[Ends]:
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(10)
        server.bind(str(run_directory / "server"))
        server.listen()
        relay = Relay(run_directory / "relay", run_directory / "server", framed=framed)
        relay.open()
        ends = Ends(relay, server)
        yield ends
        ends.close()
        relay.close()


@pytest.fixture(params=[False, True], ids=["bytes", "vhost-user"])
def ends(run_directory: Path, request: pytest.FixtureRequest) -> Iterator[Ends]:
    with ends_in(run_directory, framed=request.param) as ends:
        yield ends


@pytest.fixture
def framed(run_directory: Path) -> Iterator[Ends]:
    with ends_in(run_directory, framed=True) as ends:
        yield ends


def message(payload: bytes, request: int = 5) -> bytes:
    """Return a message of vhost-user."""
    return struct.pack("<III", request, 1, len(payload)) + payload


def read(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := end.recv(size - len(data))):
        data += more
    return data


def test_what_is_said_arrives_both_ways(ends: Ends) -> None:
    ours, theirs = ends.connect()
    said = message(b"a" * 5000) + message(b"") + message(b"b")
    ours.sendall(said)
    assert read(theirs, len(said)) == said
    theirs.sendall(message(b"yes"))
    assert read(ours, 15) == message(b"yes")
    assert ends.relay.conversations == 1


def test_descriptors_arrive_with_their_own_message(run_directory: Path, framed: Ends) -> None:
    ours, theirs = framed.connect()
    with (run_directory / "file").open("wb") as file:
        socket.send_fds(ours, [message(b"first")], [])
        socket.send_fds(ours, [message(b"second")], [file.fileno()])
        first, none, _, _ = socket.recv_fds(theirs, 17, 4)
        second, found, _, _ = socket.recv_fds(theirs, 18, 4)
    assert (first, second) == (message(b"first"), message(b"second"))
    assert not none
    assert len(found) == 1
    assert os.fstat(found[0]).st_ino == (run_directory / "file").stat().st_ino
    os.close(found[0])


def test_who_is_cut_off_can_come_again(ends: Ends) -> None:
    ours, theirs = ends.connect()
    ends.relay.cut()
    assert ours.recv(1) == theirs.recv(1) == b""
    ours, theirs = ends.connect()
    ours.sendall(message(b"again"))
    assert read(theirs, 17) == message(b"again")


def test_one_that_hangs_up_is_told_on(ends: Ends) -> None:
    ours, theirs = ends.connect()
    theirs.close()
    assert ours.recv(1) == b""


def test_a_torn_message_ends_the_conversation(ends: Ends) -> None:
    ours, theirs = ends.connect()
    ends.relay.tear()
    ours.sendall(message(b"x" * 20))
    assert read(theirs, 32) == message(b"x" * 20)[:16]
    assert ours.recv(1) == b""


def test_what_is_held_up_arrives_later(ends: Ends) -> None:
    ours, theirs = ends.connect()
    ends.relay.hold()
    ours.sendall(message(b"late"))
    theirs.settimeout(0.05)
    with pytest.raises(TimeoutError):
        theirs.recv(1)
    theirs.settimeout(10)
    ends.relay.go_on()
    assert read(theirs, 16) == message(b"late")


def test_nobody_behind_it_is_as_nobody_there(run_directory: Path) -> None:
    relay = Relay(run_directory / "relay", run_directory / "server", framed=False)
    relay.open()
    with socket.socket(socket.AF_UNIX) as ours:
        ours.settimeout(10)
        ours.connect(str(relay.path))
        assert ours.recv(1) == b""
    relay.close()
    assert not relay.path.exists()


def test_nothing_of_it_is_left(ends: Ends) -> None:
    ends.connect()
    ends.relay.close()
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("relay")]
    for thread in ours:
        thread.join(10)
    assert not any(thread.is_alive() for thread in ours)
    assert not ends.relay.path.exists()
