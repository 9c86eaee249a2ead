"""The balloon device: features, configuration, queues coming and going."""

from mmap import mmap

import pytest

from aerostat.balloon import abi
from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.device import (
    DEFAULT_FEATURES,
    ActualChanged,
    BalloonDevice,
    ConfigChanged,
)
from aerostat.errors import UsageError
from aerostat.testing.conformance.pair import BalloonPair
from aerostat.virtio.features import VERSION_1, bit
from aerostat.virtio.split_ring import SplitRing

MIB = 1 << 20
FIGURES = {4: 100 * MIB, 5: 256 * MIB, 0: 7}


@pytest.fixture
def pair() -> BalloonPair:
    return BalloonPair()


@pytest.mark.statement("ST-DEV-5", "ST-14-1")
def test_the_default_offer() -> None:
    assert BalloonDevice().features == 0x1_1000_0037


@pytest.mark.statement("ST-DEV-4")
def test_st_dev_4_what_is_not_implemented_is_not_offered() -> None:
    for feature in (6, 29):
        with pytest.raises(UsageError):
            BalloonDevice(features=DEFAULT_FEATURES | bit(feature))


@pytest.mark.statement("ST-DEV-4")
def test_st_dev_4_any_subset_is_accepted_and_again() -> None:
    device = BalloonDevice()
    for features in (DEFAULT_FEATURES, bit(VERSION_1), 0, DEFAULT_FEATURES):
        assert device.accept(features)
        assert device.negotiated == features


@pytest.mark.statement("ST-DRV-4")
def test_st_drv_4_features_that_were_not_offered_are_refused_and_counted() -> None:
    device = BalloonDevice()
    device.accept(bit(VERSION_1))
    assert not device.accept(bit(VERSION_1) | bit(abi.FREE_PAGE_HINT))
    assert device.negotiated == bit(VERSION_1)
    assert device.counters["bad_features"] == 1


@pytest.mark.parametrize("max_pages", [0, -1, 1 << 32])
def test_impossible_sizes_are_refused(max_pages: int) -> None:
    with pytest.raises(UsageError):
        BalloonDevice(max_pages=max_pages)


def test_targets_are_clamped_and_announced_once(pair: BalloonPair) -> None:
    for asked, target in ((100, 100), (5000, 2048), (-3, 0)):
        assert pair.device.set_target(asked) == ConfigChanged()
        assert pair.device.set_target(asked) is None
        assert pair.device.read_config(0, 4) == target.to_bytes(4, "little")


@pytest.mark.statement("CFG-G-4")
def test_cfg_g_4_everything_can_be_read_before_features_are_agreed_on() -> None:
    device = BalloonDevice(features=DEFAULT_FEATURES | bit(abi.PAGE_POISON))
    device.set_target(5)
    device.write_config(12, b"\xaa" * 4)
    assert device.negotiated == 0
    assert device.read_config(0, 16) == b"\5".ljust(12, b"\0") + b"\xaa" * 4


@pytest.mark.statement("DRV-OP-11")
def test_drv_op_11_actual_comes_in_with_the_configuration(pair: BalloonPair) -> None:
    assert pair.device.write_config(4, (10).to_bytes(4, "little")) == ActualChanged(40960)
    assert pair.device.write_config(4, (10).to_bytes(4, "little")) is None
    assert pair.device.balloon_size == 40960


def test_actual_beyond_the_guest_is_not_believed(pair: BalloonPair) -> None:
    assert pair.device.write_config(4, b"\xff" * 4) == ActualChanged(2048 * PAGE_SIZE)
    assert pair.faults() == {"implausible_actual": 1}


@pytest.mark.parametrize("negotiated", [True, False])
@pytest.mark.statement("DRV-POISON-2", "DEV-POISON-1")
def test_drv_poison_2_poison_val_needs_its_feature(negotiated: bool) -> None:
    device = BalloonDevice()
    device.write_config(12, b"\xaa" * 4)  # before the features: QEMU tells those at DRIVER_OK
    device.accept(DEFAULT_FEATURES if negotiated else DEFAULT_FEATURES & ~bit(abi.PAGE_POISON))
    assert device.poison == (0xAAAAAAAA if negotiated else 0)
    assert device.restart() is None
    assert device.poison == (0xAAAAAAAA if negotiated else 0)
    device.reset()
    device.accept(DEFAULT_FEATURES)
    assert device.poison == 0


