"""The page for developers of VMMs says what the device does."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.balloon import abi
from aerostat.balloon.device import DEFAULT_FEATURES, STEP_PAGES
from aerostat.balloon.hinting import MAX_RANGES, Round
from aerostat.balloon.lane import COUNTERS
from aerostat.balloon.statistics import MAX_ENTRIES
from aerostat.device import commands, control, guest, hint_command, options, rings, sampler
from aerostat.device.log import Log
from aerostat.device.loop import Loop
from aerostat.qmp.server import _OWN_COMMANDS
from aerostat.vhost_user import messages
from aerostat.vhost_user.backend import PROTOCOL_FEATURES
from aerostat.virtio import features
from aerostat.virtio.chain import MAX_READ

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(document: Callable[[str], Any]) -> Any:
    return document("docs/vmm-developers.md")


def test_the_options_are_those_of_the_command(page: Any) -> None:
    told = {option.partition(" ")[0] for option in page.table("option")}

    assert told == {f"--{name.rstrip('=')}" for name in options._LONG} - {"--help"}


def test_the_features_are_those_that_are_offered(page: Any) -> None:
    told = page.table("virtio feature")
    offered = sum(features.bit(int(number)) for number, yes, *_ in told.values() if yes == "yes")

    assert offered == DEFAULT_FEATURES
    for name, (number, *_) in told.items():
        short = re.sub(r"^VIRTIO_(BALLOON_)?F_", "", name)
        rooms = (abi, features)
        values = [getattr(room, each, None) for room in rooms for each in (short, f"RING_{short}")]
        assert int(number) in values, name


def test_the_protocol_features_are_those_that_are_offered(page: Any) -> None:
    sentence = re.search(r"it offers the protocol features (.*)\.", page.text)
    assert sentence is not None
    names = re.findall(r"`(\w+)`", sentence[1])

    assert sum(1 << messages.ProtocolFeature[name] for name in names) == PROTOCOL_FEATURES


def test_the_commands_are_those_of_the_control_socket(page: Any) -> None:
    loop = Loop()
    one = guest.Guest(loop, Log("test"))
    names = commands.Commands(one, name=None, running=lambda: False, stop=loop.stop).names
    loop.close()

    assert set(page.table("command")) == {*names, *_OWN_COMMANDS}


def test_hints_are_asked_for_as_the_page_says(page: Any) -> None:
    section = page.section("Free page hints")

    assert set(page.table("argument")) == {"action", "timeout", "ranges"}
    assert all(f"`{action}`" in section for action in hint_command.ACTIONS)
    assert list(page.table("round")) == [state.value for state in Round]
    assert f"Of one round {MAX_RANGES} ranges are kept" in section
    limits = (hint_command.DEFAULT_TIMEOUT, hint_command.MAX_TIMEOUT)
    assert "`run` {:g} where nothing is said, {:g} at most".format(*limits) in section
    limits = (hint_command.DEFAULT_LIMIT, hint_command.MAX_LIMIT)
    assert "`start` {:g}, at most {:g}".format(*limits) in section


def test_the_counters_are_those_of_the_device(page: Any) -> None:
    assert list(page.table("counter")) == [*COUNTERS, *guest._COUNTERS]


def test_the_bounds_are_those_of_the_code(page: Any) -> None:
    text = page.text

    assert MAX_READ == 1 << 20
    assert "At most 1 MiB is read of one request" in text
    assert f"{MAX_ENTRIES} entries" in text
    assert f"{control.MAX_CLIENTS} control clients" in text
    assert f"{sampler.MAX_WAITING} who wait" in text
    assert f"memory tables of {messages.MAX_SLOTS} regions" in text
    assert f"works for {rings.TURN_SECONDS * 1000:g} ms at most" in text
    assert f"more than {STEP_PAGES} page numbers" in text
    assert f"0 to {commands.MAX_TIMEOUT:g} seconds, {commands.DEFAULT_TIMEOUT:g} where" in text


def test_the_code_that_is_shown_is_from_the_example(page: Any) -> None:
    example = (ROOT / "examples" / "tiny_device.py").read_text()
    blocks = page.code("python")

    assert len(blocks) == 2
    assert all(block in example for block in blocks)


def test_parts_that_are_named_exist(page: Any) -> None:
    from aerostat.balloon.device import BalloonDevice
    from aerostat.vhost_user.backend import Backend

    section = page.section("The parts as libraries")
    device = re.search(r"is the device: (.*?)\. Nothing", section)
    assert device is not None
    named = re.findall(r"`(\w+)`", device[1])
    assert len(named) >= 10
    assert all(hasattr(BalloonDevice, name) for name in named)
    assert all(
        hasattr(Backend, name)
        for name in ("bytes_desired", "receive", "next_event", "accept", "refuse", "data_to_send")
    )
