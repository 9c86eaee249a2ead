"""The QMP connector with monitors that behave: what is asked, believed and told."""

import time
from typing import Any

import pytest

from aerostat.balloon.statistics import Tag
from aerostat.errors import LinkError, PeerError, UsageError
from aerostat.hypervisors.base import BlockReads, GuestInfo, Reading
from aerostat.hypervisors.qmp.connector import QmpConnector

MIB = 1 << 20
ABSENT = (1 << 64) - 1


async def test_a_guest_is_found_named_and_read(laboratory: Any) -> None:
    monitor = await laboratory.monitor("a", guest_size=300 * MIB)
    before = time.monotonic()
    reading = await laboratory.read(monitor)
    after = time.monotonic()
    assert await laboratory.connector.guests() == [
        GuestInfo(monitor.key, "alpha", str(monitor.path))
    ]
    assert reading.key == monitor.key
    assert before <= reading.sampled_at <= reading.taken_at <= after
    assert (reading.max_size, reading.guest_size) == (512 * MIB, 300 * MIB)
    assert reading.statistics == {Tag.FREE_MEMORY: 7 * MIB}
    assert reading.held is None  # the fake's process is no VMM


async def test_a_guest_without_a_name_is_called_by_its_socket(laboratory: Any) -> None:
    monitor = await laboratory.monitor("web-1", answers={"query-name": {}})
    await laboratory.read(monitor)
    (guest,) = await laboratory.connector.guests()
    assert guest.name == "web-1"


async def test_names_are_made_fit_to_be_shown(laboratory: Any) -> None:
    name = {"name": "a\x1b[2J\n\ud800b" + "x" * 500}
    monitor = await laboratory.monitor(answers={"query-name": name})
    await laboratory.read(monitor)
    (guest,) = await laboratory.connector.guests()
    assert guest.name.startswith("a[2Jbx")
    assert guest.name.isprintable()
    assert len(guest.name) <= 80


@pytest.mark.parametrize(
    "kind",
    [
        "virtio-balloon-pci",
        "virtio-balloon-pci-transitional",
        "virtio-balloon-ccw",
        "virtio-balloon-device",
        "virtio-balloon-vhost-user",
    ],
)
async def test_the_balloon_is_found_by_its_type(laboratory: Any, kind: str) -> None:
    contents = [{"name": "device[3]", "type": f"child<{kind}>"}]
    figures = {"stats": {}, "last-update": 5}
    monitor = await laboratory.monitor(
        answers={
            "qom-list": lambda _, arguments: (
                contents if arguments["path"] == "/machine/peripheral-anon" else ValueError("no")
            ),
            "qom-get": lambda _, arguments: (
                figures if arguments["property"] == "guest-stats" else 0
            ),
        }
    )
    await laboratory.read(monitor, limit=0.2)
    paths = {arguments["path"] for name, arguments in monitor.asked if name == "qom-get"}
    assert paths == {"/machine/peripheral-anon/device[3]"}


async def test_a_guest_without_a_balloon_is_told_of(laboratory: Any) -> None:
    monitor = await laboratory.monitor(answers={"qom-list": []})
    (error,) = await laboratory.sample(monitor)
    assert isinstance(error, LinkError)
    assert "no virtio-balloon device" in str(error)
    assert len(await laboratory.connector.guests()) == 1


