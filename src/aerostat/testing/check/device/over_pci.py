"""What is checked of a device over PCI: all but what is vhost-user's, and what only PCI shows.

Virtio 1.2, 4.1. The checks of `all_checks` are played as they are, without the statements that
nobody sees from inside a guest; those are reported as such.
"""

from aerostat.balloon.abi import Queue
from aerostat.guest.modern import ModernTransport
from aerostat.testing.check.checks import Check, Judge, Registry, Unobservable
from aerostat.testing.check.device.all_checks import CHECKS, PACKED
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.page_check import Pages, shown
from aerostat.testing.check.device.pci_transport import pci_of
from aerostat.testing.conformance.statements import Who

#: The checks of a device over PCI, and those that are played on packed rings once more.
OVER_PCI: Registry[Machine] = Registry(Who.DEVICE)
PACKED_OVER_PCI: Registry[Machine] = Registry(Who.DEVICE)

_VHOST_USER = "it is vhost-user's: aerostat check device SOCKET, on the host, looks at it"
_NO_VECTORS = "interrupts are the kernel's; here they are off, and only wished for in the ISR"
_BIG_ENDIAN = "this guest is little-endian"
_OTHERS = "it reaches over the kit's own memory, and all else here is this guest's"

# More queues than any balloon has, what a selector can hold, and QEMU's own limit.
_NO_QUEUES = (100, 1023, 1024, 0xFFFF)
# Such requests would have the guest's memory read as page numbers, by who maps so much.
_TOO_LONG = ("4 GiB", f"table of {(1 << 32) - 16} bytes")


def _seen(id_: str) -> bool:
    return not id_.startswith(("VU-", "BAD-VU-")) and id_ != "LEG-VQ-2"


def _without_reaching(check: Check[Machine]) -> Check[Machine]:
    """Return a check that says why it is not played, if it would reach over memory not ours."""
    if not any(words in check.parameter for words in _TOO_LONG):
        return check

    def play(_machine: Machine, _judge: Judge) -> None:
        raise Unobservable(_OTHERS)

    return check._replace(play=play)


def _take_over(source: Registry[Machine], target: Registry[Machine]) -> None:
    for check in source.checks:
        ids = tuple(id_ for id_ in check.ids if _seen(id_))
        if ids:
            target.put(_without_reaching(check._replace(ids=ids)))


_take_over(CHECKS, OVER_PCI)
_take_over(PACKED, PACKED_OVER_PCI)


@OVER_PCI.add("PCI-9")
def queues_that_there_are_not(machine: Machine, judge: Judge) -> None:
    """Select queues from the first that there is not up to 65535; each must have size 0."""
    registers = pci_of(machine).registers
    machine.start()
    first = max(machine.numbers()) + 1
    if isinstance(registers, ModernTransport):
        first = max(first, registers.num_queues())
    for index in (first, *_NO_QUEUES):
        # So that what is not selected at all is seen.
        registers.queue_size(0)
        size = registers.queue_size(index)
        judge.expect(size == 0, "PCI-9", f"queue {index}, which there is not, has size {size}")


@OVER_PCI.add("PCI-10")
def the_generation_follows(machine: Machine, judge: Judge) -> None:
    """Read generation and target, wait, and read both again: if one changed, the other must have.

    Only a host changes the target: it is seen where that happens meanwhile.
    """
    registers = pci_of(machine).registers
    if not isinstance(registers, ModernTransport):
        raise Unobservable("the legacy interface has no generation")
    generation, target = registers.generation(), machine.word(0)
    for _ in range(3):
        machine.transport.settle()
    if machine.word(0) == target:
        raise Unobservable("the host has changed nothing meanwhile")
    judge.expect(
        registers.generation() != generation, "PCI-10", f"still {generation}, and another target"
    )


@OVER_PCI.add("PCI-11")
def the_isr_is_cleared(machine: Machine, judge: Judge) -> None:
    """Have a request served, and read the ISR twice: it says so, and then says nothing."""
    registers = pci_of(machine).registers
    machine.start()
    registers.take_interrupt()
    machine.inflate(machine.pages[0][0])
    machine.transport.settle()
    once, again = registers.take_interrupt(), registers.take_interrupt()
    if not once & 1:
        raise Unobservable("a used buffer sets nothing in the ISR")
    judge.expect(again == 0, "PCI-11", f"the ISR is {once}, and {again} when it is read again")


@OVER_PCI.add("LEG-PCI-1", "LEG-VQ-1")
def the_legacy_interface_is_in_its_place(machine: Machine, judge: Judge) -> None:
    """By the legacy registers alone, have pages taken from rings of the device's size.

    The configuration must be where it is without MSI-X: actual reads as written.
    """
    if not pci_of(machine).is_legacy:
        raise Unobservable("it is driven by its modern interface: --legacy chooses the other")
    machine.start()
    pages = Pages(machine, machine.pages[1][:8])
    machine.inflate(*pages.numbers)
    late = pages.released(pages.numbers)
    judge.expect(not late, "LEG-VQ-1", f"{shown(late)} left")
    machine.transport.write_config(4, (8).to_bytes(4, "little"))
    actual = machine.word(4)
    judge.expect(actual == 8, "LEG-PCI-1", f"actual reads {actual}, and 8 was written")


@OVER_PCI.add("ST-DEV-3")
def a_reset_takes_all_back(machine: Machine, judge: Judge) -> None:
    """Reset the device while it runs: status and ISR must be 0, and its rings no more notified."""
    transport = pci_of(machine)
    machine.start()
    machine.inflate(machine.pages[0][0])
    lane = machine.lanes[Queue.INFLATE]
    machine.reset()
    judge.expect(transport.status() == 0, "ST-DEV-3", f"the status is {transport.status()}")
    said = transport.registers.take_interrupt()
    judge.expect(said == 0, "ST-DEV-3", f"the ISR is {said} after a reset")
    judge.expect(not lane.collect(), "ST-DEV-3", "a buffer came back after the reset")


_checked = {id_ for check in OVER_PCI.checks for id_ in check.ids}
OVER_PCI.unobservable.update(
    {
        id_: CHECKS.unobservable.get(id_, _VHOST_USER)
        for id_ in CHECKS.statements
        if id_ not in _checked
    }
)
OVER_PCI.unobservable["PCI-12"] = _NO_VECTORS
OVER_PCI.unobservable["LEG-VQ-2"] = _BIG_ENDIAN
