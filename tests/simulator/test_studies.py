"""Studies: what is run of what was wanted, in which order, and what becomes of it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aerostat.errors import UsageError
from aerostat.simulator import studies
from aerostat.simulator.density import Density
from aerostat.simulator.report.rows import Part, Row
from aerostat.simulator.setting import Setting
from aerostat.simulator.studies import Shard, Wanted, Where

HOLDS = {"aerostat": 20, "oracle": 25, "mom": 12, "static": 10}
WANTED = Wanted("build", tuple(HOLDS), (1, 2), ("16",))


def made(setting: Setting, policy: str, guests: int, part: Part) -> Row:
    """Return a row as a simulation might."""
    sums = dict.fromkeys(
        ("oom_kills", "host_oom_kills", "major_faults", "alloc_stalls", "block_reads", "moves"), 0.0
    )
    return Row(
        part, setting.family, policy, setting.dialect or "own", guests, setting.seeds,
        setting.seconds, setting.loss, setting.delay, setting.budget,
        guest_hours=1.0, p99_slowdown=0.01, mean_slowdown=1 / HOLDS[policy],
        mean_size=1.0, mean_held=1.0, **sums,
    )  # fmt: skip


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Have nothing simulated; return which runs with how many guests there would have been."""
    runs: list[tuple[str, int]] = []

    def density(setting: Setting, policy: Any, *, name: str) -> Density:
        best = made(setting, name, HOLDS[name], Part.DENSITY)
        return Density(HOLDS[name], 10.0, best, (replace(best, part=Part.SEARCH),))

    def run(self: Setting, policy: Any, counts: list[int], **options: Any) -> tuple[str, int]:
        runs.append((policy.name, *counts))
        return policy.name, counts[0]

    def rows(self: Setting, result: tuple[str, int], name: str, part: Part) -> list[Row]:
        return [made(self, name, result[1], part)]

    monkeypatch.setattr(studies, "density", density)
    monkeypatch.setattr(studies, "recorded", lambda where, policy, result: (policy, where.seeds))
    monkeypatch.setattr(Setting, "run", run)
    monkeypatch.setattr(Setting, "rows", rows)
    return runs


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as one:
        yield one


def test_all_are_compared_among_as_many_as_the_best_rival_holds(
    ran: list[tuple[str, int]], executor: ThreadPoolExecutor
) -> None:
    study = studies.run(WANTED, executor)

    assert ran == [(policy, 12) for policy in HOLDS]
    assert [row.part for row in study.rows] == [Part.SEARCH, Part.DENSITY] * 4 + [Part.EQUAL] * 4
    assert [row.policy for row in study.rows[8:]] == list(HOLDS)
    assert study.words["build"]


def test_a_number_of_guests_needs_no_search(
    ran: list[tuple[str, int]], executor: ThreadPoolExecutor
) -> None:
    study = studies.run(replace(WANTED, guests=7, losses=(0.0, 0.5), delays=(1.0, 9.0)), executor)

    assert ran == [(policy, 7) for _ in range(3) for policy in HOLDS]
    assert {(row.loss, row.delay) for row in study.rows} == {(0.0, 1.0), (0.5, 1.0), (0.0, 9.0)}


def test_progress_ends_where_everything_is_done(
    ran: list[tuple[str, int]], executor: ThreadPoolExecutor
) -> None:
    told: list[tuple[int, int, str]] = []
    wanted = replace(WANTED, record=True)
    studies.run(wanted, executor, lambda *told_now: told.append(told_now))

    assert [done for done, _, what in told if what] == list(range(1, 4 + 4 + 3 + 1))
    assert told[-1][:2] == (11, 11)
    assert told[0] == (0, 4 + 4 + 4, "")
    assert told[1][2] == "build, aerostat"


def test_ours_and_the_best_are_recorded_but_not_the_bound(
    ran: list[tuple[str, int]], executor: ThreadPoolExecutor
) -> None:
    study: Any = studies.run(replace(WANTED, record=True), executor)

    assert study.houses == (("aerostat", (1,)), ("mom", (1,)), ("static", (1,)))


def test_a_tuned_policy_keeps_its_name(
    ran: list[tuple[str, int]], executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studies, "tuned", lambda dialect: {"mom": f"mom:interval={dialect}"})
    wanted = replace(WANTED, guests=7, tuned=True, dialects=("6", "10"))
    study = studies.run(wanted, executor)

    assert [row.policy for row in study.rows] == [*HOLDS, *HOLDS]
    assert study.notes == ("Tuned for 6: mom:interval=6.", "Tuned for 10: mom:interval=10.")
    assert [studies.run_as(where, "mom") for where in wanted.parts()] == [
        "mom:interval=6", "mom:interval=10",
    ]  # fmt: skip
    assert studies.run_as(WANTED.parts()[0], "mom") == "mom"


def test_shards_share_out_all_parts() -> None:
    whole = replace(WANTED, scenario="all", dialects=("16", "6"))
    parts = [replace(whole, shard=Shard(number, 3)).parts() for number in (1, 2, 3)]

    assert sorted(map(str, whole.parts())) == sorted(str(one) for part in parts for one in part)
    assert studies.shard("2/8") == (2, 8)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write it as 2/8"):
        studies.shard(text)


def test_an_error_ends_it_all(
    monkeypatch: pytest.MonkeyPatch, executor: ThreadPoolExecutor
) -> None:
    def density(*_: Any, **__: Any) -> None:
        raise UsageError("no such thing")

    monkeypatch.setattr(studies, "density", density)

    with pytest.raises(UsageError, match="no such thing"):
        studies.run(WANTED, executor)


def test_a_part_knows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('seconds = 300\nbudget = "4GiB"\n[[guests]]\nfamily = "leak"\n')
    (where,) = replace(WANTED, scenario=str(file)).parts()
    setting = where.setting()

    assert (setting.seconds, setting.budget, setting.family) == (300.0, 4 << 30, "mine")
    assert replace(where, seconds=200.0).setting().seconds == 200.0


@pytest.mark.slow
def test_a_house_is_recorded(make_where: Callable[..., Where]) -> None:
    found = studies.watch(make_where("boot_storm"), "aerostat", 6)

    assert found.recorded is not None
    house = found.recorded
    assert house.held.shape == (len(house.times), 6)
    assert np.isnan(house.size[0]).any()
    assert (np.isnan(house.slowdown[1:]) == np.isnan(house.size[1:])).all()
    assert np.nanmin(house.slowdown) >= 0
    assert np.nanmax(house.slowdown) <= 1.01


@pytest.mark.slow
def test_a_real_study_is_the_same_however_it_is_run(
    make_where: Callable[..., Where], executor: ThreadPoolExecutor
) -> None:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    wanted = Wanted("leak", ("aerostat", "mom"), (1,), ("16",), guests=9, seconds=200.0)
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as processes:
        assert studies.run(wanted, processes).rows == studies.run(wanted, executor).rows


@pytest.fixture
def make_where() -> Callable[..., Where]:
    def make(family: str) -> Where:
        return Where(family, family, (1,), "16", 240.0, 0.0, 0.05)

    return make
