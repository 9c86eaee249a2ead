"""Verdicts, checks, the runner and the reports, without any device or driver."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from aerostat.cli.main import invoke
from aerostat.errors import LinkError, UsageError
from aerostat.testing.check import explaining, report
from aerostat.testing.check.checks import Check, Choice, Judge, Registry, Unobservable, Violated
from aerostat.testing.check.deadline import Deadline, OutOfTime
from aerostat.testing.check.features import feature_names, feature_set, missing
from aerostat.testing.check.running import play, run
from aerostat.testing.check.verdicts import (
    Known,
    Outcome,
    Verdict,
    by_statement,
    exit_status,
    violation,
)
from aerostat.testing.conformance.statements import Who, statement

Play = Callable[[list[str], Judge], None]


class FakeStage:
    """A stage whose subject is a list of words; `trouble` is what examinations find."""

    def __init__(self, *, trouble: str = "", gone: bool = False) -> None:
        self.trouble = trouble
        self.gone = gone
        self.closed = 0

    def lacks(self, check: Check[list[str]]) -> str:
        return f"no {check.needs[0]}" if check.needs else ""

    @contextlib.contextmanager
    def _subject(self) -> Iterator[list[str]]:
        yield ["subject"]
        self.closed += 1

    def open(
        self, check: Check[list[str]], deadline: Deadline
    ) -> contextlib.AbstractContextManager[list[str]]:
        if self.gone:
            raise LinkError("it is gone")
        assert deadline.left() <= check.seconds
        return self._subject()

    def examine(self, check: Check[list[str]]) -> str:
        return self.trouble


def check(play: Play, *ids: str, needs: tuple[str, ...] = ()) -> Check[list[str]]:
    return Check("a-check", ids or ("DEV-OP-3", "VQ-DEV-4"), "how", play, needs)


def outcomes(stage: FakeStage, one: Check[list[str]]) -> list[tuple[Outcome, str]]:
    return [(verdict.outcome, verdict.words) for verdict in play(stage, one)]


def test_what_nothing_is_said_of_is_kept() -> None:
    stage = FakeStage()
    assert outcomes(stage, check(lambda *_: None)) == [(Outcome.PASS, ""), (Outcome.PASS, "")]
    assert stage.closed == 1


def test_the_first_violation_counts_and_a_should_is_a_warning() -> None:
    def violate(_: list[str], judge: Judge) -> None:
        assert judge.expect(True, "DEV-OP-3", "never said")
        assert not judge.expect(False, "DEV-OP-3", "first")
        judge.violated("DEV-OP-3", "second")
        judge.saw("DEV-OP-3", "kept, later")
        judge.violated("ST-DEV-2", "quiet")

    assert outcomes(FakeStage(), check(violate, "DEV-OP-3", "ST-DEV-2")) == [
        (Outcome.FAIL, "first"),
        (Outcome.WARNING, "quiet"),
    ]
    assert violation("DEV-OP-3") is Outcome.FAIL
    assert violation("ST-DEV-2") is Outcome.WARNING


@pytest.mark.parametrize(
    ("error", "first", "second"),
    [
        (Violated("VQ-DEV-4", "told"), Outcome.UNOBSERVABLE, Outcome.FAIL),
        (Violated("DEV-OP-1", "told"), Outcome.FAIL, Outcome.UNOBSERVABLE),
        (Unobservable("dark"), Outcome.UNOBSERVABLE, Outcome.UNOBSERVABLE),
        (LinkError("hung up"), Outcome.FAIL, Outcome.UNOBSERVABLE),
        (BrokenPipeError(32, "Broken pipe"), Outcome.FAIL, Outcome.UNOBSERVABLE),
    ],
)
def test_what_a_check_raises_is_a_verdict(
    error: Exception, first: Outcome, second: Outcome
) -> None:
    def fail(*_: object) -> None:
        raise error

    assert [outcome for outcome, _ in outcomes(FakeStage(), check(fail))] == [first, second]


def test_who_is_harmed_by_a_check_does_not_keep_its_first_statement() -> None:
    found = outcomes(FakeStage(trouble="it has died"), check(lambda *_: None))
    assert found == [(Outcome.FAIL, "it has died"), (Outcome.PASS, "")]


def test_who_is_gone_cannot_be_observed() -> None:
    found = outcomes(FakeStage(gone=True), check(lambda *_: None))
    assert found == [(Outcome.UNOBSERVABLE, "it is gone")] * 2


def test_a_check_without_its_feature_is_skipped() -> None:
    found = outcomes(FakeStage(), check(lambda *_: None, needs=("STATS_VQ",)))
    assert found == [(Outcome.SKIPPED, "no STATS_VQ")] * 2


def test_a_check_that_judges_what_it_did_not_name_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="DEV-OP-1"):
        Judge(["DEV-OP-3"], "x").violated("DEV-OP-1", "")


@pytest.fixture
def registry() -> Registry[list[str]]:
    registry: Registry[list[str]] = Registry(Who.DEVICE)

    @registry.add("DEV-OP-3", "VQ-DEV-4")
    def _requests(_: list[str], judge: Judge) -> None:
        """Send requests."""
        judge.violated("VQ-DEV-4", "4 bytes written")

    @registry.add("DEV-STATS-1", needs=["STATS_VQ"])
    def _statistics(*_: object) -> None:
        """Send statistics."""

    registry.unobservable["PCI-9"] = "PCI is elsewhere"
    return registry


def test_checks_are_found_by_their_functions(registry: Registry[list[str]]) -> None:
    assert [(one.name, one.how) for one in registry.checks] == [
        ("requests", "Send requests."),
        ("statistics", "Send statistics."),
    ]
    assert [one.name for one in registry.of("VQ-DEV-4")] == ["requests"]
    with pytest.raises(UsageError, match="does not speak of devices"):
        registry.put(check(lambda *_: None, "DRV-OP-1"))
    with pytest.raises(UsageError, match="does not say how"):
        registry.add("DEV-OP-1")(lambda *_: None)


@pytest.mark.parametrize(
    ("only", "skip", "wanted"),
    [
        ([], [], ["DEV-OP-3", "VQ-DEV-4", "DEV-STATS-1", "PCI-9"]),
        (["DEV"], [], ["DEV-OP-3", "DEV-STATS-1"]),
        (["dev-op-3"], [], ["DEV-OP-3"]),
        (["requests"], [], ["DEV-OP-3", "VQ-DEV-4"]),
        ([], ["requests", "PCI"], ["DEV-STATS-1"]),
        (["DEV"], ["DEV-STATS"], ["DEV-OP-3"]),
    ],
)
def test_what_is_wanted_is_reported(
    registry: Registry[list[str]], only: list[str], skip: list[str], wanted: list[str]
) -> None:
    verdicts = run(FakeStage(), registry, choice=Choice(only, skip))
    assert [verdict.id for verdict in verdicts] == wanted


@pytest.mark.parametrize("word", ["DEV-OP-33", "DRV-OP-1", "request"])
def test_a_word_that_chooses_nothing_is_a_mistake(registry: Registry[list[str]], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        list(run(FakeStage(), registry, choice=Choice([word])))


def test_what_is_known_is_no_violation(registry: Registry[list[str]]) -> None:
    def worst(known: Known) -> Verdict:
        verdicts = list(run(FakeStage(), registry, known=known))
        return by_statement(verdicts)["VQ-DEV-4"][0]

    assert worst(Known()).outcome is Outcome.FAIL
    assert "known: Cloud Hypervisor" in worst(Known()).words
    assert worst(Known("cloud hypervisor")).outcome is Outcome.DEVIATION
    assert worst(Known("Firecracker")).outcome is Outcome.FAIL
    ours = worst(Known(reasons={"VQ-DEV-4": "as our old drivers want it"}))
    assert ours.outcome is Outcome.DEVIATION
    assert "as our old drivers want it" in ours.words
    with pytest.raises(UsageError, match="VQ-DEV-44"):
        worst(Known(reasons={"VQ-DEV-44": "?"}))


VERDICTS = [
    Verdict("DEV-OP-3", Outcome.PASS, "", "one"),
    Verdict("DEV-OP-3", Outcome.FAIL, "lost\x1b[2J", "two"),
    Verdict("ST-DEV-2", Outcome.WARNING, "quiet", "three"),
    Verdict("DEV-OP-1", Outcome.PASS, "", "one"),
    Verdict("PCI-9", Outcome.UNOBSERVABLE, "PCI is elsewhere"),
]


def test_a_report_has_a_line_for_each_statement_the_worst_first() -> None:
    lines = [line.text for line in report.lines(VERDICTS)]
    assert lines == [
        "Inflating and deflating",
        f"  pass     DEV-OP-1     MAY        {statement('DEV-OP-1').words}",
        "  FAIL     DEV-OP-3     described  Acknowledge each request, by using its buffer.",
        "           lost?[2J [two]",
        "Status and features",
        *[line for line in lines if "ST-DEV-2" in line],
        "           quiet [three]",
        "PCI",
        "  unseen   PCI-9        (PCI is elsewhere)",
    ]
    quiet = [line.text for line in report.lines(VERDICTS, quiet=True)]
    assert "PCI" not in quiet
    assert len(quiet) == 6
    told = report.summary(VERDICTS, 1.25)
    assert told == (
        "4 statements: 1 kept, 1 violated, 1 not kept that should be, 1 not observable here;"
        " 3 checks in 1.2 s"
    )


def test_programs_are_told_the_same() -> None:
    told = report.to_json("a device", VERDICTS, 1.0)
    assert told["status"] == exit_status(VERDICTS) == 1
    assert [(one["id"], one["outcome"]) for one in told["statements"]] == [
        ("DEV-OP-1", "pass"),
        ("DEV-OP-3", "fail"),
        ("ST-DEV-2", "warning"),
        ("PCI-9", "unobservable"),
    ]
    assert exit_status(VERDICTS[2:]) == 0
    suites = ET.fromstring(report.to_junit("a device", VERDICTS, 1.0))
    cases = {
        (case.get("classname"), case.get("name")): [child.tag for child in case]
        for case in suites.iter("testcase")
    }
    assert cases == {
        ("DEV-OP-1", "one"): [],
        ("DEV-OP-3", "two"): ["failure"],
        ("DEV-OP-3", "one"): [],
        ("ST-DEV-2", "three"): ["skipped"],
        ("PCI-9", "PCI-9"): ["skipped"],
    }
    (first, *_) = suites
    assert (first.get("tests"), first.get("failures")) == ("3", "1")


def test_features_have_names() -> None:
    assert feature_set(["stats_vq", "VIRTIO_BALLOON_F_DEFLATE_ON_OOM", "40"]) == 1 << 40 | 6
    assert feature_names(1 << 40 | 1 << 1) == ["STATS_VQ", "bit 40"]
    assert missing(["STATS_VQ", "RING_PACKED"], 2) == ["RING_PACKED"]
    with pytest.raises(UsageError, match="STATS_QV"):
        feature_set(["STATS_QV"])


def test_a_deadline_is_an_end() -> None:
    assert 0 < Deadline(60).left(5) <= 5
    with pytest.raises(OutOfTime):
        Deadline(0).left()
    assert Deadline(0).over


def test_a_statement_is_explained(registry: Registry[list[str]]) -> None:
    told = "\n".join(explaining.explanation("vq-dev-4", [registry]))
    for part in ("VQ-DEV-4", "virtio 1.2, 2.7.8.2", "requests: Send requests.", "Cloud Hypervisor"):
        assert part in told
    assert "PCI is elsewhere" in "\n".join(explaining.explanation("PCI-9", [registry]))
    listed = list(explaining.listing([registry]))
    assert any("DEV-STATS-1" in line for line in listed)
    assert not any("DRV-OP-1" in line for line in listed)


def test_the_command_tells_what_is_wrong_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    for arguments, said in (
        (["check"], "say what to check"),
        (["check", "--explain", "DEV-OP-77"], "DEV-OP-77"),
        (["check", "device", nowhere, "--known", "DEV-OP-1"], "ID=REASON"),
        (["check", "device", nowhere, "--features", "NONE"], "no feature is called NONE"),
    ):
        assert invoke(arguments) == 2
        assert said in capsys.readouterr().err
    assert invoke(["check", "--explain", "DEV-OP-2"]) == 0
    assert "pages-are-left-alone-when-taken-back" in capsys.readouterr().out
    assert invoke(["check", "--list"]) == 0
    assert "BAD-VU-5" in capsys.readouterr().out
