"""``aerostat run``: its options, and a real run on a real device process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from aerostat.cli import running
from aerostat.cli.run import overrides
from aerostat.daemon import config
from aerostat.daemon.config import Amount
from aerostat.daemon.snapshot import Snapshot
from aerostat.errors import UsageError
from aerostat.testing.processes.device import DeviceProcess
from aerostat.units import GIB, MIB

Call = Callable[..., tuple[int, str, str]]


def test_options_become_a_configuration() -> None:
    said = overrides(("/a/*.qmp", "/b"), manage=True, budget=3 * GIB, interval=0.5)
    made = config.parse(said, "options")
    both = config.parse(overrides(("/a",), ("qemu:///system",)), "options")
    assert [connector.kind for connector in both.connector] == ["libvirt", "qmp"]
    assert (made.manage, made.interval, made.host.budget) == (True, 0.5, 3 * GIB)
    assert made.connector[0].sockets == ("/a/*.qmp", "/b")
    assert not config.parse(overrides(()), "options").manage


def test_options_override_the_file(tmp_path: Path) -> None:
    path = tmp_path / "aerostat.toml"
    path.write_text('manage = true\ninterval = 3.0\n[host]\nreserve = "10%"\n')
    made = config.load(path, overrides((), budget=GIB))
    assert (made.manage, made.interval) == (True, 3.0)
    assert (made.host.budget, made.host.reserve) == (GIB, None)
    made = config.load(path, overrides((), reserve="20%", socket=Path("/s")))
    assert made.host.reserve == Amount(fraction=0.2)
    assert made.socket_path == Path("/s")


def test_a_budget_and_a_reserve_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="give one of them"):
        overrides((), budget=GIB, reserve="1GiB")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no guests are named"),
        (("--qmp", "/x", "--budget", "5"), "write it with a unit"),
        (("--qmp", "/x", "--reserve", "nonsense"), "host.reserve"),
        (("--qmp", "/x", "--for", "0"), "--for takes seconds"),
        (("--qmp", "/x", "--interval", "0"), "interval"),
        (("--qmp", "/x", "--view"), "--view needs a terminal"),
        (("--qmp", "/x", "--view", "--json"), "exclude each other"),
    ],
)
def test_wrong_options_are_told_in_one_line(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.setattr("aerostat.daemon.paths.config_file", lambda: tmp_path / "none.toml")
    code, out, err = call("run", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "aerostat.toml: cannot be read"),
        ("manage = true\nintervall = 1", "aerostat.toml:2: intervall: no such key"),
        ("manage = true", "aerostat.toml: no guests are named"),
    ],
)
@pytest.mark.parametrize("command", [("run", "--config"), ("config", "check")])
def test_a_bad_configuration_has_a_code_of_its_own(
    call: Call, tmp_path: Path, text: str | None, words: str, command: tuple[str, ...]
) -> None:
    path = tmp_path / "aerostat.toml"
    if text is not None:
        path.write_text(text)
    code, out, err = call(*command, path)
    assert (code, out) == (78, "")
    assert words in err
    assert err.count("\n") == 1


@pytest_asyncio.fixture
async def device(tmp_path: Path) -> AsyncIterator[DeviceProcess]:
    process = DeviceProcess("web", size=256 * MIB, directory=tmp_path)
    await process.start()
    yield process
    await process.stop()


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(device: DeviceProcess, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts ``aerostat run`` on the device."""
    config_file = tmp_path / "aerostat.toml"
    config_file.write_text(
        f'interval = 0.2\nstate_directory = "{tmp_path}"\n[journal]\nenabled = false\n'
    )
    started = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "aerostat", "run", "--config", str(config_file)),
                *("--socket", str(tmp_path / "api.sock"), "--qmp", str(device.control)),
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TERM": "dumb"},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_json_lines(start: Start) -> None:
    process = start("--json", "--budget", "1GiB")
    assert process.stdout is not None
    first, second = (Snapshot.from_json(json.loads(process.stdout.readline())) for _ in range(2))
    assert (first.tick, second.tick) == (1, 2)
    assert second.mode == "observe"
    assert second.hosts[0].budget == GIB
    assert second.guests[0].name == "web"
    assert second.guests[0].max_size == 256 * MIB


def complaints(said: str) -> list[str]:
    """Return what was said, but that an answer is late, as it may be on a busy machine."""
    return [line for line in said.splitlines() if "no answer within" not in line]


def test_it_ends_by_itself(start: Start) -> None:
    process = start("--json", "--for", "0.5")
    _, err = process.communicate(timeout=60)
    assert (process.returncode, complaints(err)) == (0, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_gracefully(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    process = start("--budget", "1GiB")
    assert process.stdout is not None
    assert "observing: nothing is changed; add --manage" in process.stdout.readline()
    assert "observing; 1 guest; budget 1.0 GiB" in process.stdout.readline()
    assert (tmp_path / "api.sock").exists()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, complaints(err)) == (0, [])
    assert not (tmp_path / "api.sock").exists()


def test_a_second_interrupt_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(*_: object, **__: object) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: pytest.fail("never reached"))
        try:
            loop.call_soon(signal.raise_signal, signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            loop.call_soon(signal.raise_signal, signal.SIGINT)
            await asyncio.Event().wait()  # a graceful end that hangs

    monkeypatch.setattr(running, "serve", serve)
    with pytest.raises(KeyboardInterrupt):
        running.run_manager(config.Config(), running.Showing.JSON, None, config.Config)


@pytest.mark.slow
def test_a_reader_that_leaves_ends_it(start: Start) -> None:
    process = start("--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr is not None
    assert complaints(process.stderr.read()) == []


@pytest.mark.slow
def test_a_second_manager_is_refused(start: Start) -> None:
    first = start()
    assert first.stdout is not None
    first.stdout.readline()
    first.stdout.readline()
    second = start()
    _, err = second.communicate(timeout=60)
    assert second.returncode == 69
    assert err.startswith("error: ")
    assert err.count("\n") == 1
