"""PCI functions of a sysfs of plain files: found, taken, put back; registers of the right width."""

from pathlib import Path
from struct import unpack_from

import pytest

from aerostat.errors import MissingError, PeerError, UsageError
from aerostat.guest.legacy import LegacyTransport
from aerostat.guest.modern import ModernTransport, Structure, find_structures
from aerostat.guest.pci import Function, choose_balloon, find_balloons
from aerostat.guest.permissions import (
    NoDeviceError,
    NotPermittedError,
    require_no_lockdown,
)
from aerostat.guest.registers import MappedRegisters, PortRegisters
from aerostat.guest.transport import open_transport
from aerostat.testing.mocks.sysfs import STRUCTURES, make_function
from aerostat.virtio.driver_ring import lay_out

HERE = "0000:00:04.0"
TRANSITIONAL = 0x1002


def command(path: Path) -> int:
    (word,) = unpack_from("<H", (path / "config").read_bytes(), 4)
    return int(word)


# Finding


def test_balloons_are_found_by_their_ids(tmp_path: Path) -> None:
    make_function(tmp_path, "0000:00:04.0")
    make_function(tmp_path, "0000:00:05.0", device=TRANSITIONAL)
    make_function(tmp_path, "0000:00:06.0", device=0x1041)
    make_function(tmp_path, "0000:00:07.0", vendor=0x8086)

    assert [function.address for function in find_balloons(tmp_path)] == [
        "0000:00:04.0",
        "0000:00:05.0",
    ]


def test_the_only_balloon_needs_no_name_and_several_do(tmp_path: Path) -> None:
    make_function(tmp_path, HERE)
    assert choose_balloon(sysfs=tmp_path).address == HERE

    make_function(tmp_path, "0000:00:05.0")
    with pytest.raises(UsageError, match=r"0000:00:04.0, 0000:00:05.0.*--device"):
        choose_balloon(sysfs=tmp_path)
    assert choose_balloon("00:05.0", tmp_path).address == "0000:00:05.0"


def test_no_balloon_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NoDeviceError, match="is it a guest"):
        choose_balloon(sysfs=tmp_path)
    make_function(tmp_path, HERE)
    with pytest.raises(NoDeviceError, match=r"there is: 0000:00:04\.0"):
        choose_balloon("0000:00:09.0", tmp_path)


# Taking and putting back


def test_taking_unbinds_and_lets_the_device_reach_memory_without_interrupts(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE)
    Function(HERE, tmp_path).take()

    assert (tmp_path / "drivers/virtio-pci/unbind").read_text() == HERE
    assert (path / "driver_override").read_text() == "aerostat"
    assert (path / "enable").read_text() == "1"
    assert command(path) == 0x407
    assert not unpack_from("<H", (path / "config").read_bytes(), 0x42)[0] & 0x8000, "MSI-X is off"


def test_putting_back_ends_in_the_kernel_s_driver(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE)
    function = Function(HERE, tmp_path)
    function.take()

    assert function.put_back()
    assert command(path) == 0x003
    assert (path / "driver_override").read_text() == "\n"
    assert (tmp_path / "drivers_probe").read_text() == HERE


def test_what_had_no_driver_gets_none(tmp_path: Path) -> None:
    make_function(tmp_path, HERE, driver="")
    function = Function(HERE, tmp_path)
    function.take()

    assert function.put_back()
    assert (tmp_path / "drivers_probe").read_text() == ""


def test_what_was_not_taken_is_not_put_back(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE)

    assert Function(HERE, tmp_path).put_back()
    assert (path / "enable").read_text() == ""


def test_a_driver_that_does_not_come_back_is_noticed(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE)
    function = Function(HERE, tmp_path)
    function.take()
    (path / "driver").unlink()

    assert not function.put_back()


# Capabilities


@pytest.mark.statement("PCI-2", "PCI-3", "PCI-4")
def test_structures_are_the_first_that_can_be_used(tmp_path: Path) -> None:
    strange = ((9, 4, 0, 64), (1, 7, 0, 64), (1, 0, 0, 64), (1, 2, 0, 64))
    later = ((1, 4, 0x800, 0x100),)
    make_function(tmp_path, HERE, structures=(*strange, STRUCTURES[0], *STRUCTURES[2:], *later))
    found = find_structures(Function(HERE, tmp_path))

    assert found is not None
    assert found[Structure.COMMON][:3] == (4, 0, 0x1000)
    assert found[Structure.NOTIFY] == (4, 0x3000, 0x1000, 4)


def test_a_device_with_too_few_structures_is_not_modern(tmp_path: Path) -> None:
    make_function(tmp_path, HERE, device=TRANSITIONAL, structures=STRUCTURES[:2])
    function = Function(HERE, tmp_path)

    assert find_structures(function) is None
    assert isinstance(open_transport(function), LegacyTransport)


def test_a_chain_of_capabilities_that_bites_its_tail_ends(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE)
    config = bytearray((path / "config").read_bytes())
    config[0x41] = 0x40
    (path / "config").write_bytes(config)

    assert len(Function(HERE, tmp_path).capabilities()) == 64


