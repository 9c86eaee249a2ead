"""What is written can be read, says what the snapshot says, and nothing of what is not known."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.metrics.exposition import (
    OPENMETRICS,
    TEXT,
    content_type,
    exposition,
    guest_labels,
)
from aerostat.metrics.families import CONNECTOR, HOST, MANAGER, RESERVATION
from aerostat.metrics.guest_families import GUEST
from aerostat.metrics.tally import Tally
from aerostat.units import GIB

PARSERS: dict[str, Callable[[str], Iterable[Metric]]] = {
    TEXT: parse_text,
    OPENMETRICS: parse_openmetrics,
}
WEB1 = {"connector": "libvirt", "domain": "web1", "uuid": "6a0e"}


def read(snapshot: Snapshot | None, kind: str = TEXT, tally: Tally | None = None) -> list[Metric]:
    text = exposition(snapshot, tally or Tally(), kind).decode()
    return list(PARSERS[kind](text))


def values(metrics: list[Metric], name: str) -> list[tuple[dict[str, str], float]]:
    return [
        (sample.labels, sample.value)
        for metric in metrics
        for sample in metric.samples
        if sample.name == name
    ]


@pytest.mark.parametrize("kind", PARSERS)
def test_everything_that_is_known_is_exported(snapshot: Snapshot, kind: str) -> None:
    metrics = read(snapshot, kind)
    names = {sample.name for metric in metrics for sample in metric.samples}

    for table in (MANAGER, HOST, CONNECTOR, RESERVATION, GUEST):
        assert {family.sample_name for family in table} <= names
    assert values(metrics, "aerostat_balloon_bytes") == [(WEB1, GIB)]
    assert values(metrics, "aerostat_balloon_target_bytes") == [(WEB1, 2 * GIB)]
    assert values(metrics, "aerostat_guest_swap_out_bytes_total") == [(WEB1, 2)]
    assert values(metrics, "aerostat_guest_info") == [({**WEB1, "way": "queue"}, 1)]
    assert values(metrics, "aerostat_guest_condition") == [({**WEB1, "condition": "fresh"}, 1)]
    assert values(metrics, "aerostat_connector_up") == [({"connector": "libvirt"}, 1)]
    assert values(metrics, "aerostat_reservation_backed") == [({"reservation": "new"}, 1)]
    assert values(metrics, "aerostat_host_overcommit_ratio") == [({}, 0.5)]
    assert values(metrics, "process_resident_memory_bytes")


@pytest.mark.parametrize("kind", PARSERS)
def test_no_sample_has_a_time_of_its_own(snapshot: Snapshot, kind: str) -> None:
    samples = [sample for metric in read(snapshot, kind) for sample in metric.samples]

    assert samples
    assert all(sample.timestamp is None for sample in samples)


def test_what_is_not_known_is_absent_and_not_zero(
    snapshot: Snapshot, guest: Callable[..., GuestRow]
) -> None:
    unknown = GuestRow("qmp:/run/a", "a", "/run/a", connector="qmp", error="does not answer")
    metrics = read(replace(snapshot, guests=(unknown, guest(statistics={"swap_in": 0}))))

    assert values(metrics, "aerostat_guest_size_bytes") == [(WEB1, 3 * GIB)]
    assert values(metrics, "aerostat_guest_swap_in_bytes_total") == [(WEB1, 0)]
    assert values(metrics, "aerostat_guest_oom_kills_total") == []
    assert [up for _, up in values(metrics, "aerostat_guest_up")] == [0, 1]


def test_before_the_first_tick_there_is_the_process_alone() -> None:
    names = {metric.name for metric in read(None)}

    assert {"aerostat_build_info", "process_cpu_seconds"} <= names
    assert "aerostat_managing" not in names


@settings(max_examples=settings().max_examples // 5)  # each writes and reads a whole text
@given(names=st.lists(st.text(max_size=100), max_size=5))
@pytest.mark.parametrize("kind", PARSERS)
def test_no_name_of_a_guest_breaks_the_text(kind: str, names: list[str]) -> None:
    guests = tuple(
        GuestRow(f"qmp:/{place}", name, "", connector=name, condition="fresh")
        for place, name in enumerate(names)
    )
    metrics = read(Snapshot(0.0, 0.0, guests=guests), kind)

    conditions = values(metrics, "aerostat_guest_condition")
    assert len(conditions) == len(guests)
    assert max(Counter(str(labels) for labels, _ in conditions).values(), default=1) == 1
    assert all(len(label) <= 80 for labels, _ in conditions for label in labels.values())


def test_guests_that_share_a_name_are_told_apart_by_uuid_or_else_by_key(
    guest: Callable[..., GuestRow],
) -> None:
    twins = [guest(uuid=uuid) for uuid in ("1", "2")]
    assert [labels["domain"] for labels in guest_labels(twins)] == ["web1", "web1"]

    twins = [guest(uuid=None, key=key) for key in ("qmp:/a", "qmp:/b")]
    assert [labels["domain"] for labels in guest_labels(twins)] == ["qmp:/a", "qmp:/b"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", OPENMETRICS),
        ("Application/OpenMetrics-Text", OPENMETRICS),
        ("application/openmetrics-text;version=x;escaping=\x00;;=", OPENMETRICS),
        ("application/openmetrics-text-not", TEXT),
    ],
)
def test_the_format_follows_what_is_accepted(accept: str, kind: str) -> None:
    assert content_type(accept) == kind
