"""The libvirt connector in front of a helper that behaves."""

import json

import pytest

from aerostat.balloon.statistics import Tag
from aerostat.errors import LinkError, MissingError, UsageError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.libvirt.connector import LibvirtConnector
from aerostat.testing.mocks.libvirt import FakeLibvirt, read, reads
from aerostat.testing.polling import until
from aerostat.units import GIB, KIB, MIB

LIMIT = 5.0
STOPPED = 5


async def test_domains_are_guests(libvirt: FakeLibvirt, connector: LibvirtConnector) -> None:
    settings = "guarantee='2GiB' shares='2000' managed='no' colour='red'"
    ours = f"<a:memory xmlns:a='urn:aerostat:domain:1' {settings}/>"
    uuid = libvirt.add("web1", metadata=ours)

    (guest,) = await connector.guests()

    assert (guest.key, guest.name, guest.uuid) == (f"libvirt:{uuid}", "web1", uuid)
    assert guest.settings == {"guarantee": "2GiB", "shares": "2000", "managed": "no"}


async def test_sizes_are_bytes_and_figures_have_their_true_names(
    libvirt: FakeLibvirt, connector: LibvirtConnector
) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    await read(connector, uuid, 0.2)
    libvirt.record(uuid, current=512 * KIB, last_update=1001, usable=(1 << 64) - 1)
    reading = await reads(connector, uuid)

    assert (reading.max_size, reading.guest_size, reading.held) == (GIB, 512 * MIB, 64 * MIB)
    assert reading.statistics == {
        Tag.FREE_MEMORY: 100 * MIB,
        Tag.TOTAL_MEMORY: 900 * MIB,
        Tag.MAJOR_FAULTS: 7,
    }


async def test_guests_that_make_no_figures_are_asked_and_left_as_found(
    libvirt: FakeLibvirt, connector: LibvirtConnector
) -> None:
    off, brief = libvirt.add("off", period=0), libvirt.add("brief", period=1)
    await connector.guests()
    await connector.sample([f"libvirt:{off}", f"libvirt:{brief}"], 0.1)
    await until(lambda: len(libvirt.requests("set_period")) == 2)
    await connector.close()

    asked = [(each["uuid"], each["periods"]) for each in libvirt.requests("set_period")]
    assert sorted(asked) == sorted([(off, [2]), (brief, [0, 1]), (off, [0])])


async def test_a_read_only_connection_asks_for_nothing(libvirt: FakeLibvirt) -> None:
    uuid = libvirt.add("web1", period=0)
    libvirt.mode = "read-only"
    libvirt.write()
    connector = libvirt.connector(read_only=True)
    await connector.start()
    await connector.guests()
    answer = await read(connector, uuid)
    with pytest.raises(UsageError):
        await connector.set_target(f"libvirt:{uuid}", MIB, LIMIT)
    examined = await connector.examine(f"libvirt:{uuid}", LIMIT)
    await connector.close()

    assert isinstance(answer, Reading)
    assert examined.may_change is False
    assert libvirt.requests("set_period") == []


async def test_a_target_is_sent_in_kib(libvirt: FakeLibvirt, connector: LibvirtConnector) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    await connector.set_target(f"libvirt:{uuid}", 300 * MIB, LIMIT)

    assert [each["size_kib"] for each in libvirt.requests("set_memory")] == [300 * KIB]


@pytest.mark.parametrize("size", [0, -1, 1023])
async def test_no_guest_is_sent_to_nothing(connector: LibvirtConnector, size: int) -> None:
    with pytest.raises(UsageError):
        await connector.set_target("libvirt:u", size, LIMIT)


async def test_a_domain_that_another_holds_keeps_its_last_figures(
    libvirt: FakeLibvirt, connector: LibvirtConnector
) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    await read(connector, uuid, 0.1)
    libvirt.record(uuid, last_update=1001)
    before = await reads(connector, uuid)
    libvirt.hold(uuid)
    held = await reads(connector, uuid)

    assert held.sampled_at == before.sampled_at
    assert held.statistics == before.statistics
    with pytest.raises(LinkError, match="busy"):
        await connector.set_target(f"libvirt:{uuid}", MIB, LIMIT)


