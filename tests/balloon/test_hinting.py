"""The balloon device's free page hinting queue, with a driver's hand at its other end."""

from typing import Any

import pytest

from aerostat.balloon.abi import FREE_PAGE_HINT, PAGE_SIZE, Queue
from aerostat.balloon.device import DEFAULT_FEATURES, BalloonDevice, Event, Hint
from aerostat.balloon.hinting import MAX_RANGES, TRANSITIONS, Hinting, Round
from aerostat.balloon.statistics import Byteorder
from aerostat.testing.conformance.pair import BalloonPair, page_spans
from aerostat.testing.mocks.driver import Used
from aerostat.virtio.features import VERSION_1, bit

MIB = 1 << 20
FEATURES = DEFAULT_FEATURES | bit(FREE_PAGE_HINT)
QUEUES = (Queue.INFLATE, Queue.DEFLATE, Queue.STATS, Queue.HINT)


class Pair(BalloonPair):
    """A device and a driver of which the hinting queue is played with."""

    def __init__(self, **options: Any) -> None:
        super().__init__(queues=QUEUES, **{"features": FEATURES, **options})

    @property
    def hinting(self) -> Hinting:
        return self.device.hinting

    def round(self) -> Round:
        return self.device.hinting.round

    @property
    def cmd_id(self) -> int:
        return int.from_bytes(self.device.read_config(8, 4), "little")

    def say(self, command_id: int) -> list[Event]:
        self.driver.send(Queue.HINT, command_id.to_bytes(4, self.byteorder))
        return self.serve(Queue.HINT)

    def hint(self, *ranges: tuple[int, int]) -> list[list[tuple[int, int]]]:
        self.driver.rings[Queue.HINT].add([], ranges)
        return [page_spans(event) for event in self.serve(Queue.HINT)]


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.mark.statement("DEV-HINT-1", "DEV-HINT-6")
def test_a_round_from_its_start_to_its_end(pair: Pair) -> None:
    assert pair.cmd_id == 0
    assert pair.round() is Round.NONE
    number = pair.hinting.start()
    assert number >= 2
    assert pair.cmd_id == number
    assert pair.say(number)
    assert pair.round() is Round.RUNNING
    assert pair.hint((3 * MIB, MIB)) == [[(768, 256)]]
    assert pair.hint((2 * MIB, MIB), (9 * MIB, 8192)) == [[(512, 256), (2304, 2)]]
    pair.say(0)
    assert (pair.hinting.round, pair.hinting.complete) == (Round.ENDED, True)
    assert pair.cmd_id == number  # the driver keeps its pages
    assert pair.hinting.done()
    assert pair.cmd_id == 1
    assert pair.hinting.hinted.ranges() == [(2 * MIB, 2 * MIB), (9 * MIB, 8192)]
    assert pair.hinting.hinted.size == 2 * MIB + 8192
    assert pair.driver.collect(Queue.HINT) == [Used(head, 0) for head in (0, 1, 2, 4)]
    assert pair.device.take_notifications() == [Queue.HINT]
    assert pair.faults() == {}


@pytest.mark.statement("DEV-HINT-2")
def test_every_round_has_an_id_of_its_own(pair: Pair) -> None:
    ids = [pair.hinting.start()]
    pair.hinting.stop()
    ids.append(pair.hinting.start())
    ids.append(pair.hinting.start())
    pair.hinting.done()
    pair.device.reset()
    assert pair.cmd_id == 0
    ids.append(pair.hinting.start())  # a driver that was not reset may still hold the others
    assert len(set(ids)) == len(ids)
    assert min(ids) >= 2


def test_ids_begin_again_before_they_outgrow_their_field(pair: Pair) -> None:
    pair.hinting._next_id = 0xFFFFFFFF
    assert pair.hinting.start() == pair.cmd_id == 0xFFFFFFFF
    assert pair.hinting.start() == pair.cmd_id == 2


@pytest.mark.statement("DEV-HINT-3")
@pytest.mark.parametrize("early", ["no id", "STOP", "another id", "an id of 3 bytes"])
def test_hints_of_no_round_are_not_used(pair: Pair, early: str) -> None:
    number = pair.hinting.start()
    if early == "STOP":
        pair.say(0)
    elif early == "another id":
        pair.say(number + 1)
    elif early == "an id of 3 bytes":
        pair.driver.send(Queue.HINT, number.to_bytes(4, "little")[:3])
        pair.serve(Queue.HINT)
    assert pair.hint((2 * MIB, MIB)) == [[]]
    assert pair.hinting.hinted.ranges() == []
    bad = {"bad_command_ids": 1} if early == "an id of 3 bytes" else {}
    assert pair.faults() == {"stale_hints": 1} | bad
    # And the round is still to be had.
    pair.say(number)
    assert pair.hint((2 * MIB, MIB)) == [[(512, 256)]]


@pytest.mark.statement("DEV-HINT-3")
def test_a_driver_that_is_late_hints_into_no_later_round(pair: Pair) -> None:
    first = pair.hinting.start()
    pair.say(first)
    second = pair.hinting.start()
    assert pair.hint((2 * MIB, MIB)) == [[]]
    pair.say(0)  # of the first
    assert not pair.hinting.complete
    assert pair.hinting.round is Round.ASKED
    pair.say(second)
    assert pair.hint((3 * MIB, MIB)) == [[(768, 256)]]
    assert pair.hinting.hinted.ranges() == [(3 * MIB, MIB)]


