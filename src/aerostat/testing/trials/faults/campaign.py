"""A campaign: rounds of faults in a house, and in another where one was lost.

Touches everything through the house, and the clock.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from aerostat.testing.trials.faults.house import House
from aerostat.testing.trials.faults.record import Record
from aerostat.testing.trials.faults.schedule import Schedule
from aerostat.testing.trials.faults.stay import Say, Stay


async def make(
    schedule: Schedule,
    count: int,
    say: Say,
    *,
    first: int = 1,
    keep: Path | None = None,
    settles: bool = True,
    on_round: Callable[[Record], None] = lambda _: None,
) -> Record:
    """Make a campaign of `count` faults, from number `first` on; return what came of it.

    In the end everything has to come to fit the budget, if it `settles`. Interrupted, it returns
    what was done so far. Logs of rounds in which a promise was broken are kept below `keep`.
    Raises `AerostatError` where a house cannot be built.
    """
    record = Record(schedule, count)
    began = time.monotonic()

    def after() -> None:
        record.took = time.monotonic() - began
        on_round(record)

    try:
        rounds = list(schedule.rounds(count, first))
        while rounds:
            record.houses += 1
            house = House(schedule.residents)
            try:
                await house.start()
                say(f"{len(house.residents)} guests and two managers are up")
                await Stay(record, house, say, after, keep=keep, settles=settles).live(rounds)
            finally:
                await house.close()
    except asyncio.CancelledError:
        record.interrupted = True
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
    record.took = time.monotonic() - began
    return record
