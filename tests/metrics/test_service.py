"""Metrics are written when somebody asks, once a cycle and format, and while others go on."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aerostat.daemon.snapshot import Snapshot
from aerostat.metrics import exposition
from aerostat.metrics.service import Metrics

OPEN = "application/openmetrics-text"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what was written, by format."""
    kinds: list[str] = []
    pieces = exposition.pieces

    def counted(*arguments: object) -> Iterator[bytes]:
        kinds.append(str(arguments[-1]))
        return pieces(*arguments)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(exposition, "pieces", counted)
    return kinds


async def test_a_cycle_is_written_once_a_format(snapshot: Snapshot, written: list[str]) -> None:
    metrics = Metrics()
    assert written == []
    metrics.watch(snapshot, [])
    answers = await asyncio.gather(*[metrics.answer("") for _ in range(5)])

    assert len(set(answers)) == 1
    assert written == [exposition.TEXT]
    assert (await metrics.answer(OPEN)).content_type == exposition.OPENMETRICS
    assert written == [exposition.TEXT, exposition.OPENMETRICS]


async def test_the_next_cycle_is_written_anew(snapshot: Snapshot, written: list[str]) -> None:
    metrics = Metrics()
    assert b"aerostat_managing" not in (await metrics.answer("")).body
    metrics.watch(snapshot, [])
    assert b"aerostat_managing 1.0" in (await metrics.answer("")).body
    metrics.watch(replace(snapshot, tick=2, mode="observe"), [])
    assert b"aerostat_managing 0.0" in (await metrics.answer("")).body
    assert len(written) == 3


async def test_the_loop_goes_on_while_it_is_written(snapshot: Snapshot) -> None:
    metrics = Metrics()
    metrics.watch(snapshot, [])
    answer = asyncio.ensure_future(metrics.answer(""))
    turns = 0
    while not answer.done():
        turns += 1
        await asyncio.sleep(0)

    assert turns > 20  # at least one for each of the pieces
    assert b"aerostat_guest_up" in answer.result().body


async def test_a_cycle_that_ends_meanwhile_does_not_get_into_it(snapshot: Snapshot) -> None:
    metrics = Metrics()
    metrics.watch(snapshot, [])
    answer = asyncio.ensure_future(metrics.answer(""))
    await asyncio.sleep(0)
    metrics.watch(replace(snapshot, tick=2, guests=(), mode="observe"), [])

    assert b"aerostat_managing 1.0" in (await answer).body
    assert b"aerostat_managing 0.0" in (await metrics.answer("")).body
