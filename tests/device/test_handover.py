"""A device process goes on in another's place: what a guest has, and what becomes of a failure."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.device import document, handover, takeover
from aerostat.device.handover import GO, NO, READY, YOURS, Offer
from aerostat.device.named import Descriptors
from aerostat.errors import LinkError, PeerError
from aerostat.testing.control_client import ControlClient
from aerostat.testing.descriptors import open_descriptors
from aerostat.testing.mocks.frontend import SharedFile
from aerostat.testing.mocks.guest import MockGuest
from aerostat.testing.polling import until
from aerostat.testing.processes.device import DeviceProcess
from aerostat.vhost_user import messages
from aerostat.vhost_user.descriptors import OwnedDescriptor
from aerostat.vhost_user.messages import Request

MIB = 1 << 20
RINGS = 64 * PAGE_SIZE
FIRST_PFN = 8 * MIB // PAGE_SIZE

Start = Callable[..., DeviceProcess]


class Machine(MockGuest):
    """A guest that can be asked for its statistics, and sees what is served."""

    def __init__(self, device: DeviceProcess, memory: SharedFile) -> None:
        super().__init__(str(device.socket), memory, RINGS)
        self._free = 0

    def is_served(self, control: ControlClient) -> None:
        """Check that each queue is served once for each request."""
        self.balloon(Queue.INFLATE, [FIRST_PFN])
        self.balloon(Queue.DEFLATE, [FIRST_PFN])
        self.driver.collect(Queue.STATS)
        self._free += 1
        self.send_statistics(free_memory=self._free)
        control.wait_until(
            lambda: control.sample(timeout=0)["stats"].get("stat-free-memory") == self._free
        )


@pytest.fixture
def machine(device: DeviceProcess, shared: SharedFile) -> Iterator[Machine]:
    machine = Machine(device, shared)
    yield machine
    machine.close()


@pytest.fixture
def take_over(
    device: DeviceProcess, runner: asyncio.Runner
) -> Iterator[Callable[[], ControlClient]]:
    """Have the next process go on; return a client of its."""
    processes, clients = [device], list[ControlClient]()

    def take() -> ControlClient:
        processes.append(runner.run(processes[-1].successor()))
        clients.append(ControlClient(processes[-1].control))
        return clients[-1]

    yield take
    for client in clients:
        client.close()
    for process in processes[1:]:
        runner.run(process.stop())


def seen(sample: dict[str, Any]) -> dict[str, Any]:
    """Return what of a sample must be the same before and after."""
    return {name: value for name, value in sample.items() if name != "fresh"}


# ---- it goes on


def test_a_successor_has_all_that_was_there(
    machine: Machine, control: ControlClient, take_over: Callable[[], ControlClient]
) -> None:
    machine.is_served(control)
    machine.balloon(Queue.INFLATE, [FIRST_PFN + n for n in range(600)])
    machine.say_actual(600 * PAGE_SIZE)
    machine.balloon(Queue.INFLATE, [0xFFFFFFFF])
    control.run("balloon", value=8 * MIB)
    machine.frontend.wait_for_config_change()
    control.set("guest-stats-polling-interval", 3600)
    before = control.sample(timeout=0)
    for _ in range(2):
        after = take_over()
        assert seen(after.sample(timeout=0)) == seen(before)
        assert after.get("guest-stats-polling-interval") == 3600
        assert after.run("query-name") == {"name": "guest"}
        assert after.run("query-status")["running"]
        assert machine.frontend.read_config(0, 8) == b"".join(
            n.to_bytes(4, "little") for n in (4 * MIB // PAGE_SIZE, 600)
        )
    machine.is_served(after)
    after.run("balloon", value=9 * MIB)
    machine.frontend.wait_for_config_change()


@pytest.mark.slow
def test_what_was_posted_meanwhile_is_served_once(
    machine: Machine, take_over: Callable[[], ControlClient]
) -> None:
    machine.send_statistics(free_memory=1)
    for _ in range(3):
        machine.driver.inflate([FIRST_PFN])  # and nobody is told
        control = take_over()
        assert len(machine.wait_for(Queue.INFLATE)) == 1
        assert control.sample(timeout=0)["stats"]["stat-free-memory"] == 1
    assert control.sample(timeout=0)["counters"]["punches"] == 3


@pytest.mark.slow
def test_the_held_statistics_buffer_is_asked_with_afterwards(
    machine: Machine, control: ControlClient, take_over: Callable[[], ControlClient]
) -> None:
    machine.send_statistics(free_memory=1)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    after = take_over()
    assert machine.driver.collect(Queue.STATS) == []
    waiting = after.start("aerostat-sample", timeout=5)
    assert len(machine.wait_for(Queue.STATS)) == 1
    machine.send_statistics(free_memory=2)
    sample = after.finish(waiting)
    assert sample["fresh"]
    assert sample["stats"]["stat-free-memory"] == 2
    assert sample["counters"]["extra_statistics"] == 0


@pytest.mark.slow
def test_a_message_that_is_half_there_is_finished(
    machine: Machine, take_over: Callable[[], ControlClient]
) -> None:
    kick = os.eventfd(0)
    message = messages.encode(
        Request.SET_VRING_KICK, messages.encode_u64(0), flags=messages.FLAG_NEED_REPLY
    )
    machine.frontend.enable_ring(0, enabled=False)
    machine.frontend.send_raw(message[:15], [kick])
    take_over()
    machine.frontend.send_raw(message[15:])
    assert machine.frontend.receive_reply() == (Request.SET_VRING_KICK, bytes(8))
    machine.frontend.enable_ring(0)
    machine.driver.inflate([FIRST_PFN])
    os.eventfd_write(kick, 1)
    assert len(machine.wait_for(Queue.INFLATE)) == 1
    os.close(kick)


@pytest.mark.slow
def test_memory_and_rings_may_change_afterwards(
    machine: Machine, take_over: Callable[[], ControlClient]
) -> None:
    control = take_over()
    machine.frontend.share_memory()
    machine.is_served(control)
    machine.stop()
    machine.start()
    machine.is_served(control)
    machine.reload()
    machine.is_served(control)


@pytest.mark.slow
def test_a_paused_guest_goes_on_paused(
    machine: Machine, control: ControlClient, take_over: Callable[[], ControlClient]
) -> None:
    machine.is_served(control)
    bases = machine.stop()
    control.run("balloon", value=8 * MIB)  # to be announced when it goes on
    after = take_over()
    assert not after.run("query-status")["running"]
    machine.start(bases)
    machine.frontend.wait_for_config_change()
    assert after.sample(timeout=0)["stats"]["stat-free-memory"] == 1
    machine.is_served(after)


@pytest.mark.slow
def test_without_a_guest_the_next_one_finds_the_successor(
    device: DeviceProcess, take_over: Callable[[], ControlClient], shared: SharedFile
) -> None:
    with ControlClient(device.control) as control:
        control.run("balloon", value=8 * MIB)
    control = take_over()
    machine = Machine(device, shared)
    machine.is_served(control)
    assert control.sample(timeout=0)["target-size"] == 8 * MIB
    assert control.sample(timeout=0)["counters"]["front_ends"] == 1
    machine.close()
    control.wait_until(lambda: not control.run("query-status")["running"])
    again = Machine(device, shared)
    again.is_served(control)
    again.close()


@pytest.mark.slow
def test_the_last_of_them_leaves_nothing(
    machine: Machine,
    device: DeviceProcess,
    take_over: Callable[[], ControlClient],
    runner: asyncio.Runner,
) -> None:
    take_over()
    control = take_over()
    control.run("quit")
    assert machine.frontend.disconnected()
    for path in (device.socket, device.control):
        runner.run(until(lambda path=path: not path.exists(), within=10.0))  # type: ignore[misc]


# ---- it fails, and the old one goes on


class HalfSuccessor:
    """The successor's end of a handover, by hand."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        handover._command(self.socket)

    def read_state(self) -> None:
        self.socket.sendall(GO)
        _, descriptors = handover._receive_state(self.socket)
        descriptors.close()

    def say(self, word: bytes) -> bytes:
        self.socket.sendall(word)
        return self.socket.recv(1)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["at once", "with the state", "before READY", "before MINE", "?"])
