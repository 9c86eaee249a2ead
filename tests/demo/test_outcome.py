"""Figures from snapshots, and the sums of a trial."""

from dataclasses import replace

from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.demo.outcome import GuestOutcome, Outcome, Tally
from aerostat.units import MIB


def snapshot(time: float, *rows: GuestRow) -> Snapshot:
    return Snapshot(time, wall=0.0, guests=rows)


def guest(name: str, **figures: float | int | None) -> GuestRow:
    return GuestRow(key=f"qmp:{name}", name=name, source="here", **figures)  # type: ignore[arg-type]


def test_peak_is_the_sum_at_one_moment_not_the_sum_of_peaks() -> None:
    tally = Tally()
    tally.add(snapshot(1.0, guest("a", held=300), guest("b", held=100)))
    tally.add(snapshot(2.0, guest("a", held=100), guest("b", held=250)))
    assert tally.peak_held == 400
    assert tally.of("a").peak_held == 300
    assert tally.of("b").peak_held == 250


def test_unknown_figures_count_for_nothing() -> None:
    tally = Tally()
    tally.add(snapshot(1.0, guest("a"), guest("b", held=5, guest_size=7)))
    assert tally.peak_held == 5
    assert (tally.of("a").peak_held, tally.of("a").least_size, tally.of("a").samples) == (
        None,
        None,
        0,
    )
    assert tally.of("b").least_size == 7


def test_a_sample_counts_once_however_often_it_is_shown() -> None:
    tally = Tally()
    for time, age in ((10.0, 0.1), (11.0, 1.1), (12.0, 2.1 + 1e-9), (13.0, 0.2)):
        tally.add(snapshot(time, guest("a", sample_age=age)))
    assert tally.of("a").samples == 2


def test_least_size_is_kept() -> None:
    tally = Tally()
    for size in (300, 200, 250):
        tally.add(snapshot(1.0, guest("a", guest_size=size)))
    assert tally.of("a").least_size == 200


def test_sums(outcome: Outcome) -> None:
    assert outcome.memory == 768 * MIB
    assert outcome.samples == 40
    assert outcome.worked == 1400 * MIB
    assert outcome.stall_seconds == 1.0
    assert outcome.unharmed


def test_each_kind_of_harm_counts(outcome: Outcome, row: GuestOutcome) -> None:
    killed = replace(row, oom_kills=2)
    died = replace(row, oom_kills=None, died="was killed by SIGKILL")
    damaged = replace(row, damaged=1)
    for harm in (killed, died, damaged):
        assert not replace(outcome, rows=(row, harm)).unharmed
    all_of_them = replace(outcome, rows=(killed, died, damaged))
    assert (all_of_them.oom_kills, all_of_them.guest_deaths, all_of_them.damaged) == (2, 1, 1)


def test_a_guest_that_could_not_be_asked_is_told_from_one_that_died(
    outcome: Outcome, row: GuestOutcome
) -> None:
    silent = replace(row, oom_kills=None)
    died = replace(silent, died="was killed by SIGKILL")
    assert replace(outcome, rows=(row, silent, died)).silent == 1
