"""User-mode Linux guests, as the laboratory starts, commands and ends them."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import aerostat
from aerostat.errors import LinkError, PeerError
from aerostat.model import workload
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.inside import init
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.polling import until
from aerostat.testing.processes import places, sessions
from aerostat.testing.processes.sessions import Session
from aerostat.units import MIB

pytestmark = pytest.mark.uml


@pytest.fixture
async def guest(run_directory: Path) -> AsyncIterator[UmlGuest]:
    guest = UmlGuest("guest", size=192 * MIB, directory=run_directory)
    await guest.start()
    yield guest
    await guest.kill()


async def test_a_guest_boots_obeys_and_leaves_nothing(run_directory: Path) -> None:
    guest = UmlGuest("guest", size=192 * MIB, directory=run_directory)
    await guest.start()
    assert guest.pid is not None
    session = Session.of(guest.pid)
    assert os.getsid(guest.pid) == guest.pid, "Ctrl-C in the terminal would reach it"
    counters = await guest.counters()
    assert 140 * MIB < counters["meminfo"]["MemTotal"] < 192 * MIB
    assert counters["vmstat"]["oom_kill"] == 0
    await guest.stop()
    assert await guest.exited() == 0, "it was killed, not powered off"
    assert session.members() == []
    assert listing(run_directory) == ["guest.log", "owner"]
    with pytest.raises(LinkError):
        await guest.command("ping")


async def test_a_clone_may_be_below_a_path_with_spaces(
    run_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(aerostat.__file__).parent
    clone = tmp_path / "a clone" / "with spaces"
    shutil.copytree(package, clone / "aerostat", ignore=shutil.ignore_patterns("__pycache__"))
    path = clone / Path(init.__file__).relative_to(package.parent)
    monkeypatch.setattr(init, "__file__", str(path))
    guest = UmlGuest("guest", size=192 * MIB, directory=run_directory)
    await guest.start()
    assert await guest.command("hold", worker="a", size=MIB)
    await guest.stop()


def listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_the_hosts_files_cannot_be_written(guest: UmlGuest, run_directory: Path) -> None:
    path = f"../..{run_directory}/file"
    with pytest.raises(PeerError, match="Read-only file system"):
        await guest.command("write_file", worker="a", name=path, size=1, seed=1)
    assert not (run_directory / "file").exists()


async def test_a_failing_command_is_told_and_survived(guest: UmlGuest) -> None:
    for worker in (None, "a"):
        with pytest.raises(PeerError, match="nonsense"):
            await guest.command("nonsense", worker=worker)
    with pytest.raises(PeerError, match="load_module"):
        await guest.command("load_module", path="/etc/hostname")
    assert (await guest.command("ping"))["release"] == guest.release


async def test_for_want_of_memory_a_worker_dies_and_nobody_else(guest: UmlGuest) -> None:
    await guest.command("hold", worker="small", size=16 * MIB)
    with pytest.raises(PeerError, match="SIGKILL"):
        # Its kernel may read programs back for long, on a busy machine, before it gives up.
        await guest.command("hold", worker="large", size=512 * MIB, within=90.0)
    assert (await guest.counters())["vmstat"]["oom_kill"] == 1
    checked = await guest.command("check", worker="small")
    assert (checked["held"], checked["damaged"]) == (16 * MIB, 0)
    with pytest.raises(PeerError, match="SIGKILL"):  # and not: nothing held, nothing damaged
        await guest.command("check", worker="large")
    await guest.command("end_worker", name="large")
    assert (await guest.command("check", worker="large"))["held"] == 0


async def test_a_worker_that_is_asked_while_it_dies_takes_nobody_with_it(guest: UmlGuest) -> None:
    for _ in range(3):
        dying = asyncio.ensure_future(guest.command("hold", worker="a", size=512 * MIB))
        asked = [dying]
        while not dying.done():
            asked.append(asyncio.ensure_future(guest.command("check", worker="a")))
            await asyncio.wait([dying], timeout=0.02)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(answer) for answer in answers} == {PeerError}
        await guest.command("end_worker", name="a")
    assert (await guest.command("ping"))["release"] == guest.release


async def test_a_busy_worker_keeps_nobody_waiting(guest: UmlGuest) -> None:
    busy = asyncio.ensure_future(guest.command("hold", worker="busy", size=100 * MIB))
    for _ in range(3):
        await guest.command("ping")
    assert not busy.done(), "100 MiB take longer than three round trips"
    assert (await busy)["held"] == 100 * MIB


async def test_files_in_memory_are_known_again(guest: UmlGuest) -> None:
    written = await guest.command("write_file", worker="a", name="f", size=9 * MIB + 7, seed=4)
    read = await guest.command("checksum", worker="b", name="f")
    assert read["checksum"] == written["checksum"]
    other = await guest.command("write_file", worker="a", name="f", size=9 * MIB + 7, seed=5)
    assert other["checksum"] != written["checksum"]


async def test_reading_a_file_of_the_host_fills_the_page_cache(
    guest: UmlGuest, run_directory: Path
) -> None:
    file = run_directory / "file"
    with file.open("wb") as sparse:
        sparse.truncate(64 * MIB)
    before = (await guest.counters())["meminfo"]["Cached"]
    await guest.command("read_host_file", worker="a", path=str(file), size=32 * MIB)
    after = (await guest.counters())["meminfo"]["Cached"]
    assert 30 * MIB < after - before < 40 * MIB


async def test_a_workload_is_played_and_reported(guest: UmlGuest) -> None:
    await guest.play(workload.steps(8 * MIB, 40 * MIB, every=1.0), since=0.5)
    low = await report(guest, held=8 * MIB)
    high = await report(guest, held=40 * MIB)
    again = await report(guest, held=8 * MIB)
    assert low["seconds_played"] < 1.5
    assert 1.0 < high["seconds_played"] < again["seconds_played"]
    assert again["grown"] >= 40 * MIB
    assert again["checked"] > low["checked"]
    assert again["damaged"] == 0


async def report(guest: UmlGuest, *, held: int) -> dict[str, float]:
    """Return the first report that says this much is held."""
    latest: dict[str, float] = {}

    async def holds() -> bool:
        latest.update(await guest.report())
        return latest["held"] == held

    await until(holds)
    return latest


async def test_the_death_of_a_guest_is_seen(guest: UmlGuest) -> None:
    assert guest.pid is not None
    session = Session.of(guest.pid)
    waiting = asyncio.ensure_future(guest.command("hold", worker="a", size=150 * MIB))
    await guest.command("ping")
    os.kill(guest.pid, signal.SIGKILL)  # the main process alone
    assert await guest.exited() == -signal.SIGKILL
    assert not guest.alive
    await guest.stop()
    with pytest.raises(LinkError, match="gone"):
        await waiting
    assert session.members() == [], "its helpers live on"


async def test_without_its_device_a_guest_is_not_started(run_directory: Path) -> None:
    nothing = run_directory / "nothing.vhost"
    guest = UmlGuest("guest", size=192 * MIB, directory=run_directory, device_socket=nothing)
    with pytest.raises(LinkError, match="did not come up"):
        await guest.start()
    assert not guest.alive


async def test_a_guest_on_a_device_gives_and_takes(laboratory: Laboratory) -> None:
    guest = await laboratory.start_guest("one", 192 * MIB)
    (device,) = laboratory.devices
    with ControlClient(device.control) as control:
        for size in (128 * MIB, 192 * MIB):
            set_balloon(control, size)
            # Not by its free memory: pages on the kernel's lists per processor do not count.
            vmstat = (await guest.counters())["vmstat"]
            given = vmstat["balloon_inflate"] - vmstat["balloon_deflate"]
            assert given * 4096 == 192 * MIB - size
    await laboratory.close()
    assert await guest.exited() == 0
    assert await device.exited() == 0


def set_balloon(control: ControlClient, size: int) -> None:
    control.run("balloon", value=size)
    control.wait_until(lambda: control.run("query-balloon")["actual"] == size)


_SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from aerostat.testing.laboratory import Laboratory

async def main():
    async with Laboratory(memory=1 << 28, parent=Path(sys.argv[1])) as laboratory:
        guest = await laboratory.start_guest("orphan", 128 << 20)
        print(laboratory.directory, flush=True)
        await guest.exited()

asyncio.run(main())
"""


