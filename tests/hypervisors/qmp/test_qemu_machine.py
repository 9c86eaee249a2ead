"""What happens to a machine behind its monitor, and what can be found out about it."""

import asyncio
import time
from typing import Any

import pytest

from aerostat.errors import LinkError
from aerostat.hypervisors.base import BlockReads, Examination
from aerostat.hypervisors.qmp import connector as qmp
from aerostat.qmp.server import CommandError
from aerostat.units import MIB


async def examine(laboratory: Any, monitor: Any) -> Examination:
    await laboratory.read(monitor)
    examination: Examination = await laboratory.connector.examine(monitor.key, 5.0)
    return examination


# What was read from disks.


async def test_reads_of_all_disks_are_summed(laboratory: Any) -> None:
    monitor = await laboratory.monitor(disks=[(4096, 1), (1 << 40, 1000)])
    assert (await laboratory.read(monitor)).block_reads == BlockReads((1 << 40) + 4096, 1001)


async def test_a_guest_with_many_disks_is_asked_less_often(laboratory: Any) -> None:
    monitor = await laboratory.monitor(disks=[(4096, 1)] * 40)
    assert (await laboratory.read(monitor)).block_reads == BlockReads(40 * 4096, 40)
    for _ in range(3):  # not told again: nobody looked
        assert (await laboratory.read(monitor)).block_reads is None
    assert monitor.names().count("query-blockstats") == 1


async def test_a_monitor_that_refuses_is_not_asked_again(laboratory: Any) -> None:
    monitor = await laboratory.monitor(answers={"query-blockstats": CommandError("no")})
    for _ in range(3):
        assert (await laboratory.read(monitor)).block_reads is None
    assert monitor.names().count("query-blockstats") == 1


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        [7],
        [{"stats": 7}],
        [{"stats": {"rd_bytes": -1, "rd_operations": 1}}],
        [{"stats": {"rd_bytes": 1.5, "rd_operations": 1}}],
        [{"stats": {"rd_bytes": 1, "rd_operations": 1 << 64}}],
    ],
    ids=str,
)
async def test_nonsense_about_disks_costs_no_sample(laboratory: Any, answer: Any) -> None:
    monitor = await laboratory.monitor(answers={"query-blockstats": answer})
    reading = await laboratory.read(monitor)
    assert reading.block_reads is None
    assert reading.statistics


# Pauses, resets, plugged memory.


async def test_an_answer_that_looks_the_same_is_not_waited_for(laboratory: Any) -> None:
    """An idle guest says the same twice in a second."""
    monitor = await laboratory.monitor()
    first = await laboratory.read(monitor)
    monitor.guest_answers = False
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: monitor.last_update + 0.5)
        again = await laboratory.read(monitor, limit=60.0)
    assert time.monotonic() - began < 30.0
    assert (again.sampled_at, again.statistics) == (first.sampled_at, first.statistics)


