"""Single keys, on a pseudo-terminal."""

import io
import os
import pty
import sys
import termios
from collections.abc import Iterator

import pytest

from aerostat.tui.keys import Keys


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the other end of a terminal that is standard input."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "rb", buffering=0) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield ours
    os.close(ours)


def test_keys_come_one_by_one_without_a_line_end(keyboard: int) -> None:
    with Keys() as keys:
        os.write(keyboard, b"s")
        assert keys.wait(30) == "s"
        assert keys.wait(0) == ""
        os.write(keyboard, b"\x1b[A")
        assert keys.wait(30) == "\x1b", "an arrow is none of our keys"


def test_the_terminal_is_left_as_it_was(keyboard: int) -> None:
    before = termios.tcgetattr(sys.stdin)
    with Keys():
        assert not termios.tcgetattr(sys.stdin)[3] & termios.ICANON
    assert termios.tcgetattr(sys.stdin) == before


def test_without_a_terminal_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("q"))
    monkeypatch.setattr(sys.stdin, "fileno", lambda: 0, raising=False)
    with Keys() as keys:
        assert keys.wait(0) == ""