async def test_targets_are_set_and_their_effect_is_read(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    await laboratory.connector.guests()
    await laboratory.connector.set_target(monitor.key, 200 * MIB, 5.0)
    assert ("balloon", {"value": 200 * MIB}) in monitor.asked
    assert (await laboratory.read(monitor)).guest_size == 200 * MIB


async def test_a_refused_target_is_a_link_error(laboratory: Any) -> None:
    refusal = {"balloon": lambda _monitor, _arguments: ValueError("not now")}
    monitor = await laboratory.monitor(answers=refusal)
    await laboratory.connector.guests()
    with pytest.raises(LinkError, match="not now"):
        await laboratory.connector.set_target(monitor.key, 200 * MIB, 5.0)
    assert monitor.connections == 1
    await laboratory.read(monitor)  # refusing is no fault of the connection
    assert monitor.connections == 1


@pytest.mark.parametrize("size", [0, -5])
async def test_impossible_targets_are_the_callers_fault(laboratory: Any, size: int) -> None:
    monitor = await laboratory.monitor()
    await laboratory.connector.guests()
    with pytest.raises(UsageError):
        await laboratory.connector.set_target(monitor.key, size, 5.0)


async def test_one_that_only_observes_never_moves_a_balloon(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    connector = QmpConnector([str(monitor.path)], read_only=True)
    try:
        await connector.start()
        result = (await connector.sample([monitor.key], 5.0))[monitor.key]
        assert isinstance(result, Reading)
        with pytest.raises(UsageError, match="only observes"):
            await connector.set_target(monitor.key, 200 * MIB, 5.0)
    finally:
        await connector.close()
    assert "balloon" not in monitor.names()


async def test_an_unknown_guest_is_told_of(laboratory: Any) -> None:
    results = await laboratory.connector.sample(["qmp:/nothing"], 1.0)
    assert isinstance(results["qmp:/nothing"], LinkError)
    with pytest.raises(LinkError, match="no guest"):
        await laboratory.connector.set_target("qmp:/nothing", MIB, 1.0)


# Figures on demand from QEMU.


async def test_each_sample_asks_the_guest_anew(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    first = await laboratory.read(monitor)
    monitor.statistics = {"stat-free-memory": 3 * MIB}
    began = time.monotonic()
    second = await laboratory.read(monitor)
    assert second.statistics == {Tag.FREE_MEMORY: 3 * MIB}
    assert first.sampled_at < began <= second.sampled_at


async def test_figures_of_unknown_age_are_not_shown(laboratory: Any) -> None:
    """What QEMU had before we came may be of last week."""
    monitor = await laboratory.monitor(last_update=1_700_000_000, guest_answers=False)
    reading = await laboratory.read(monitor, limit=0.1)
    assert reading.sampled_at is None
    assert reading.statistics == {}


async def test_a_silent_guest_keeps_its_old_figures_and_their_age(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    first = await laboratory.read(monitor)
    monitor.guest_answers = False
    for _ in range(3):
        again = await laboratory.read(monitor, limit=0.1)
        assert again.sampled_at == first.sampled_at
        assert again.statistics == first.statistics
        assert again.taken_at > first.taken_at
    assert monitor.connections == 1  # a silent guest is no hung monitor


async def test_a_late_answer_is_not_taken_for_a_fresh_one(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    await laboratory.read(monitor)
    monitor.guest_answers = False
    asked = time.monotonic()
    await laboratory.read(monitor, limit=0.1)
    monitor.last_update += 1  # between two samples
    between = time.monotonic()
    late = await laboratory.read(monitor, limit=0.1)
    assert asked <= late.sampled_at <= between
    monitor.guest_answers = True
    assert (await laboratory.read(monitor)).sampled_at > between


async def test_a_slow_guest_is_waited_for_again_once_it_has_answered(laboratory: Any) -> None:
    monitor = await laboratory.monitor(answers_after=0.05)
    await laboratory.read(monitor)
    monitor.guest_answers = False
    await laboratory.read(monitor, limit=0.1)
    monitor.guest_answers = True
    monitor.update()
    began = time.monotonic()
    assert (await laboratory.read(monitor)).sampled_at >= began


async def test_after_a_reset_of_the_machine_there_are_no_figures(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    assert (await laboratory.read(monitor)).statistics
    monitor.guest_answers = False
    monitor.last_update = 0
    monitor.statistics = {"stat-free-memory": ABSENT}
    reading = await laboratory.read(monitor, limit=0.1)
    assert (reading.sampled_at, reading.statistics) == (None, {})


@pytest.mark.parametrize("interval", [0, 2])
async def test_the_polling_interval_is_left_as_it_was_found(laboratory: Any, interval: int) -> None:
    monitor = await laboratory.monitor(interval=interval)
    await laboratory.read(monitor)
    await laboratory.read(monitor)
    assert monitor.interval == (interval or 3600)
    await laboratory.connector.close()
    assert monitor.interval == interval


async def test_the_size_is_never_more_than_the_maximum(laboratory: Any) -> None:
    """Memory was plugged since the maximum was asked for: it is asked for again."""
    monitor = await laboratory.monitor()
    await laboratory.read(monitor)
    monitor.max_size = monitor.guest_size = 1024 * MIB
    reading = await laboratory.read(monitor)
    assert reading.guest_size <= reading.max_size
    reading = await laboratory.read(monitor)
    assert (reading.guest_size, reading.max_size) == (1024 * MIB, 1024 * MIB)


async def test_sizes_follow_events_during_a_sample(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    await laboratory.read(monitor)

    def change_and_answer(fake: Any, arguments: dict[str, Any]) -> Any:
        fake.event("BALLOON_CHANGE", {"actual": 100 * MIB})
        fake.fire()
        return {"stats": fake.statistics, "last-update": fake.last_update}

    monitor.answers["qom-get"] = change_and_answer
    assert (await laboratory.read(monitor)).guest_size == 100 * MIB


# Our own device.

SAMPLE = {
    "stats": {"stat-free-memory": 5, "stat-swap-in": ABSENT, "unknown": {"77": 9}},
    "sampled-at": 1.5,
    "fresh": True,
    "max-size": 512 * MIB,
    "guest-size": 384 * MIB,
    "target-size": 384 * MIB,
    "held": 200 * MIB,
    "block-reads": 7 * MIB,
    "counters": {},
}


async def test_our_device_is_read_by_one_command(laboratory: Any) -> None:
    monitor = await laboratory.monitor(answers={"aerostat-sample": SAMPLE})
    reading = await laboratory.read(monitor)
    assert reading == Reading(
        key=monitor.key,
        taken_at=reading.taken_at,
        max_size=512 * MIB,
        guest_size=384 * MIB,
        held=200 * MIB,
        statistics={Tag.FREE_MEMORY: 5, 77: 9},
        sampled_at=1.5,
        block_reads=BlockReads(7 * MIB),
    )
    monitor.asked.clear()
    await laboratory.read(monitor)
    assert monitor.names() == ["aerostat-sample"]
    await laboratory.connector.set_target(monitor.key, 100 * MIB, 5.0)
    assert monitor.guest_size == 100 * MIB


@pytest.mark.parametrize(
    "change",
    [
        {"max-size": "512"},
        {"max-size": -1},
        {"max-size": 2**60},
        {"max-size": True},
        {"guest-size": None},
        {"guest-size": 1.5},
        {"held": -1},
        {"sampled-at": "now"},
        {"sampled-at": -1},
        {"sampled-at": 10**400},
        {"stats": []},
        {"stats": {"stat-free-memory": "5"}},
        {"stats": {"stat-free-memory": 2**64}},
        {"stats": {"unknown": {"x": 5}}},
        {"stats": {"unknown": {"70000": 5}}},
        {"stats": {"unknown": {str(tag): 5 for tag in range(300)}}},
    ],
    ids=str,
)
async def test_junk_is_a_peer_error(laboratory: Any, change: dict[str, Any]) -> None:
    monitor = await laboratory.monitor(answers={"aerostat-sample": SAMPLE | change})
    (error,) = await laboratory.sample(monitor)
    assert isinstance(error, PeerError)
    monitor.answers["aerostat-sample"] = SAMPLE
    await laboratory.read(monitor)
    assert monitor.connections == 1  # the next answer may be sound


@pytest.mark.parametrize("junk", [None, -1, 1.5, "7", True, [], 2**64], ids=str)
async def test_disk_reads_that_make_no_sense_are_not_known(laboratory: Any, junk: Any) -> None:
    monitor = await laboratory.monitor(answers={"aerostat-sample": SAMPLE | {"block-reads": junk}})
    assert (await laboratory.read(monitor)).block_reads is None


async def test_a_sample_of_the_future_is_of_now(laboratory: Any) -> None:
    answer = SAMPLE | {"sampled-at": 1e12}
    monitor = await laboratory.monitor(answers={"aerostat-sample": answer})
    reading = await laboratory.read(monitor)
    assert reading.sampled_at == reading.taken_at


async def test_a_device_without_a_guest_is_told_of(laboratory: Any) -> None:
    empty = SAMPLE | {"max-size": 0, "guest-size": 0, "sampled-at": None}
    monitor = await laboratory.monitor(answers={"aerostat-sample": empty})
    (error,) = await laboratory.sample(monitor)
    assert isinstance(error, LinkError)
