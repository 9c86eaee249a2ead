"""Cloud Hypervisor's generic vhost-user front-end, by its documented dialogue, replayed.

`--generic-vhost-user socket=…,device_type=5,queue_sizes=[…]`, docs/generic-vhost-user.md there,
and rust-vmm's `vhost` crate, which it speaks through. What sets it apart: parts of the
configuration at offsets, SET_CONFIG with flags 1 (in the protocol's own words a migration's),
addresses before bases, bases that are the available index, and the back-end's channel last.
"""

import os
import socket
from collections.abc import Iterator

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.driver import BalloonDriver
from aerostat.testing.mocks.frontend import USER_BASE, MockFrontend, SharedFile
from aerostat.testing.mocks.guest import QUEUES
from aerostat.testing.processes.device import DeviceProcess
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import (
    ConfigPart,
    ProtocolFeature,
    Request,
    RingAddresses,
    RingState,
    decode_u64,
    encode_u64,
)

MIB = 1 << 20
RINGS = 64 * PAGE_SIZE
PAGE = 8 * MIB // PAGE_SIZE

# rust-vmm's VhostUserConfigFlags; Cloud Hypervisor writes with WRITABLE.
WRITABLE = 1

INFLIGHT_SHMFD, DEVICE_STATE = 12, 19
WANTED = (
    *(ProtocolFeature.MQ, ProtocolFeature.CONFIG, ProtocolFeature.REPLY_ACK),
    *(ProtocolFeature.CONFIGURE_MEM_SLOTS, ProtocolFeature.BACKEND_REQ),
    *(INFLIGHT_SHMFD, DEVICE_STATE),
)


class CloudHypervisor:
    """A front-end that says what Cloud Hypervisor says, in its order, and a driver behind it."""

    def __init__(self, path: str, memory: SharedFile) -> None:
        self.memory = memory
        self.wire = MockFrontend(path, memory)
        self.driver = BalloonDriver(memory.memory, RINGS)
        self.kicks = [os.eventfd(0, os.EFD_NONBLOCK) for _ in QUEUES]
        self.calls = [os.eventfd(0, os.EFD_NONBLOCK) for _ in QUEUES]
        self.channel, self._theirs = socket.socketpair()
        self.channel.settimeout(10)

    def open(self) -> int:
        """Connect, as when the virtual machine is made; return the features that are offered."""
        self._do(Request.SET_OWNER, acknowledged=False)
        offered = decode_u64(self.wire.ask(Request.GET_FEATURES))
        assert offered >> messages.F_PROTOCOL_FEATURES & 1
        protocol = decode_u64(self.wire.ask(Request.GET_PROTOCOL_FEATURES))
        agreed = protocol & sum(1 << feature for feature in WANTED)
        assert not agreed >> INFLIGHT_SHMFD & 1  # it would have to be implemented then
        self._do(Request.SET_PROTOCOL_FEATURES, encode_u64(agreed), acknowledged=False)
        assert decode_u64(self.wire.ask(Request.GET_QUEUE_NUM)) >= len(QUEUES)
        return offered

    def activate(self, features: int) -> None:
        """Start the device, as when its driver is ready."""
        assert decode_u64(self.wire.ask(Request.GET_FEATURES)) & features == features
        self._do(Request.SET_FEATURES, encode_u64(features | 1 << messages.F_PROTOCOL_FEATURES))
        assert decode_u64(self.wire.ask(Request.GET_MAX_MEM_SLOTS)) >= 2
        for region in self.memory.descriptions:
            self._do(Request.ADD_MEM_REG, messages.encode_region(region), self.memory.descriptor)
        self._start_rings()
        self._do(Request.SET_BACKEND_REQ_FD, b"", self._theirs.fileno())

    def _start_rings(self) -> None:
        for index, queue in enumerate(QUEUES):
            ring = self.driver.rings[queue]
            desc, used, avail = (USER_BASE + part for part in (ring.desc, ring.used, ring.avail))
            self._do(Request.SET_VRING_NUM, RingState(index, ring.size).encode())
            self._do(Request.SET_VRING_ADDR, RingAddresses(index, 0, desc, used, avail, 0).encode())
            available = ring.avail_words.load(1)
            self._do(Request.SET_VRING_BASE, RingState(index, available).encode())
            self._do(Request.SET_VRING_CALL, encode_u64(index), self.calls[index])
            self._do(Request.SET_VRING_KICK, encode_u64(index), self.kicks[index])
        for index, _ in enumerate(QUEUES):
            self._do(Request.SET_VRING_ENABLE, RingState(index, 1).encode())

    def pause(self) -> None:
        """Stop the rings, as when the virtual machine is paused."""
        for index, _ in enumerate(QUEUES):
            self._do(Request.SET_VRING_ENABLE, RingState(index, 0).encode())

    def resume(self) -> None:
        """Let the rings run again, which were not ended."""
        for index, _ in enumerate(QUEUES):
            self._do(Request.SET_VRING_ENABLE, RingState(index, 1).encode())

    def read_config(self, offset: int, size: int) -> bytes:
        payload = ConfigPart(offset, WRITABLE, bytes(size)).encode()
        return ConfigPart.decode(self.wire.ask(Request.GET_CONFIG, payload)).data

    def write_config(self, offset: int, data: bytes) -> None:
        self._do(Request.SET_CONFIG, ConfigPart(offset, WRITABLE, data).encode())

    def kick(self, queue: Queue) -> None:
        os.eventfd_write(self.kicks[queue], 1)

    def close(self) -> None:
        self.wire.close()
        self.driver.release()
        self.channel.close()
        self._theirs.close()
        for descriptor in (*self.kicks, *self.calls):
            os.close(descriptor)

    def _do(
        self, request: Request, payload: bytes = b"", *files: int, acknowledged: bool = True
    ) -> None:
        if acknowledged:
            assert self.wire.request(request, payload, files), request
        else:
            self.wire.send_raw(messages.encode(request, payload), files)


