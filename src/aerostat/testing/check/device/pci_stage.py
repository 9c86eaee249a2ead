"""The PCI device of the guest that this runs in, on which checks are played. Implements `Stage`.

Touches the device's registers and the guest's own memory, which `pci_hold` has taken. Each check
begins with a reset of the device. What a machine has here lies in huge pages: the rings and the
scratch memory in the first, the pages that checks give away in the others.
"""

from collections.abc import Sequence

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.errors import AerostatError
from aerostat.guest.transport import Transport
from aerostat.testing.check.checks import Check
from aerostat.testing.check.deadline import Deadline
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.offer import Offer
from aerostat.testing.check.device.options import Options
from aerostat.testing.check.device.pci_transport import PciTransport
from aerostat.units import MIB
from aerostat.virtio.memory import GuestMemory

#: How many huge pages a machine has: for rings, for lower pages, and for higher ones.
RINGS, LOWER, HIGHER = 1, 2, 4
_SIZE = 2 * MIB
_SCRATCH = 1 * MIB


class GuestMachine(Machine):
    """A machine in the huge pages at `addresses` of a real guest; at `beyond` is no memory."""

    def __init__(
        self,
        transport: PciTransport,
        deadline: Deadline,
        options: Options,
        *,
        wanted: int,
        addresses: Sequence[int],
        beyond: int,
    ) -> None:
        first, *others = addresses
        super().__init__(
            transport,
            deadline,
            patience=options.patience,
            hush=options.hush,
            wanted=wanted,
            rule=options.rule,
            rings_at=first,
        )
        self.scratch_at = first + _SCRATCH
        self.beyond = beyond
        self._lower, self._higher = others[:LOWER], others[LOWER:]
        # A machine of before may have left something there.
        self.memory.write(first, bytes(_SIZE))

    @property
    def pages(self) -> list[Sequence[int]]:
        """The numbers of the pages that checks may give away, lower ones and higher ones."""
        return [_numbers(self._lower), _numbers(self._higher)]


def _numbers(addresses: Sequence[int]) -> list[int]:
    return [
        number
        for address in addresses
        for number in range(address // PAGE_SIZE, (address + _SIZE) // PAGE_SIZE)
    ]


class PciStage(Offer):
    """The device behind `registers`, which was taken; `name` says which one it is.

    `addresses` are those of the huge pages in `memory`, and nothing is `beyond`.
    """

    def __init__(
        self,
        name: str,
        registers: Transport,
        memory: GuestMemory,
        addresses: Sequence[int],
        beyond: int,
        options: Options,
    ) -> None:
        super().__init__(f"{name}, {registers} interface", options)
        self._registers = registers
        self._memory = memory
        # Highest last: some checks look at what is at the very end.
        self._addresses = sorted(addresses)
        self._beyond = beyond

    def meet(self) -> None:
        """Look at what is offered. Raises `AerostatError` if the device does not even reset."""
        self.offered = PciTransport(self._registers, self._memory).offered
        self.sound = not self._trouble()

    def open(self, check: Check[Machine], deadline: Deadline) -> Machine:  # noqa: ARG002 - Stage's
        """Return a machine on the device, which was reset."""
        return self._machine(deadline)

    def _machine(self, deadline: Deadline) -> Machine:
        return GuestMachine(
            PciTransport(self._registers, self._memory),
            deadline,
            self.options,
            wanted=self.usable,
            addresses=self._addresses,
            beyond=self._beyond,
        )

    def examine(self, check: Check[Machine]) -> str:  # noqa: ARG002 - Stage's
        """Return what is wrong with the device, judged by a good request after a reset."""
        return self._trouble()

    def _trouble(self) -> str:
        if not self.sound:
            return ""
        try:
            with self._machine(Deadline(3 * self.options.patience + 1)) as machine:
                machine.start()
                machine.inflate(machine.pages[0][0])
        except AerostatError as error:
            return f"afterwards, a good request fails: {error}"
        return ""
