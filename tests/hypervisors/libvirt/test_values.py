"""What libvirt says, checked: units, names, absent figures, and every kind of nonsense."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerostat.balloon.statistics import Tag
from aerostat.errors import PeerError
from aerostat.hypervisors.base import BlockReads
from aerostat.hypervisors.libvirt import values
from aerostat.hypervisors.libvirt.domain_xml import read_setup
from aerostat.hypervisors.libvirt.values import Figures
from aerostat.units import KIB

SIZES = {"balloon.maximum": 2048, "balloon.current": 1024}
NEVER = (1 << 64) - 1

KEYS = st.sampled_from(
    [
        "balloon.maximum",
        "balloon.current",
        "balloon.unused",
        "balloon.available",
        "balloon.last-update",
        "balloon.major_fault",
        "balloon.rss",
        "state.state",
        "reads",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=9),
    max_leaves=9,
)


def test_libvirts_names_are_not_what_they_seem() -> None:
    told = {"balloon.available": 3, "balloon.usable": 2, "balloon.unused": 1}
    record = values.record({**SIZES, **told, "balloon.last-update": 9, "balloon.rss": 5})

    assert (record.max_size, record.guest_size, record.held) == (2048 * KIB, 1024 * KIB, 5 * KIB)
    assert record.figures == Figures(
        9,
        {Tag.TOTAL_MEMORY: 3 * KIB, Tag.AVAILABLE_MEMORY: 2 * KIB, Tag.FREE_MEMORY: KIB},
    )


def test_counts_stay_counts() -> None:
    told = {"balloon.minor_fault": 7, "balloon.hugetlb_pgfail": 3, "balloon.last-update": 1}
    record = values.record({**SIZES, **told})

    assert record.figures == Figures(1, {Tag.MINOR_FAULTS: 7, Tag.HUGETLB_FAILURES: 3})


@pytest.mark.parametrize("absent", [NEVER, NEVER // KIB, None])
def test_what_the_guest_did_not_send_is_absent(absent: int | None) -> None:
    record = values.record({**SIZES, "balloon.unused": absent, "balloon.last-update": 1})

    assert record.figures == Figures(1, {})


def test_a_domain_that_was_not_asked_has_sizes_alone() -> None:
    record = values.record({**SIZES, "state.state": 1})

    assert not record.asked
    assert record.figures is None


def test_a_domain_without_a_balloon_was_asked() -> None:
    record = values.record({**SIZES, "balloon.rss": 1})

    assert record.asked
    assert record.figures is None


def test_a_size_above_the_maximum_is_the_maximum() -> None:
    assert values.record({**SIZES, "balloon.current": 4096}).guest_size == 2048 * KIB


def test_disks_have_read() -> None:
    assert values.record({**SIZES, "reads": [512, 1]}).block_reads == BlockReads(512, 1)


@settings(max_examples=25)
@given(raw=ANYTHING)
def test_nonsense_is_the_peers_error(raw: Any) -> None:
    try:
        record = values.record(raw)
    except PeerError:
        return
    assert 0 <= record.guest_size <= record.max_size


@settings(max_examples=15)
@given(raw=ANYTHING)
def test_a_list_of_nonsense_is_the_peers_error(raw: Any) -> None:
    try:
        found = values.domains(raw)
    except PeerError:
        return
    assert all(isinstance(name, str) for name, _ in found.values())


@settings(max_examples=15)
@given(raw=ANYTHING.map(lambda value: json.dumps({"return": value})) | ANYTHING)
def test_a_monitor_of_nonsense_is_the_peers_error(raw: Any) -> None:
    with pytest.raises(PeerError):
        values.monitor_figures(raw)


def test_deep_nonsense_is_the_peers_error() -> None:
    with pytest.raises(PeerError):
        values.monitor_figures("[" * 100_000)


DOMAIN = """
<domain>
  <metadata>
    <a:memory xmlns:a='urn:aerostat:domain:1' guarantee='2GiB' ceiling='75%' colour='red'/>
    <b:memory xmlns:b='urn:another:1' shares='5'/>
  </metadata>
  <memoryBacking><hugepages/><locked/></memoryBacking>
  <devices>
    <channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0' state='connected'/>
    </channel>
    <hostdev mode='subsystem' type='pci' managed='yes'/>
    <memballoon model='virtio' autodeflate='on' freePageReporting='on'>
      <stats period='10'/>
      <alias name='balloon0'/>
    </memballoon>
  </devices>
</domain>
"""


def test_a_description_is_read() -> None:
    setup = read_setup(DOMAIN)

    assert (setup.balloon, setup.alias, setup.period) == (True, "balloon0", 10)
    assert setup.deflate_on_oom
    assert setup.free_page_reporting
    assert setup.huge_pages
    assert setup.locked_memory
    assert setup.passthrough
    assert setup.agent_connected
    assert setup.settings == {"guarantee": "2GiB", "ceiling": "75%"}


def test_a_description_without_anything_has_nothing() -> None:
    setup = read_setup("<domain><devices><memballoon model='none'/></devices></domain>")

    assert not any(setup)


@pytest.mark.parametrize(
    ("device", "pins"),
    [
        ("<hostdev type='usb'/>", False),
        ("<hostdev type='scsi'/>", False),
        ("<hostdev type='mdev'/>", True),
        ("<interface type='hostdev'/>", True),
        ("<interface type='network'/>", False),
    ],
)
def test_only_some_devices_of_the_host_pin_memory(device: str, pins: bool) -> None:
    assert read_setup(f"<domain><devices>{device}</devices></domain>").passthrough is pins


@pytest.mark.parametrize("period", ["", "-1", "x", "9" * 30, "\u0661"])
def test_a_period_that_is_no_number_is_none(period: str) -> None:
    text = (
        f"<domain><devices><memballoon><stats period='{period}'/></memballoon></devices></domain>"
    )

    assert read_setup(text).period == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<domain>",
        "<network/>",
        "<!DOCTYPE d [<!ENTITY a 'aaaa'>]><domain>&a;</domain>",
        "<domain>" * 10_000,
        "\x00",
    ],
)
def test_what_is_no_description_is_the_peers_error(text: str) -> None:
    with pytest.raises(PeerError):
        read_setup(text)


def test_settings_are_bounded() -> None:
    text = DOMAIN.replace("2GiB", "9" * 10_000).replace("75%", "&#10;")

    assert read_setup(text).settings == {"guarantee": "9" * 100}
