"""Who comes to a process that has no room waits, and the process rests (`Door`)."""

import errno
import socket
from pathlib import Path

import pytest

from aerostat.device.loop import Loop
from aerostat.device.sockets import REST_SECONDS, Door, Listener


class Full(Listener):
    """A listener of a process that has no descriptor left, until it is said that it has."""

    full = True
    asked = 0

    def accept(self) -> socket.socket | None:
        self.asked += 1
        if self.full:
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


def test_who_cannot_be_let_in_is_asked_for_now_and_then(run_directory: Path) -> None:
    loop, listener = Loop(), Full(str(run_directory / "socket"))
    came: list[socket.socket] = []
    door = Door(loop, listener, came.append)
    door.open()
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(run_directory / "socket"))
        loop.call_later(2.5 * REST_SECONDS, loop.stop)
        loop.run()
        assert 1 <= listener.asked <= 4
        assert came == []
        listener.full = False
        while not came:
            loop.turn()
        came[0].send(b"hello")
        assert visitor.recv(10) == b"hello"
        came[0].close()
    door.shut()
    listener.close()
    loop.close()


def test_a_door_that_is_shut_while_it_rests_stays_shut(run_directory: Path) -> None:
    loop, listener = Loop(), Full(str(run_directory / "socket"))
    came: list[socket.socket] = []
    door = Door(loop, listener, came.append)
    door.open()
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.connect(str(run_directory / "socket"))
        loop.turn()
        door.shut()
        listener.full = False
        loop.call_later(2 * REST_SECONDS, loop.stop)
        loop.run()
        assert came == []
    listener.close()
    loop.close()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_no_room_is_something_else_than_nobody(
    run_directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    listener = Listener(str(run_directory / "socket"))
    assert listener.accept() is None

    class Refusing:
        def accept(self) -> None:
            raise OSError(number, "no room")

    own = listener._socket
    monkeypatch.setattr(listener, "_socket", Refusing())
    with pytest.raises(OSError, match="no room"):
        listener.accept()
    monkeypatch.setattr(listener, "_socket", own)
    listener.close()
