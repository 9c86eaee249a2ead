"""Workloads are kept going, and what became of them is counted over every new beginning."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from aerostat.demo import supervisor as room
from aerostat.demo.supervisor import Supervisor
from aerostat.errors import LinkError, PeerError
from aerostat.model.workload import Workload, idle
from aerostat.testing.guests.uml import UmlGuest


class FakeGuest:
    """Answers a report with the next of `answers`, and then never again."""

    def __init__(self, *answers: dict[str, float] | Exception) -> None:
        self.answers = list(answers)
        self.exhausted = asyncio.Event()
        self.begun: list[float] = []
        self.oom_kills: int | Exception = 0

    async def play(self, workload: Workload, *, file: Path, since: float) -> None:
        self.begun.append(since)

    async def report(self) -> dict[str, float]:
        if not self.answers:
            self.exhausted.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def counters(self) -> dict[str, Any]:
        if isinstance(self.oom_kills, Exception):
            raise self.oom_kills
        return {"vmstat": {"oom_kill": self.oom_kills}}


def report(checked: int, stalled: float = 0.0) -> dict[str, float]:
    return {"checked": checked, "read": 1, "damaged": 0, "stalled": stalled}


def supervise(guest: FakeGuest) -> Supervisor:
    return Supervisor(cast("UmlGuest", guest), idle(1), Path("/library"))


async def keep(supervisor: Supervisor, guest: FakeGuest) -> None:
    """Let it run until the guest has no more answers."""
    clock = iter(range(1000))
    keeping = asyncio.create_task(supervisor.keep(lambda: float(next(clock))))
    async with asyncio.timeout(10):
        await guest.exhausted.wait()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK_EVERY", 0.0)


async def test_the_last_report_counts() -> None:
    guest = FakeGuest(report(10), report(30, stalled=0.5))
    supervisor = supervise(guest)
    await keep(supervisor, guest)
    assert supervisor.worked == 31
    assert supervisor.stall_seconds == 0.5
    assert supervisor.restarts == 0


async def test_a_killed_workload_goes_on_from_the_time_it_is() -> None:
    guest = FakeGuest(report(10, stalled=1.0), PeerError("killed"), report(5, stalled=0.5))
    supervisor = supervise(guest)
    await keep(supervisor, guest)
    assert supervisor.restarts == 1
    assert guest.begun == sorted(guest.begun)
    assert guest.begun[1] > guest.begun[0]
    assert supervisor.worked == 11 + 6
    assert supervisor.stall_seconds == 1.5


async def test_a_guest_that_is_busy_is_asked_again() -> None:
    guest = FakeGuest(report(10), LinkError("too slow"), report(20))
    supervisor = supervise(guest)
    await keep(supervisor, guest)
    assert supervisor.worked == 21
    assert len(guest.begun) == 1


async def test_it_ends_with_the_guest() -> None:
    guest = FakeGuest(report(10), LinkError("gone", retryable=False), report(20))
    supervisor = supervise(guest)
    async with asyncio.timeout(10):
        await supervisor.keep(lambda: 0.0)
    assert supervisor.worked == 11


async def test_finish_takes_the_last_report_and_the_kernels_count() -> None:
    guest = FakeGuest(report(50))
    guest.oom_kills = 3
    supervisor = supervise(guest)
    assert await supervisor.finish() == 3
    assert supervisor.worked == 51


async def test_finish_without_a_worker_still_asks_the_kernel() -> None:
    guest = FakeGuest(PeerError("killed"))
    guest.oom_kills = 1
    assert await supervise(guest).finish() == 1


async def test_finish_of_a_guest_that_is_gone() -> None:
    guest = FakeGuest(report(1))
    guest.oom_kills = LinkError("gone", retryable=False)
    assert await supervise(guest).finish() is None