def test_a_successor_that_dies_half_way_leaves_the_guest_to_the_old_one(
    machine: Machine, device: DeviceProcess, control: ControlClient, end: str
) -> None:
    machine.is_served(control)
    half = HalfSuccessor(device.control)
    if end == "with the state":
        half.socket.sendall(GO)
    elif end != "at once":
        half.read_state()
    if end == "before MINE":
        assert half.say(READY) == YOURS
    elif end == "?":
        assert half.say(b"?") == NO
    machine.driver.inflate([FIRST_PFN + 1])
    machine.kick(Queue.INFLATE)
    half.socket.close()
    assert len(machine.wait_for(Queue.INFLATE)) == 1
    with ControlClient(device.control) as again:
        machine.is_served(again)
    assert device.alive


def test_clients_that_ask_meanwhile_are_answered_after_all(
    machine: Machine, device: DeviceProcess, control: ControlClient
) -> None:
    half = HalfSuccessor(device.control)
    half.read_state()
    asked = control.start("query-balloon")
    half.socket.close()
    assert control.finish(asked) == {"actual": 12 * MIB}


@pytest.mark.slow
def test_a_successor_that_hangs_is_not_waited_for(machine: Machine, device: DeviceProcess) -> None:
    half = HalfSuccessor(device.control)
    half.read_state()
    assert half.socket.recv(1) == NO
    with ControlClient(device.control) as control:
        machine.is_served(control)
    half.socket.close()


# ---- the old one dies, and the new one goes on


