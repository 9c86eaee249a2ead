"""The driver of a real guest, against our own device, by modern and by legacy registers."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.abi import DEFLATE_ON_OOM, PAGE_POISON, PAGE_REPORTING, STATS_VQ, Queue
from aerostat.balloon.device import DEFAULT_FEATURES, BalloonDevice
from aerostat.balloon.statistics import Tag
from aerostat.errors import PeerError
from aerostat.guest.driver import IDLE, GuestDriver, choose
from aerostat.testing.mocks.pci import FakeBalloon, FakePages, FakeRoom
from aerostat.units import MIB
from aerostat.virtio.features import VERSION_1, bit, has

PAGE = 4096
MakeRig = Callable[..., Any]


@pytest.mark.statement("ST-DRV-1", "ST-DRV-2", "ST-DRV-4", "CFG-G-5")
def test_initialisation_keeps_its_order(rig: Any) -> None:
    modern = rig.interface != "legacy"
    names = [name for name, _ in rig.balloon.writes]
    features = "guest_feature" if modern else "legacy_guest_features"
    queues = "queue_enable" if modern else "queue_pfn"

    assert rig.balloon.statuses == ([0, 1, 3, 11, 15] if modern else [0, 1, 3, 7])
    statuses = [index for index, name in enumerate(names) if name == "status"]
    assert statuses[2] < names.index(features) < statuses[3]
    assert statuses[-2] < names.index(queues) < statuses[-1]
    assert names.count(queues) == 3


@pytest.mark.statement("ST-DRV-3", "DRV-STATS-2")
def test_the_device_is_notified_of_the_first_statistics_when_it_is_ready(rig: Any) -> None:
    rig.run()
    notified = rig.balloon.writes.index(("notified", 2))
    ready = [i for i, (name, _) in enumerate(rig.balloon.writes) if name == "status"][-1]

    assert notified > ready
    assert rig.balloon.device.statistics_held


@pytest.mark.statement("DRV-STATS-1", "DRV-STATS-3", "DRV-STATS-8")
def test_statistics_are_sent_when_asked_for(rig: Any) -> None:
    rig.run()
    for _ in range(3):
        assert rig.balloon.device.request_statistics()
        rig.run(2 * IDLE)

    kills = [sample[Tag.OOM_KILLS] for sample in rig.balloon.statistics]
    assert kills[-3:] == [2, 3, 4]
    assert rig.collected[-1] == (0, True)


@pytest.mark.statement("DRV-OP-1", "DRV-OP-2", "DRV-OP-11", "DRV-OP-14", "LEG-OP-2")
def test_it_converges_to_any_target(rig: Any) -> None:
    for target in (1000, 17, 4000, 0, 1):
        rig.ask(target)

        assert rig.actual == len(rig.balloon.held) == target
        assert len(rig.pages.free) == 4096 - target
    assert {name for name, _ in rig.balloon.writes if name.startswith("config")} == {"config+4/4"}
    assert "the host asks for 16 MiB" in rig.said
    assert "the balloon is 16 MiB" in rig.said


@pytest.mark.statement("DRV-OP-6", "DRV-OP-9", "DRV-OP-10")
def test_pages_on_their_way_are_nobody_s(rig: Any) -> None:
    rig.ask(300)
    rig.balloon.hold = True
    rig.ask(100)

    assert len(rig.pages.free) == 4096 - 300, "used before the device let go"
    rig.balloon.serve()
    rig.balloon.hold = False
    rig.run()
    assert len(rig.pages.free) == 4096 - 100


def test_the_guest_keeps_what_it_cannot_spare(rig: Any) -> None:
    rig.room.free = 0
    rig.ask(500)
    assert rig.actual == 0
    assert "the guest can spare no more; the balloon is 0 B" in rig.said

    rig.room.free = 1 << 30
    rig.run()
    assert rig.actual == 500


def test_when_pages_run_out_it_has_what_there_was_and_asks_again(rig: Any) -> None:
    rig.pages.free = rig.pages.free[:100]
    rig.ask(500)
    assert rig.actual == 100

    rig.pages.free = list(range(6000, 6500))
    rig.run()
    assert rig.actual == 500


@pytest.mark.statement("DRV-OP-5")
def test_under_pressure_memory_is_given_back_and_not_taken_again_at_once(rig: Any) -> None:
    rig.ask(1000)
    rig.room.lacking = 100 * PAGE
    rig.run(0.15)
    rig.room.lacking = 0
    rig.run(5)
    relieved = rig.actual

    assert relieved <= 900
    assert relieved + len(rig.pages.free) == 4096
    rig.run(10)
    assert rig.actual == 1000


@pytest.mark.statement("DRV-OP-5")
def test_a_new_target_ends_the_rest_after_relief(rig: Any) -> None:
    rig.ask(1000)
    rig.room.lacking = PAGE
    rig.run(0.15)
    rig.room.lacking = 0

    rig.ask(1200)
    assert rig.actual == 1200


@pytest.mark.statement("DRV-OP-4")
def test_without_deflate_on_oom_the_balloon_stays_under_pressure(make_rig: MakeRig) -> None:
    rig = make_rig(DEFAULT_FEATURES & ~bit(DEFLATE_ON_OOM)).start()
    rig.ask(1000)
    rig.room.lacking = 100 * PAGE
    rig.run(5)

    assert rig.actual == 1000
    assert not rig.driver.can_relieve
    assert rig.collected[-1][1] is False


def test_leaving_empties_the_balloon(rig: Any) -> None:
    rig.ask(700)
    rig.driver.leave()
    while not rig.driver.empty:
        rig.run(0.01)

    assert rig.actual == 0
    assert len(rig.pages.free) == 4096


def test_after_a_reset_everything_is_the_guest_s_even_what_was_on_its_way(rig: Any) -> None:
    rig.ask(300)
    rig.balloon.hold = True
    rig.ask(900, 0.1)
    rig.driver.stop()

    assert sorted(rig.pages.free) == sorted(set(rig.pages.free))
    assert len(rig.pages.free) == 4096


def test_a_driver_without_statistics_has_two_queues(make_rig: MakeRig) -> None:
    rig = make_rig(DEFAULT_FEATURES & ~bit(STATS_VQ)).start()
    rig.ask(10)

    assert rig.actual == 10
    assert not rig.balloon.statistics


@pytest.mark.statement("DRV-FEAT-1", "DRV-FEAT-2", "DRV-FEAT-3")
def test_it_takes_what_a_program_can_do_and_nothing_else() -> None:
    everything = choose(DEFAULT_FEATURES)

    assert has(everything, STATS_VQ)
    assert has(everything, DEFLATE_ON_OOM)
    assert not has(everything, PAGE_REPORTING)
    assert not has(everything, PAGE_POISON)
    assert choose(0) == 0
    assert has(choose(bit(VERSION_1)), VERSION_1)


# A device that goes wrong


@pytest.mark.statement("ST-DRV-5")
def test_a_device_that_needs_a_reset_ends_it(rig: Any) -> None:
    rig.balloon.status |= 64

    with pytest.raises(PeerError, match="cannot go on"):
        rig.run(5)


def test_a_device_that_somebody_else_resets_ends_it(rig: Any) -> None:
    rig.run()
    rig.balloon.status = 0

    with pytest.raises(PeerError, match="somebody else"):
        rig.run(5)


def test_a_device_that_breaks_its_ring_ends_it(rig: Any) -> None:
    rig.balloon.hold = True
    rig.ask(10)
    ring = rig.balloon.device.ring(Queue.INFLATE)
    if rig.interface == "packed":  # our device's ring would not do it
        ring._bytes[8:16] = bytes.fromhex("00000000 0500 8080")
    else:
        ring.push(5)

    with pytest.raises(PeerError, match="INFLATE queue"):
        rig.run()


@pytest.mark.parametrize("size", [0, 3, 100, 65535])
def test_a_device_with_impossible_queues_is_refused(make_rig: MakeRig, size: int) -> None:
    rig = make_rig(queue_size=size)
    if rig.interface == "packed" and size in (3, 100):  # no power of two is needed (2.8.10.1)
        rig.start()
        rig.ask(10)
        assert rig.actual == 10
        return
    with pytest.raises(PeerError, match="descriptors"):
        rig.start()


@pytest.mark.statement("ST-DRV-1")
def test_features_that_the_device_refuses_are_the_end() -> None:
    balloon = FakeBalloon()
    balloon.refuse_features = True
    with pytest.raises(PeerError, match="refuses"):
        GuestDriver(
            balloon.modern(), balloon.dma, FakePages(), FakeRoom(), lambda *_: {4: 1}, print
        )

    assert balloon.statuses[-1] & 128, "the driver says that it failed"


def test_a_silent_device_is_looked_at_less_and_less_but_never_given_up(rig: Any) -> None:
    rig.balloon.hold = True
    rig.balloon.device.set_target(10)
    waits = [rig.driver.turn(rig.now) for _ in range(12)]

    assert waits == sorted(waits)
    assert 0 < waits[0] < waits[-1] <= IDLE
    rig.balloon.serve()
    rig.run()
    assert rig.actual == 10


@settings(max_examples=settings().max_examples // 6)
@given(st.lists(st.tuples(st.integers(0, 6000), st.booleans(), st.integers(0, 3)), max_size=8))
def test_whatever_is_asked_for_no_page_is_lost_or_used_by_two(
    steps: list[tuple[int, bool, int]],
) -> None:
    balloon = FakeBalloon(BalloonDevice(max_pages=6000))
    pages, room = FakePages(), FakeRoom()
    driver = GuestDriver(
        balloon.modern(), balloon.dma, pages, room, lambda *_: {4: 1}, lambda _: None
    )
    now = 0.0
    for target, short, turns in steps:
        balloon.device.set_target(target)
        room.lacking = MIB if short else 0
        for _ in range(turns):
            now += driver.turn(now)
            assert not balloon.held & set(pages.free)
    room.lacking = 0
    most = min(balloon.device.config.num_pages, 4096)
    for _ in range(2000):
        now += driver.turn(now)
        if balloon.device.config.actual == most:
            break

    assert len(balloon.held) == most
    assert len(pages.free) == 4096 - most
