"""A balloon device and a driver in one process: a sample of statistics, then an inflation.

    .venv/bin/python examples/tiny_device.py

This is what a VMM does that takes aerostat's device as a library: it owns the memory and the
notifications; rings and device are state machines that do no I/O. Where a guest would be, a mock
driver writes the same rings.
"""

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.device import BalloonDevice, Deflate, Inflate, StatisticsArrived
from aerostat.balloon.statistics import NAMES, Tag
from aerostat.testing.mocks.driver import BalloonDriver, make_memory
from aerostat.units import MIB, format_size
from aerostat.virtio.split_ring import SplitRing

SIZE = 16 * MIB


def main() -> None:
    """Let the two talk."""
    memory = make_memory((0, SIZE))  # one region at guest address 0
    guest = BalloonDriver(memory, 8 * MIB)  # its rings begin at 8 MiB

    device = BalloonDevice(max_pages=SIZE // PAGE_SIZE)
    device.accept(device.features)
    for queue, ring in guest.rings.items():
        device.start(queue, SplitRing(memory, ring.size, ring.desc, ring.avail, ring.used))

    # The driver posts a first buffer, and the device keeps it.
    guest.send_statistics({Tag.FREE_MEMORY: 6 * MIB, Tag.AVAILABLE_MEMORY: 7 * MIB})
    serve(device, Queue.STATS)
    # To return it is to ask for new figures; the driver answers with the same buffer.
    device.request_statistics()
    print(f"asked: the driver got {len(guest.collect(Queue.STATS))} buffer back")
    guest.send_statistics({Tag.FREE_MEMORY: 5 * MIB, Tag.AVAILABLE_MEMORY: 6 * MIB, 77: 1})
    serve(device, Queue.STATS)

    # The host asks for 1 MiB; the driver gives 256 pages, in the order in which Linux lists them.
    device.set_target(MIB // PAGE_SIZE)
    wanted = int.from_bytes(device.read_config(0, 4), "little")
    guest.inflate(range(wanted - 1, -1, -1))
    serve(device, Queue.INFLATE)
    device.write_config(4, wanted.to_bytes(4, "little"))
    print(f"the balloon has {format_size(device.balloon_size)}")

    # A page that is not memory, in a hostile guest's request: skipped and counted, never an error.
    guest.inflate([0xFFFF_FFFF])
    serve(device, Queue.INFLATE)
    print(f"outside_pages: {device.counters['outside_pages']}")


def serve(device: BalloonDevice, queue: Queue) -> None:
    """Do what waits on a queue, as the process around a device would."""
    for event in device.service(queue):
        match event:
            case StatisticsArrived(statistics):
                shown = (f"{NAMES.get(tag, tag)} {value}" for tag, value in statistics.items())  # type: ignore[call-overload]
                print("statistics:", ", ".join(shown))
            case Inflate(pieces):
                for piece in pieces:
                    punch(piece.region.view[piece.offset : piece.offset + piece.length])
                device.complete(event)  # acknowledged only now that the memory is given back
            case Deflate():
                device.complete(event)
    for waiting in device.take_notifications():
        print(f"notify the driver of its {waiting.name.lower()} queue")


def punch(view: memoryview) -> None:
    """Stand for `fallocate(FALLOC_FL_PUNCH_HOLE)`: afterwards the pages read as zeros."""
    view[:] = bytes(len(view))
    print(f"punched {format_size(len(view))} in one piece")


if __name__ == "__main__":
    main()
