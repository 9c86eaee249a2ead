"""Faults in a driver's free page hints."""

# ruff: noqa: D103, SLF001 - names say what is wrong, and that is planted where nobody has business

from typing import Any

from aerostat.balloon.driver_events import Hinted
from aerostat.balloon.driver_hinting import Hints
from aerostat.process_guest.kernel import Kernel
from aerostat.process_guest.work import BalloonWork
from aerostat.testing.check.driver.faults.terms import fault, replace

_MANY = 10


@fault("DRV-HINT-1")
def sends_command_ids_of_eight_bytes() -> None:
    def long(_: Any) -> Any:
        def saying(self: Hints, command_id: int) -> None:
            self._lane.send(command_id.to_bytes(8, "little"), Hinted([]))

        return saying

    replace(Hints, "_say", long)


@fault("DRV-HINT-2")
def hints_without_a_command_id() -> None:
    def hasty(say: Any) -> Any:
        def saying(self: Hints, command_id: int) -> None:
            if command_id == 0:
                say(self, command_id)

        return saying

    replace(Hints, "_say", hasty)


@fault("DRV-HINT-2")
def answers_with_an_id_of_its_own() -> None:
    def own(say: Any) -> Any:
        return lambda self, command_id: say(self, command_id and command_id + 77)

    replace(Hints, "_say", own)


@fault("DRV-HINT-3")
def sends_its_command_id_again_and_again() -> None:
    def forgetful(send: Any) -> Any:
        def sending(self: Hints, ranges: Any) -> None:
            if ranges and not getattr(self, "_again", False):
                type(self)._again = True  # type: ignore[attr-defined]
                self._say(self._round)
            else:
                type(self)._again = False  # type: ignore[attr-defined]
                send(self, ranges)

        return sending

    Hints._again = False  # type: ignore[attr-defined]
    replace(Hints, "send", forgetful)


@fault("DRV-HINT-4")
def hints_nothing() -> None:
    replace(Kernel, "hint", lambda _: lambda *_: [])


@fault("DRV-HINT-5")
def hints_on_after_stop() -> None:
    def stubborn(config_changed: Any) -> Any:
        return lambda self, cmd_id: config_changed(self, cmd_id) if cmd_id >= 2 else None

    replace(Hints, "config_changed", stubborn)
    replace(Kernel, "hint", lambda _: lambda *_: [(1 << 20, 1 << 20)])


@fault("DRV-HINT-6")
def does_not_end_a_round() -> None:
    replace(Hints, "_end", lambda _: lambda *_: None)


@fault("DRV-HINT-10")
def keeps_what_it_hinted_for_ever() -> None:
    replace(Kernel, "hints_done", lambda _: lambda *_: None)


@fault("BAD-DRV-7")
def is_tired_of_rounds_after_ten() -> None:
    rounds: set[int] = set()

    def tired(config_changed: Any) -> Any:
        def changed(self: BalloonWork, num_pages: int, cmd_id: int) -> None:
            rounds.add(cmd_id)
            config_changed(self, num_pages, cmd_id if len(rounds) < _MANY else 0)

        return changed

    replace(BalloonWork, "config_changed", tired)
