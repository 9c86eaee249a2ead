import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerostat.testing.polling import until
from aerostat.testing.processes import sessions
from aerostat.testing.processes.sessions import Session

# A leader and a helper that outlives it; each says that it is there.
_FAMILY = """
import os, time
if os.fork() == 0:
    os.write(1, b"h")
    time.sleep(60)
os.write(1, b"l")
time.sleep(60)
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _FAMILY], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert {process.stdout.read(1), process.stdout.read(1)} == {b"h", b"l"}
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_session_is_its_leader_and_what_it_forked(family: subprocess.Popen[bytes]) -> None:
    session = Session.of(family.pid)
    assert family.pid in session.members()
    assert len(session.members()) == 2
    assert session.leader_runs()
    assert os.getpid() not in session.members()


async def test_ending_a_session_ends_helpers_without_their_leader(
    family: subprocess.Popen[bytes],
) -> None:
    session = Session.of(family.pid)
    family.kill()
    await asyncio.to_thread(family.wait)
    assert len(session.members()) == 1
    assert not session.leader_runs()
    await session.end()
    assert session.members() == []


@pytest.mark.parametrize("change", [{"boot": "another"}, {"started": 1}, {"started": 2**60}])
def test_a_later_process_of_the_same_number_is_let_alone(
    family: subprocess.Popen[bytes], change: dict[str, object]
) -> None:
    other = Session.of(family.pid)._replace(**change)  # type: ignore[arg-type]
    assert other.members() == []
    assert other.kill() == 0
    assert family.poll() is None


def test_without_its_leader_a_session_of_another_program_is_let_alone(
    family: subprocess.Popen[bytes],
) -> None:
    session = Session.of(family.pid)
    family.kill()
    family.wait()
    assert session._replace(program="/usr/bin/other").members() == []
    assert len(session.members()) == 1


async def test_a_script_that_became_another_program_is_ended() -> None:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", "read line; exec sleep 60"),
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    session = Session.of(process.pid)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    await until(lambda: Session.of(process.pid).program != session.program)
    await session.end()
    assert await process.wait() == -signal.SIGKILL


def test_a_sweep_ends_what_a_dead_owner_left(
    family: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (run / "owner").write_text(json.dumps(Session.of(owner.pid)))
        Session.of(family.pid).record(run, "guest")
        assert sessions.sweep(run) == 0, "its owner runs"
        assert family.poll() is None
    finally:
        owner.kill()
        owner.wait()
    assert sessions.sweep(run) == 2
    assert family.wait() == -signal.SIGKILL
    assert not run.exists()


def test_a_directory_without_a_sound_owner_is_let_alone(tmp_path: Path) -> None:
    for text in ("", "nonsense", "[]", "7", "[null, 1, 2, 3]", '["x", 1, 2, 3]'):
        (tmp_path / "owner").write_text(text)
        assert sessions.sweep(tmp_path) == 0
        assert tmp_path.exists()


def test_broken_records_harm_nobody(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    sessions.own(run)
    (run / "a.session").write_text("[1, 2")
    (run / "b.session").write_text(json.dumps(Session.of(os.getpid())._replace(started=2**60)))
    assert sessions.sweep(run) == 0
    assert not run.exists()


def test_a_forgotten_session_is_not_swept(family: subprocess.Popen[bytes], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    sessions.own(run)
    Session.of(family.pid).record(run, "guest")
    Session.forget(run, "guest")
    assert sessions.sweep(run) == 0
    assert family.poll() is None


# Becomes a daemon as libvirt's do: a process of a session whose leader has gone.
_DAEMON = """
import os, sys, time
os.setsid()
if pid := os.fork():
    open(sys.argv[1], "w").write(f"{pid}\\n")
    os._exit(0)
time.sleep(60)
"""


@pytest.mark.parametrize("ours", [True, False])
def test_a_daemon_is_found_by_its_pid_file_if_it_runs_on_our_files(
    tmp_path: Path, *, ours: bool
) -> None:
    """A number in a file may be another's by now."""
    place, other = tmp_path / "ours", tmp_path / "other"
    for directory in (place, other):
        (directory / "run").mkdir(parents=True)
    written = (place if ours else other) / "run/a.pid"
    subprocess.run([sys.executable, "-c", _DAEMON, written], check=True)
    pid = int(written.read_text())
    (place / "run/a.pid").write_text(f"{pid}\n")
    (place / "run/old.pid").write_text("4194305")
    (place / "run/broken.pid").write_text("none")
    try:
        found = [session.members() for session in sessions.daemons(place)]
        assert found == ([[pid]] if ours else [])
        sessions.own(place)
        assert sessions.sweep(place) == int(ours)
        assert _runs(pid) is not ours
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_text() != ""
