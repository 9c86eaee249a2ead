"""Whole demonstrations with real guests, each in a process of its own."""

import os
import signal
from pathlib import Path
from typing import Any, Protocol

import pytest

pytestmark = [pytest.mark.uml, pytest.mark.slow]


class Demo(Protocol):
    def wait_for_line(self, word: str) -> None: ...
    def send(self, number: signal.Signals) -> None: ...
    def finish(self) -> tuple[int, str, str]: ...
    def figures(self) -> dict[str, Any]: ...
    def leader(self, name: str) -> int: ...
    def kill(self) -> None: ...


class House(Protocol):
    directory: Path

    def start(self, *arguments: str) -> Demo: ...
    def left(self) -> list[str]: ...
    def wait_until_left(self, count: int) -> None: ...


def test_a_demonstration(house: House, tmp_path: Path) -> None:
    picture = tmp_path / "view.svg"
    figures = house.start("--for", "20", "--record", str(picture)).figures()
    assert figures["schema"] == 1
    assert figures["guests"] == 6
    assert figures["oom_kills"] == 0
    assert figures["guest_deaths"] == 0
    assert figures["damaged_chunks"] == 0
    assert figures["restarts"] == 0
    assert figures["taken_bytes"] > 0
    assert figures["given_bytes"] >= 0
    assert figures["moves"] > 0
    assert 0 < figures["peak_held_bytes"] <= figures["budget_bytes"] < figures["memory_bytes"]
    assert figures["exposure_bytes"] < figures["memory_bytes"] - figures["budget_bytes"]
    assert figures["samples"] >= 6 * 10
    assert all(row["worked_bytes"] > 0 for row in figures["rows"])
    assert "<svg" in picture.read_text()
    assert house.left() == []


def test_ctrl_c_ends_it_with_a_summary(house: House) -> None:
    demo = house.start("--for", "300")
    demo.wait_for_line("managing")
    demo.send(signal.SIGINT)
    figures = demo.figures()
    assert figures["seconds"] < 200
    assert (figures["oom_kills"], figures["guest_deaths"]) == (0, 0)
    assert house.left() == []


def test_ctrl_c_while_guests_boot(house: House) -> None:
    demo = house.start("--for", "300")
    demo.wait_for_line("is up")
    demo.send(signal.SIGTERM)
    code, printed, said = demo.finish()
    assert code == 130
    assert printed == ""
    assert "before all guests were up" in said
    assert house.left() == []


def test_urged_it_kills_what_is_left(house: House) -> None:
    demo = house.start("--for", "300")
    demo.wait_for_line("managing")
    demo.send(signal.SIGINT)
    demo.wait_for_line("asking")
    demo.send(signal.SIGHUP)
    assert demo.figures()["guest_deaths"] == 0
    assert house.left() == []


def test_a_guest_and_a_device_that_die_cost_only_themselves(house: House) -> None:
    demo = house.start("--for", "8")
    demo.wait_for_line("managing")
    os.kill(demo.leader("files"), signal.SIGKILL)
    os.kill(demo.leader("leaky.device"), signal.SIGKILL)
    code, printed, said = demo.finish()
    assert code == 1
    assert '"guest_deaths": 2' in printed
    assert '"oom_kills": 0' in printed
    assert "files was killed by SIGKILL" in said
    assert "leaky was ended: its device has died" in said
    assert house.left() == []


def test_the_next_start_sweeps_what_a_killed_one_left(house: House) -> None:
    demo = house.start("--for", "300")
    demo.wait_for_line("managing")
    demo.kill()
    assert house.left() != []
    assert house.start("--for", "3").figures()["guest_deaths"] == 0
    assert house.left() == []