async def test_a_paused_machine_is_not_waited_for(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    first = await laboratory.read(monitor)
    monitor.guest_answers = False
    monitor.event("STOP")
    began = time.monotonic()
    paused = await laboratory.read(monitor, limit=60.0)
    assert time.monotonic() - began < 30.0
    assert (paused.sampled_at, paused.statistics) == (first.sampled_at, first.statistics)


async def test_a_machine_that_was_paused_before_we_came_is_not_waited_for(laboratory: Any) -> None:
    monitor = await laboratory.monitor(running=False, guest_answers=False)
    began = time.monotonic()
    assert (await laboratory.read(monitor, limit=60.0)).sampled_at is None
    assert time.monotonic() - began < 30.0
    monitor.event("RESUME")
    monitor.guest_answers = True
    await laboratory.read(monitor)  # the event may come while it is being taken
    assert (await laboratory.read(monitor)).sampled_at is not None


async def test_figures_that_qemu_reads_again_after_a_pause_stay_old(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    first = await laboratory.read(monitor)
    monitor.guest_answers = False
    monitor.event("STOP")
    await laboratory.read(monitor)
    monitor.event("RESUME")
    monitor.last_update += 60  # the same buffer, dated anew
    again = await laboratory.read(monitor, limit=0.2)
    assert again.statistics == first.statistics
    assert again.sampled_at < first.taken_at + 0.1 < again.taken_at + 0.1


async def test_the_figures_of_a_machine_that_was_reset_are_gone(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    await laboratory.read(monitor)
    monitor.guest_answers = False
    monitor.event("RESET", {"guest": True, "reason": "guest-reset"})
    reading = await laboratory.read(monitor, limit=0.1)
    assert (reading.sampled_at, reading.statistics) == (None, {})
    monitor.guest_answers = True
    monitor.update()  # its driver is back, and says so by itself
    assert (await laboratory.read(monitor)).statistics


@pytest.mark.parametrize("event", ["MEMORY_DEVICE_SIZE_CHANGE", "ACPI_DEVICE_OST", "RESUME"])
async def test_plugged_memory_raises_the_maximum(laboratory: Any, event: str) -> None:
    monitor = await laboratory.monitor(guest_size=256 * MIB)
    assert (await laboratory.read(monitor)).max_size == 512 * MIB
    monitor.max_size = 1024 * MIB
    monitor.event(event, {"id": "dimm0"})
    await laboratory.read(monitor)  # the event may come while it is being taken
    assert (await laboratory.read(monitor)).max_size == 1024 * MIB


async def test_a_balloon_that_is_plugged_in_is_found(
    laboratory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qmp, "_LAST_RETRY", 0.02)
    monitor = await laboratory.monitor(answers={"qom-list": []})
    (error,) = await laboratory.sample(monitor)
    assert "no virtio-balloon device" in str(error)
    del monitor.answers["qom-list"]
    await laboratory.read(monitor)
    assert monitor.connections == 1


async def test_a_balloon_that_is_unplugged_is_missed(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    await laboratory.read(monitor)
    monitor.answers |= {"qom-list": [], "qom-get": CommandError("gone", "DeviceNotFound")}
    async with asyncio.timeout(20):
        (error,) = await laboratory.sample(monitor)
        while "no virtio-balloon device" not in str(error):
            (error,) = await laboratory.sample(monitor)


# What can be found out.


async def test_a_machine_is_examined(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    found = await examine(laboratory, monitor)
    assert (found.kind, found.running, found.may_change) == ("qemu", True, True)
    assert (found.balloon, found.driver, found.statistics) == (True, True, True)
    assert (found.deflate_on_oom, found.free_page_reporting) == (True, False)
    assert found.passthrough is False
    assert "free-page-reporting=on" in found.mending["free_page_reporting"]
    assert "balloon" not in monitor.names()


async def test_a_machine_without_a_balloon_is_examined(laboratory: Any) -> None:
    monitor = await laboratory.monitor(answers={"qom-list": []})
    await laboratory.sample(monitor)
    found = await laboratory.connector.examine(monitor.key, 5.0)
    assert (found.balloon, found.running) == (False, True)
    assert found.driver is None
    assert "-device virtio-balloon-pci" in found.mending["balloon"]


VIRTIO_STATUS = {
    "status": {"statuses": ["VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready"]},
    "guest-features": {"dev-features": ["VIRTIO_BALLOON_F_STATS_VQ: Guest memory stats VQ"]},
}


@pytest.mark.parametrize(
    ("status", "driver", "statistics"),
    [
        (VIRTIO_STATUS, True, False),  # as in Windows without its service
        (VIRTIO_STATUS | {"guest-features": {"dev-features": []}}, True, False),
        (VIRTIO_STATUS | {"guest-features": "nonsense"}, True, None),
        (VIRTIO_STATUS | {"status": {"statuses": []}}, False, None),
        (VIRTIO_STATUS | {"status": [1]}, None, None),
        (CommandError("no such command", "CommandNotFound"), None, None),
    ],
)
async def test_a_silent_guest_is_told_from_one_without_a_driver(
    laboratory: Any, status: Any, driver: Any, statistics: Any
) -> None:
    monitor = await laboratory.monitor(
        guest_answers=False, answers={"x-query-virtio-status": status}
    )
    await laboratory.read(monitor, limit=0.1)
    found = await laboratory.connector.examine(monitor.key, 0.5)
    assert (found.driver, found.statistics) == (driver, statistics)


@pytest.mark.parametrize(
    ("version", "is_asked"),
    [
        *(((7, 2, 0), True), ((10, 0, 13), True)),
        *(((7, 1, 0), False), ((10, 1, 0), False), ((11, 1, 3), False)),
    ],
)
async def test_a_qemu_that_may_die_of_a_question_is_not_asked_it(
    laboratory: Any, version: tuple[int, int, int], is_asked: bool
) -> None:
    monitor = await laboratory.monitor(
        guest_answers=False, answers={"x-query-virtio-status": VIRTIO_STATUS}, version=version
    )
    await laboratory.read(monitor, limit=0.1)
    found = await laboratory.connector.examine(monitor.key, 0.5)
    assert ("x-query-virtio-status" in monitor.names()) == is_asked
    assert found.driver is (True if is_asked else None)


async def test_what_a_balloon_cannot_free_is_found_out(laboratory: Any) -> None:
    def contents(_monitor: Any, arguments: dict[str, Any]) -> Any:
        kinds = {"balloon0": "virtio-balloon-pci", "gpu": "vfio-pci"}
        return [{"name": name, "type": f"child<{kind}>"} for name, kind in kinds.items()]

    def properties(monitor: Any, arguments: dict[str, Any]) -> Any:
        if arguments["property"] == "guest-stats":
            return {"stats": {}, "last-update": monitor.last_update}
        return {"hugetlb": True, "guest-stats-polling-interval": 0}.get(
            arguments["property"], CommandError("none", "GenericError")
        )

    monitor = await laboratory.monitor(
        answers={
            "qom-list": contents,
            "qom-get": properties,
            "query-memdev": [{"id": "ram0"}, {"size": 5}, 7],
        }
    )
    found = await examine(laboratory, monitor)
    assert (found.passthrough, found.huge_pages) == (True, True)
    assert (found.deflate_on_oom, found.free_page_reporting) == (None, None)
    assert "managed = false" in found.mending["passthrough"]


async def test_a_monitor_that_hangs_is_not_waited_for(laboratory: Any) -> None:
    async def hang(_writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    monitor = await laboratory.monitor(
        answers={"query-memdev": []}, misbehave={"query-memdev": hang}
    )
    await laboratory.read(monitor)
    with pytest.raises(LinkError, match="no answer within"):
        await laboratory.connector.examine(monitor.key, 0.2)