@pytest.fixture
def killed_laboratory(run_directory: Path) -> Path:
    """The run directory of a laboratory that was killed while its guest was stopped."""
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(run_directory)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        directory = Path(process.stdout.readline().strip())
        for session in recorded(directory):
            os.kill(session.leader, signal.SIGSTOP)  # or it would see its console close, and end
        process.kill()
    return directory


def recorded(directory: Path) -> list[Session]:
    return [Session(*json.loads(path.read_text())) for path in directory.glob("*.session")]


async def test_what_a_killed_laboratory_left_is_ended_by_the_next(
    killed_laboratory: Path, run_directory: Path
) -> None:
    left = recorded(killed_laboratory)
    assert [bool(session.members()) for session in left] == [True, True]
    async with Laboratory(memory=MIB, parent=run_directory):
        assert [session.members() for session in left] == [[], []]
        assert killed_laboratory not in places.run_directories(run_directory)


async def test_a_guest_powers_off_when_its_laboratory_is_gone(killed_laboratory: Path) -> None:
    guest, device = sorted(
        recorded(killed_laboratory), key=lambda session: "linux" not in session.program
    )
    for session in (guest, device):
        with contextlib.suppress(ProcessLookupError):
            os.kill(session.leader, signal.SIGCONT)
    await until(lambda: not guest.members())
    assert device.leader_runs(), "the guest was to end by itself"
    assert sessions.sweep(killed_laboratory) == 1
