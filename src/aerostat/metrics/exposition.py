"""From a snapshot to the text that Prometheus reads.

The library does the writing and the escaping. What it is given is bounded and unique: what
guests call themselves is not trusted. Reads `/proc/self` for what the manager itself costs.
"""

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import ProcessCollector
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from aerostat import __version__
from aerostat.daemon.names import clean_name
from aerostat.daemon.snapshot import GuestRow, Snapshot
from aerostat.metrics.families import (
    CONNECTOR,
    HOST,
    MANAGER,
    PREFIX,
    RESERVATION,
    Family,
    Row,
)
from aerostat.metrics.guest_families import GUEST
from aerostat.metrics.tally import CYCLE_BUCKETS, Tally

Labels = dict[str, str]

TEXT = CONTENT_TYPE_PLAIN_0_0_4
OPENMETRICS = openmetrics.CONTENT_TYPE_LATEST
_OPENMETRICS_END = b"# EOF\n"


def content_type(accept: str) -> str:
    """Return `TEXT` or `OPENMETRICS`, whichever an Accept header is for.

    The library's own choice goes by versions and schemes that the header may name freely, each
    of them another text; these two are all that Prometheus needs.
    """
    kinds = (kind.partition(";")[0].strip().lower() for kind in accept.split(","))
    return OPENMETRICS if "application/openmetrics-text" in kinds else TEXT


def exposition(snapshot: Snapshot | None, tally: Tally, kind: str = TEXT) -> bytes:
    """Return everything that is exported; without a snapshot, what is known of the process."""
    return b"".join(pieces(snapshot, tally, kind))


def pieces(snapshot: Snapshot | None, tally: Tally, kind: str) -> Iterator[bytes]:
    """Return the same a metric at a time, each written when it is asked for.

    A piece takes 5 to 9 ms for a thousand guests.
    """
    for metric in _everything(snapshot, tally):
        if kind == OPENMETRICS:
            # The library has no types here, and ends each of its texts as if it were the last.
            text = bytes(openmetrics.generate_latest(_One(metric)))  # type: ignore[no-untyped-call]
            yield text.removesuffix(_OPENMETRICS_END)
        else:
            yield generate_latest(_One(metric))
    if kind == OPENMETRICS:
        yield _OPENMETRICS_END


class _One(Collector):
    """One metric, as the library wants to be given it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> tuple[Metric]:
        return (self._metric,)


def _everything(snapshot: Snapshot | None, tally: Tally) -> Iterator[Metric]:
    yield _build()
    yield from ProcessCollector(registry=None).collect()
    yield _decisions(tally)
    yield _cycles(tally)
    if snapshot is not None:
        yield from _all_of(snapshot)


def _all_of(snapshot: Snapshot) -> Iterator[Metric]:
    yield from _metrics(MANAGER, [({}, snapshot)])
    yield _requests(snapshot)
    # A manager has one host, and Prometheus knows it as the instance.
    yield from _metrics(HOST, [({}, host) for host in snapshot.hosts[:1]])
    connectors = {clean_name(connector.name): connector for connector in snapshot.connectors}
    yield from _metrics(CONNECTOR, [({"connector": n}, row) for n, row in connectors.items()])
    reservations = {clean_name(claim.name): claim for claim in snapshot.reservations}
    yield from _metrics(RESERVATION, [({"reservation": n}, r) for n, r in reservations.items()])
    guests = list(zip(guest_labels(snapshot.guests), snapshot.guests, strict=True))
    yield _information(guests)
    yield _conditions(guests)
    yield from _metrics(GUEST, guests)


def guest_labels(guests: Sequence[GuestRow]) -> list[Labels]:
    """Return the labels of each guest, no two alike.

    Guests of one name that nothing else tells apart have their keys for names, all of them, so
    that it does not depend on who comes first.
    """
    labels = [
        {
            "connector": clean_name(guest.connector or ""),
            "domain": clean_name(guest.name),
            "uuid": clean_name(guest.uuid) if guest.uuid else "",
        }
        for guest in guests
    ]
    times = Counter(tuple(each.values()) for each in labels)
    for guest, each in zip(guests, labels, strict=True):
        if times[tuple(each.values())] > 1:
            each["domain"] = guest.key
    return labels


def _metrics(
    families: Iterable[Family[Row]], rows: Sequence[tuple[Labels, Row]]
) -> Iterator[Metric]:
    for family in families:
        metric = _metric(family.name, family.help, family.kind, family.unit)
        name = family.sample_name
        for labels, row in rows:
            value = family.value(row)
            if value is not None:
                metric.samples.append(Sample(name, labels, float(value)))
        yield metric


def _build() -> Metric:
    metric = _metric("build", "The version that runs, and of which Python.", "info")
    labels = {"python": platform.python_version(), "version": __version__}
    metric.add_sample(PREFIX + "build_info", labels, 1)
    return metric


def _decisions(tally: Tally) -> Metric:
    text = "Moves of balloons, by what was done, why, and what became of it."
    metric = _metric("policy_decisions", text, "counter")
    for decision, count in sorted(tally.decisions.items()):
        metric.add_sample(metric.name + "_total", decision._asdict(), count)
    return metric


def _cycles(tally: Tally) -> Metric:
    bounds = [*map(str, CYCLE_BUCKETS), "+Inf"]
    return HistogramMetricFamily(
        PREFIX + "policy_cycle_duration_seconds",
        "How long one cycle took: looking at all guests, deciding, sending requests.",
        buckets=list(zip(bounds, accumulate(tally.cycles), strict=True)),
        sum_value=tally.cycle_seconds,
        unit="seconds",
    )


def _requests(snapshot: Snapshot) -> Metric:
    metric = _metric("requests", "Targets sent to hypervisors, by what became of it.", "counter")
    for outcome, count in (("accepted", snapshot.moves), ("failed", snapshot.failures)):
        metric.add_sample(metric.name + "_total", {"outcome": outcome}, count)
    return metric


def _information(guests: Iterable[tuple[Labels, GuestRow]]) -> Metric:
    metric = _metric("guest", "How the guest's figures come: by the queue or an agent.", "info")
    for labels, guest in guests:
        metric.add_sample(metric.name + "_info", {**labels, "way": guest.way or ""}, 1)
    return metric


def _conditions(guests: Iterable[tuple[Labels, GuestRow]]) -> Metric:
    # Only the condition that a guest is in: one series a guest, not one for each condition.
    metric = _metric("guest_condition", "How far the guest can be managed at present.", "gauge")
    for labels, guest in guests:
        metric.add_sample(metric.name, {"condition": guest.condition, **labels}, 1)
    return metric


def _metric(name: str, text: str, kind: str, unit: str = "") -> Metric:
    return Metric(PREFIX + name, text, kind, unit)
