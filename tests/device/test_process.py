"""A device process from its command line to its end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerostat.balloon.abi import DEFLATE_ON_OOM
from aerostat.device.__main__ import main
from aerostat.device.options import Options, parse
from aerostat.errors import LinkError, UsageError
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.frontend import MockFrontend, SharedFile
from aerostat.virtio.features import has

MIB = 1 << 20


class Process:
    """A device process that the test itself starts, in `directory`."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.socket, self.control = directory / "vhost", directory / "control"
        paths = ["--socket", str(self.socket), "--control", str(self.control)]
        command = [sys.executable, "-I", "-m", "aerostat.device", *paths, *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while not self.control.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise LinkError("the device does not come up")
            time.sleep(0.01)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(
    process: Process, shared: SharedFile, number: signal.Signals
) -> None:
    assert process.socket.stat().st_mode & 0o777 == 0o600
    assert process.control.stat().st_mode & 0o777 == 0o600
    with MockFrontend(str(process.socket), shared) as frontend:
        frontend.negotiate()
        process.process.send_signal(number)
        assert process.process.wait(10) == 0
        assert frontend.disconnected()
    assert not process.socket.exists()
    assert not process.control.exists()


def test_quit_is_answered_and_then_obeyed(process: Process) -> None:
    with ControlClient(process.control) as control:
        assert control.run("quit") == {}
    assert process.process.wait(10) == 0
    assert not process.control.exists()


def test_once_means_once(tmp_path: Path, shared: SharedFile) -> None:
    process = Process(tmp_path, "--once")
    try:
        with (
            MockFrontend(str(process.socket), shared) as frontend,
            ControlClient(process.control) as control,
        ):
            frontend.negotiate()
            # Nobody has said how large the guest is: as large as what it shares.
            assert control.run("query-balloon") == {"actual": 12 * MIB}
        assert process.process.wait(10) == 0
    finally:
        process.close()


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    first = Process(tmp_path)
    first.process.kill()
    first.close()
    assert first.socket.exists()
    for path in (first.socket, first.control):
        assert not connects(path)
    second = Process(tmp_path)
    try:
        while not connects(second.control):
            time.sleep(0.01)
    finally:
        second.close()


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_a_second_process_does_not_take_the_firsts_place(
    process: Process, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    while not connects(process.control):
        time.sleep(0.01)
    paths = ["--socket", str(tmp_path / "free"), "--control", str(process.control)]
    assert main(paths) == 2
    assert "somebody does already" in capfd.readouterr().err
    assert not (tmp_path / "free").exists()
    with ControlClient(process.control) as control:
        control.run("query-status")


# ---- the command line


def test_the_command_line_is_read() -> None:
    line = "--socket a --control b --size 1.5GiB --name web --once --no-deflate-on-oom"
    options = parse(line.split())
    assert isinstance(options, Options)
    assert options[:5] == ("a", "b", 3 << 29, "web", True)
    assert not has(options.features, DEFLATE_ON_OOM)


def test_without_options_it_has_qemus_habits_but_for_deflating() -> None:
    assert parse(["--socket", "a", "--control", "b"]) == Options("a", "b")
    assert has(Options("a", "b").features, DEFLATE_ON_OOM)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--socket a",
        "--control b",
        "--socket a --control b extra",
        "--socket a --control b --size 5",
        "--socket a --control b --size 0MiB",
        "--socket a --control b --unknown",
        "--socket",
    ],
)
def test_a_wrong_command_line_is_a_usage_error(line: str) -> None:
    with pytest.raises(UsageError):
        parse(line.split())


def test_a_machine_without_ordered_stores_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = os.uname_result(("Linux", "host", "6.1", "#1", "aarch64"))
    monkeypatch.setattr("os.uname", lambda: machine)
    paths = ["--socket", str(tmp_path / "vhost"), "--control", str(tmp_path / "control")]
    assert main(paths) == 1
    assert "need fences on aarch64, which are not written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_and_errors_go_where_they_belong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: ")
    assert main([]) == 2
    assert capsys.readouterr().err == "aerostat device: --socket PATH is required\n"
