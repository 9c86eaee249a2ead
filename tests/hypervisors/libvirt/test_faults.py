"""The libvirt connector in front of helpers, and of libvirtds, that do not behave."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aerostat.errors import AerostatError, LinkError, MissingError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.libvirt import link as libvirt_link
from aerostat.hypervisors.libvirt.connector import LibvirtConnector
from aerostat.testing.mocks.libvirt import FakeLibvirt, read, reads
from aerostat.testing.polling import until
from aerostat.units import MIB

pytestmark = pytest.mark.slow  # each starts processes

LIMIT = 5.0
STOPPED = 5


async def test_a_refused_target_is_an_error(
    libvirt: FakeLibvirt, connector: LibvirtConnector
) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    libvirt.fail(set_memory="refuse")
    with pytest.raises(LinkError, match="not allowed"):
        await connector.set_target(f"libvirt:{uuid}", MIB, LIMIT)


async def test_a_guest_whose_call_hangs_is_not_called_again(
    libvirt: FakeLibvirt, connector: LibvirtConnector
) -> None:
    one, other = libvirt.add("one"), libvirt.add("other")
    await connector.guests()
    libvirt.fail(set_memory="hang")
    for _ in range(3):
        with pytest.raises(LinkError):
            await connector.set_target(f"libvirt:{one}", MIB, 0.05)
    libvirt.fail()
    await connector.set_target(f"libvirt:{other}", MIB, LIMIT)

    assert [each["uuid"] for each in libvirt.requests("set_memory")] == [one, other]
    assert connector.counters["helpers"] == 1


async def test_a_bulk_call_that_is_held_up_is_made_again(
    libvirt: FakeLibvirt, connector: LibvirtConnector
) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    await read(connector, uuid, 0.1)
    libvirt.fail(stats="hang")
    sampling = asyncio.create_task(read(connector, uuid, 1.0))
    seen = len(libvirt.requests("stats"))
    await until(lambda: len(libvirt.requests("stats")) > seen)
    libvirt.fail()

    assert isinstance(await sampling, Reading)
    assert connector.counters["helpers"] == 1


async def test_a_libvirtd_that_hangs_costs_its_helper(
    libvirt: FakeLibvirt, connector: LibvirtConnector
) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    libvirt.fail(stats="hang")
    for _ in range(2):
        assert isinstance(await read(connector, uuid, 0.05), LinkError)
    libvirt.fail()
    await reads(connector, uuid)

    assert connector.counters["helpers"] == 2


@pytest.mark.parametrize(
    "fault",
    ["die", "garbage", "nest", "wrong form", "endless line"],
)
async def test_a_helper_that_breaks_the_rules_is_replaced(
    libvirt: FakeLibvirt, connector: LibvirtConnector, fault: str
) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    libvirt.fail(stats=fault)
    assert isinstance(await read(connector, uuid), AerostatError)
    libvirt.fail()
    await reads(connector, uuid)

    assert connector.counters["helpers"] == 2


@pytest.mark.parametrize("fault", ["wrong id", "wrong value", "complain"])
async def test_a_helper_that_is_merely_wrong_is_kept(
    libvirt: FakeLibvirt, connector: LibvirtConnector, fault: str
) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    libvirt.fail(stats=fault)
    assert isinstance(await read(connector, uuid, 0.2), AerostatError)
    libvirt.fail()
    await reads(connector, uuid)

    assert connector.counters["helpers"] == 1


async def test_complaints_are_bounded(
    libvirt: FakeLibvirt, connector: LibvirtConnector, caplog: pytest.LogCaptureFixture
) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    libvirt.fail(stats="complain")
    for _ in range(3):
        await read(connector, uuid, 0.2)
    await until(lambda: "a complaint" in caplog.text)

    assert caplog.text.count("a complaint") <= 10


@pytest.mark.parametrize(
    "record",
    [None, 3, [], {}, {"balloon.maximum": -1}, {"balloon.maximum": 1 << 60, "balloon.current": 1}],
    ids=repr,
)
async def test_a_domain_of_nonsense_costs_only_itself(
    libvirt: FakeLibvirt, connector: LibvirtConnector, record: Any
) -> None:
    good, bad = libvirt.add("good"), libvirt.add("bad")
    await connector.guests()
    libvirt.domains[bad]["record"] = record
    libvirt.write()
    answers = await connector.sample([f"libvirt:{bad}", f"libvirt:{good}"], 0.2)

    assert isinstance(answers[f"libvirt:{bad}"], AerostatError)
    assert isinstance(answers[f"libvirt:{good}"], Reading)


async def test_no_python_at_all_says_so(tmp_path: Path) -> None:
    connector = LibvirtConnector("test:///default", python=str(tmp_path / "python"))
    await connector.start()
    with pytest.raises(MissingError, match="apt install python3-libvirt"):
        await connector.guests()
    await connector.close()


async def test_a_libvirtd_that_is_not_there_is_an_error_and_tried_again(
    libvirt: FakeLibvirt,
) -> None:
    libvirt.first, libvirt.begin = [{"lost": "Failed to connect socket"}], False
    uuid = libvirt.add("web1")
    connector = libvirt.connector()
    await connector.start()
    with pytest.raises(LinkError, match="Failed to connect socket"):
        await connector.guests()
    assert isinstance(await read(connector, uuid), LinkError)
    libvirt.first, libvirt.begin = [], True
    libvirt.write()
    await reads(connector, uuid)
    await connector.close()


async def test_one_that_never_connects_is_given_up(
    libvirt: FakeLibvirt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt_link, "_OPEN_TIMEOUT", 0.1)
    libvirt.begin = False
    libvirt.write()
    connector = libvirt.connector()
    await connector.start()
    with pytest.raises(LinkError, match="did not answer"):
        await connector.guests()
    await connector.close()
