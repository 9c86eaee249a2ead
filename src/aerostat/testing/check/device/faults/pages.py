"""Faults in what a device does to pages (virtio 1.2, 5.5.6, 5.5.6.5 and 5.5.6.7)."""

# ruff: noqa: D103, SLF001 - names say what is wrong, and that is planted where nobody has business

from typing import Any

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.balloon.device import BalloonDevice
from aerostat.balloon.events import Report
from aerostat.balloon.hinting import Hinting
from aerostat.device import reclaim
from aerostat.device.reclaim import Reclaim
from aerostat.device.rings import Rings
from aerostat.testing.check.device.faults.terms import fault, replace


def _shift(owner: Any, name: str, start: int, length: int) -> None:
    """Have punches begin so much later, and be so much longer."""
    replace(
        owner,
        name,
        lambda punch: lambda file, at, size: punch(file, max(0, at + start), size + length),
    )


def _one_by_one() -> None:
    """Have pages taken by their place in the file, on every kernel."""
    replace(Reclaim, "_punch_mapped", lambda _: lambda *_: False)


@fault("USE-DEV-1")
def inflated_pages_are_kept() -> None:
    replace(Reclaim, "inflate", lambda _: lambda *_, **__: None)


@fault("USE-DEV-1", "DEV-OP-2")
def the_answer_comes_before_the_pages_go() -> None:
    def late(inflate: Any) -> Any:
        def later(self: Reclaim, event: Any, *, told: bool) -> None:
            rings = _SERVING[0]
            rings._loop.call_later(0.02, lambda: inflate(self, event, told=told))

        return later

    def remember(work: Any) -> Any:
        def working(self: Rings, index: int) -> None:
            _SERVING[:] = [self]
            work(self, index)

        return working

    replace(Rings, "_work", remember)
    replace(Reclaim, "inflate", late)


_SERVING: list[Rings] = []


@fault("DEV-OP-1")
def a_page_too_many_is_taken() -> None:
    _one_by_one()
    _shift(reclaim, "punch_hole", 0, PAGE_SIZE)


@fault("DEV-OP-1", "USE-DEV-1")
def the_page_before_is_taken() -> None:
    _one_by_one()
    _shift(reclaim, "punch_hole", -PAGE_SIZE, 0)


@fault("USE-DEV-1")
def the_last_page_of_a_range_is_forgotten() -> None:
    _one_by_one()
    _shift(reclaim, "punch_hole", 0, -PAGE_SIZE + 1)


@fault("VU-DEV-9", "USE-DEV-1")
def the_place_in_the_file_is_forgotten() -> None:
    _one_by_one()

    def without(locate: Any) -> Any:
        def located(self: Reclaim, piece: Any) -> tuple[Any, int, int]:
            file, start, end = locate(self, piece)
            offset = piece.region.file_offset
            return file, start - offset, end - offset

        return located

    replace(Reclaim, "_locate", without)


@fault("DEV-OP-2")
def pages_are_taken_again_when_others_are() -> None:
    """As a device does that collects pages, and takes them in batches."""

    def batched(inflate: Any) -> Any:
        given: list[Any] = []

        def inflating(self: Reclaim, event: Any, *, told: bool) -> None:
            for before in given[-8:]:
                inflate(self, before, told=told)
            given.append(event)
            inflate(self, event, told=told)

        return inflating

    replace(Reclaim, "inflate", batched)


@fault("DEV-OP-2")
def pages_are_taken_when_they_are_taken_back() -> None:
    replace(Reclaim, "deflate", lambda _: lambda self, event: self.inflate(event, told=False))


@fault("USE-DEV-2")
def reported_pages_are_kept() -> None:
    replace(Reclaim, "report", lambda _: lambda *_: None)


@fault("DEV-REP-1")
def a_page_beside_a_report_is_taken() -> None:
    _one_by_one()
    _shift(reclaim, "punch_hole", 0, PAGE_SIZE)
    replace(Reclaim, "inflate", lambda _: lambda *_, **__: None)


@fault("DEV-REP-2")
def poison_is_not_kept() -> None:
    replace(BalloonDevice, "poison", lambda _: property(lambda _: 0))


@fault("DEV-REP-3")
def reported_pages_are_taken_again() -> None:
    def again(report: Any) -> Any:
        given: list[Report] = []

        def reporting(self: Reclaim, event: Report) -> None:
            for before in given[-4:]:
                report(self, before)
            given.append(event)
            report(self, event)

        return reporting

    replace(Reclaim, "report", again)


@fault("DEV-HINT-3", options=("--free-page-hint", "--discard-hints"))
def hints_of_any_round_are_used() -> None:
    replace(Hinting, "usable", lambda _: property(lambda _: True))


@fault("BAD-DEV-3", "DEV-REP-1")
def parts_of_pages_are_taken() -> None:
    def outwards(start: int, end: int, block: int) -> tuple[int, int]:
        return start // block * block, -(-end // block) * block

    replace(reclaim, "_whole", lambda _: outwards)
