"""Three ways to learn what a guest uses, on the same guest, at rest and thrashing.

Ours is the statistics queue of the balloon, asked through QEMU's monitor. The rivals are the ways
of before: QEMU's guest agent, which is pulled, and a daemon in the guest that reports at an
interval. A guest of 256 MiB on emulation: its times are long, and only their ratios count. What
thrashes reads a disk that is larger than its memory; the agent and the daemon lie in the guest's
memory file system and cannot be evicted as they would be from a disk, which favours them.

Latency is how long it takes until figures are at hand, and age is how old they may be then: a
report that came by itself is at hand at once, and as old as it is.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.harness import Figure, Goal, main
from bench.three_ways import (
    Agent,
    Counted,
    Daemon,
    Machine,
    Queue,
    Sample,
    Way,
    find_agent,
    looks,
    machine,
    mean,
)

_QUEUE, _AGENT, _DAEMON = "the statistics queue", "guest agent, pulled", "daemon that reports"
# A manager that looks once a second gives a guest about this long.
_LIMIT = 1.0
_INTERVAL = 1.0
# For what a sample costs. QEMU dates figures by whole seconds: nearer ones can look the same.
_OFTEN = 1.1
# A guest that has thrashed has things to put in order.
_SETTLE = 5.0
_AT_MOST = Goal("ratio", "<=", 1.0)
_TAG_BYTES = 10  # virtio 1.2, 5.5.6.3: u16 and u64


class Found(NamedTuple):
    """What a way came to in one condition."""

    samples: list[Sample]
    lost: int


def run(*, quick: bool) -> Iterator[Figure]:
    """Measure all three ways."""
    find_agent()
    with tempfile.TemporaryDirectory(prefix="ways-") as directory, asyncio.Runner() as runner:
        yield from runner.run(_measure(Path(directory), 1 if quick else 20, cpu=not quick))


async def _measure(directory: Path, count: int, *, cpu: bool) -> list[Figure]:
    figures: list[Figure] = []
    async with machine(directory) as whole:
        await whole.report_every(_INTERVAL)
        ways: dict[str, Way] = {
            _QUEUE: await whole.open_queue(),
            _AGENT: await whole.open_agent(),
            _DAEMON: await whole.open_daemon(),
        }
        await looks(ways[_DAEMON], 1, 0.0, 10.0)  # it has begun
        resident = {
            _AGENT: await whole.resident("qemu-ga"),
            _DAEMON: await whole.resident("python3"),
        }
        for condition in ("at rest", "thrashing"):
            if condition == "thrashing":
                await whole.thrash()
            found = {name: await _look(way, count) for name, way in ways.items()}
            figures += _freshness(condition, found)
        await whole.rest()
        figures += await _bytes(whole, ways)
        if cpu:  # of two samples it would be what the machine does besides
            figures += await _cpu(whole, ways, 2 * count)
        for way in ways.values():
            await way.close()
        driver = await whole.module("virtio_balloon")
    return figures + [
        _figure("memory in the guest", "KiB", name, [driver / 1024, size / 1024])
        for name, size in resident.items()
    ]


async def _look(way: Way, count: int) -> Found:
    await looks(way, 1, _INTERVAL, 5.0)
    return Found(*await looks(way, count, _INTERVAL, _LIMIT))


def _freshness(condition: str, found: dict[str, Found]) -> list[Figure]:
    ours = found.pop(_QUEUE)
    figures = []
    for rival, theirs in found.items():
        for what in ("latency", "age"):
            values = [
                1000 * mean([getattr(sample, what) for sample in each.samples])
                for each in (ours, theirs)
            ]
            # What lies there waiting has no latency to speak of.
            if (what, rival) != ("latency", _DAEMON):
                figures.append(_figure(f"{what} of a sample, {condition}", "ms", rival, values))
        came = [len(each.samples) / (each.lost + len(each.samples)) for each in (ours, theirs)]
        more = Goal("ratio", ">=", 1.0)
        figures.append(_figure(f"samples that came, {condition}", "share", rival, came, more))
    return figures


async def _bytes(whole: Machine, ways: dict[str, Way]) -> list[Figure]:
    """Return what crosses the border of the guest for a sample."""
    queue, daemon = ways[_QUEUE], ways[_DAEMON]
    assert isinstance(queue, Queue)
    assert isinstance(daemon, Daemon)
    await ways[_AGENT].close()  # one client at a time
    counted = Counted()
    path = whole.guest.directory / "counted"
    await counted.listen(path, whole.guest.directory / "agent")
    agent = Agent(path)
    await agent.sample(5.0)
    before = counted.bytes
    await agent.sample(5.0)
    pulled = counted.bytes - before
    await agent.close()
    await counted.close()
    ours = float(queue.tags * _TAG_BYTES)
    return [
        _figure("bytes of a sample", "B", _AGENT, [ours, pulled]),
        _figure("bytes of a sample", "B", _DAEMON, [ours, daemon.longest]),
    ]


async def _cpu(whole: Machine, ways: dict[str, Way], count: int) -> list[Figure]:
    """Return what a sample costs the guest and the host, less what both do without."""
    spent: dict[str, list[float]] = {}
    queue = ways[_QUEUE]
    assert isinstance(queue, Queue)
    processor = await queue.processor()

    async def cost(way: Way | None) -> list[float]:
        before = whole.cost(processor)
        if way is None:
            await asyncio.sleep(count * _OFTEN)
        else:
            _, lost = await looks(way, count, _OFTEN, _LIMIT)
            assert lost < count / 2, "what does not come costs nothing"
        after = whole.cost(processor)
        return [(now - then) / count for now, then in zip(after, before, strict=True)]

    await whole.report_every(0)
    await asyncio.sleep(_SETTLE)
    idle = await cost(None)
    for name in (_QUEUE, _AGENT):
        spent[name] = await cost(ways[name])
    await whole.report_every(_OFTEN)
    await looks(ways[_DAEMON], 1, 1.0, 5.0)
    spent[_DAEMON] = await cost(ways[_DAEMON])
    await whole.report_every(0)
    await asyncio.sleep(_SETTLE)
    # What the guest does anyway is not the same at each moment.
    idle = [(before + after) / 2 for before, after in zip(idle, await cost(None), strict=True)]
    figures = []
    for place, side in enumerate(("guest's", "host's")):
        for rival in (_AGENT, _DAEMON):
            values = [1000 * (spent[name][place] - idle[place]) for name in (_QUEUE, rival)]
            figures.append(_figure(f"{side} CPU a sample", "ms", rival, values))
    return figures


def _figure(
    name: str,
    unit: str,
    rival_name: str,
    values: Sequence[float],
    goal: Goal = _AT_MOST,
) -> Figure:
    ours, rival = values
    ratio = ours / rival if rival else float("inf")
    return Figure(
        name=name,
        unit=unit,
        ours=ours,
        rival=rival,
        rival_name=rival_name,
        ratio=ratio,
        goal=str(goal),
        met=goal.met(ours, rival, ratio),
    )


if __name__ == "__main__":
    main(run)
