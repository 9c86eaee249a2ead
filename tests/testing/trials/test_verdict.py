"""A promise that was broken is found out, each by itself; the page and the plan of a trial."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from aerostat.daemon.snapshot import GuestRow, HostRow, MoveRow, Snapshot
from aerostat.testing.trials import plan, report
from aerostat.testing.trials.house import Record
from aerostat.testing.trials.plan import GUARANTEE, SIZE
from aerostat.testing.trials.verdict import Verdict, judge
from aerostat.units import MIB

BUDGET = plan.short().budget


def snapshot(time: float, *, size: int = SIZE * 3 // 4, **host: int) -> Snapshot:
    """Return one of a house in which all is well."""
    guests = tuple(
        GuestRow(
            key=one.name,
            name=one.name,
            source="memory",
            max_size=SIZE,
            guest_size=size,
            held=size // 2,
            sample_age=0.5,
            failures=int(one.conduct == "hangs"),
        )
        for one in plan.RESIDENTS
    )
    figures = {"permitted": size * len(guests), "held": size * len(guests) // 2, "granted": 0}
    row = HostRow("here", budget=BUDGET, available=BUDGET, **figures | host)
    return Snapshot(time, time, tick_duration=0.1, hosts=(row,), guests=guests)


def move(*, to_size: int = SIZE // 2, sentence: str = "gives 128 MiB") -> MoveRow:
    return MoveRow(
        key="uml1",
        name="uml1",
        from_size=SIZE,
        to_size=to_size,
        reason="shrink_idle",
        sentence=sentence,
        time=1.0,
        wall=1.0,
        outcome="accepted",
    )


@pytest.fixture
def record() -> Record:
    """A trial in which every promise was kept."""
    short = plan.short()
    names = [one.name for one in short.residents]
    return Record(
        short,
        lives=[[snapshot(float(at)) for at in range(life, life + 15)] for life in (0, 20, 40)],
        deaths=[15.0, 35.0],
        oom_kills=dict.fromkeys(names, 0),
        lies=7,
        explained={name: f"{name} has enough" for name in names},
        moves=[move() for _ in range(12)],
        replay="36 steps",
        replayed=True,
    )


def broken(record: Record) -> list[str]:
    return [one.promise for one in judge(record) if not one.kept]


def test_a_good_trial_keeps_every_promise(record: Record) -> None:
    assert broken(record) == []


def _grow(record: Record) -> None:
    record.lives[1][7] = snapshot(27.0, permitted=BUDGET + 1024 * MIB, held=BUDGET)


def _grow_when_full(record: Record) -> None:
    record.lives[1][7:9] = [
        snapshot(27.0, permitted=BUDGET, held=BUDGET),
        snapshot(28.0, permitted=BUDGET + 64 * MIB, held=BUDGET),
    ]


BREAKS: list[tuple[str, Callable[[Record], object]]] = [
    ("killed for want", lambda record: record.oom_kills.update(uml1=1)),
    ("killed for want", lambda record: record.oom_kills.update(uml1=None)),
    ("killed for want", lambda record: record.ended.append("uml1")),
    ("guarantee", lambda record: record.moves.append(move(to_size=GUARANTEE - 1))),
    ("guarantee", lambda record: record.lives[2].append(snapshot(99.0, size=GUARANTEE - 2 * MIB))),
    ("ledger", _grow),
    ("ledger", _grow_when_full),
    ("explained", lambda record: record.moves.append(move(sentence=""))),
    ("explained", lambda record: record.explained.update(uml1="error: no such guest")),
    ("replayed", lambda record: setattr(record, "replayed", False)),
    ("delay", lambda record: record.lives.append([replace(snapshot(80.0), tick_duration=9.0)] * 9)),
    ("something to do", lambda record: record.moves.clear()),
    ("something to do", lambda record: record.deaths.pop()),
    ("something to do", lambda record: setattr(record, "lies", 0)),
]


@pytest.mark.parametrize(("promise", "breaks"), BREAKS)
def test_a_broken_promise_is_found_out(
    record: Record, promise: str, breaks: Callable[[Record], object]
) -> None:
    breaks(record)

    assert any(promise in one for one in broken(record))


def test_the_page_has_the_verdicts_and_a_plot_a_guest(record: Record, tmp_path: Path) -> None:
    record.moves.append(move(sentence="gives <script>"))
    verdicts = [*judge(record), Verdict("a promise", kept=False, seen="what was seen")]

    page = report.write(record, verdicts, tmp_path / "trial").read_text()

    assert page.count("<svg") == 1 + len(plan.RESIDENTS)
    assert "broken" in page
    assert "what was seen" in page
    assert "<script>" not in page
    sheet = ET.parse(tmp_path / "trial/trial.svg").getroot()
    assert len(sheet.findall("{http://www.w3.org/2000/svg}g")) == 1 + len(plan.RESIDENTS)
    data = json.loads((tmp_path / "trial/trial.json").read_text())
    assert data["moves"] == len(record.moves)


def test_the_work_moves_on_from_guest_to_guest() -> None:
    whole = plan.whole()
    works = [
        {
            one.name
            for place, one in enumerate(whole.residents)
            if whole.workload(place).wanted(turn * whole.turn + 1).hold > 64 * MIB
        }
        for turn in range(len(whole.residents))
    ]

    assert {len(names) for names in works} == {2}
    assert len(set(map(frozenset, works))) == len(works)
    assert set().union(*works) == {one.name for one in whole.residents}