@pytest.mark.statement("CFG-1")
def test_poison_val_that_was_not_offered_is_not_taken() -> None:
    device = BalloonDevice(features=DEFAULT_FEATURES & ~bit(abi.PAGE_POISON))
    device.write_config(12, b"\xaa" * 4)
    assert device.read_config(12, 4) == bytes(4)


def test_a_broken_ring_has_nothing_to_do(pair: BalloonPair) -> None:
    """Or its caller would come back to it for ever."""
    pair.driver.rings[Queue.INFLATE].offer(8)
    assert pair.device.pending(Queue.INFLATE)
    assert pair.serve(Queue.INFLATE) == []
    assert pair.device.broken(Queue.INFLATE)
    assert not pair.device.pending(Queue.INFLATE)
    assert pair.faults() == {"broken_rings": 1}


def test_a_broken_ring_is_left_alone_until_it_is_started_afresh(pair: BalloonPair) -> None:
    pair.driver.rings[Queue.INFLATE].jump(100)
    assert not pair.device.pending(Queue.INFLATE)
    assert pair.serve(Queue.INFLATE) == []
    assert pair.device.broken(Queue.INFLATE)
    assert not pair.device.broken(Queue.DEFLATE)
    pair.driver.rings[Queue.INFLATE].jump(-100)
    pair.driver.inflate([3])
    assert pair.serve(Queue.INFLATE) == []
    assert pair.faults() == {"broken_rings": 1}
    pair.start(Queue.INFLATE, pair.device.stop(Queue.INFLATE))
    assert len(pair.serve(Queue.INFLATE)) == 1
    pair.driver.deflate([3])
    assert len(pair.serve(Queue.DEFLATE)) == 1


def test_a_stopped_queue_does_nothing(pair: BalloonPair) -> None:
    pair.driver.inflate([3])
    assert pair.serve(Queue.INFLATE)
    assert pair.device.stop(Queue.INFLATE) == 1
    assert pair.device.take_notifications() == []  # nobody is there to hear them
    assert pair.device.stop(Queue.INFLATE) == 0
    assert pair.serve(Queue.INFLATE) == []
    assert not pair.device.pending(Queue.INFLATE)
    assert pair.device.ring(Queue.INFLATE) is None
    assert not pair.device.broken(Queue.INFLATE)


def test_a_reset_forgets_the_driver_but_not_the_target(pair: BalloonPair) -> None:
    pair.device.set_target(77)
    pair.device.write_config(4, b"\5\0\0\0")
    assert pair.device.reset() == ActualChanged(0)
    assert pair.device.reset() is None
    assert pair.device.read_config(0, 8) == b"\x4d\0\0\0\0\0\0\0"
    assert pair.device.negotiated == 0
    assert all(pair.device.ring(queue) is None for queue in Queue)


def test_after_stopping_all_queues_no_view_of_the_memory_is_left(pair: BalloonPair) -> None:
    pair.driver.inflate([3])
    pair.driver.send_statistics(FIGURES)
    for queue in Queue:
        pair.serve(queue)
    rings = [pair.device.ring(queue) for queue in Queue]  # held on to, but let go by the device
    backing = [region.view.obj for region in pair.memory.regions]
    pair.device.reset()
    pair.driver.release()
    pair.memory.release()
    for buffer in backing:
        assert isinstance(buffer, mmap)
        buffer.close()  # raises BufferError while anybody holds a view
    assert any(rings)


def test_queues_start_once(pair: BalloonPair) -> None:
    ring = SplitRing(pair.memory, 8, 0, 0x1000, 0x2000)
    with pytest.raises(UsageError):
        pair.device.start(Queue.INFLATE, ring)