@pytest.fixture
def vmm(device: DeviceProcess, shared: SharedFile) -> Iterator[CloudHypervisor]:
    vmm = CloudHypervisor(str(device.socket), shared)
    yield vmm
    vmm.close()


def test_its_dialogue_serves_a_guest(vmm: CloudHypervisor, control: ControlClient) -> None:
    offered = vmm.open()
    # The driver comes up: parts of the configuration, before any of its choices is told.
    control.run("balloon", value=8 * MIB)
    assert vmm.read_config(0, 4) == (4 * MIB // PAGE_SIZE).to_bytes(4, "little")
    assert vmm.read_config(4, 4) == bytes(4)
    # Its first buffer is there before the device starts, and the base says that it was taken.
    vmm.driver.send_statistics({4: 1})
    vmm.activate(offered & ~(1 << messages.F_PROTOCOL_FEATURES))
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    assert control.get("guest-stats")["stats"]["stat-free-memory"] == 1

    vmm.memory.memory.write(PAGE * PAGE_SIZE, b"x" * PAGE_SIZE)
    vmm.driver.inflate([PAGE])
    vmm.kick(Queue.INFLATE)
    control.wait_until(lambda: len(vmm.driver.collect(Queue.INFLATE)) == 1)
    assert vmm.memory.memory.read(PAGE * PAGE_SIZE, PAGE_SIZE) == bytes(PAGE_SIZE)

    vmm.write_config(4, (7).to_bytes(4, "little"))
    assert control.run("query-balloon") == {"actual": 12 * MIB - 7 * PAGE_SIZE}
    vmm.write_config(0, b"\xff" * 4)  # whatever its flags say, not the driver's to write
    control.run("balloon", value=6 * MIB)
    assert vmm.channel.recv(64) == messages.encode(messages.BackendRequest.CONFIG_CHANGE_MSG)
    assert vmm.read_config(0, 8) == (6 * MIB // PAGE_SIZE).to_bytes(4, "little") + b"\7\0\0\0"


def test_a_pause_that_ends_no_ring_loses_nothing(
    vmm: CloudHypervisor, control: ControlClient
) -> None:
    offered = vmm.open()
    vmm.driver.send_statistics({4: 1})
    vmm.activate(offered & ~(1 << messages.F_PROTOCOL_FEATURES))
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    vmm.pause()
    vmm.driver.inflate([PAGE])
    vmm.kick(Queue.INFLATE)
    assert not control.run("query-status")["running"]
    assert vmm.driver.collect(Queue.INFLATE) == []
    vmm.resume()
    control.wait_until(lambda: len(vmm.driver.collect(Queue.INFLATE)) == 1)
    sample = control.start("aerostat-sample", timeout=5)
    control.wait_until(lambda: len(vmm.driver.collect(Queue.STATS)) == 1)
    vmm.driver.send_statistics({4: 2})
    vmm.kick(Queue.STATS)
    assert control.finish(sample)["stats"]["stat-free-memory"] == 2
