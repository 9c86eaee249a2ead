"""The samples: made by the tool, read with all their traps, and played by guests."""

import sys
from pathlib import Path

import numpy as np
import pytest

from aerostat.errors import UsageError
from aerostat.simulator import traces
from aerostat.simulator.traces.trace import COLD, Trace
from aerostat.units import GIB, KIB, MIB

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "examples" / "traces"
sys.path.append(str(ROOT))

from tools import traces as tool  # noqa: E402 - needs the path above

PATHS = {
    "bitbrains": SAMPLES / "bitbrains",
    "materna": SAMPLES / "materna",
    "azure": SAMPLES / "azure",
    "google": SAMPLES / "google" / "instance_usage.json",
    "alibaba": SAMPLES / "alibaba" / "machine_usage.csv",
}


def by_name(path: Path) -> dict[str, Trace]:
    return {trace.name: trace for trace in traces.read(path)}


def test_the_samples_are_up_to_date() -> None:
    made = tool.samples()
    there = {str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*") if path.is_file()}

    assert there == set(made)
    assert all((SAMPLES / name).read_text() == text for name, text in made.items()), (
        "run: tools/traces.py"
    )


@pytest.mark.parametrize("name", traces.READERS)
def test_a_trace_is_known_by_its_file(name: str) -> None:
    found = traces.read(PATHS[name])

    told = traces.READERS[name](PATHS[name], 1000)
    assert [trace.name for trace in found] == [trace.name for trace in told]
    for trace in found:
        assert (np.diff(trace.at) > 0).all()
        assert (trace.cold <= trace.hold).all()
        assert trace.size > 0
        assert trace.hold.min() > 0


def test_bitbrains_times_are_seconds_whatever_the_header_says() -> None:
    found = by_name(PATHS["bitbrains"])

    assert list(found) == ["1", "2", "3", "10"]
    assert found["1"].at[0] == 1376314800
    assert set(np.diff(found["1"].at)) == {300}
    # A gap stays one.
    assert np.diff(found["2"].at).max() == 11 * 300


def test_bitbrains_memory_is_in_kib_active_and_sometimes_of_no_size() -> None:
    lines = (PATHS["bitbrains"] / "3.csv").read_text().splitlines()
    found = by_name(PATHS["bitbrains"])["3"]
    row = [float(field) for field in lines[6].split(";\t")]

    assert found.size == 2 * GIB
    # The first five rows are of a machine without memory.
    assert found.at[0] == row[0]
    assert found.hold[0] - found.cold[0] == pytest.approx(row[6] * KIB)
    assert found.cold[0] == pytest.approx(COLD * found.hold[0])
    assert found.read_rate[0] == pytest.approx(row[7] * KIB)


def test_materna_has_dates_quotes_and_decimal_commas() -> None:
    lines = (PATHS["materna"] / "01.csv").read_text().splitlines()
    found = by_name(PATHS["materna"])["01"]

    # 4 November 2015, 0:00.
    assert found.at[0] == 1446595200
    assert set(np.diff(found.at)) == {300}
    used = float(lines[1].split(";")[6].strip('"').replace(",", "."))
    assert found.hold[0] - found.cold[0] == pytest.approx(used * KIB)


def test_azure_has_buckets_and_readings_in_several_files() -> None:
    found = by_name(PATHS["azure"])
    small, large = found["machine+0/made-up=="], found["machine+3/made-up=="]

    assert (small.size, large.size) == (4 * GIB, 128 * GIB)
    assert len(small.at) == tool.ROWS
    # By the rule: 15 %, and three quarters of what a busy processor has of the memory.
    line = (PATHS["azure"] / "vm_cpu_readings-file-1-of-2.csv").read_text().splitlines()[0]
    busy = float(line.split(",")[-1]) / 100
    assert small.hold[0] == pytest.approx((0.15 + 0.75 * busy) * 4 * GIB)


def test_google_has_microseconds_shares_and_figures_that_are_missing() -> None:
    found = by_name(PATHS["google"])

    assert list(found) == ["330587238000-0", "330587238001-1", "330587238002-2"]
    first, _, unlimited = found.values()
    assert first.at[:2].tolist() == [600, 900]
    assert first.size == pytest.approx(0.008 * 512 * GIB)
    assert unlimited.size > 0
    np.testing.assert_allclose(first.files * 3, first.hold, rtol=0.01)


def test_alibaba_has_percentages_some_of_them_unknown_in_no_order() -> None:
    machines = by_name(PATHS["alibaba"])
    containers = by_name(SAMPLES / "alibaba" / "container_usage.csv")

    assert sorted(machines) == ["m_0", "m_1", "m_2"]
    assert sorted(containers) == ["c_0", "c_1", "c_2"]
    for trace in (machines | containers).values():
        # Three rows of each machine are not known.
        assert len(trace.at) == tool.ROWS - 3
        assert 0.4 <= trace.hold.min() / trace.size <= trace.hold.max() / trace.size <= 1


def test_guests_play_an_excerpt_scaled_to_their_size() -> None:
    found = traces.read(PATHS["bitbrains"])

    guests = traces.as_guests(found, 600, seed=3)

    assert sorted(guest.max_size for guest in guests) == [2 * GIB, 4 * GIB, 4 * GIB, 4 * GIB]
    for guest in guests:
        moments = guest.plan.moments
        assert moments[0].at == 0
        assert moments[-1].at <= 600
        # A sample lasts ten seconds.
        assert np.median(np.diff([moment.at for moment in moments])) == pytest.approx(10)
        assert all(moment.hold < 0.9 * guest.max_size for moment in moments)
        assert any(moment.hold > 50 * MIB for moment in moments)
    assert traces.as_guests(found, 600, seed=3) == guests
    assert traces.as_guests(found, 600, seed=4) != guests


def test_a_family_of_a_trace_has_as_many_guests_as_are_wanted() -> None:
    family = traces.family_of("bitbrains", traces.read(PATHS["bitbrains"]))
    guests = family.guests(1, 9, 300)

    assert family.guests(1, 3, 300) == guests[:3]
    # The same machine again, at another time.
    again = [guest for guest in guests[4:8] if guest.max_size == 2 * GIB]
    assert again
    assert again[0].plan not in [guest.plan for guest in guests[:4]]


def test_at_most_as_many_machines_are_read_as_are_wanted() -> None:
    for path in PATHS.values():
        assert len(traces.read(path, limit=2)) == 2


@pytest.mark.parametrize("limit", [0, -1])
def test_none_is_too_few(limit: int) -> None:
    with pytest.raises(UsageError):
        traces.read(PATHS["google"], limit=limit)


def test_guests_need_traces() -> None:
    with pytest.raises(UsageError):
        traces.as_guests([], 600)
