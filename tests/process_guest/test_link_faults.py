"""Devices that are not there, die, fall silent or lie: the link says so, and no other suffers."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.balloon.driver_features import FEATURES_OF_2009
from aerostat.device.loop import READ, Loop
from aerostat.errors import AerostatError, LinkError, PeerError, UsageError
from aerostat.process_guest.interface import RESERVED_SIZE, DriverOptions, State
from aerostat.process_guest.link import DeviceLink
from aerostat.process_guest.memory import GuestMemoryFile
from aerostat.testing.mocks.still_guest import StillGuest, StillKernel
from aerostat.vhost_user import events, messages
from aerostat.vhost_user.backend import Backend
from aerostat.vhost_user.messages import BackendRequest, ProtocolFeature, Request

MIB = 1 << 20
SIZE = 128 * MIB

Device = Any  # of conftest, which cannot be imported
PlugIn = Callable[..., StillGuest]


# ---- not there


def test_no_device_is_said_to_be_none(plug_in: PlugIn, tmp_path: Path) -> None:
    guest = plug_in(tmp_path / "nothing")
    with pytest.raises(LinkError, match=r"no device at .*nothing"):
        guest.link.wait_for(State.RUNNING, 10)
    assert guest.link.state is State.LOST
    assert isinstance(guest.link.error, LinkError)
    assert guest.link.error.retryable


def test_a_link_that_is_lost_can_do_nothing_but_reconnect(plug_in: PlugIn, tmp_path: Path) -> None:
    guest = plug_in(tmp_path / "nothing")
    with pytest.raises(LinkError):
        guest.link.wait_for(State.RUNNING, 10)
    for command in (guest.link.pause, guest.link.resume, guest.link.reset, guest.link.load):
        with pytest.raises(UsageError, match="lost"):
            command()
    guest.link.relieve(1)
    assert not guest.link.report([(0, PAGE_SIZE)])


@pytest.mark.parametrize(
    "options",
    [
        DriverOptions(queue_size=100),
        DriverOptions(queue_size=512),
        DriverOptions(1 << 50),
        DriverOptions(statistics_first="uninitialised"),
    ],
)
def test_a_driver_that_cannot_be_is_no_guests(loop: Loop, options: DriverOptions) -> None:
    memory = GuestMemoryFile([(0, MIB)])
    with pytest.raises(UsageError, match=r"features|power of two|legacy"):
        DeviceLink(loop, "nowhere", memory, StillKernel([]), options)
    memory.close()


def test_a_memory_without_room_for_rings_is_no_guests(loop: Loop) -> None:
    memory = GuestMemoryFile([(0, RESERVED_SIZE // 2), (MIB, MIB)])
    with pytest.raises(UsageError, match="first region"):
        DeviceLink(loop, "nowhere", memory, StillKernel([]))
    memory.close()


class FakeDevice:
    """A device on the guests' own loop: our back-end, as far as a test lets it.

    `instead` has other answers for some requests, with the descriptors that come along.
    """

    def __init__(self, loop: Loop, path: Path) -> None:
        self.path = path
        self.instead: dict[int, tuple[bytes, list[int]]] = {}
        self.channel: socket.socket | None = None
        self._loop = loop
        self._backend = Backend(features=7, ring_count=5, config_size=16)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._end: socket.socket | None = None
        loop.watch(self._listener.fileno(), READ, self._accept)

    def _accept(self) -> None:
        self._end = self._listener.accept()[0]
        self._loop.watch(self._end.fileno(), READ, self._serve)

    def _serve(self) -> None:
        assert self._end is not None
        size = self._backend.bytes_desired()
        data, descriptors, _, _ = socket.recv_fds(self._end, size, 8)
        if not data:
            self.hang_up()
            return
        self._backend.receive(data, descriptors)
        while (event := self._backend.next_event()) is not None:
            if isinstance(event, events.ChannelSet):
                self.channel = socket.socket(fileno=event.descriptor.release())
                self._backend.accept()
            else:
                self.hang_up()  # it is of no use as a device
                return
        answer = self._backend.data_to_send()
        if answer:
            request = messages.Header.decode(answer[:12]).request
            answer, descriptors = self.instead.get(request, (answer, []))
            socket.send_fds(self._end, [answer], descriptors)

    def silence(self) -> None:
        self._loop.unwatch(self._listener.fileno())

    def hang_up(self) -> None:
        if self._end is not None:
            self._loop.unwatch(self._end.fileno())
            self._end.close()
            self._end = None

    def close(self) -> None:
        self.hang_up()
        self.silence()
        self._listener.close()
        self._backend.close()
        if self.channel is not None:
            self.channel.close()


@pytest.fixture
def fake(tmp_path: Path, loop: Loop) -> Iterator[FakeDevice]:
    device = FakeDevice(loop, tmp_path / "fake")
    yield device
    device.close()


def reply(request: int, value: int) -> bytes:
    return messages.encode(request, messages.encode_u64(value), flags=messages.FLAG_REPLY)


def fails(guest: StillGuest, kind: type[AerostatError], match: str) -> AerostatError:
    """Run the guest until its link fails, and return why."""
    with pytest.raises(kind, match=match) as caught:
        guest.run_until(lambda: False)
    assert guest.link.state is State.LOST
    return caught.value


# ---- silent, hostile


def test_a_silent_device_is_given_up(fake: FakeDevice, plug_in: PlugIn) -> None:
    fake.silence()
    guest = plug_in(fake.path, timeout=0.05)
    fails(guest, LinkError, r"does not answer request GET_FEATURES for 0\.05 s")


def test_a_device_that_hangs_up_is_lost(fake: FakeDevice, plug_in: PlugIn) -> None:
    # Our back-end agrees on everything, and the fake leaves when there is work to do.
    fails(plug_in(fake.path), LinkError, r"lost the device at .*/fake: ")


def test_a_device_that_answers_nonsense_is_cut_off(fake: FakeDevice, plug_in: PlugIn) -> None:
    fake.instead[Request.GET_QUEUE_NUM] = (reply(Request.SET_OWNER, 0), [])
    fails(plug_in(fake.path), PeerError, "not asked")


def test_a_device_that_refuses_what_must_be_is_given_up(fake: FakeDevice, plug_in: PlugIn) -> None:
    fake.instead[Request.SET_OWNER] = (reply(Request.SET_OWNER, 1), [])
    fails(plug_in(fake.path), PeerError, "refused SET_OWNER")


def test_descriptors_that_nobody_asked_for_end_the_link(fake: FakeDevice, plug_in: PlugIn) -> None:
    # The fixture of the loop sees to it that none is left open.
    stray = os.memfd_create("stray")
    fake.instead[Request.SET_OWNER] = (reply(Request.SET_OWNER, 0), [stray])
    fails(plug_in(fake.path), PeerError, "nobody asked")
    os.close(stray)


@pytest.fixture
def channel(fake: FakeDevice, plug_in: PlugIn) -> tuple[StillGuest, socket.socket]:
    """Return a guest that waits, and the device's end of its channel."""
    fake.instead[Request.SET_BACKEND_REQ_FD] = (b"", [])
    guest = plug_in(fake.path)
    guest.run_until(lambda: fake.channel is not None)
    assert fake.channel is not None
    fake.channel.settimeout(0)
    return guest, fake.channel


