"""The device status over vhost-user, on a device process: resets, and a device that needs one."""

from collections.abc import Iterator

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.control_client import ControlClient
from aerostat.testing.mocks.frontend import PROTOCOL_FEATURES, SharedFile
from aerostat.testing.mocks.guest import MockGuest
from aerostat.testing.processes.device import DeviceProcess
from aerostat.vhost_user.messages import ProtocolFeature, Request, decode_u64, encode_u64
from aerostat.vhost_user.setup import NEEDS_RESET

MIB = 1 << 20
RINGS = 64 * PAGE_SIZE
PAGE = 8 * MIB // PAGE_SIZE
STATUS = PROTOCOL_FEATURES | 1 << ProtocolFeature.STATUS | 1 << ProtocolFeature.RESET_DEVICE
READY = 15


@pytest.fixture
def guest(device: DeviceProcess, shared: SharedFile) -> Iterator[MockGuest]:
    guest = MockGuest(str(device.socket), shared, RINGS, protocol_features=STATUS)
    assert guest.frontend.request(Request.SET_STATUS, encode_u64(READY))
    yield guest
    guest.close()


def status(guest: MockGuest) -> int:
    return decode_u64(guest.frontend.ask(Request.GET_STATUS))


@pytest.mark.parametrize(
    ("request_", "payload"), [(Request.SET_STATUS, encode_u64(0)), (Request.RESET_DEVICE, b"")]
)
@pytest.mark.statement("ST-DEV-3")
def test_st_dev_3_a_reset_device_touches_nothing_until_it_is_set_up_anew(
    guest: MockGuest, control: ControlClient, request_: Request, payload: bytes
) -> None:
    guest.send_statistics(free_memory=1)
    control.wait_until(lambda: control.get("guest-stats")["last-update"] > 0)
    guest.say_actual(4 * MIB)
    control.run("balloon", value=6 * MIB)
    assert guest.frontend.request(request_, payload)
    assert status(guest) == 0
    assert control.run("query-balloon") == {"actual": 12 * MIB}
    assert control.get("guest-stats")["last-update"] == 0
    guest.driver.inflate([PAGE])
    guest.kick(Queue.INFLATE)
    control.run("query-status")
    assert guest.driver.collect(Queue.INFLATE) == []
    guest.reload()
    guest.balloon(Queue.INFLATE, [PAGE])
    assert control.sample(timeout=0)["target-size"] == 6 * MIB


@pytest.mark.statement("ST-DEV-2")
def test_st_dev_2_a_broken_ring_is_told_of_and_a_reset_mends_it(guest: MockGuest) -> None:
    guest.driver.rings[Queue.INFLATE].jump(1000)
    guest.kick(Queue.INFLATE)
    guest.frontend.wait_for_config_change()
    assert status(guest) == READY | NEEDS_RESET
    assert guest.frontend.request(Request.SET_STATUS, encode_u64(0))
    assert status(guest) == 0
    guest.reload()
    assert guest.frontend.request(Request.SET_STATUS, encode_u64(READY))
    guest.balloon(Queue.INFLATE, [PAGE])
    assert status(guest) == READY


def test_a_guest_that_gives_its_own_rings_away_breaks_nothing_else(guest: MockGuest) -> None:
    """They are zeros then, and the ring with them."""
    guest.driver.inflate([RINGS // PAGE_SIZE])
    guest.kick(Queue.INFLATE)
    guest.frontend.wait_for_config_change()
    assert status(guest) & NEEDS_RESET
    guest.reload()
    guest.balloon(Queue.INFLATE, [PAGE])
