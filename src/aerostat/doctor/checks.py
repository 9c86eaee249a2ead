"""All checks of the doctor: what each looks at, and what mends what it finds. Data.

The table in docs/doctor.md is made of it, and a test holds that up to date.
"""

from typing import NamedTuple


class Check(NamedTuple):
    """One check: what it is called, what it is about, what is wrong, and what mends it."""

    name: str
    about: str
    finds: str
    mended_by: str


_HOST = (
    Check("memory", "host", "nearly nothing of it is available", "fewer guests"),
    Check("promised", "host", "how far the guests' maximums go beyond it", ""),
    Check("pressure", "host", "PSI is off, or the host waits for memory now", "`psi=1`"),
    Check("trigger", "host", "the kernel may not watch the pressure for us", "a newer kernel"),
    Check("swap", "host", "there is none, it is nearly full, or in use now", "a swap file"),
    Check("zram", "host", "swap is compressed memory, and takes from what it gives", ""),
    Check("zswap", "host", "pages are compressed before they are swapped (a note)", ""),
    Check("ksm", "host", "guests share pages: together they hold less than it seems (a note)", ""),
    Check("overcommit", "host", "`vm.overcommit_memory=2` refuses what might be used", "sysctl"),
    Check("cgroup", "host", "no cgroups of version 2 with memory", "a kernel argument"),
    Check("zfs_arc", "host", "ZFS holds a cache that counts as used memory", "`zfs_arc_max`"),
    Check("huge_pages", "host", "memory set aside for huge pages serves no balloon", "sysctl"),
    Check("numa", "host", "a node has nothing left while others have", "other pinning"),
    Check("kernel", "host", "the kernel is too old to tell something", "a newer kernel"),
)
_MANAGER = (
    Check("running", "manager", "no manager runs, or it cannot be asked", "`systemctl`"),
    Check("mode", "manager", "it only observes", "`manage = true`"),
    Check("config", "manager", "its configuration file is wrong; the old one holds", "the line"),
    Check("journal", "manager", "it cannot write its journal", ""),
    Check("connector", "manager", "a connector fails, or finds no guest", "see its own checks"),
    Check("pace", "manager", "a tick takes longer than the interval", "a longer interval"),
    Check("problem", "manager", "what else it says of itself", ""),
    Check("guarantees", "manager", "they add up to more than the budget", "smaller guarantees"),
    Check("reserve", "manager", "the budget leaves too little for the host", "`[host]`"),
    Check("exposure", "manager", "guests may use more than the budget now", "wait, or `[guest]`"),
    Check("reservation", "manager", "room that was reserved is not there yet", "wait"),
)
_CONNECTOR = (
    Check("sockets", "connector", "no socket matches", "one more `-qmp`"),
    Check("socket", "connector", "no socket, or we may not open it", "`setfacl`"),
    Check("libvirt_python", "connector", "`python3-libvirt` is missing", "`apt install`"),
    Check("libvirt_daemon", "connector", "libvirtd does not listen", "`systemctl`"),
    Check("libvirt_group", "connector", "we may not talk to libvirtd", "`usermod`"),
)
_GUEST = (
    Check("reached", "guest", "it cannot be read; another client may hold its monitor", "a socket"),
    Check("set_up", "guest", "its hypervisor does not tell how it is set up", ""),
    Check("power", "guest", "it does not run, or is paused", ""),
    Check("balloon", "guest", "it has no virtio balloon", "a device"),
    Check("driver", "guest", "no balloon driver has ever answered", "`modprobe`, or virtio-win"),
    Check("statistics", "guest", "its driver sends no figures", "a Windows service"),
    Check("period", "guest", "figures are never asked for", "`virsh dommemstat --period`"),
    Check("figures", "guest", "some are missing; its kernel is older", "a newer kernel"),
    Check("way", "guest", "read through its guest agent, the old way", "a balloon driver"),
    Check("agent", "guest", "the guest agent is absent, or may not read files", "its own file"),
    Check("passthrough", "guest", "a device of the host pins its memory", "`managed = false`"),
    Check("guest_huge_pages", "guest", "on huge pages a balloon frees little", "XML"),
    Check("locked_memory", "guest", "its memory is locked; a balloon frees nothing", "XML"),
    Check("deflate_on_oom", "guest", "it gets nothing back before it kills", "a property"),
    Check("free_page_reporting", "guest", "what it frees stays with it", "a property"),
    Check("guest_swap", "guest", "it has none, and the host has none either", "a swap file"),
    Check("whole_memory", "guest", "it does not use all memory that it was given", "`online`"),
    Check("permission", "guest", "its balloon may not be moved by us", "another connection"),
    Check("condition", "guest", "stale, silent, implausible, stuck, useless, exempt", "depends"),
    Check("distress", "guest", "it suffers, or has killed programs for want of memory", "a size"),
    Check("below_guarantee", "guest", "it has less than its guarantee", "`aerostat set`"),
    Check("held", "guest", "what it holds cannot be measured", "rights"),
)

CHECKS = {check.name: check for check in (*_HOST, *_MANAGER, *_CONNECTOR, *_GUEST)}


def table(about: str) -> str:
    """Return the checks about something as a table in Markdown."""
    rows = [check for check in CHECKS.values() if check.about == about]
    lines = [f"| `{row.name}` | {row.finds} | {row.mended_by or '-'} |" for row in rows]
    return "\n".join(("| check | what it finds | mended by |", "|---|---|---|", *lines))
