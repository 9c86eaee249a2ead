"""The report of a host with KVM: no KVM is said and not guessed, and the report is whole."""

import json
import os
import platform
from pathlib import Path

import pytest

from aerostat.errors import MissingError
from bench import kvm, run

FACTS = {
    "cpu": "A processor",
    "cpus": 4,
    "memory": 16 << 30,
    "virtual": False,
    "kernel": "6.18",
    "huge_pages": {"enabled": "madvise"},
    "qemu": "QEMU emulator version 11",
    "guest_kernel": "6.1",
    "python": "3.11",
    "aerostat": "0",
    "numpy": "2",
}
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
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has everything but KVM."""
    monkeypatch.setattr(kvm, "check_qemu", lambda: None)
    monkeypatch.setattr("aerostat.testing.guests.qemu.find_program", lambda: "qemu")
    monkeypatch.setattr(kvm, "machine", lambda _: FACTS)
    monkeypatch.setenv("AEROSTAT_ACCELERATOR", "none")


@pytest.fixture
def benches(tmp_path: Path) -> Path:
    directory = tmp_path / "toys"
    directory.mkdir()
    checked = "import os\nassert os.environ['AEROSTAT_ACCELERATOR'] == 'tcg'\n"
    (directory / "bench_toy.py").write_text(f"{checked}print({json.dumps([FIGURE])!r})")
    (directory / "bench_bad.py").write_text("raise SystemExit(3)")
    return directory


def test_no_kvm_at_all(tmp_path: Path, here: None, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = tmp_path / "kvm"
    with pytest.raises(MissingError, match="cannot be opened: No such file"):
        kvm.check_kvm(nothing)
    report = tmp_path / "report.json"
    assert kvm.main(["--output", str(report)], kvm=nothing) == 2
    assert "no usable KVM" in capsys.readouterr().err
    assert not report.exists()


def test_what_is_there_but_is_no_kvm(tmp_path: Path) -> None:
    fake = tmp_path / "kvm"
    fake.touch()
    with pytest.raises(MissingError, match="is no KVM: Inappropriate ioctl"):
        kvm.check_kvm(fake)


@pytest.mark.parametrize(
    ("fails", "problem"),
    [(kvm._CREATE_VM, "makes no virtual CPU"), (kvm._RUN, "runs no virtual CPU")],
)
def test_a_kvm_that_answers_and_runs_nothing(
    fails: int, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "kvm"
    fake.touch()

    def ioctl(_descriptor: int, request: int, _argument: int) -> int:
        if request == fails:
            raise OSError(28, "No space left on device")
        return 12 if request == kvm._GET_API_VERSION else os.open(fake, os.O_RDONLY)

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    with pytest.raises(MissingError, match=f"{problem}: No space left"):
        kvm.check_kvm(fake)


def test_the_report_has_the_machine_a_summary_and_all_figures(
    benches: Path, tmp_path: Path, here: None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "build" / "report.json"
    arguments = ["--accel", "tcg", "--output", str(path)]
    assert kvm.main(arguments, directory=benches, benches=["toy"]) == 0
    report = json.loads(path.read_text())
    assert report["figures"] == [FIGURE]
    assert report["accelerator"] == "tcg"
    assert report["machine"] == FACTS
    assert report["failures"] == {}
    assert capsys.readouterr().out.splitlines() == report["summary"]
    assert report["summary"][-1] == ("toy: 1 s; another toy: 2; ratio 0.5 (ratio <= 1: met)")


def test_a_bench_that_fails_is_told_and_the_rest_is_there(
    benches: Path, tmp_path: Path, here: None
) -> None:
    path = tmp_path / "report.json"
    arguments = ["--accel", "tcg", "--output", str(path)]
    assert kvm.main(arguments, directory=benches, benches=["bad", "toy"]) == 1
    report = json.loads(path.read_text())
    assert report["failures"] == {"bad": "it ended with 3"}
    assert report["figures"] == [FIGURE]


def test_what_the_comparison_found_is_in_the_report(
    benches: Path, tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"work lost": 1.5}
    scene = {"ranking": ["ours"], "simulated": [], "policies": {"ours": row}}
    compared = {"scenes": {"files": scene}, "pairs": {"told_apart": 0}, "failed": []}
    found = iter([compared, {}])
    monkeypatch.setattr(kvm, "compare", lambda _accelerator, *, quick: next(found))
    path = tmp_path / "report.json"
    arguments = ["--accel", "tcg", "--comparison", "--output", str(path)]

    assert kvm.main(arguments, directory=benches, benches=["toy"]) == 0
    report = json.loads(path.read_text())
    assert report["comparison"] == compared
    assert "files: work lost: ours 1.50 %" in report["summary"]

    assert kvm.main(arguments, directory=benches, benches=["toy"]) == 1
    assert json.loads(path.read_text())["failures"] == {"comparison": "it came to nothing"}


def test_the_benches_of_the_report_exist() -> None:
    assert run.find(run.BENCHES, kvm.BENCHES) == sorted(kvm.BENCHES)


def test_what_is_read_of_the_machine() -> None:
    assert kvm.cpu_model("processor\t: 0\nmodel name\t: A processor\n") == "A processor"
    assert kvm.cpu_model("") == platform.machine()
    assert kvm.chosen("always [madvise] never\n") == "madvise"
    assert kvm.chosen("never\n") == "never"
