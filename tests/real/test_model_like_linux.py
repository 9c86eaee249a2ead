"""What the model does, Linux does: the same is expected of a guest of either kind."""

import asyncio
import os
from collections.abc import Mapping

import pytest

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.errors import PeerError
from aerostat.model.workload import Step, Workload
from aerostat.testing.control_client import ControlClient
from aerostat.testing.laboratory import Guest, Laboratory
from aerostat.testing.polling import until
from aerostat.units import GIB, MIB

pytestmark = [pytest.mark.uml, pytest.mark.slow]

SIZE = 256 * MIB

Counters = Mapping[str, int]


@pytest.fixture(params=["uml", "process"])
async def guest(laboratory: Laboratory, request: pytest.FixtureRequest) -> Guest:
    """A guest of 256 MiB, whose programs hold little."""
    is_uml = request.param == "uml"
    start = laboratory.start_guest if is_uml else laboratory.start_process_guest
    return await start("guest", SIZE)


async def events(guest: Guest) -> dict[str, int]:
    """Return what has happened in the guest so far, stalls of all zones together."""
    vmstat = (await guest.counters())["vmstat"]
    stalls = sum(count for name, count in vmstat.items() if name.startswith("allocstall_"))
    return vmstat | {"stalls": stalls}


async def memory(guest: Guest, name: str) -> int:
    return (await guest.counters())["meminfo"][name]


def rise(before: Counters, after: Counters, name: str) -> int:
    return after.get(name, 0) - before.get(name, 0)


async def read(guest: Guest, laboratory: Laboratory, size: int) -> None:
    """Have the guest read `size` bytes of files once, and go on reading."""
    library = laboratory.directory / "library"
    library.touch()
    os.truncate(library, GIB)
    await guest.play(
        Workload("read", (Step(0, 8 * MIB, read_rate=60 * MIB, read_span=GIB),)), file=library
    )

    async def is_read() -> bool:
        return bool((await guest.report())["read"] >= size)

    await until(is_read)


async def test_files_fill_memory_and_push_out_each_other(
    guest: Guest, laboratory: Laboratory
) -> None:
    available = await memory(guest, "MemAvailable")
    before = await events(guest)
    await read(guest, laboratory, 100 * MIB)
    assert await memory(guest, "Cached") > 80 * MIB
    assert await memory(guest, "MemAvailable") > available - 50 * MIB
    now = await events(guest)
    assert rise(before, now, "pgscan_kswapd") == rise(before, now, "stalls") == 0
    await read(guest, laboratory, 300 * MIB)
    then = await events(guest)
    # It is kswapd that makes room, page for page, and hardly anybody waits.
    assert rise(now, then, "pgsteal_kswapd") * 4096 > 50 * MIB
    assert rise(now, then, "pgscan_kswapd") < 1.5 * rise(now, then, "pgsteal_kswapd")
    assert rise(now, then, "pgsteal_direct") < rise(now, then, "pgsteal_kswapd") / 4
    assert await memory(guest, "MemFree") < 16 * MIB
    assert await memory(guest, "MemAvailable") > available - 50 * MIB


async def test_a_balloon_takes_what_is_free_then_files_and_ends_there(
    guest: Guest, laboratory: Laboratory
) -> None:
    await read(guest, laboratory, 100 * MIB)
    before = await events(guest)
    with ControlClient(laboratory.devices[0].control) as control:
        control.run("balloon", value=120 * MIB)
        await until(lambda: control.run("query-balloon")["actual"] == 120 * MIB)
        now = await events(guest)
        # How much of it kswapd gets done is a matter of how busy the machine is.
        aside, direct = rise(before, now, "pgsteal_kswapd"), rise(before, now, "pgsteal_direct")
        assert aside > 0
        assert (aside + direct) * PAGE_SIZE > 20 * MIB
        assert rise(before, now, "oom_kill") == 0

        control.run("balloon", value=56 * MIB)

        async def is_stuck() -> bool:
            then = await events(guest)
            return rise(now, then, "pgmajfault") > 20 and rise(now, then, "stalls") > 0

        await until(is_stuck)
        assert 56 * MIB < control.run("query-balloon")["actual"] < 120 * MIB
        assert await memory(guest, "MemAvailable") < 8 * MIB
        # Nothing is killed for a balloon's sake.
        assert rise(before, await events(guest), "oom_kill") == 0
        control.run("balloon", value=SIZE)
        await until(lambda: control.run("query-balloon")["actual"] == SIZE)


async def test_programs_that_want_too_much_wait_and_are_killed(guest: Guest) -> None:
    before = await events(guest)
    await guest.play(Workload("grow", (Step(0, 400 * MIB),), grow_rate=40 * MIB))
    held = 0
    while True:
        try:
            held = max(held, (await guest.report())["held"])
        except PeerError as error:
            assert "killed" in str(error)  # noqa: PT017 - that it comes to this is what is waited for
            break
        await asyncio.sleep(0.1)
    now = await events(guest)
    assert rise(before, now, "oom_kill") == 1
    assert rise(before, now, "stalls") > 0
    assert rise(before, now, "pgscan_direct") > 0
    assert rise(before, now, "pgmajfault") > 0
    assert 150 * MIB < held < 220 * MIB
    assert await memory(guest, "MemAvailable") > 150 * MIB
