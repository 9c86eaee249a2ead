"""The command line of a process guest."""

import json
from pathlib import Path

import pytest

from aerostat.balloon.abi import DEFLATE_ON_OOM, PAGE_REPORTING, STATS_VQ
from aerostat.errors import UsageError
from aerostat.model.workload import idle
from aerostat.process_guest.options import parse
from aerostat.units import MIB
from aerostat.virtio.features import VERSION_1, has

NEEDED = ["--socket", "/run/a.vhost", "--size", "256MiB"]


def test_a_guest_of_today() -> None:
    wanted = parse([*NEEDED, "--name", "db", "--swap", "64MiB", "--console", "7", "--scattered"])
    assert wanted.guest is not None
    assert (wanted.guest.socket, wanted.guest.size) == ("/run/a.vhost", 256 * MIB)
    assert (wanted.guest.name, wanted.guest.swap_size, wanted.console) == ("db", 64 * MIB, 7)
    assert wanted.guest.scattered
    assert not wanted.guest.reconnects
    assert len(wanted.guest.tags) == 16
    features = wanted.guest.driver.features
    assert all(has(features, bit) for bit in (STATS_VQ, DEFLATE_ON_OOM, PAGE_REPORTING, VERSION_1))


def test_a_guest_that_waits_for_its_next_device() -> None:
    wanted = parse([*NEEDED, "--reconnect"])
    assert wanted.guest is not None
    assert wanted.guest.reconnects


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_a_guest_of_2009(byteorder: str) -> None:
    wanted = parse([*NEEDED, "--peer", "2009", "--byteorder", byteorder])
    assert wanted.guest is not None
    driver = wanted.guest.driver
    assert driver.byteorder == byteorder
    assert driver.statistics_first == "uninitialised"
    assert [int(tag) for tag in wanted.guest.tags] == [0, 1, 2, 3, 4, 5]
    assert has(driver.features, STATS_VQ)
    assert not any(has(driver.features, bit) for bit in (DEFLATE_ON_OOM, PAGE_REPORTING, VERSION_1))


def test_free_page_reporting_can_be_left_out() -> None:
    wanted = parse([*NEEDED, "--no-free-page-reporting"])
    assert wanted.guest is not None
    assert not has(wanted.guest.driver.features, PAGE_REPORTING)


def test_a_workload_is_read(tmp_path: Path) -> None:
    path = tmp_path / "workload.json"
    path.write_text(json.dumps(idle(MIB).to_dict()))
    wanted = parse([*NEEDED, "--workload", str(path)])
    assert wanted.guest is not None
    assert wanted.guest.workload == idle(MIB)
    path.write_text("{}")
    with pytest.raises(UsageError, match="--workload"):
        parse([*NEEDED, "--workload", str(path)])


def test_a_nursery_and_help_need_nothing_else() -> None:
    assert parse(["--nursery", "5"]).nursery == 5
    assert parse(["--help", *NEEDED]) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--size", "1MiB"], "--socket is required"),
        (["--socket", "/a"], "--size is required"),
        ([*NEEDED, "--peer", "2010"], "--peer is 2009"),
        ([*NEEDED, "--byteorder", "big"], "little-endian"),
        ([*NEEDED, "--peer", "2009", "--byteorder", "middle"], "little or big"),
        ([*NEEDED, "--seed", "x"], "--seed takes a number"),
        ([*NEEDED, "--workload", "/nowhere"], "--workload /nowhere"),
        ([*NEEDED, "more"], "unexpected: more"),
        ([*NEEDED, "--what"], "not recognized"),
    ],
)
def test_wrong_options(arguments: list[str], hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        parse(arguments)
