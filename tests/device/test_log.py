"""Lines on standard error, at a bounded rate."""

import sys
import time

import pytest

from aerostat.device.log import Log


def test_a_storm_is_counted_and_told_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    write = Log("device")
    for number in range(1000):
        write(f"line {number}")
    assert capsys.readouterr().err.splitlines() == [f"device: line {n}" for n in range(5)]
    now[0] += 1
    write("later")
    assert capsys.readouterr().err == "device: 995 lines were left out\ndevice: later\n"


def test_who_cannot_be_written_to_is_no_reason_to_die(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _text: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    Log("device")("nobody hears")