def test_a_configuration_space_cut_short_has_no_capabilities(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE)
    (path / "config").write_bytes((path / "config").read_bytes()[:64])

    assert Function(HERE, tmp_path).capabilities() == []


# Interfaces


@pytest.mark.statement("PCI-1", "PCI-13")
def test_modern_registers_are_in_the_bar(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE)
    transport = open_transport(Function(HERE, tmp_path))
    assert isinstance(transport, ModernTransport)
    transport.set_status(11)
    transport.start_queue(2, 8, lay_out(0x1_2345_6000, 8))
    transport.write_config(4, 0x11223344)
    assert transport.read_config(4) == 0x11223344
    transport.notify(2)
    transport.close()

    bar = (path / "resource4").read_bytes()
    assert bar[20] == 11
    assert unpack_from("<HHHHH", bar, 22) == (2, 8, 0, 1, 0)
    assert unpack_from("<Q", bar, 32) == (0x1_2345_6000,)
    assert unpack_from("<I", bar, 0x2004) == (0x11223344,)
    assert unpack_from("<H", bar, 0x3000) == (2,)


@pytest.mark.statement("LEG-PCI-1", "LEG-PCI-2", "LEG-CFG-1")
def test_legacy_registers_are_ports(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE, device=TRANSITIONAL)
    transport = open_transport(Function(HERE, tmp_path), legacy=True)
    assert isinstance(transport, LegacyTransport)
    transport.accept(6)
    transport.start_queue(1, 128, lay_out(0x12345000, 128, 4096))
    transport.notify(2)
    transport.write_config(4, 0x11223344)
    transport.close()

    ports = (path / "resource0").read_bytes()
    assert unpack_from("<II", ports, 4) == (6, 0x12345)
    assert unpack_from("<HH", ports, 14) == (1, 2)
    assert unpack_from("<I", ports, 24) == (0x11223344,)


def test_a_ring_beyond_what_a_legacy_device_can_be_told_is_refused(tmp_path: Path) -> None:
    make_function(tmp_path, HERE, device=TRANSITIONAL)
    transport = open_transport(Function(HERE, tmp_path), legacy=True)
    try:
        with pytest.raises(PeerError, match="legacy"):
            transport.start_queue(0, 8, lay_out(1 << 44, 8, 4096))
    finally:
        transport.close()


def test_a_modern_device_has_no_legacy_interface(tmp_path: Path) -> None:
    make_function(tmp_path, HERE)

    with pytest.raises(UsageError, match="no legacy interface"):
        open_transport(Function(HERE, tmp_path), legacy=True)


def test_registers_outside_the_bar_are_refused(tmp_path: Path) -> None:
    make_function(tmp_path, HERE, structures=((1, 4, 0x3FF0, 0x1000), *STRUCTURES[1:]))

    with pytest.raises(PeerError, match="registers at 0x3ff0"):
        open_transport(Function(HERE, tmp_path))


def test_a_bar_that_cannot_be_mapped_is_said_so(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE)
    (path / "resource4").unlink()

    with pytest.raises(MissingError, match="resource4"):
        open_transport(Function(HERE, tmp_path))


def test_a_forbidden_bar_means_lockdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    make_function(tmp_path, HERE)
    monkeypatch.setattr("mmap.mmap", forbid)

    with pytest.raises(NotPermittedError, match="lockdown"):
        open_transport(Function(HERE, tmp_path))


@pytest.mark.parametrize(("text", "locked"), [
    ("none [integrity] confidentiality\n", True),
    ("none integrity [confidentiality]\n", True),
    ("[none] integrity confidentiality\n", False),
    ("", False),
])  # fmt: skip
def test_lockdown_is_seen_before_anything_is_touched(
    tmp_path: Path, text: str, locked: bool
) -> None:
    file = tmp_path / "lockdown"
    require_no_lockdown(file)
    file.write_text(text)
    if not locked:
        require_no_lockdown(file)
        return
    with pytest.raises(NotPermittedError, match="Secure Boot"):
        require_no_lockdown(file)


@pytest.mark.statement("PCI-1")
def test_mapped_registers_are_whole_elements() -> None:
    memory = bytearray(16)
    registers = MappedRegisters(memoryview(memory), 4, 11)
    registers.store(0, 4, 0x04030201)
    registers.store(6, 2, 0x0807)

    assert memory.hex() == "00000000010203040000070800000000"
    assert (registers.load(2, 2), registers.load(7, 1)) == (0x0403, 8)
    with pytest.raises(IndexError):
        registers.load(8, 4)
    registers.close()


def test_ports_that_are_not_there_are_the_device_s_fault(tmp_path: Path) -> None:
    path = make_function(tmp_path, HERE)
    registers = PortRegisters(Function(HERE, tmp_path).open_ports(0))
    (path / "resource0").write_bytes(b"")

    with pytest.raises(PeerError, match="port"):
        registers.load(0, 4)
    registers.close()
