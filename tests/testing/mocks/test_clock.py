import asyncio

from aerostat.testing.mocks.clock import VirtualClock


async def test_time_stands_still_until_it_is_advanced() -> None:
    clock = VirtualClock(start=100.0)
    sleeper = asyncio.ensure_future(clock.sleep(5.0))
    await clock.advance(4.999)
    assert not sleeper.done()
    assert clock.monotonic() == 104.999
    await clock.advance(0.001)
    assert sleeper.done()


async def test_sleepers_wake_in_order_each_at_its_own_moment() -> None:
    clock = VirtualClock(start=0.0)
    woken: list[tuple[str, float]] = []

    async def ticker(name: str, interval: float) -> None:
        while True:
            await clock.sleep(interval)
            woken.append((name, clock.monotonic()))

    tasks = [asyncio.ensure_future(ticker("two", 2.0)), asyncio.ensure_future(ticker("three", 3.0))]
    await clock.advance(6.5)
    assert woken == [("two", 2.0), ("three", 3.0), ("two", 4.0), ("three", 6.0), ("two", 6.0)]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = VirtualClock()
    sleeper = asyncio.ensure_future(clock.sleep(1.0))
    await clock.settle()
    assert clock.sleepers == 1
    sleeper.cancel()
    await clock.advance(2.0)
    assert sleeper.cancelled()
    assert clock.sleepers == 0


async def test_the_wall_clock_jumps_alone() -> None:
    clock = VirtualClock(start=10.0, wall=5000.0)
    await clock.advance(1.0)
    assert (clock.monotonic(), clock.wall()) == (11.0, 5001.0)
    clock.jump_wall(-3600.0)
    assert (clock.monotonic(), clock.wall()) == (11.0, 1401.0)
