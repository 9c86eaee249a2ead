"""What a campaign came to, as it is told."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from aerostat.testing.trials.faults import report
from aerostat.testing.trials.faults.record import Found, Injury, Record
from aerostat.testing.trials.faults.schedule import BRISK, Fault, Resident, Schedule
from aerostat.units import MIB


@pytest.fixture
def record() -> Record:
    """Five faults, of which one could not be carried out."""
    schedule = Schedule((Resident("p1", "process", 64 * MIB),), seed=7, tempo=BRISK)
    record = Record(schedule, wanted=5, rounds=3, took=12.0, checked=MIB, checks=2)
    for number, took in enumerate((0.2, 0.4, 0.9, 5.0), 1):
        fault = Fault(number, "kill-guest", "p1", 0.1, 0.2)
        record.injuries.append(Injury(fault, 1.0, 2.0, recovered=2.0 + took))
    record.injuries.append(Injury(Fault(5, "pause-guest", "p1", 0.1, 0.2), missed="no guest"))
    return record


def test_counts_and_times(record: Record) -> None:
    times = report.times(record)
    killed = times["kill-guest"]
    assert (killed.faults, killed.missed) == (4, 0)
    assert killed[2:] == pytest.approx((0.4, 5.0, 5.0))
    assert [*times["pause-guest"]] == [0, 1, None, None, None]
    assert dict(report.histogram(record))[0.25] == 1
    assert sum(count for _, count in report.histogram(record)) == 4


def test_all_was_kept(record: Record, tmp_path: Path) -> None:
    page = report.write(record, tmp_path)
    assert "BROKEN" not in report.text(record)
    assert "kept" in page.read_text()
    values = json.loads((tmp_path / "faults.json").read_text())
    assert (values["faults"], values["missed"], values["seed"]) == (4, 1, 7)
    assert set(values["promises"].values()) == {0}
    picture = page.read_text().split("<svg")[1].split("</svg>")[0]
    assert len(ET.fromstring(f"<svg{picture}</svg>")) > 0


def test_a_broken_promise_says_how_to_see_it_again(record: Record, tmp_path: Path) -> None:
    found = Found("memory", "2 pieces of p1 <are> not as written", ["3: kill-guest p1"], 3, 2)
    record.found.append(found)
    again = "make faults ARGS='--seed 7 --first 3 --faults 2 --brisk'"
    assert again in report.text(record)
    page = report.write(record, tmp_path).read_text()
    assert "&lt;are&gt;" in page
    values = json.loads((tmp_path / "faults.json").read_text())
    assert values["promises"]["memory"] == 1
    assert values["violations"][0]["again"] == again
