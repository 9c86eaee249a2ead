"""Checks of the configuration space (virtio 1.2, 2.5 and 5.5.4)."""

from aerostat.errors import PeerError
from aerostat.testing.check.checks import Judge
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.registry import CHECKS

_NUM_PAGES, _ACTUAL, _CMD_ID, _POISON_VAL = 0, 4, 8, 12
_LEAST = 8
_MARK = 0xA5C3_5A3C


@CHECKS.add("CFG-1", "CFG-G-4")
def every_field_can_be_read(machine: Machine, judge: Judge) -> None:
    """Read the fields of all that is offered, before any features are chosen and again later.

    Field by field and all at once must come to the same.
    """
    size = 16 if machine.has("FREE_PAGE_HINT") or machine.has("PAGE_POISON") else _LEAST
    for id_ in ("CFG-G-4", "CFG-1"):
        try:
            whole = machine.transport.read_config(0, size)
            parts = b"".join(machine.transport.read_config(at, 4) for at in range(0, size, 4))
        except PeerError as error:
            judge.violated(id_, f"{size} bytes cannot be read: {error}")
            return
        judge.expect(whole == parts, id_, f"{whole.hex()} at once, {parts.hex()} by fields")
        machine.start()


@CHECKS.add("USE-DEV-3", "USE-DEV-4")
def a_driver_writes_what_is_its_own(machine: Machine, judge: Judge) -> None:
    """Write to every field. What is the driver's must read as written, the rest as before."""
    machine.start()
    own = {_ACTUAL: "actual"}
    if machine.has("PAGE_POISON"):
        own[_POISON_VAL] = "poison_val"
    for offset, name in own.items():
        for value in (1, 0x0102, 0):
            machine.transport.write_config(offset, value.to_bytes(4, "little"))
            read = machine.word(offset)
            judge.expect(read == value, "USE-DEV-4", f"{name} reads {read:#x}, not {value:#x}")
    hosts = {_NUM_PAGES: "num_pages"}
    if machine.has("FREE_PAGE_HINT"):
        hosts[_CMD_ID] = "free_page_hint_cmd_id"
    before = {offset: machine.word(offset) for offset in hosts}
    for offset, name in hosts.items():
        _write(machine, offset, (before[offset] ^ _MARK).to_bytes(4, "little"))
        read = machine.word(offset)
        judge.expect(read == before[offset], "USE-DEV-3", f"a driver's write made {name} {read:#x}")
    whole = bytearray(machine.transport.read_config(0, _LEAST))
    whole[:4] = (before[_NUM_PAGES] ^ _MARK).to_bytes(4, "little")
    _write(machine, 0, bytes(whole))
    read = machine.word(_NUM_PAGES)
    judge.expect(
        read == before[_NUM_PAGES], "USE-DEV-3", f"a write of the whole made num_pages {read:#x}"
    )


def _write(machine: Machine, offset: int, data: bytes) -> None:
    """Write what no driver may: to refuse it is as good as to pass over it."""
    try:
        machine.transport.write_config(offset, data)
    except PeerError:
        return
