"""A device process, a front-end, and a driver that does what a guest's does."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.statistics import QEMU_KEYS, Tag
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.frontend import MockFrontend, SharedFile
from aerostat.testing.mocks.guest import MockGuest
from aerostat.testing.processes.device import DeviceProcess
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import RegionDescription, Request

MIB = 1 << 20
FILE_OFFSET = 2 * MIB  # of guest address 0 in the memory file
RINGS = 64 * PAGE_SIZE  # where the driver has its rings
# Everything the guest can do without: the region above the hole.
FIRST_PFN, LAST_PFN = 8 * MIB // PAGE_SIZE, 16 * MIB // PAGE_SIZE


class Machine(MockGuest):
    """A guest whose pages above the hole can be told apart."""

    def __init__(self, path: Path, memory: SharedFile) -> None:
        super().__init__(str(path), memory, RINGS)

    def fill(self) -> None:
        """Put something else into each page of the region above the hole."""
        for pfn in range(FIRST_PFN, LAST_PFN):
            self.memory.memory.write(pfn * PAGE_SIZE, hashlib.sha256(b"%d" % pfn).digest() * 128)

    def sums(self) -> dict[int, bytes]:
        return {
            pfn: hashlib.sha256(self.memory.memory.read(pfn * PAGE_SIZE, PAGE_SIZE)).digest()
            for pfn in range(FIRST_PFN, LAST_PFN)
        }

    def is_hole(self, pfn: int) -> bool:
        """Whether the page takes no memory. (Region 1 follows region 0 in the file.)"""
        offset = FILE_OFFSET + pfn * PAGE_SIZE - 4 * MIB
        holes = self.memory.holes()
        return any(start <= offset and offset + PAGE_SIZE <= start + n for start, n in holes)


@pytest.fixture
def machine(device: DeviceProcess, shared: SharedFile) -> Iterator[Machine]:
    machine = Machine(device.socket, shared)
    yield machine
    machine.close()


# ---- statistics


def test_statistics_travel_to_a_client_that_asks(machine: Machine, control: ControlClient) -> None:
    machine.send_statistics(free_memory=1 << 20, total_memory=3 << 20)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    waiting = control.start("aerostat-sample", timeout=5)
    machine.frontend.wait_for_call(Queue.STATS)  # the held buffer has come back: a request
    assert len(machine.driver.collect(Queue.STATS)) == 1
    machine.send_statistics(free_memory=(1 << 64) - 2)
    sample = control.finish(waiting)
    assert sample["fresh"]
    assert sample["stats"] == {"stat-free-memory": (1 << 64) - 2, "unknown": {}}


def test_one_round_trip_serves_all_who_ask(
    machine: Machine, device: DeviceProcess, control: ControlClient
) -> None:
    machine.send_statistics(free_memory=1)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    with ControlClient(device.control) as other:
        commands = [(client, client.start("aerostat-sample")) for client in (control, other) * 3]
        machine.frontend.wait_for_call(Queue.STATS)
        for client in (control, other):
            client.run("query-status")  # so that all six have been read
        machine.send_statistics(free_memory=2)
        samples = [client.finish(command) for client, command in commands]
    assert len(machine.driver.collect(Queue.STATS)) == 1
    assert len({sample["sampled-at"] for sample in samples}) == 1
    assert all(sample["fresh"] for sample in samples)


def test_a_guest_that_does_not_answer_costs_its_timeout(
    machine: Machine, control: ControlClient
) -> None:
    machine.send_statistics(free_memory=7)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    sample = control.sample(timeout=0.05)
    assert not sample["fresh"]
    assert sample["stats"]["stat-free-memory"] == 7


def test_statistics_are_qemus_where_qemu_has_them(machine: Machine, control: ControlClient) -> None:
    before = control.get("guest-stats")
    assert before["last-update"] == 0
    assert before["stats"] == dict.fromkeys(QEMU_KEYS.values(), (1 << 64) - 1)
    machine.driver.send_statistics({Tag.SWAP_IN: 5, 77: 6})
    machine.frontend.kick(Queue.STATS)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    after = control.get("guest-stats")
    assert after["stats"] == before["stats"] | {"stat-swap-in": 5}
    assert control.sample(timeout=0)["stats"]["unknown"] == {"77": 6}


def test_an_interval_asks_at_once_and_then_again(machine: Machine, control: ControlClient) -> None:
    machine.send_statistics(free_memory=1)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    control.set("guest-stats-polling-interval", 1)
    for answer in (2, 3):
        machine.frontend.wait_for_call(Queue.STATS)
        assert len(machine.driver.collect(Queue.STATS)) == 1
        machine.send_statistics(free_memory=answer)
    control.set("guest-stats-polling-interval", 0)
    control.wait_until(lambda: control.get("guest-stats")["stats"]["stat-free-memory"] == 3)


# ---- giving and taking


def test_inflated_pages_are_holes_and_every_other_page_is_untouched(
    machine: Machine, control: ControlClient
) -> None:
    machine.fill()
    before, held = machine.sums(), machine.memory.held
    given = [pfn for pfn in range(LAST_PFN - 1, FIRST_PFN - 1, -1) if pfn % 7]
    machine.balloon(Queue.INFLATE, given)
    assert machine.memory.held == held - len(given) * PAGE_SIZE
    assert all(map(machine.is_hole, given))
    assert control.sample(timeout=0)["held"] == machine.memory.held
    after = machine.sums()  # reading takes nothing
    zeros = hashlib.sha256(bytes(PAGE_SIZE)).digest()
    assert all(after[pfn] == zeros for pfn in given)
    kept = before.keys() - set(given)
    assert kept
    assert all(after[pfn] == before[pfn] for pfn in kept)
    assert control.sample(timeout=0)["counters"]["punched_bytes"] == len(given) * PAGE_SIZE


def test_deflated_pages_can_be_used_again(machine: Machine) -> None:
    machine.fill()
    before = machine.sums()
    pfns = list(range(FIRST_PFN, LAST_PFN))
    machine.balloon(Queue.INFLATE, pfns)
    machine.balloon(Queue.DEFLATE, pfns)
    machine.fill()
    assert machine.sums() == before


def test_a_request_that_straddles_the_hole_frees_what_is_memory(
    machine: Machine, control: ControlClient
) -> None:
    edge = 4 * MIB // PAGE_SIZE
    held = machine.memory.held
    machine.memory.memory.write((edge - 1) * PAGE_SIZE, b"x" * PAGE_SIZE)
    machine.memory.memory.write(FIRST_PFN * PAGE_SIZE, b"x" * PAGE_SIZE)
    machine.balloon(Queue.INFLATE, [edge - 1, edge, FIRST_PFN - 1, FIRST_PFN, 0xFFFFFFFF])
    assert machine.memory.held == held
    assert control.sample(timeout=0)["counters"]["outside_pages"] == 3


def test_a_target_is_announced_and_what_the_driver_says_is_shown(
    machine: Machine, control: ControlClient
) -> None:
    assert control.run("query-balloon") == {"actual": 12 * MIB}
    control.run("balloon", value=8 * MIB)
    machine.frontend.wait_for_config_change()
    assert machine.frontend.read_config(0, 4) == (4 * MIB // PAGE_SIZE).to_bytes(4, "little")
    machine.say_actual(4 * MIB)
    assert control.run("query-balloon") == {"actual": 8 * MIB}
    assert [event.name for event in control.events] == ["BALLOON_CHANGE"]
    assert control.events[0].data == {"actual": 8 * MIB}


def test_of_many_changes_the_last_is_always_told(machine: Machine, control: ControlClient) -> None:
    for pages in range(1, 200):
        machine.say_actual(pages * PAGE_SIZE)
    final = {"actual": 12 * MIB - 199 * PAGE_SIZE}
    control.wait_until(lambda: bool(control.events) and control.events[-1].data == final)
    assert len(control.events) < 20


@pytest.mark.parametrize(("value", "balloon"), [(1, 12 * MIB - 1), (1 << 60, 0)])
def test_a_target_is_bounded_by_the_guests_memory(
    machine: Machine, control: ControlClient, value: int, balloon: int
) -> None:
    control.run("balloon", value=6 * MIB)
    control.run("balloon", value=value)
    pages = (balloon // PAGE_SIZE).to_bytes(4, "little")
    assert machine.frontend.read_config(0, 4) == pages


def test_only_what_a_driver_may_write_is_taken(machine: Machine, control: ControlClient) -> None:
    # QEMU writes the whole space back, with a stale target in it.
    control.run("balloon", value=8 * MIB)
    machine.frontend.write_config(0, b"\xff\xff\xff\xff" + (5).to_bytes(4, "little") + bytes(8))
    assert control.sample(timeout=0)["target-size"] == 8 * MIB
    assert control.run("query-balloon") == {"actual": 12 * MIB - 5 * PAGE_SIZE}


# ---- pauses, resets, other front-ends


def test_a_pause_keeps_the_held_buffer_and_the_statistics(
    machine: Machine, control: ControlClient
) -> None:
    machine.send_statistics(free_memory=1)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    machine.balloon(Queue.INFLATE, [FIRST_PFN])
    machine.say_actual(PAGE_SIZE)
    control.sample(timeout=0)  # asks, and thereby gives the buffer back
    machine.send_statistics(free_memory=2)
    control.wait_until(lambda: control.get("guest-stats")["stats"]["stat-free-memory"] == 2)
    # One buffer was used and one is held, so the statistics go on from 1, not 2.
    assert machine.stop() == [1, 0, 1]
    assert control.get("guest-stats")["stats"]["stat-free-memory"] == 2
    machine.frontend.choose(machine.frontend.features)
    machine.start()
    assert control.run("query-balloon") == {"actual": 12 * MIB - PAGE_SIZE}
    assert control.get("guest-stats")["stats"]["stat-free-memory"] == 2
    sample = control.start("aerostat-sample", timeout=5)
    machine.frontend.wait_for_call(Queue.STATS)
    machine.send_statistics(free_memory=3)
    assert control.finish(sample)["stats"]["stat-free-memory"] == 3


def test_a_target_set_during_a_pause_is_announced_after_it(
    machine: Machine, control: ControlClient
) -> None:
    machine.balloon(Queue.INFLATE, [FIRST_PFN])
    machine.stop()
    control.run("balloon", value=8 * MIB)
    machine.frontend.channel.setblocking(False)
    with pytest.raises(BlockingIOError):  # QEMU would die of it
        machine.frontend.wait_for_config_change()
    machine.frontend.channel.settimeout(10)
    machine.start()
    machine.frontend.wait_for_config_change()


def test_a_new_driver_begins_with_nothing_but_the_target(
    machine: Machine, control: ControlClient
) -> None:
    machine.send_statistics(free_memory=1)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    machine.say_actual(4 * MIB)
    control.run("balloon", value=6 * MIB)
    for index in range(5):  # as user-mode Linux: disabled, and never ended
        machine.frontend.enable_ring(index, enabled=False)
    machine.frontend.choose(machine.frontend.features)
    machine.driver.release()
    machine.driver = machine.make_driver()
    machine.start()
    assert control.get("guest-stats")["last-update"] == 0
    assert control.run("query-balloon") == {"actual": 12 * MIB}
    assert control.sample(timeout=0)["target-size"] == 6 * MIB
    machine.balloon(Queue.INFLATE, [FIRST_PFN])
    machine.send_statistics(free_memory=9)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)


def test_memory_may_be_shared_anew_while_rings_run(machine: Machine) -> None:
    machine.balloon(Queue.INFLATE, [FIRST_PFN])
    machine.frontend.share_memory()
    machine.balloon(Queue.INFLATE, [FIRST_PFN + 1])


def test_memory_in_which_a_ring_cannot_be_is_refused(
    machine: Machine, control: ControlClient
) -> None:
    regions = machine.memory.memory.regions
    table = [
        RegionDescription(r.guest_address, r.size, r.user_address, r.file_offset) for r in regions
    ]
    # One byte less at the front: the rings are where they were, and nothing in them is aligned.
    table[0] = RegionDescription(
        1, regions[0].size - 1, regions[0].user_address + 1, FILE_OFFSET + 1
    )
    payload = messages.encode_memory_table(tuple(table))
    descriptors = [machine.memory.descriptor] * len(table)
    assert not machine.frontend.request(Request.SET_MEM_TABLE, payload, descriptors)
    assert control.sample(timeout=0)["counters"]["refused_requests"] == 1
    machine.stop()
    machine.frontend.choose(machine.frontend.features)
    machine.start()
    machine.balloon(Queue.INFLATE, [FIRST_PFN])


def test_the_next_front_end_is_served_after_the_first(
    machine: Machine, device: DeviceProcess, control: ControlClient
) -> None:
    machine.send_statistics(free_memory=1)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    control.run("balloon", value=8 * MIB)
    machine.close()
    control.wait_until(lambda: not control.run("query-status")["running"])
    assert control.get("guest-stats")["last-update"] == 0
    assert control.sample(timeout=0)["held"] == 0
    machine.__init__(device.socket, machine.memory)  # type: ignore[misc]
    assert control.run("query-status")["running"]
    assert control.sample(timeout=0)["target-size"] == 8 * MIB
    machine.balloon(Queue.INFLATE, [FIRST_PFN])


def test_nothing_is_left_open_when_front_ends_come_and_go(
    device: DeviceProcess, control: ControlClient, shared: SharedFile
) -> None:
    def descriptors() -> list[str]:
        entries = Path(f"/proc/{device.pid}/fd").iterdir()
        return sorted(str(entry.readlink()).split(":")[0] for entry in entries)

    before = descriptors()
    for _ in range(3):
        machine = Machine(device.socket, shared)
        machine.frontend.send_notifications(0)  # again, as QEMU does
        machine.frontend.share_memory()
        machine.close()
        control.wait_until(lambda: not control.run("query-status")["running"])
    assert descriptors() == before


# ---- bad neighbours


def test_garbage_ends_its_own_connection_and_touches_no_other_guest(
    machine: Machine, start_device: Callable[[str], DeviceProcess], shared: SharedFile
) -> None:
    other = start_device("other")
    for garbage in (b"\xff" * 4096, b"GET / HTTP/1.1\r\n\r\n", bytes(12)):
        frontend = MockFrontend(str(other.socket), shared)
        frontend.send_raw(garbage)
        assert frontend.disconnected()
        frontend.close()
        machine.balloon(Queue.INFLATE, [FIRST_PFN])
    with ControlClient(other.control) as client:
        assert client.sample(timeout=0)["counters"]["broken_conversations"] == 3
    assert other.alive


def test_a_call_that_nobody_reads_holds_up_nothing(
    machine: Machine, control: ControlClient
) -> None:
    reader, writer = os.pipe()
    try:
        while True:
            os.set_blocking(writer, False)
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
    machine.frontend.request(12 + 1, bytes(8), [writer])  # SET_VRING_CALL of ring 0
    machine.driver.inflate([FIRST_PFN])
    machine.frontend.kick(Queue.INFLATE)
    control.wait_until(lambda: control.sample(timeout=0)["counters"]["lost_calls"] > 0)
    os.close(reader)
    machine.driver.inflate([FIRST_PFN])
    machine.frontend.kick(Queue.INFLATE)
    control.wait_until(lambda: control.sample(timeout=0)["counters"]["punches"] == 2)
    assert len(machine.driver.collect(Queue.INFLATE)) == 2
    os.close(writer)


def test_a_kick_that_is_closed_does_not_keep_the_device_busy(
    machine: Machine, device: DeviceProcess, control: ControlClient
) -> None:
    reader, writer = os.pipe()
    machine.frontend.enable_ring(0, enabled=False)
    machine.frontend.request(12, bytes(8), [reader])  # SET_VRING_KICK of ring 0
    machine.frontend.enable_ring(0)
    os.close(reader)
    os.close(writer)

    def watched() -> bool:
        entries = Path(f"/proc/{device.pid}/fd").iterdir()
        return any("pipe" in str(entry.readlink()) for entry in entries)

    control.wait_until(lambda: not watched())


def test_the_control_socket_answers_while_the_balloon_works(
    machine: Machine, control: ControlClient
) -> None:
    # Requests that name the same scattered pages over and over: tens of milliseconds of work.
    requests, repeats = 8, 32
    pfns = b"".join(pfn.to_bytes(4, "little") for pfn in range(FIRST_PFN, LAST_PFN, 2))
    buffer = -(-machine.driver.end // PAGE_SIZE) * PAGE_SIZE
    table = buffer + len(pfns)
    machine.memory.memory.write(buffer, pfns)
    ring = machine.driver.rings[Queue.INFLATE]
    # This process may be held up until all of it is done, so it may take several tries.
    for _ in range(20):
        for _ in range(requests):
            ring.add([(buffer, len(pfns))] * repeats, table=table)
        machine.frontend.kick(Queue.INFLATE)
        control.run("query-status")
        done = in_between = len(ring.collect())
        while done < requests:
            done += len(ring.collect())
        if in_between < requests:
            return
    pytest.fail("all was done before the answer came")


# ---- the process


def test_a_device_process_is_small(
    machine: Machine, device: DeviceProcess, control: ControlClient
) -> None:
    machine.send_statistics(free_memory=1)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    rollup = Path(f"/proc/{device.pid}/smaps_rollup").read_text()
    private = sum(
        int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Private_")
    )
    assert private <= 8 * MIB