def kill(device: DeviceProcess) -> None:
    assert device.pid is not None
    os.kill(device.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_predecessor_that_dies_half_way_leaves_the_guest_to_the_new_one(
    machine: Machine, device: DeviceProcess, control: ControlClient
) -> None:
    machine.is_served(control)
    before = control.sample(timeout=0)
    offer = Offer(str(device.control))
    successor = takeover._successor(offer.document, offer.descriptors)
    kill(device)
    offer.accept()
    offer.close()
    assert successor._link is not None
    successor._loop.call_soon(successor._link.resume)
    thread = threading.Thread(target=successor._loop.run)
    thread.start()
    with ControlClient(device.control) as client:
        assert seen(client.sample(timeout=0)) == seen(before)
        machine.is_served(client)
        client.run("quit")
    thread.join()
    successor._close()
    assert machine.frontend.disconnected()


@pytest.mark.slow
def test_a_predecessor_that_goes_on_is_not_robbed(
    machine: Machine, device: DeviceProcess, control: ControlClient, monkeypatch: Any
) -> None:
    monkeypatch.setattr(handover, "READY", b"?")
    with pytest.raises(LinkError, match="goes on serving"):
        takeover.take_over(str(device.control))
    machine.is_served(control)


# ---- what is offered cannot be trusted


def other_words(value: Any) -> list[Any]:
    """Return values that a hostile predecessor might say instead."""
    if isinstance(value, dict):
        return [None, [], {**value, "more": 1}, dict(list(value.items())[1:])]
    if isinstance(value, list):
        return [None, {}, [*value, None], value * 100, [[]] * (len(value) + 1)]
    return [None, -1, 1 << 70, 1.5, float("inf"), "?", "f" * 9, [], {}, True, 0, 0xFFFF, 0xFFFFFFFF]


def spoilt(document: Any) -> Iterator[Any]:
    """Yield the document with one thing in it spoilt, for each thing and some ways."""
    yield from other_words(document)
    if isinstance(document, dict | list):
        for key in document if isinstance(document, dict) else range(len(document)):
            for other in spoilt(document[key]):
                copy = document.copy()
                copy[key] = other
                yield copy


class Bag(Descriptors):
    """Copies of descriptors, to be given away any number of times."""

    @classmethod
    def of(cls, numbers: dict[str, int]) -> "Bag":
        return cls({n: OwnedDescriptor(os.dup(number)) for n, number in numbers.items()})


def go_on(state: Any, descriptors: Bag) -> None:
    try:
        takeover._successor(state, descriptors).abandon()
    finally:
        descriptors.close()


@pytest.mark.slow
def test_a_hostile_document_is_refused_or_harmless(
    machine: Machine, device: DeviceProcess, control: ControlClient
) -> None:
    machine.is_served(control)
    offer = Offer(str(device.control))
    owned = offer.descriptors._descriptors
    numbers = {name: descriptor.fileno() for name, descriptor in owned.items()}
    state = offer.document
    go_on(state, Bag.of(numbers))
    before = open_descriptors()
    refused = survived = 0
    for other in spoilt(state):
        try:
            checked = document.decode(json.dumps(other).encode())
            go_on(checked, Bag.of(numbers))
        except PeerError:
            refused += 1
        else:
            survived += 1
    assert refused > 1000
    assert survived > 10  # other numbers are as good, and the guest's own
    assert open_descriptors() == before
    for name in numbers:
        with contextlib.suppress(PeerError):
            go_on(state, Bag.of({n: number for n, number in numbers.items() if n != name}))
        other = numbers["memory-0"] if name != "memory-0" else numbers["socket"]
        with contextlib.suppress(PeerError):
            go_on(state, Bag.of(numbers | {name: other}))
    assert open_descriptors() == before
    assert device.socket.exists()  # the path is not ours to remove
    offer.close()
    machine.is_served(control)


def test_the_documents_of_earlier_versions_are_read() -> None:
    """A version is what is in its file: another shape is another version."""
    first, second = (
        (Path(__file__).parent / f"document-{version}.json").read_bytes() for version in (1, 2)
    )
    read = document.decode(second)
    assert read["version"] == document.VERSION == 2
    assert document.decode(document.encode(read)) == read == json.loads(second)
    earlier = document.decode(first)
    assert earlier["options"].pop("block_reads") is None
    assert earlier == {**json.loads(first), "version": 2}


EARLIER = (b'{"version": 1}', b'{"version": 1, "options": []}')


def test_other_formats_are_refused() -> None:
    decode = document.decode
    for data in (b"", b"{", b"[" * 100_000, b"null", b"\xff", *EARLIER):
        with pytest.raises(PeerError, match="state document"):
            decode(data)
    with pytest.raises(PeerError, match="version 3"):
        decode(b'{"format": "aerostat-device", "version": 3}')


@pytest.mark.slow
@pytest.mark.parametrize("answer", [b"", b'{"QMP": {}}\n', b"SSH-2.0\n"])
def test_what_is_no_device_cannot_be_taken_over(tmp_path: Path, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises((LinkError, PeerError)):
            Offer(str(tmp_path / "socket"))
        thread.join()
    with pytest.raises(LinkError, match="cannot take over"):
        Offer(str(tmp_path / "nobody"))
