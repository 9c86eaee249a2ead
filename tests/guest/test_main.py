"""The command line of the guest's driver, without a device; how lines are limited."""

import os
from pathlib import Path

import pytest

from aerostat.errors import LinkError, MissingError, PeerError, UsageError
from aerostat.guest import __main__ as command
from aerostat.guest import check
from aerostat.guest.__main__ import Arguments, exit_code, main, parse
from aerostat.guest.dma import HugePages
from aerostat.guest.log import Log
from aerostat.guest.pci import Function, choose_balloon
from aerostat.guest.permissions import NoDeviceError, NotPermittedError, require_root
from aerostat.guest.room import Room, reserve
from aerostat.testing.mocks.sysfs import STRUCTURES, make_function
from aerostat.units import GIB, MIB


def test_what_the_command_line_means() -> None:
    assert parse([]) == Arguments(device=None, legacy=False, dry_run=False)
    assert parse(["--device", "00:04.0", "--legacy", "--dry-run"]) == Arguments(
        device="00:04.0", legacy=True, dry_run=True
    )
    assert parse(["-h"]) is parse(["--help"]) is None
    for wrong in (["--devise=x"], ["now"], ["--device"]):
        with pytest.raises(UsageError, match="--help"):
            parse(wrong)


def test_help_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("--device", "--legacy", "--dry-run", "Exit status"):
        assert option in shown


def test_errors_have_the_exit_codes_of_the_whole_command_line() -> None:
    codes = {
        UsageError("x"): 2,
        NoDeviceError("x"): 3,
        NotPermittedError("x"): 4,
        MissingError("x"): 1,
        PeerError("x"): 1,
        LinkError("x"): 1,
    }
    assert {error: exit_code(error) for error in codes} == codes


def test_an_error_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def supervise(*_: object, **__: object) -> None:
        raise NotPermittedError("driving a PCI device takes root: run this with sudo")

    monkeypatch.setattr(command, "supervise", supervise)

    assert main([]) == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_only_root_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NotPermittedError, match="sudo"):
        require_root()


def test_a_machine_without_ordered_stores_is_refused_before_anything_is_touched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = os.uname_result(("Linux", "guest", "6.1", "#1", "aarch64"))
    monkeypatch.setattr("os.uname", lambda: machine)
    for arguments in ([], ["--dry-run"]):
        assert main(arguments) == 1
        assert "need fences on aarch64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("device", "said"), [(0x1045, "interface   modern"), (0x1002, "interface   legacy")]
)
def test_a_dry_run_says_what_would_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: int, said: str
) -> None:
    structures = STRUCTURES if device == 0x1045 else ()
    path = make_function(tmp_path, device=device, structures=structures)
    monkeypatch.setattr(check, "choose_balloon", lambda address: choose_balloon(address, tmp_path))
    monkeypatch.setattr(check, "require_root", lambda: None)
    monkeypatch.setattr(check, "require_no_lockdown", lambda: None)
    monkeypatch.setattr(HugePages, "free", 3)
    lines = list(check.check(None, legacy=False))

    assert lines[0] == "device      0000:00:04.0, now with virtio-pci"
    assert said in lines
    assert lines[-1] == "nothing was changed"
    assert (path / "driver_override").read_text() == ""
    assert Function("0000:00:04.0", tmp_path).driver == "virtio-pci"


def test_huge_pages_are_added_and_taken_back(tmp_path: Path) -> None:
    for name, count in (("nr_hugepages", 4), ("free_hugepages", 2), ("resv_hugepages", 1)):
        (tmp_path / name).write_text(f"{count}\n")
    pool = HugePages(tmp_path)
    assert pool.free == 1

    pool.add()
    assert (tmp_path / "nr_hugepages").read_text() == "5"
    pool.take_back()
    assert (tmp_path / "nr_hugepages").read_text() == "4"
    pool.take_back()
    assert (tmp_path / "nr_hugepages").read_text() == "4"


def test_a_kernel_that_finds_no_huge_page_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingError, match="no huge pages"):
        HugePages(tmp_path / "nowhere").add()
    (tmp_path / "nr_hugepages").write_text("0\n")
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: 0)
    with pytest.raises(MissingError, match=r"vm\.nr_hugepages=1"):
        HugePages(tmp_path).add()


def test_a_storm_of_lines_is_counted_and_not_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    log = Log("me")
    for _ in range(1000):
        log("the device did it")
    assert len(capsys.readouterr().err.splitlines()) == 10

    now = 101.0
    log("more")
    assert capsys.readouterr().err == "me: (990 lines were left out) more\n"


def test_the_guest_is_left_a_reserve() -> None:
    memory = {"MemTotal": 4 * GIB, "MemAvailable": GIB}
    room = Room(lambda: memory, pressure="/nowhere")

    assert reserve(4 * GIB) == 128 * MIB
    assert room.spare() == GIB - 128 * MIB
    assert room.shortage() == 0
    memory["MemAvailable"] = 64 * MIB
    assert (room.spare(), room.shortage()) == (0, 0)
    memory["MemAvailable"] = 10 * MIB
    assert (room.spare(), room.shortage()) == (0, 246 * MIB)
    assert room.descriptor == -1
    room.close()


def test_pressure_is_watched_where_the_kernel_tells() -> None:
    room = Room(lambda: {"MemTotal": GIB, "MemAvailable": GIB})
    assert room.shortage() == 0
    room.press()

    assert room.shortage() == 8 * MIB
    assert room.shortage() == 0, "pressure is told of once"
    room.close()
