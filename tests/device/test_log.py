"""Lines on standard error, at a bounded rate, and never waiting for who reads them."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from aerostat.device.log import Log


@contextmanager
def stderr_is(descriptor: int) -> Iterator[None]:
    saved = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    moment = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])

    def advance(seconds: float) -> None:
        moment[0] += seconds

    return advance


def test_a_storm_is_counted_and_told_in_one_line(
    capfd: pytest.CaptureFixture[str], now: Callable[[float], None]
) -> None:
    log = Log("device")
    for number in range(1000):
        log(f"line {number}")
    assert capfd.readouterr().err.splitlines() == [f"device: line {n}" for n in range(5)]
    now(1)
    log("later")
    assert capfd.readouterr().err == "device: 995 lines were left out\ndevice: later\n"


def test_who_has_gone_is_no_reason_to_die() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with stderr_is(writer):
        Log("device")("nobody hears")
    os.close(writer)


def test_who_does_not_read_is_not_waited_for(now: Callable[[float], None]) -> None:
    reader, writer = os.pipe()
    log = Log("device")
    with stderr_is(writer):
        for _ in range(200):
            log("x" * 1000)
            now(1)
    assert len(os.read(reader, 1 << 20)) < 1 << 17
    os.close(reader)
    os.close(writer)
