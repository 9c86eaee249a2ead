"""Sockets that only their owner may use, and that take nothing over that is in use."""

import os
import socket
import stat
from pathlib import Path

import pytest

from aerostat.device.sockets import Listener
from aerostat.errors import UsageError


def test_it_is_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        listener = Listener(str(tmp_path / "s"))
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    listener.close()
    assert not (tmp_path / "s").exists()


def test_connections_are_taken_one_by_one(tmp_path: Path) -> None:
    listener = Listener(str(tmp_path / "s"))
    assert listener.accept() is None
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "s"))
        accepted = listener.accept()
        assert accepted is not None
        accepted.close()
    listener.close()


def test_what_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "s"))
    Listener(str(tmp_path / "s")).close()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("waiting", [0, 40])
def test_what_somebody_listens_on_is_left_alone(tmp_path: Path, waiting: int) -> None:
    listener = Listener(str(tmp_path / "s"))
    clients = [socket.socket(socket.AF_UNIX) for _ in range(waiting)]
    for client in clients:
        client.setblocking(False)
        client.connect_ex(str(tmp_path / "s"))
    with pytest.raises(UsageError, match="somebody does already"):
        Listener(str(tmp_path / "s"))
    for client in clients:
        client.close()
    listener.close()


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(UsageError, match="not a socket"):
        Listener(str(tmp_path / "s"))
    assert (tmp_path / "s").read_text() == "precious"


@pytest.mark.parametrize("name", ["missing/s", "s" * 200])
def test_a_path_that_cannot_be_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot listen"):
        Listener(str(tmp_path / name))


def test_a_path_that_somebody_took_over_is_theirs_to_remove(tmp_path: Path) -> None:
    first = Listener(str(tmp_path / "s"))
    (tmp_path / "s").rename(tmp_path / "moved")
    second = Listener(str(tmp_path / "s"))
    first.close()
    assert (tmp_path / "s").exists()
    second.close()
