"""How a QEMU machine is set up, as far as its monitor and its process say (asyncio).

Changes nothing, and does without whatever a version of QEMU, or a right of ours, does not give.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from aerostat.balloon.statistics import Tag
from aerostat.host.proc import parse_sizes, read_small
from aerostat.hypervisors import values
from aerostat.hypervisors.base import Examination, Reading
from aerostat.hypervisors.qmp.link import Ask, QmpLink
from aerostat.qmp.client import Failure

CONTAINERS = ("/machine/peripheral", "/machine/peripheral-anon")

_BALLOON = "-device virtio-balloon-pci,deflate-on-oom=on,free-page-reporting=on"
_AT_THE_NEXT_START = "on QEMU's command line, from the next start of the machine on"
# VFIO in all its forms: vfio-pci, vfio-ccw, vfio-ap, and a VDPA device.
_PASSED_THROUGH = ("child<vfio-", "child<vhost-vdpa")
# The versions that are asked for the status of a device, which is an unstable command. Those of 7.2
# and 10.0 answer; 11.1.3 ends by an assertion, whatever the device, and takes its guest with it
# (contrib/qemu/status_of_any). What lies between was not tried, and a guess would be a guest's end.
_STATUS_SINCE, _STATUS_UNTIL = (7, 2, 0), (10, 1, 0)
# The largest that a configuration has are some dozens.
_MOST_BACKENDS = 64


class Device(NamedTuple):
    """QEMU's balloon device: where it is in the object tree, and what is known of it."""

    path: str
    interval: int
    """How often QEMU asks by itself, in seconds; 0 is never."""
    pid: int | None
    """The machine's process, where it is known."""


class _Driver(NamedTuple):
    """What the guest's driver has told the device; None where QEMU does not say."""

    ready: bool | None = None
    statistics: bool | None = None


async def examine(
    link: QmpLink, key: str, balloon: Device | None, reading: Reading | None
) -> Examination:
    """Find out how the machine is set up; `reading` was taken just now. Raises `AerostatError`."""
    status, *contents = await link.try_ask(
        Ask("query-status"), *(Ask("qom-list", {"path": path}) for path in CONTAINERS)
    )
    pid = None if balloon is None else balloon.pid
    driver = await _driver(link, balloon)
    answered = reading is not None and reading.sampled_at is not None
    figures: Mapping[int, int] = {} if reading is None else reading.statistics
    process = _process(pid)
    return Examination(
        key,
        kind="qemu",
        running=None if isinstance(status, Failure) else values.running(status),
        balloon=balloon is not None,
        driver=True if answered else driver.ready,
        statistics=_sends_statistics(driver, figures, answered=answered),
        # Where QEMU does not ask by itself, whoever samples has it ask.
        interval=(balloon.interval or None) if balloon else None,
        deflate_on_oom=await _property(link, balloon, "deflate-on-oom"),
        free_page_reporting=await _property(link, balloon, "free-page-reporting"),
        huge_pages=process.get("HugetlbPages", 0) > 0 or await _huge_backends(link),
        locked_memory=None if "VmLck" not in process else process["VmLck"] > 0,
        passthrough=_has_passthrough(contents),
        swap=True if figures.get(Tag.SWAP_OUT) else None,
        mending=_mending(key),
    )


def _mending(key: str) -> dict[str, str]:
    exempt = f'in the configuration: [guest."{key}"] managed = false'
    return {
        "balloon": f"{_BALLOON}, {_AT_THE_NEXT_START}",
        "driver": "in the guest: modprobe virtio_balloon",
        "statistics": "in a Windows guest, as its administrator: blnsvr.exe -i",
        "deflate_on_oom": f"{_BALLOON}, {_AT_THE_NEXT_START}",
        "free_page_reporting": f"{_BALLOON}, {_AT_THE_NEXT_START}",
        "huge_pages": f"neither hugetlb=on nor a mem-path on huge pages, {_AT_THE_NEXT_START}; "
        f"or {exempt}",
        "locked_memory": f"-overcommit mem-lock=off, {_AT_THE_NEXT_START}; or {exempt}",
        "passthrough": exempt,
    }


async def _driver(link: QmpLink, balloon: Device | None) -> _Driver:
    """Ask what the guest's driver has negotiated, where that is known to be safe."""
    if balloon is None or not _STATUS_SINCE <= link.version < _STATUS_UNTIL:
        return _Driver()
    # A PCI or CCW device has the virtio device inside.
    paths = (f"{balloon.path}/virtio-backend", balloon.path)
    for raw in await link.try_ask(*(Ask("x-query-virtio-status", {"path": p}) for p in paths)):
        if not isinstance(raw, dict):
            continue
        ready = _has(raw.get("status"), "statuses", "VIRTIO_CONFIG_S_DRIVER_OK")
        statistics = _has(raw.get("guest-features"), "dev-features", "VIRTIO_BALLOON_F_STATS_VQ")
        return _Driver(ready, statistics if ready else None)
    return _Driver()


def _has(raw: Any, field: str, flag: str) -> bool | None:
    """Return whether a list of flags, each with a text behind it, has `flag`."""
    flags = raw.get(field) if isinstance(raw, dict) else None
    if not isinstance(flags, list):
        return None
    return any(isinstance(text, str) and text.partition(":")[0] == flag for text in flags)


def _sends_statistics(
    driver: _Driver, figures: Mapping[int, int], *, answered: bool
) -> bool | None:
    if figures or answered:
        return bool(figures)
    if driver.ready and driver.statistics is not None:
        return False  # it was asked just now, and could have answered
    return None


async def _property(link: QmpLink, balloon: Device | None, name: str) -> bool | None:
    if balloon is None:
        return None
    (value,) = await link.try_ask(Ask("qom-get", {"path": balloon.path, "property": name}))
    return value if isinstance(value, bool) else None


async def _huge_backends(link: QmpLink) -> bool | None:
    """Return whether a memory backend is made of huge pages."""
    (raw,) = await link.try_ask(Ask("query-memdev"))
    if not isinstance(raw, list):
        return None
    names = [item.get("id") for item in raw[:_MOST_BACKENDS] if isinstance(item, dict)]
    paths = [f"/objects/{name}" for name in names if isinstance(name, str)]
    asks = [
        Ask("qom-get", {"path": path, "property": name})
        for path in paths
        for name in ("hugetlb", "mem-path")
    ]
    said = await link.try_ask(*asks)
    return any(answer is True or (isinstance(answer, str) and "huge" in answer) for answer in said)


def _process(pid: int | None) -> dict[str, int]:
    """Return what the machine's process has on huge pages, and locked; nothing if unknown."""
    if pid is None:
        return {}
    try:
        return parse_sizes(read_small(f"/proc/{pid}/status"), ("HugetlbPages", "VmLck"))
    except OSError:
        return {}


def _has_passthrough(contents: list[Any]) -> bool | None:
    kinds = [
        kind
        for path, content in zip(CONTAINERS, contents, strict=True)
        if not isinstance(content, Failure)
        for kind in values.children(content, path).values()
    ]
    return any(kind.startswith(_PASSED_THROUGH) for kind in kinds) if kinds else None