@pytest.mark.statement("DEV-HINT-5", "DEV-HINT-1")
@pytest.mark.parametrize("end", ["stop", "done"])
def test_nothing_is_used_once_the_round_is_over(pair: Pair, end: str) -> None:
    pair.say(pair.hinting.start())
    # A hint that is under way then is over, too, from its next step on.
    pair.driver.rings[Queue.HINT].add([], [(0, 4 * MIB), (8 * MIB, 4 * MIB), (0, 1 << 30)])
    steps = pair.device.service(Queue.HINT)
    assert getattr(pair.hinting, end)()
    for event in steps:
        assert isinstance(event, Hint)
        assert event.pieces == []
        pair.device.complete(event)
    assert pair.hint((2 * MIB, MIB)) == [[]]
    assert pair.hinting.hinted.ranges() == []
    assert pair.cmd_id == ["stop", "done"].index(end)


@pytest.mark.statement("DRV-HINT-3", "DEV-HINT-3")
def test_an_id_counts_once(pair: Pair) -> None:
    number = pair.hinting.start()
    pair.say(number)
    pair.say(number)
    assert pair.hint((2 * MIB, MIB)) == [[]]
    assert pair.faults() == {"bad_command_ids": 1, "stale_hints": 1}


@pytest.mark.statement("VQ-DEV-2")
def test_an_id_in_pieces_with_hints_behind_it_is_both(pair: Pair) -> None:
    number = pair.hinting.start()
    pair.memory.write(PAGE_SIZE, number.to_bytes(4, "little"))
    ring = pair.driver.rings[Queue.HINT]
    ring.add([(PAGE_SIZE, 1), (PAGE_SIZE + 1, 3)], [(2 * MIB, MIB)])
    assert [page_spans(event) for event in pair.serve(Queue.HINT)] == [[(512, 256)]]
    assert pair.hinting.hinted.ranges() == [(2 * MIB, MIB)]


@pytest.mark.statement("LEG-HINT-1")
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_a_legacy_guest_has_ids_in_its_own_order(byteorder: Byteorder) -> None:
    pair = Pair(features=FEATURES & ~bit(VERSION_1), byteorder=byteorder)
    number = pair.hinting.start()
    assert pair.device.read_config(8, 4) == number.to_bytes(4, "little")
    pair.say(number)
    assert pair.hint((2 * MIB, MIB)) == [[(512, 256)]]


def test_what_is_no_memory_is_left_out(pair: Pair) -> None:
    pair.say(pair.hinting.start())
    spans = pair.hint((3 * MIB, 2 * MIB), (1 << 63, 0xFFFFFFFF), (2 * MIB, 0))
    assert spans == [[(768, 256)]]
    assert pair.hinting.hinted.ranges() == [(3 * MIB, MIB)]
    assert pair.faults() == {"outside_pages": 256 + 0xFFFFFFFF // PAGE_SIZE}


@pytest.mark.parametrize("address", [5 * MIB, 1 << 63])
def test_an_id_that_is_not_in_memory_is_none(pair: Pair, address: int) -> None:
    pair.hinting.start()
    pair.driver.rings[Queue.HINT].add([(address, 4)])
    pair.serve(Queue.HINT)
    assert pair.hinting.round is Round.ASKED
    assert pair.faults() == {"bad_addresses": 1, "bad_command_ids": 1}


def test_an_id_of_a_gigabyte_is_not_read(pair: Pair) -> None:
    pair.hinting.start()
    pair.driver.rings[Queue.HINT].add([(0, 1 << 30)])
    pair.serve(Queue.HINT)
    assert pair.faults() == {"bad_command_ids": 1}


def test_a_guest_cannot_fill_the_device_with_hints() -> None:
    hinting = BalloonDevice(features=FEATURES).hinting
    hinting.command(hinting.start().to_bytes(4, "little"), "little")
    assert all(hinting.hinted.add(number * 8192, 4096) for number in range(MAX_RANGES))
    assert not hinting.hinted.add(1 << 40, 4096)
    assert hinting.hinted.add(4096, 4096)  # what adjoins needs no room
    assert len(hinting.hinted) == MAX_RANGES - 1


def test_what_there_is_no_room_for_is_counted(pair: Pair) -> None:
    pair.say(pair.hinting.start())
    pair.hinting.hinted = type(pair.hinting.hinted)(1)
    pair.hint((2 * MIB, 4096), (3 * MIB, 4096))
    assert pair.hinting.hinted.ranges() == [(2 * MIB, 4096)]
    assert pair.faults() == {"unkept_hints": 1}


@pytest.mark.statement("ST-DEV-3")
def test_a_reset_forgets_the_round_and_a_pause_does_not(pair: Pair) -> None:
    pair.say(pair.hinting.start())
    pair.hint((2 * MIB, MIB))
    pair.device.stop(Queue.HINT)
    pair.start(Queue.HINT, None)
    assert pair.hint((3 * MIB, MIB)) == [[(768, 256)]]
    pair.device.reset()
    assert (pair.cmd_id, pair.hinting.round, pair.hinting.id) == (0, Round.NONE, 0)
    assert pair.hinting.hinted.ranges() == []


def test_the_rounds_are_a_table() -> None:
    """Every round can be left: by the driver, or by us."""
    for state in set(Round) - {Round.NONE, Round.DONE}:
        assert TRANSITIONS[state, "done"] is Round.DONE
    hinting = BalloonDevice(features=FEATURES).hinting
    assert not hinting.stop()
    assert not hinting.done()
    hinting.start()
    assert hinting.stop()
    assert not hinting.stop()
    assert hinting.done()
    assert not hinting.done()
