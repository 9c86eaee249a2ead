"""The checks of a guest's own device, over the registers of a fake one; nothing real is touched."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.device import StatisticsArrived
from aerostat.errors import LinkError, MissingError, UsageError
from aerostat.testing.check.checks import Choice
from aerostat.testing.check.device import in_guest
from aerostat.testing.check.device.options import Options
from aerostat.testing.check.device.over_pci import OVER_PCI, PACKED_OVER_PCI
from aerostat.testing.check.device.pci_hold import inflated
from aerostat.testing.check.device.pci_stage import PciStage
from aerostat.testing.check.device.pci_transport import PciTransport
from aerostat.testing.check.device.session import session
from aerostat.testing.check.verdicts import Outcome, Verdict
from aerostat.testing.mocks.pci import FakeBalloon
from aerostat.units import MIB

ADDRESSES = range(16 * MIB, 30 * MIB, 2 * MIB)
BEYOND = 1 << 43


class Balloon(FakeBalloon):
    """A fake balloon that takes what it is given, as often as it is given it."""

    def serve(self) -> None:
        """Work on every queue, and zero what is inflated."""
        for queue in self.queues.values():
            for event in self.device.service(queue):
                if isinstance(event, StatisticsArrived):
                    continue
                for region, offset, length in event.pieces:
                    if queue is Queue.INFLATE:
                        region.view[offset : offset + length] = bytes(length)
                self.device.complete(event)
                self.interrupts |= 1


class Deaf(Balloon):
    """One whose ISR is never cleared."""

    def _load(self, name: str) -> int:
        return 1 if name == "isr" else super()._load(name)


class Forgetful(Balloon):
    """One that takes any queue for the first."""

    def _load(self, name: str) -> int:
        return 128 if name == "queue_size" else super()._load(name)


class Stubborn(Balloon):
    """One whose status stays, whatever is done."""

    def _load(self, name: str) -> int:
        return 1 if name == "status" else super()._load(name)


class Keeping(Balloon):
    """One that only says that it has taken pages."""

    def serve(self) -> None:
        """Work on every queue, and do nothing."""
        for queue in self.queues.values():
            for event in self.device.service(queue):
                if not isinstance(event, StatisticsArrived):
                    self.device.complete(event)
                    self.interrupts |= 1


def stage_of(balloon: FakeBalloon, *, legacy: bool = False) -> PciStage:
    """Return the stage of a fake balloon, which was met."""
    registers = balloon.legacy() if legacy else balloon.modern()
    options = Options(patience=0.2, hush=0.001)
    stage = PciStage("fake", registers, balloon.memory, ADDRESSES, BEYOND, options)
    stage.meet()
    return stage


def played(stage: PciStage, *only: str) -> dict[str, Verdict]:
    """Return the worst verdict on each statement of these, or of these checks."""
    checks = (OVER_PCI, PACKED_OVER_PCI)
    found: dict[str, Verdict] = {}
    order = list(Outcome)
    for one in session(stage, "split", Choice(only), checks=checks):
        before = found.get(one.id)
        if before is None or order.index(one.outcome) < order.index(before.outcome):
            found[one.id] = one
    return found


def test_every_statement_on_devices_is_checked_or_it_is_said_why_not() -> None:
    checked = {id_ for check in OVER_PCI.checks for id_ in check.ids}

    assert checked | OVER_PCI.unobservable.keys() == set(OVER_PCI.statements)
    assert checked & OVER_PCI.unobservable.keys() == set()
    assert all(OVER_PCI.unobservable.values())
    assert {"PCI-9", "PCI-10", "PCI-11", "BAD-DEV-1", "LEG-PCI-1"} <= checked
    assert {"VU-DEV-1", "BAD-VU-5", "PCI-12"} <= OVER_PCI.unobservable.keys()


def test_requests_that_reach_over_the_guest_s_own_memory_are_not_played() -> None:
    stage = stage_of(Balloon())
    (long,) = [check for check in OVER_PCI.checks if check.parameter == "an array of 4 GiB"]

    one = OVER_PCI.__class__(OVER_PCI.side)
    one.put(long)
    (verdict,) = session(stage, "split", checks=(one, PACKED_OVER_PCI))

    assert verdict.outcome is Outcome.UNOBSERVABLE
    assert "this guest's" in verdict.words


KEPT = ("PCI-9", "PCI-11", "a-reset-takes-all-back", "pages-are-left-alone-when-taken-back")


@pytest.mark.statement("PCI-9", "PCI-11", "LEG-PCI-1", "LEG-VQ-1")
@pytest.mark.parametrize("legacy", [False, True], ids=["modern", "legacy"])
def test_a_device_that_keeps_all_passes_by_either_interface(*, legacy: bool) -> None:
    stage = stage_of(Balloon(), legacy=legacy)
    found = played(stage, *KEPT, "LEG-PCI", "LEG-VQ-1", "ST-DEV-5")

    outcomes = {id_: one.outcome for id_, one in found.items()}
    seen = Outcome.PASS if legacy else Outcome.UNOBSERVABLE
    assert outcomes.pop("LEG-PCI-1") is outcomes.pop("LEG-VQ-1") is seen
    assert outcomes.pop("ST-DEV-5") is (Outcome.UNOBSERVABLE if legacy else Outcome.PASS)
    assert set(outcomes.values()) == {Outcome.PASS}
    assert {"PCI-9", "PCI-11", "ST-DEV-3", "DEV-OP-2"} <= outcomes.keys()


@pytest.mark.parametrize(
    ("kind", "id_", "words"),
    [
        (Deaf, "PCI-11", "the ISR is 1, and 1"),
        (Forgetful, "PCI-9", "has size 128"),
        (Keeping, "USE-DEV-1", "not the host's"),
    ],
)
def test_broken_devices_are_found(kind: Callable[[], FakeBalloon], id_: str, words: str) -> None:
    names = {"USE-DEV-1": "pages-are-taken-and-no-others"}
    verdict = played(stage_of(kind()), names.get(id_, id_))[id_]

    assert verdict.outcome is Outcome.FAIL
    assert words in verdict.words


@pytest.mark.statement("PCI-10")
def test_the_generation_is_looked_at_when_the_host_changes_something() -> None:
    balloon = Balloon()
    asked = iter(range(100))

    class Moving(PciTransport):
        def settle(self) -> None:
            balloon.device.set_target(next(asked) + 1)

    (check,) = [one for one in OVER_PCI.checks if "PCI-10" in one.ids]
    stage = stage_of(balloon)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PciTransport, "settle", Moving.settle)
        assert played(stage, check.name)["PCI-10"].outcome is Outcome.FAIL
    assert played(stage, check.name)["PCI-10"].outcome is Outcome.UNOBSERVABLE


def test_a_device_that_does_not_reset_cannot_be_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aerostat.guest.transport._RESET_TIME", 0.01)

    with pytest.raises(LinkError, match="does not finish its reset"):
        stage_of(Stubborn())


def test_what_is_in_the_kernel_s_balloon_is_known_by_its_counters(tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("pgfault 1\nballoon_inflate 300\nballoon_deflate 44\n")
    assert inflated(vmstat) == 256 * PAGE_SIZE
    vmstat.write_text("pgfault 1\n")
    assert inflated(vmstat) == 0


def test_the_program_tells_as_the_command_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stage = stage_of(Balloon())
    monkeypatch.setattr(in_guest, "hold", lambda _where, _options, play: play(stage))
    junit = tmp_path / "report.xml"

    arguments = ["--only", "PCI-9,PCI-12", "--trace", "--junit", str(junit)]
    assert in_guest.main([*arguments, "--json"]) == 0
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    outcomes = {one["id"]: one["outcome"] for one in report["statements"]}
    assert outcomes == {"PCI-9": "pass", "PCI-12": "unobservable"}
    assert printed.err == "1/1 queues-that-there-are-not\n"
    assert "<testsuites" in junit.read_text(encoding="utf-8")

    stage = stage_of(Forgetful())
    assert in_guest.main(["--only", "PCI-9"]) == 1
    assert "FAIL     PCI-9" in capsys.readouterr().out
    assert in_guest.main(["--only", "PCI-9", "--known", "PCI-9=so it is", "--quiet"]) == 0
    assert "so it is" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error",
    [UsageError("deflate it"), MissingError("this takes root")],
    ids=str,
)
def test_what_stands_in_the_way_is_said_and_is_2(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> int:
        raise error

    monkeypatch.setattr(in_guest, "hold", refuse)
    assert in_guest.main([]) == 2
    assert str(error) in capsys.readouterr().err
    assert in_guest.main(["--only", "NO-SUCH"]) == 2
    assert in_guest.main(["--known", "PCI-9"]) == 2


def test_the_program_explains(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_guest.main(["--explain", "PCI-11"]) == 0
    assert "read the ISR twice" in capsys.readouterr().out
    assert in_guest.main(["--list"]) == 0
    assert "PCI-11" in capsys.readouterr().out
