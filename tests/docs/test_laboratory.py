"""The laboratory's page: its test is a test, its workload a workload, its names exist."""

import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.model import workload
from aerostat.model.workload import Step, Workload
from aerostat.testing.control_client import ControlClient
from aerostat.testing.guests.shell import ShellGuest
from aerostat.testing.guests.uml import UmlGuest
from aerostat.testing.laboratory import Laboratory
from aerostat.units import MIB

PAGE = "docs/laboratory.md"


@pytest.mark.uml
async def test_a_guest_gives_what_it_is_asked_for(laboratory: Laboratory) -> None:
    guest = await laboratory.start_guest("one", 256 * MIB)
    with ControlClient(laboratory.directory / "one.sock") as device:
        device.run("balloon", value=192 * MIB)
        device.wait_until(lambda: device.sample()["guest-size"] == 192 * MIB)
        told = device.sample()["stats"]["stat-free-memory"]
    seen = (await guest.counters())["meminfo"]["MemFree"]

    assert abs(told - seen) < 4 * MIB


def test_the_test_that_is_shown_is_the_one_above(document: Callable[[str], Any]) -> None:
    (shown,) = [block for block in document(PAGE).code("python") if "async def" in block]

    assert shown in Path(__file__).read_text()


def test_the_workload_that_is_shown_wants_what_it_says(document: Callable[[str], Any]) -> None:
    (shown,) = [block for block in document(PAGE).code("python") if block.startswith("Workload(")]
    plan: Workload = eval(shown, {"Workload": Workload, "Step": Step, "MIB": MIB})

    assert plan.wanted(30).hold == 120 * MIB
    assert plan.wanted(50).hold == 26 * MIB
    assert plan.wanted(61).hold == 16 * MIB


def test_the_workloads_and_calls_that_are_named_exist(document: Callable[[str], Any]) -> None:
    page = document(PAGE)
    usual = re.search(r"has the usual ones: (.*)\.", page.text)
    assert usual is not None
    named = set(re.findall(r"`(\w+)`", usual[1]))
    functions = dict(inspect.getmembers(workload, inspect.isfunction))
    made = {name for name, one in functions.items() if one.__module__ == workload.__name__}
    calls = set(re.findall(r"await guest\.(\w+)\(", page.text))

    assert named == made
    assert calls >= {"start", "stop", "kill"}
    assert calls <= {*dir(UmlGuest), *dir(ShellGuest)}


def test_the_rooms_without_guests_are_there(document: Callable[[str], Any]) -> None:
    section = document(PAGE).section("Without a guest")
    named = re.findall(r"`([a-z_.]+)\.([A-Z]\w+)`", section)

    assert len(named) >= 5
    for room, name in named:
        assert hasattr(importlib.import_module(f"aerostat.testing.{room}"), name), name