def test_what_a_device_wants_to_know_is_answered(
    channel: tuple[StillGuest, socket.socket],
) -> None:
    guest, asking = channel
    for request in (BackendRequest.CONFIG_CHANGE_MSG, 99):
        asking.send(messages.encode(request, flags=messages.FLAG_NEED_REPLY))
    answers = b""

    def answered() -> bool:
        nonlocal answers
        with contextlib.suppress(BlockingIOError):
            answers += asking.recv(4096)
        return len(answers) == 40

    guest.run_until(answered)
    assert guest.link.counters["config_changes"] == 1
    assert [messages.decode_u64(answers[at : at + 8]) != 0 for at in (12, 32)] == [False, True]


def test_however_many_changes_are_announced_one_look_is_due(
    channel: tuple[StillGuest, socket.socket],
) -> None:
    guest, announcing = channel
    announcing.send(messages.encode(BackendRequest.CONFIG_CHANGE_MSG) * 50)
    guest.run_until(lambda: guest.link.counters["config_changes"] == 50)
    assert len(guest.link._connection.frontend._waiting) == 1


def test_a_device_that_asks_without_listening_is_cut_off(
    channel: tuple[StillGuest, socket.socket],
) -> None:
    guest, asking = channel
    flood = messages.encode(99, flags=messages.FLAG_NEED_REPLY) * 100

    def ask() -> bool:
        with contextlib.suppress(BlockingIOError):
            while True:
                asking.send(flood)
        return False

    with pytest.raises(PeerError, match="does not read"):
        guest.run_until(ask)


