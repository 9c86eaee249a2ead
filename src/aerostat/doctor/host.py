"""What is right and wrong with the host. Pure: the facts are given."""

from collections.abc import Iterator

from aerostat.doctor import mending
from aerostat.doctor.findings import HOST, Finding, Level
from aerostat.host.budget import HostReading
from aerostat.host.survey import Survey
from aerostat.units import MIB, format_size

# Below this part of its memory a host is about to reclaim from everybody.
_NEARLY_NOTHING = 0.03
# Share of time: above the first a host feels it, above the second it suffers.
_FELT, _SUFFERS = 0.01, 0.10
_SWAP_FULL = 0.8
# A megabyte a second is a rate that is not just an idle program being put aside.
_SWAPS = MIB
_LARGE_PART = 0.10
_OLDEST_PSI = (4, 20)


def host_findings(survey: Survey, reading: HostReading) -> list[Finding]:
    """Return what the checks about the host come to."""
    return [
        *_memory(reading),
        *_kernel(survey),
        *_pressure(survey, reading),
        *_swap(survey, reading),
        *_compressed(survey),
        *_settings(survey),
        *_taken_elsewhere(survey, reading),
        *_nodes(reading),
    ]


def promised_finding(maximums: int, reading: HostReading) -> Finding:
    """Return how the guests' maximums, added up, compare to the host."""
    times = maximums / reading.total
    text = f"guests may have {format_size(maximums)} at most, {times:.2f} times the host's memory"
    return _found("promised", Level.INFO if times > 1 else Level.OK, text)


def _found(check: str, level: Level, text: str, mend: str | None = None) -> Finding:
    return Finding(HOST, check, level, text, mend)


def _memory(reading: HostReading) -> Iterator[Finding]:
    text = f"{format_size(reading.available)} of {format_size(reading.total)} are available"
    if reading.available < _NEARLY_NOTHING * reading.total:
        mend = "shut a guest down, or move one to another host"
        yield _found("memory", Level.CRITICAL, f"only {text}", mend)
    else:
        yield _found("memory", Level.OK, text)


def _kernel(survey: Survey) -> Iterator[Finding]:
    version = survey.version
    if version is None:
        yield _found("kernel", Level.INFO, "its version cannot be read")
    elif version < _OLDEST_PSI:
        text = f"Linux {survey.release} is older than 4.20 and tells no memory pressure"
        yield _found("kernel", Level.WARNING, text, "upgrade it")
    else:
        yield _found("kernel", Level.OK, f"Linux {survey.release}")


def _pressure(survey: Survey, reading: HostReading) -> Iterator[Finding]:
    if not survey.pressure:
        yield _found(
            "pressure",
            Level.WARNING,
            "the kernel does not tell memory pressure (PSI is off); only free memory is seen",
            mending.PSI,
        )
        return
    lost = reading.pressure or 0.0
    if lost >= _FELT:
        text = f"{lost:.0%} of the last seconds were lost in waiting for memory"
        yield _found("pressure", Level.CRITICAL if lost >= _SUFFERS else Level.WARNING, text)
    else:
        yield _found("pressure", Level.OK, "told by the kernel; nothing waits for memory")
    if survey.trigger:
        yield _found("trigger", Level.OK, "the kernel can watch the pressure for the manager")
    else:
        text = "we may not have the kernel watch the pressure; it is read at every tick instead"
        yield _found("trigger", Level.INFO, text, "run the manager as root, or on Linux 6.5")


def _swap(survey: Survey, reading: HostReading) -> Iterator[Finding]:
    total, free = reading.swap_total, reading.swap_free
    if not total:
        text = "there is none: when guests grow all at once, one is killed"
        yield _found("swap", Level.WARNING, text, mending.SWAP)
        return
    used = f"{format_size(total - free)} of {format_size(total)} are used"
    rate = reading.swap_out or 0.0
    if rate >= _SWAPS:
        text = f"the host swaps out {format_size(rate)} a second; {used}"
        yield _found("swap", Level.WARNING, text, "give the host a larger reserve in [host]")
    elif total - free > _SWAP_FULL * total:
        yield _found("swap", Level.WARNING, f"nearly full: {used}", mending.SWAP)
    else:
        yield _found("swap", Level.OK, used)
    if survey.zram:
        devices = ", ".join(survey.zram)
        text = f"{devices} is compressed memory: what is swapped there still takes memory"
        yield _found("zram", Level.INFO, text)


def _compressed(survey: Survey) -> Iterator[Finding]:
    if survey.zswap:
        text = "pages are compressed before they are swapped; both are counted as swapped"
        yield _found("zswap", Level.INFO, text)
    if survey.shared_pages:
        text = (
            f"KSM shares {format_size(survey.shared_pages)} among guests: what each holds "
            "adds up to more than is taken"
        )
        yield _found("ksm", Level.INFO, text)


def _settings(survey: Survey) -> Iterator[Finding]:
    if survey.overcommit == 2:
        yield _found(
            "overcommit",
            Level.WARNING,
            "vm.overcommit_memory=2: a guest may not start although its memory would be there",
            mending.OVERCOMMIT,
        )
    elif survey.overcommit is not None:
        yield _found("overcommit", Level.OK, f"vm.overcommit_memory={survey.overcommit}")
    if survey.memory_cgroups:
        text = f"version 2, with memory, in {survey.cgroups.version2}"
        yield _found("cgroup", Level.OK, text)
    else:
        text = "no cgroups of version 2 that count memory: no budget by cgroup, no memory.high"
        yield _found("cgroup", Level.INFO, text, mending.CGROUPS)


def _taken_elsewhere(survey: Survey, reading: HostReading) -> Iterator[Finding]:
    if survey.arc > _LARGE_PART * reading.total:
        text = (
            f"ZFS could give back {format_size(survey.arc)} of its cache, which counts as used: "
            "guests are squeezed for it"
        )
        yield _found("zfs_arc", Level.WARNING, text, mending.arc(reading.total // 10))
    set_aside = reading.huge_pages
    if set_aside > _LARGE_PART * reading.total:
        text = f"{format_size(set_aside)} are set aside; only guests on huge pages can have them"
        yield _found("huge_pages", Level.INFO, text, "sysctl -w vm.nr_hugepages=0")


def _nodes(reading: HostReading) -> Iterator[Finding]:
    nodes = reading.nodes
    empty = [
        node.node for node in nodes if node.free + node.reclaimable < _NEARLY_NOTHING * node.total
    ]
    if len(nodes) < 2:
        return
    if empty and len(empty) < len(nodes):
        which = ", ".join(map(str, empty))
        text = f"node {which} has nothing left, while others have: guests bound to it swap"
        yield _found("numa", Level.WARNING, text, "numastat -m; and unbind guests from that node")
    else:
        yield _found("numa", Level.OK, f"{len(nodes)} nodes, none of them alone in need")
