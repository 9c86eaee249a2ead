"""What the command lines of the kit share: lists of ids, reasons, and what is told in the end."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from aerostat.errors import UsageError
from aerostat.testing.check.report import Line
from aerostat.testing.check.telling import Wishes, choice, conclude, known
from aerostat.testing.check.verdicts import Outcome, Verdict

FOUND = [
    Verdict("DEV-STATS-1", Outcome.PASS, check="a-check"),
    Verdict("DEV-STATS-2", Outcome.FAIL, "it was not", "a-check"),
]


def told(wishes: Wishes, found: list[Verdict] = FOUND) -> tuple[int, list[Line]]:
    """Return the exit code, and what was said."""
    said: list[Line] = []
    return conclude("a device", iter(found), wishes, said.append), said


def test_ids_are_given_in_lists_or_one_by_one() -> None:
    wanted = choice(["DEV-1, DEV-2", "DEV-3,"], ["DEV-4"])

    assert (wanted.only, wanted.skip) == (("DEV-1", "DEV-2", "DEV-3"), ("DEV-4",))


def test_a_reason_belongs_to_a_statement() -> None:
    assert known("QEMU", ["dev-stats-2 = so it is"]).reasons == {"DEV-STATS-2": "so it is"}
    for wrong in ("DEV-STATS-2", "DEV-STATS-2= "):
        with pytest.raises(UsageError, match="is no ID=REASON"):
            known("", [wrong])


def test_lines_are_said_in_their_colours() -> None:
    status, said = told(Wishes())

    assert status == 1
    assert said[0] == Line("a device")
    assert {line.colour for line in said if "DEV-STATS-2" in line.text} == {"red"}
    assert said[-1].text.startswith("2 statements: 1 kept, 1 violated; 1 checks in ")
    assert told(Wishes(), FOUND[:1])[0] == 0


def test_who_wants_quiet_hears_of_what_is_not_kept() -> None:
    _, said = told(Wishes(quiet=True))

    assert not any("DEV-STATS-1" in line.text for line in said)
    assert any("DEV-STATS-2" in line.text for line in said)


def test_programs_are_told_in_json_and_junit(tmp_path: Path) -> None:
    status, said = told(Wishes(as_json=True, junit=tmp_path / "report.xml"))

    assert status == json.loads("".join(line.text for line in said))["status"] == 1
    assert len(ET.parse(tmp_path / "report.xml").findall(".//testcase")) == 2
