"""Free page hinting over a real socket: rounds on the control socket, and what hints lead to."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aerostat.balloon.abi import PAGE_SIZE, Queue
from aerostat.testing.control_client import CommandFailed, ControlClient
from aerostat.testing.mocks.frontend import SharedFile
from aerostat.testing.mocks.guest import QUEUES, MockGuest
from aerostat.testing.processes.device import DeviceProcess

MIB = 1 << 20
RINGS = 64 * PAGE_SIZE
HIGH = 8 * MIB  # the region above the hole
STOP, DONE = 0, 1

Start = Callable[..., DeviceProcess]


class HintingGuest(MockGuest):
    """A guest that tells what is free, by hand."""

    @property
    def cmd_id(self) -> int:
        return int.from_bytes(self.frontend.read_config(8, 4), "little")

    def say(self, command_id: int) -> None:
        self.driver.send(Queue.HINT, command_id.to_bytes(4, "little"))
        self._wait()

    def hint(self, *ranges: tuple[int, int]) -> None:
        self.driver.rings[Queue.HINT].add([], ranges)
        self._wait()

    def _wait(self) -> None:
        self.kick(Queue.HINT)
        assert len(self.wait_for(Queue.HINT)) == 1


class Table:
    """A device, a guest on it, and a client."""

    def __init__(self, device: DeviceProcess, memory: SharedFile) -> None:
        self.guest = HintingGuest(str(device.socket), memory, RINGS, queues=(*QUEUES, Queue.HINT))
        self.control = ControlClient(device.control)

    def start(self, **how: Any) -> int:
        """Start a round, which the guest hears of; return its id."""
        answer = self.control.run("aerostat-hint", action="start", **how)
        self.guest.frontend.wait_for_config_change()
        assert self.guest.cmd_id == answer["id"]
        return int(answer["id"])

    def close(self) -> None:
        self.control.close()
        self.guest.close()


@pytest.fixture(scope="module")
def hinted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceProcess]:
    """A device for one guest after the other."""
    directory = tmp_path_factory.mktemp("device")
    device = DeviceProcess(
        "guest", size=12 * MIB, directory=directory, options=("--free-page-hint",)
    )
    with asyncio.Runner() as runner:
        runner.run(device.start())
        yield device
        runner.run(device.stop())


@pytest.fixture
def table(hinted: DeviceProcess, shared: SharedFile) -> Iterator[Table]:
    table = Table(hinted, shared)
    yield table
    table.close()


@pytest.fixture
def sit_down(start_device: Start, shared: SharedFile) -> Iterator[Callable[..., Table]]:
    """Have a device with other options."""
    tables: list[Table] = []

    def sit(*options: str) -> Table:
        tables.append(Table(start_device("guest", *options), shared))
        return tables[-1]

    yield sit
    for table in tables:
        table.close()


@pytest.mark.statement("DEV-HINT-6", "DEV-HINT-1")
def test_a_whole_round_ends_when_the_guest_has_told_all(table: Table) -> None:
    guest, control = table.guest, table.control
    assert guest.cmd_id == STOP
    asked = [control.start("aerostat-hint", ranges=ranges) for ranges in (True, False)]
    guest.frontend.wait_for_config_change()
    number = guest.cmd_id
    guest.say(number)
    guest.hint((HIGH, 2 * MIB), (HIGH + 2 * MIB, MIB))
    guest.say(STOP)
    guest.frontend.wait_for_config_change()
    assert guest.cmd_id == DONE
    first, second = [control.finish(command) for command in asked]
    assert first.pop("ranges") == [[HIGH, 3 * MIB]]
    assert first == second == {"id": number, "round": "done", "complete": True, "hinted": 3 * MIB}


@pytest.mark.statement("DEV-HINT-5", "DEV-HINT-1")
def test_a_round_step_by_step(table: Table) -> None:
    guest, control = table.guest, table.control
    stale = control.sample(timeout=0)["counters"]["stale_hints"]
    number = table.start()
    guest.say(number)
    guest.hint((HIGH, MIB))
    seen = {"id": number, "round": "running", "complete": False, "hinted": MIB}
    assert control.run("aerostat-hint", action="query") == seen
    assert control.run("aerostat-hint", action="stop") == seen | {"round": "stopped"}
    guest.frontend.wait_for_config_change()
    assert guest.cmd_id == STOP
    guest.hint((HIGH + MIB, MIB))  # it has not read that yet
    assert control.run("aerostat-hint", action="query")["hinted"] == MIB
    assert control.sample(timeout=0)["counters"]["stale_hints"] == stale + 1
    assert table.start() != number
    assert control.run("aerostat-hint", action="query")["hinted"] == 0
    assert control.run("aerostat-hint", action="done")["round"] == "done"
    assert guest.cmd_id == DONE


@pytest.mark.statement("DEV-HINT-6")
@pytest.mark.parametrize("action", ["run", "start"])
def test_a_round_that_nobody_ends_is_over_after_its_time(table: Table, action: str) -> None:
    """The guest keeps all its free memory for it."""
    table.control.run("aerostat-hint", action=action, timeout=0.01)
    table.control.wait_until(lambda: table.guest.cmd_id == DONE)
    seen = table.control.run("aerostat-hint", action="query")
    assert (seen["round"], seen["complete"]) == ("done", False)


@pytest.mark.statement("DEV-HINT-4")
def test_hinted_memory_stays_as_it_is(table: Table) -> None:
    guest = table.guest
    guest.memory.memory.write(HIGH, b"x" * MIB)
    guest.say(table.start())
    guest.hint((HIGH, MIB))
    guest.say(STOP)
    assert guest.memory.memory.read(HIGH, MIB) == b"x" * MIB


@pytest.mark.slow
@pytest.mark.statement("DEV-HINT-3", "DEV-HINT-4", "DEV-HINT-5")
def test_what_may_be_discarded_is_of_the_current_round_alone(
    sit_down: Callable[..., Table],
) -> None:
    table = sit_down("--discard-hints")
    guest, control, memory = table.guest, table.control, table.guest.memory.memory
    memory.write(HIGH, b"x" * 4 * MIB)
    guest.hint((HIGH, 4 * MIB))  # of no round
    number = table.start()
    guest.say(number + 1)
    guest.hint((HIGH, 4 * MIB))  # of another
    assert memory.read(HIGH, 4 * MIB) == b"x" * 4 * MIB
    guest.say(number)
    guest.hint((HIGH + 100, MIB), (7 * MIB, MIB))  # whole pages of what is memory
    last = MIB - PAGE_SIZE
    assert memory.read(HIGH, PAGE_SIZE) == b"x" * PAGE_SIZE
    assert memory.read(HIGH + PAGE_SIZE, last) == bytes(last)
    assert memory.read(HIGH + MIB, MIB) == b"x" * MIB
    control.run("aerostat-hint", action="done")
    guest.hint((HIGH + 2 * MIB, MIB))  # too late
    assert memory.read(HIGH + 2 * MIB, 2 * MIB) == b"x" * 2 * MIB
    counters = control.sample(timeout=0)["counters"]
    assert (counters["hint_punches"], counters["discarded_bytes"]) == (1, last)


def test_a_driver_that_goes_ends_the_round_for_who_waits(table: Table) -> None:
    asked = table.control.start("aerostat-hint", timeout=60)
    table.guest.frontend.wait_for_config_change()
    table.guest.reload()
    answer = table.control.finish(asked)
    assert answer == {"id": 0, "round": "none", "complete": False, "hinted": 0}
    assert table.guest.cmd_id == STOP


def test_a_pause_is_no_end(table: Table) -> None:
    guest = table.guest
    number = table.start()
    guest.balloon(Queue.INFLATE, [0])  # the rings have been used
    guest.say(number)
    guest.stop()
    guest.start()
    guest.hint((HIGH, MIB))
    seen = table.control.run("aerostat-hint", action="query")
    assert (seen["round"], seen["hinted"]) == ("running", MIB)


@pytest.mark.slow
def test_a_guest_without_the_feature_is_not_asked(sit_down: Callable[..., Table]) -> None:
    control = sit_down().control
    for action in ("run", "start"):
        with pytest.raises(CommandFailed, match="no free page hints"):
            control.run("aerostat-hint", action=action)
    assert control.run("aerostat-hint", action="query")["round"] == "none"


@pytest.mark.parametrize(
    "arguments",
    [
        {"action": "begin"},
        {"timeout": -1},
        {"timeout": 61},
        {"action": "start", "timeout": 3601},
        {"ranges": 1},
        {"round": 2},
    ],
)
def test_what_cannot_be_asked_is_refused(table: Table, arguments: dict[str, Any]) -> None:
    with pytest.raises(CommandFailed):
        table.control.run("aerostat-hint", **arguments)
    assert table.guest.cmd_id == STOP
