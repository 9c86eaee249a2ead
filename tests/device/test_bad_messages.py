"""The catalogue of bad messages, against a device process that must outlive them all."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.conformance.bad_messages import MEMORY_SIZE, MESSAGES, Message
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.frontend import PROTOCOL_FEATURES, SharedFile
from aerostat.testing.mocks.guest import MockGuest
from aerostat.testing.processes.device import DeviceProcess
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import ProtocolFeature, Request

RINGS = 16 * PAGE_SIZE
PAGE = MEMORY_SIZE // PAGE_SIZE - 1

ALL = PROTOCOL_FEATURES | sum(
    1 << feature
    for feature in (
        ProtocolFeature.CONFIGURE_MEM_SLOTS,
        ProtocolFeature.CROSS_ENDIAN,
        ProtocolFeature.STATUS,
    )
)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceProcess]:
    """One device for all of them: none may leave it worse than it was."""
    directory = tmp_path_factory.mktemp("bad")
    device = DeviceProcess("bad", size=MEMORY_SIZE, directory=directory)
    with asyncio.Runner() as runner:
        runner.run(device.start())
        yield device
        runner.run(device.stop())


@pytest.fixture
def memory() -> Iterator[SharedFile]:
    memory = SharedFile([(0, MEMORY_SIZE)])
    yield memory
    memory.close()


def plug_in(device: DeviceProcess, memory: SharedFile) -> MockGuest:
    return MockGuest(str(device.socket), memory, RINGS, protocol_features=ALL)


def send(guest: MockGuest, message: Message) -> None:
    """Send a message, and what comes along."""
    reader, writer = os.pipe()
    kinds = {"memory": guest.memory.descriptor, "pipe": reader}
    guest.frontend.send_raw(message.data, [kinds[kind] for kind in message.files])
    os.close(reader)
    os.close(writer)


def outcome(guest: MockGuest, message: Message) -> str:
    """Return what has come of a message."""
    if message.outcome == "cut":
        return "cut" if guest.frontend.disconnected() else "answered"
    if message.outcome == "ignored":
        # What comes next is the answer to something else.
        guest.frontend.ask(Request.GET_FEATURES)
        return "ignored"
    request, payload = guest.frontend.receive_reply()
    if request == Request.GET_CONFIG:
        return "accepted" if payload else "refused"
    return "refused" if messages.decode_u64(payload) else "accepted"


def descriptors(device: DeviceProcess) -> list[str]:
    entries = Path(f"/proc/{device.pid}/fd").iterdir()
    return sorted(str(entry.readlink()).split(":")[0] for entry in entries)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_what_is_bad_is_refused_and_a_good_front_end_served(
    device: DeviceProcess, memory: SharedFile, message: Message
) -> None:
    memory.memory.write(PAGE * PAGE_SIZE, b"x" * PAGE_SIZE)
    with ControlClient(device.control) as control:
        idle = descriptors(device)
        guest = plug_in(device, memory)
        control.run("balloon", value=MEMORY_SIZE // 2)
        if not message.running:
            guest.stop()
        send(guest, message)
        assert outcome(guest, message) == message.outcome

        if message.outcome == "cut":
            guest.close()
            guest = plug_in(device, memory)
        else:
            guest.reload()
        guest.balloon(Queue.INFLATE, [PAGE])
        assert memory.memory.read(PAGE * PAGE_SIZE, PAGE_SIZE) == bytes(PAGE_SIZE)
        # Nobody but the host moves the target.
        target = guest.frontend.read_config(0, 4)
        assert int.from_bytes(target, "little") == MEMORY_SIZE // 2 // PAGE_SIZE
        guest.close()
        control.wait_until(lambda: not control.run("query-status")["running"])
        assert descriptors(device) == idle


def test_the_messages_can_be_told_apart() -> None:
    assert len({message.name for message in MESSAGES}) == len(MESSAGES)
