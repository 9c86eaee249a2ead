"""Faults in a driver's free page reports and page poison."""

# ruff: noqa: D103 - names say what is wrong, and that is planted where nobody has business

from typing import Any

import numpy as np

from aerostat.balloon.abi import PAGE_POISON, PAGE_SIZE, Queue
from aerostat.balloon.driver import BalloonDriver
from aerostat.process_guest import options as command_line
from aerostat.process_guest.kernel import Kernel
from aerostat.process_guest.work import BalloonWork
from aerostat.testing.check.driver.faults.terms import fault, replace
from aerostat.virtio.features import bit

_OPTIONS: Any = command_line

_POISON = 0xAAAAAAAA
_POISON_AT = 12
_SOON = 0.1  # seconds


def take_poison() -> None:
    """Have a sound driver that negotiates PAGE_POISON, and fills what it takes back."""
    today = _OPTIONS.TODAY
    features = today.features | bit(PAGE_POISON)
    _OPTIONS.TODAY = today._replace(features=features, poison=_POISON, relies_on_zeroed=True)
    replace(Kernel, "give_back", _filling)


def _filling(give_back: Any) -> Any:
    def giving(self: Kernel, numbers: Any) -> None:
        self._pages.fill(np.array(numbers), _POISON)
        give_back(self, numbers)

    return giving


@fault("DRV-REP-3")
def uses_a_page_while_it_reports_it() -> None:
    def greedy(report: Any) -> Any:
        def reporting(self: BalloonWork, ranges: Any) -> bool:
            reported: bool = report(self, ranges)
            memory = self.rings.rings[Queue.REPORTING].memory
            if reported:
                self._loop.call_later(_SOON, lambda: memory.write(ranges[0][0], b"used"))
            return reported

        return reporting

    replace(BalloonWork, "report", greedy)


@fault("DRV-REP-5")
def reports_single_pages() -> None:
    def small(report: Any) -> Any:
        def reporting(self: Kernel, room: int, poison: int | None = None) -> Any:
            return [
                (address + at, PAGE_SIZE)
                for address, length in report(self, 1, poison)
                for at in range(0, length, PAGE_SIZE)
            ][:room]

        return reporting

    replace(Kernel, "report", small)


@fault("DRV-REP-2")
def reports_what_it_has_not_poisoned() -> None:
    take_poison()

    def careless(report: Any) -> Any:
        return lambda self, room, _=None: report(self, room)

    replace(Kernel, "report", careless)


@fault("DRV-POISON-2")
def does_not_tell_its_poison() -> None:
    take_poison()

    def silent(begin: Any) -> Any:
        def beginning(self: BalloonDriver, *rest: Any) -> None:
            begin(self, *rest)
            self._config_writes.pop(_POISON_AT, None)

        return beginning

    replace(BalloonDriver, "begin", silent)


@fault("DRV-POISON-3")
def changes_its_poison_at_work() -> None:
    take_poison()

    def fickle(take: Any) -> Any:
        def taking(self: BalloonDriver) -> list[tuple[int, bytes]]:
            writes: list[tuple[int, bytes]] = take(self)
            if writes and self.held_pages:
                writes.append((_POISON_AT, self.held_pages.to_bytes(4, "little")))
            return writes

        return taking

    replace(BalloonDriver, "take_config_writes", fickle)


@fault("DRV-FEAT-2")
def takes_poison_and_fills_nothing() -> None:
    give_back = Kernel.give_back
    take_poison()
    Kernel.give_back = give_back  # type: ignore[method-assign]


@fault("DRV-FEAT-3")
def reports_although_it_counts_on_its_poison() -> None:
    take_poison()
    _OPTIONS.TODAY = _OPTIONS.TODAY._replace(relies_on_zeroed=False)
