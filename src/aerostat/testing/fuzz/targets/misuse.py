"""What callers of ours may do wrong: told so, by the error for that, whatever came before."""

import os
from collections.abc import Callable

from aerostat.balloon.abi import Queue
from aerostat.balloon.device import KNOWN_FEATURES, BalloonDevice
from aerostat.balloon.driver_features import choose_features
from aerostat.errors import PeerError, UsageError
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets.pens import PackedPen
from aerostat.testing.fuzz.targets.yard import Yard
from aerostat.vhost_user import messages
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.messages import Request
from aerostat.virtio.driver_packed_ring import DriverPackedRing, lay_out_packed
from aerostat.virtio.driver_ring import DriverRing, lay_out
from aerostat.virtio.memory import BadAddress, GuestMemory, Region, ordering_of

_AT = 0x1000
_Calls = tuple[Callable[[], object], ...]


def run(case: bytes) -> None:
    """Call one of the rooms in any order."""
    source = Source(case)
    source.choose((_device, _backend, _rings, _descriptor, _memory))(source)


def _call(source: Source, calls: _Calls) -> None:
    while source.left:
        try:
            source.choose(calls)()
        except UsageError:
            continue


def _device(source: Source) -> None:
    choose_features(source.bits(64), source.near(KNOWN_FEATURES, 64))
    yard = Yard()
    features = source.near(KNOWN_FEATURES, 64)
    device = BalloonDevice(features=features, max_pages=source.number(33))
    device.accept(features)
    pens = {queue: PackedPen(0x400 * queue, 4) for queue in Queue}
    queue = source.choose(tuple(Queue))

    def start() -> None:
        ring = pens[queue].ring(yard.memory, None, indirect=True)
        try:
            device.start(queue, ring)
        except UsageError:
            ring.release()
            raise

    _call(
        source,
        (
            start,
            lambda: next(iter(device.service(queue)), None),
            lambda: pens[queue].offer(source, yard.memory, 0x4000, 4, source.below(4)),
            lambda: device.stop(queue),
            lambda: device.statistics_held,
            lambda: device.broken(queue),
            device.request_statistics,
        ),
    )
    device.reset()
    yard.check()


def _backend(source: Source) -> None:
    backend = Backend(features=source.bits(64), ring_count=5, config_size=source.near(16, 10))
    requests = (Request.SET_OWNER, Request.GET_CONFIG, Request.GET_VRING_BASE, Request.SET_FEATURES)
    payload = messages.encode_u64(0)
    _call(
        source,
        (
            lambda: backend.receive(messages.encode(source.choose(requests), payload)),
            backend.next_event,
            backend.accept,
            backend.refuse,
            lambda: backend.reply_config(bytes(4)),
            lambda: backend.reply_ring_base(source.bits(16)),
        ),
    )
    backend.close()


def _rings(source: Source) -> None:
    yard = Yard()
    size, address = source.near(4, 17), source.near(_AT, 13)
    ring: DriverRing | DriverPackedRing
    if source.chance(50):
        ring = DriverRing(yard.memory, size, lay_out(address, size, source.near(4, 13)))
    else:
        ring = DriverPackedRing(yard.memory, size, lay_out_packed(address, size))
    _call(
        source,
        (
            lambda: ring.add([(0x4000, source.near(4, 34))] * source.below(6)),
            lambda: ring.next_head,
            lambda: ring.broken,
            ring.collect,
        ),
    )
    ring.release()
    yard.check()


def _descriptor(source: Source) -> None:
    descriptor = OwnedDescriptor(os.dup(2) if source.chance(90) else -1 - source.below(2))
    repr(descriptor)
    _call(source, (descriptor.fileno, descriptor.close, lambda: os.close(descriptor.release())))
    descriptor.close()
    repr(descriptor)


def _memory(source: Source) -> None:
    ordering_of("x86_64")
    regions = []
    for _ in range(source.below(4)):
        size = source.below(64)
        view = memoryview(bytearray(source.near(size, 7)))
        regions.append(Region(source.number(64), size, 0, view))
    try:
        GuestMemory(regions)
    except BadAddress:
        return


TARGET = Target("misuse", "what callers of ours may do wrong", run, allowed=(UsageError, PeerError))
