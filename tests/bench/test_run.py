"""Running benches: found, kept apart, and believed only if they say what they should."""

import json
import os
import time
from pathlib import Path

import pytest

from aerostat.testing.guests.qemu import find_generic_program
from aerostat.testing.pytest_plugin import optional_part
from bench import run

FIGURE = {
    "name": "toy",
    "unit": "s",
    "ours": 1.0,
    "rival": 2.0,
    "rival_name": "another toy",
    "ratio": 0.5,
    "goal": "ratio <= 1",
    "met": True,
}


@pytest.fixture
def benches(tmp_path: Path) -> Path:
    directory = tmp_path / "toys"
    directory.mkdir()
    return directory


def add(directory: Path, name: str, program: str) -> None:
    (directory / f"bench_{name}.py").write_text(program)


def printing(value: object) -> str:
    return f"print({json.dumps(value)!r})"


def test_results_are_written_and_a_missed_goal_is_no_failure(
    benches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = FIGURE | {"name": "slow toy", "ratio": 3.0, "met": False}
    add(benches, "one", printing([FIGURE]))
    add(benches, "two", printing([missed]))
    results = tmp_path / "build" / "bench.json"
    assert run.main([], benches, results) == 0
    assert json.loads(results.read_text()) == [FIGURE, missed]
    shown = capsys.readouterr().out
    assert "slow toy" in shown
    assert "missed" in shown


def test_a_bench_that_fails_does_not_stop_the_rest(benches: Path, tmp_path: Path) -> None:
    add(benches, "bad", "raise SystemExit(3)")
    add(benches, "good", printing([FIGURE]))
    results = tmp_path / "bench.json"
    assert run.main([], benches, results) == 1
    assert json.loads(results.read_text()) == [FIGURE]


def test_a_bench_for_which_something_is_missing_is_skipped_and_says_what(
    benches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(benches, "cart", printing({"skipped": "no wheel here; get it with: make wheel"}))
    add(benches, "good", printing([FIGURE]))
    results = tmp_path / "bench.json"
    assert run.main([], benches, results) == 0
    assert json.loads(results.read_text()) == [FIGURE]
    assert "cart skipped: no wheel here; get it with: make wheel" in capsys.readouterr().out


def test_only_what_was_asked_for_is_run(benches: Path, tmp_path: Path) -> None:
    add(benches, "bad", "raise SystemExit(3)")
    add(benches, "good", printing([FIGURE]))
    assert run.main(["good"], benches, tmp_path / "bench.json") == 0
    with pytest.raises(SystemExit, match="no bench named ugly"):
        run.main(["ugly"], benches, tmp_path / "bench.json")


def test_quick_is_passed_on(benches: Path) -> None:
    add(benches, "quick", f"import sys; assert '--quick' in sys.argv; {printing([FIGURE])}")
    assert run.run("quick", quick=True, directory=benches) == [FIGURE]
    with pytest.raises(run.BenchFailedError, match="ended with 1"):
        run.run("quick", quick=False, directory=benches)


@pytest.mark.parametrize(
    "said",
    [b"", b"three", b"[]", b"{}", b"[3]", json.dumps([{"name": "toy"}]).encode()],
)
def test_what_is_no_list_of_figures_is_a_failure(said: bytes) -> None:
    with pytest.raises(run.BenchFailedError):
        run.read(said)


def test_a_bench_that_hangs_is_ended_with_all_that_it_started(
    benches: Path, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    add(
        benches,
        "hung",
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\n"
        "time.sleep(100)\n",
    )
    patience = 0.5
    while not (note.exists() and note.read_text()):
        assert patience < 60
        with pytest.raises(run.BenchFailedError, match="not done"):
            run.run("hung", quick=False, directory=benches, patience=patience)
        patience *= 2  # it had not come so far
    deadline = time.monotonic() + 30
    while alive(int(note.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and awaits its parent does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


# Takes minutes also when it is quick, and a line through so few guests is the machine's noise.
BY_HAND = {"mom"}
MARKS = {
    "fleet": [pytest.mark.slow],
    "qemu": [pytest.mark.qemu, pytest.mark.timeout(600)],
    "ways": [pytest.mark.qemu, pytest.mark.libvirt, pytest.mark.timeout(300)],
    "thousand": [pytest.mark.timeout(300)],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=MARKS.get(name, []))
        for name in run.find(run.BENCHES, [])
        if name not in BY_HAND
    ],
)
def test_each_of_our_benches_runs(name: str) -> None:
    if name == "qemu":
        with optional_part():
            find_generic_program()
    for figure in run.run(name, quick=True, directory=run.BENCHES):
        assert figure["ours"] >= 0
        assert figure["rival"] > 0
