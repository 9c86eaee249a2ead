"""The control socket: QEMU's commands and errors, and clients that cannot hold up each other."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from aerostat.balloon.statistics import QEMU_KEYS
from aerostat.device.commands import QOM_PATH, QOM_TYPE
from aerostat.device.control import MAX_CLIENTS
from aerostat.errors import LinkError
from aerostat.testing.control_client import CommandFailed, ControlClient
from aerostat.testing.mocks.frontend import MockFrontend, SharedFile
from aerostat.testing.processes.device import DeviceProcess

MIB = 1 << 20


@pytest.fixture
def frontend(device: DeviceProcess, shared: SharedFile) -> Iterator[MockFrontend]:
    with MockFrontend(str(device.socket), shared) as frontend:
        frontend.negotiate()
        yield frontend


def test_a_manager_finds_the_balloon_by_its_type(control: ControlClient) -> None:
    listed = control.run("qom-list", path="/machine/peripheral")
    assert {"name": "balloon0", "type": f"child<{QOM_TYPE}>"} in listed
    assert control.get("type") == QOM_TYPE
    properties = {entry["name"] for entry in control.run("qom-list", path=QOM_PATH)}
    assert properties == {"type", "guest-stats", "guest-stats-polling-interval"}
    assert control.run("qom-list", path="/machine/peripheral-anon") == [
        {"name": "type", "type": "string"}
    ]


def test_it_knows_its_name_state_version_and_commands(control: ControlClient) -> None:
    assert control.run("query-name") == {"name": "guest"}
    assert control.run("query-status") == {
        "running": False,
        "singlestep": False,
        "status": "prelaunch",
    }
    assert control.run("query-version")["package"] == "aerostat"
    commands = {entry["name"] for entry in control.run("query-commands")}
    assert {"aerostat-sample", "balloon", "qom-get", "query-balloon", "quit"} <= commands


def test_before_there_is_a_guest_there_are_sizes_and_no_statistics(control: ControlClient) -> None:
    sample = control.sample(timeout=0)
    assert sample["sampled-at"] is None
    assert sample["stats"] == {"unknown": {}}
    assert (sample["max-size"], sample["guest-size"], sample["held"]) == (12 * MIB, 12 * MIB, 0)
    assert control.get("guest-stats") == {
        "stats": dict.fromkeys(QEMU_KEYS.values(), 2**64 - 1),
        "last-update": 0,
    }


def test_a_target_set_before_there_is_a_guest_is_applied_to_it(
    control: ControlClient, device: DeviceProcess, shared: SharedFile
) -> None:
    control.run("balloon", value=8 * MIB)
    with MockFrontend(str(device.socket), shared) as frontend:
        frontend.negotiate()
        assert frontend.read_config(0, 4) == (4 * MIB // 4096).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("command", "arguments", "error_class"),
    [
        ("balloon", {"value": 0}, "GenericError"),
        ("balloon", {"value": -1}, "GenericError"),
        ("balloon", {"value": "1"}, "GenericError"),
        ("balloon", {"value": True}, "GenericError"),
        ("balloon", {"value": 1.5}, "GenericError"),
        ("balloon", {}, "GenericError"),
        ("query-balloon", {"extra": 1}, "GenericError"),
        ("qom-list", {"path": "/nowhere"}, "DeviceNotFound"),
        ("qom-get", {"path": "/nowhere", "property": "type"}, "DeviceNotFound"),
        ("qom-get", {"path": QOM_PATH, "property": "nothing"}, "GenericError"),
        ("qom-set", {"path": QOM_PATH, "property": "guest-stats", "value": 1}, "GenericError"),
        ("aerostat-sample", {"timeout": -1}, "GenericError"),
        ("aerostat-sample", {"timeout": 61}, "GenericError"),
        ("device_add", {}, "CommandNotFound"),
    ],
)
def test_errors_are_qemus(
    control: ControlClient, command: str, arguments: dict[str, Any], error_class: str
) -> None:
    with pytest.raises(CommandFailed) as raised:
        control.run(command, **arguments)
    assert raised.value.error_class == error_class


@pytest.mark.parametrize("value", [-1, 1 << 32, "1", None, True])
def test_an_interval_is_seconds_of_32_bits(control: ControlClient, value: object) -> None:
    with pytest.raises(CommandFailed):
        control.set("guest-stats-polling-interval", value)
    control.set("guest-stats-polling-interval", (1 << 32) - 1)
    assert control.get("guest-stats-polling-interval") == (1 << 32) - 1


def test_a_sample_that_waits_holds_up_nobody(device: DeviceProcess, control: ControlClient) -> None:
    control.start("aerostat-sample", timeout=60)
    assert control.run("query-name") == {"name": "guest"}
    with ControlClient(device.control) as other:
        assert not other.sample(timeout=0)["fresh"]
    control.close()  # and what comes for it then hurts nobody
    with ControlClient(device.control) as other:
        assert other.run("query-name") == {"name": "guest"}


def test_a_client_that_never_reads_is_given_up(
    device: DeviceProcess, control: ControlClient
) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.settimeout(10)
        deaf.connect(str(device.control))
        deaf.sendall(b'{"execute": "qmp_capabilities"}\n')
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            deaf.sendall(b'{"execute": "query-commands"}\n' * 100_000)
    assert control.run("query-name") == {"name": "guest"}


def test_more_clients_than_there_is_room_for_are_hung_up_on(
    device: DeviceProcess, control: ControlClient
) -> None:
    clients = [ControlClient(device.control) for _ in range(MAX_CLIENTS - 1)]
    with pytest.raises((LinkError, ConnectionResetError)):
        ControlClient(device.control)
    for client in clients:
        client.run("query-status")
        client.close()
    control.wait_until(lambda: _connects(device))


def _connects(device: DeviceProcess) -> bool:
    try:
        ControlClient(device.control).close()
    except (LinkError, ConnectionResetError):
        return False
    return True


def test_a_client_that_goes_takes_nobody_with_it(
    device: DeviceProcess, control: ControlClient, frontend: MockFrontend
) -> None:
    for _ in range(3):
        client = ControlClient(device.control)
        client.start("aerostat-sample", timeout=0.01)
        client.close()
        frontend.write_config(4, b"\1\0\0\0")
    control.wait_until(lambda: bool(control.events))
    assert control.sample(timeout=0.05)["counters"]["front_ends"] == 1
