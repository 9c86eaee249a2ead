"""Whole demonstrations with process guests, as where there is no user-mode Linux."""

import os
import signal
from pathlib import Path
from typing import Any, Protocol

import pytest

pytestmark = pytest.mark.slow


class Demo(Protocol):
    def wait_for_line(self, word: str) -> None: ...
    def send(self, number: signal.Signals) -> None: ...
    def finish(self) -> tuple[int, str, str]: ...
    def figures(self) -> dict[str, Any]: ...
    def leader(self, name: str) -> int: ...
    def kill(self) -> None: ...


class House(Protocol):
    def start(self, *arguments: str) -> Demo: ...
    def left(self) -> list[str]: ...


def start(house: House, *arguments: str) -> Demo:
    return house.start("--guests", "process", *arguments)


def test_a_demonstration(house: House, tmp_path: Path) -> None:
    picture = tmp_path / "view.svg"
    figures = start(house, "--for", "8", "--record", str(picture)).figures()
    assert (figures["guests"], figures["kind"]) == (6, "process")
    assert (figures["oom_kills"], figures["guest_deaths"], figures["restarts"]) == (0, 0, 0)
    assert figures["damaged_chunks"] == 0
    assert figures["taken_bytes"] > 0
    assert figures["moves"] > 0
    assert 0 < figures["peak_held_bytes"] <= figures["budget_bytes"] < figures["memory_bytes"]
    assert figures["samples"] >= 6 * 4
    assert all(row["worked_bytes"] > 0 for row in figures["rows"])
    assert "process&#160;guests" in picture.read_text()
    assert house.left() == []


def test_where_there_is_no_user_mode_linux(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEROSTAT_UML", "/nowhere/linux.uml")
    demo = house.start("--for", "3", "--compare")
    demo.wait_for_line("guests are processes")
    figures = demo.figures()
    assert figures["kind"] == "process"
    assert figures["compare"]["equal_sizes"]["memory_bytes"] <= figures["budget_bytes"]
    assert house.left() == []


def test_a_guest_and_a_device_that_die_cost_only_themselves(house: House) -> None:
    demo = start(house, "--for", "6")
    demo.wait_for_line("managing")
    os.kill(demo.leader("leaky.device"), signal.SIGKILL)
    code, printed, said = demo.finish()
    assert code == 1
    assert '"guest_deaths": 1' in printed
    assert '"oom_kills": 0' in printed
    assert "leaky was ended: its device has died" in said
    assert house.left() == []


def test_ctrl_c_ends_it_with_a_summary(house: House) -> None:
    demo = start(house, "--for", "300")
    demo.wait_for_line("managing")
    demo.send(signal.SIGINT)
    figures = demo.figures()
    assert figures["seconds"] < 200
    assert figures["guest_deaths"] == 0
    assert house.left() == []


def test_the_next_start_sweeps_what_a_killed_one_left(house: House) -> None:
    demo = start(house, "--for", "300")
    demo.wait_for_line("managing")
    demo.kill()
    assert start(house, "--for", "2").figures()["guest_deaths"] == 0
    assert house.left() == []