def test_a_ring_that_the_device_breaks_ends_the_link(device: Device, plug_in: PlugIn) -> None:
    guest = plug_in(device.process.socket)
    guest.link.wait_for(State.RUNNING, 10)
    assert guest.link._work is not None
    rings = guest.link._work.rings
    guest.memory.memory.write(rings.rings[Queue.DEFLATE].layout.used + 2, b"\x09\0")
    assert rings.call is not None
    os.eventfd_write(rings.call, 1)
    fails(guest, PeerError, "broke the DEFLATE queue")


# ---- deaths


@pytest.mark.parametrize("options", [(), ("--packed-rings",)], ids=["split", "packed"])
def test_a_new_device_takes_over_from_one_that_died(
    start_device: Callable[..., Device], plug_in: PlugIn, options: tuple[str, ...]
) -> None:
    old = start_device("guest", *options)
    guest = plug_in(old.process.socket, DriverOptions(queue_size=16))
    # So many requests that the ring has been gone round.
    old.control.run("balloon", value=SIZE - 20 * MIB)
    guest.run_until(lambda: guest.link.balloon_size == 20 * MIB)
    old.control.run("balloon", value=SIZE - MIB)
    guest.run_until(lambda: guest.link.balloon_size == MIB)
    old.kill()
    fails(guest, LinkError, "lost the device")
    assert guest.link.balloon_size == MIB
    new = start_device("guest", *options)
    new.control.run("balloon", value=SIZE - 2 * MIB)
    guest.link.reconnect()
    guest.run_until(lambda: guest.link.balloon_size == 2 * MIB)
    guest.run_until(lambda: new.control.run("query-balloon")["actual"] == SIZE - 2 * MIB)
    asked = new.control.start("aerostat-sample", timeout=10)
    sent = guest.link.counters["statistics"]
    guest.run_until(lambda: guest.link.counters["statistics"] > sent)
    assert new.control.finish(asked)["fresh"]


def test_a_device_that_can_less_cannot_take_over(
    device: Device, fake: FakeDevice, plug_in: PlugIn
) -> None:
    guest = plug_in(device.process.socket)
    guest.link.wait_for(State.RUNNING, 10)
    device.kill()
    fails(guest, LinkError, "lost the device")
    guest.link._path = str(fake.path)
    guest.link.reconnect()
    error = fails(guest, LinkError, "lacks features 0x100000000")
    assert isinstance(error, LinkError)
    assert not error.retryable


def test_one_guest_that_loses_its_device_disturbs_no_other(
    start_device: Callable[[str], Device], plug_in: PlugIn
) -> None:
    one, other = start_device("one"), start_device("other")
    lost, kept = plug_in(one.process.socket), plug_in(other.process.socket)
    for guest in (lost, kept):
        guest.link.wait_for(State.RUNNING, 10)
    one.kill()
    other.control.run("balloon", value=SIZE - MIB)
    kept.run_until(lambda: kept.link.balloon_size == MIB and lost.link.state is State.LOST)
    assert kept.link.state is State.RUNNING


def test_a_byte_order_that_cannot_be_told_is_no_link(fake: FakeDevice, plug_in: PlugIn) -> None:
    few = 1 << ProtocolFeature.CONFIG
    answer = reply(Request.GET_PROTOCOL_FEATURES, few)
    fake.instead[Request.GET_PROTOCOL_FEATURES] = (answer, [])
    guest = plug_in(fake.path, DriverOptions(FEATURES_OF_2009, "big"))
    error = fails(guest, LinkError, "big-endian")
    assert isinstance(error, LinkError)
    assert not error.retryable