async def test_events_are_followed(libvirt: FakeLibvirt, connector: LibvirtConnector) -> None:
    stays, goes = libvirt.add("stays"), libvirt.add("goes")
    await connector.guests()
    libvirt.events = [
        {"event": "balloon_change", "uuid": stays, "details": [300 * KIB]},
        {"event": "balloon_change", "uuid": stays, "details": ["many"]},
        {"event": "lifecycle", "uuid": goes, "details": [STOPPED, 0]},
        {"event": "of another day", "uuid": "whose?", "details": [None, {}]},
    ]
    del libvirt.domains[goes]
    libvirt.write()
    answers = await connector.sample([f"libvirt:{stays}", f"libvirt:{goes}"], 0.2)

    assert isinstance(answers[f"libvirt:{stays}"], Reading)
    assert isinstance(answers[f"libvirt:{goes}"], LinkError)
    assert [guest.uuid for guest in await connector.guests()] == [stays]


async def test_settings_are_read_again_when_they_change(
    libvirt: FakeLibvirt, connector: LibvirtConnector
) -> None:
    uuid = libvirt.add("web1")
    await connector.guests()
    ours = "<a:memory xmlns:a='urn:aerostat:domain:1' ceiling='75%'/>"
    libvirt.add("web1", metadata=ours)
    libvirt.events = [{"event": "metadata_change", "uuid": uuid, "details": [2, "urn:x"]}]
    libvirt.write()
    await read(connector, uuid, 0.2)

    async def changed() -> bool:
        (guest,) = await connector.guests()
        return guest.settings == {"ceiling": "75%"}

    await until(changed)


async def test_six_statistics_more_come_from_the_monitor_where_that_is_allowed(
    libvirt: FakeLibvirt,
) -> None:
    uuid = libvirt.add("web1")
    figures = {"stats": {"stat-oom-kills": 2, "stat-free-memory": 1}, "last-update": 1001}
    libvirt.answers = {"monitor": json.dumps({"return": figures})}
    libvirt.write()
    connector = libvirt.connector(passthrough=True)
    await connector.start()
    await connector.guests()
    await read(connector, uuid, 0.1)
    libvirt.record(uuid, last_update=1001)
    reading = await reads(connector, uuid)
    await connector.close()

    assert reading.statistics[Tag.OOM_KILLS] == 2
    assert reading.statistics[Tag.FREE_MEMORY] == 100 * MIB
    (command,) = {each["command"] for each in libvirt.requests("monitor")}
    assert json.loads(command)["arguments"]["path"] == "/machine/peripheral/balloon0"


async def test_a_python_without_libvirt_says_what_to_install(libvirt: FakeLibvirt) -> None:
    libvirt.first, libvirt.begin = [{"missing": "No module named 'libvirt'"}], False
    libvirt.write()
    connector = libvirt.connector()
    await connector.start()
    with pytest.raises(MissingError, match="apt install python3-libvirt"):
        await connector.guests()
    await connector.close()


async def test_a_guest_that_is_not_there_is_an_error(connector: LibvirtConnector) -> None:
    await connector.guests()

    assert isinstance(await read(connector, "nobody"), LinkError)
    with pytest.raises(LinkError, match="no guest"):
        await connector.set_target("libvirt:nobody", MIB, LIMIT)
    with pytest.raises(LinkError, match="no guest"):
        await connector.examine("libvirt:nobody", LIMIT)


async def test_an_examination_says_how_to_mend(
    libvirt: FakeLibvirt, connector: LibvirtConnector
) -> None:
    uuid = libvirt.add("it's", model="none")
    await connector.guests()
    examined = await connector.examine(f"libvirt:{uuid}", LIMIT)

    assert (examined.kind, examined.balloon, examined.interval) == ("libvirt", False, None)
    assert examined.agent == "absent"
    assert "edit 'it'\"'\"'s'" in examined.mending["balloon"]
    assert "<stats period='2'/>" in examined.mending["balloon"]
