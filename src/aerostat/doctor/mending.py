"""The exact words that mend what the doctor finds: commands, XML, lines of files. Pure.

Names of guests are not trusted: they are quoted for whatever reads them.
"""

import json
import shlex

from aerostat.daemon.names import clean_text
from aerostat.hypervisors.base import Examination

PSI = """\
add psi=1 to the kernel's command line, and boot again:
  Debian: sed -i 's/^GRUB_CMDLINE_LINUX="/&psi=1 /' /etc/default/grub && update-grub
  Fedora, RHEL: grubby --update-kernel=ALL --args=psi=1"""
CGROUPS = """\
add systemd.unified_cgroup_hierarchy=1 to the kernel's command line, and boot again:
  Debian: sed -i 's/^GRUB_CMDLINE_LINUX="/&systemd.unified_cgroup_hierarchy=1 /' \
/etc/default/grub && update-grub
  Fedora, RHEL: grubby --update-kernel=ALL --args=systemd.unified_cgroup_hierarchy=1"""
SWAP = """\
fallocate -l 8G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile
echo '/swapfile none swap defaults 0 0' >>/etc/fstab"""
OVERCOMMIT = """\
sysctl -w vm.overcommit_memory=0
echo vm.overcommit_memory=0 >/etc/sysctl.d/60-overcommit.conf"""
START = "systemctl enable --now aerostat    # or: aerostat run --config FILE"
MANAGE = "manage = true    # in /etc/aerostat/aerostat.toml; then: systemctl reload aerostat"
CHECK = "aerostat config check"
AGENT_FILES = """\
in the guest, allow guest-file-open, guest-file-read and guest-file-close:
  RHEL, Fedora: take them out of BLACKLIST_RPC, BLOCK_RPCS or FILTER_RPC_ARGS in \
/etc/sysconfig/qemu-ga
  Debian: take them out of block-rpcs in /etc/qemu/qemu-ga.conf
then: systemctl restart qemu-guest-agent"""
AGENT = "in the guest: apt install qemu-guest-agent    # or: dnf install qemu-guest-agent"
DRIVER = """\
in a Linux guest: modprobe virtio_balloon
in a Windows guest: install the Balloon driver of the virtio-win disk, and its service"""
WINDOWS_SERVICE = """\
in a Windows guest, in the Balloon directory of the virtio-win disk: blnsvr.exe -i
other systems: their balloon driver tells nothing; give the guest a guarantee"""
BALLOON = (
    "-device virtio-balloon-pci,deflate-on-oom=on,free-page-reporting=on"
    "    # on QEMU's command line; then restart the guest"
)
ONLINE = """\
in the guest: echo online >/sys/devices/system/memory/auto_online_blocks
and for what is there already: chmem --enable-all    # it is in util-linux"""


def arc(size: int) -> str:
    """Return how to bound the cache of ZFS to `size` bytes."""
    return (
        f"echo {size} >/sys/module/zfs/parameters/zfs_arc_max\n"
        f"echo options zfs zfs_arc_max={size} >>/etc/modprobe.d/zfs.conf"
    )


def exempt(name: str) -> str:
    """Return how to have a guest left alone."""
    # A JSON string is a TOML one.
    return (
        f"[guest.{json.dumps(name, ensure_ascii=False)}]    # in /etc/aerostat/aerostat.toml\n"
        "managed = false"
    )


def another_monitor(path: str) -> str:
    """Return how to give a guest one more monitor beside the one at `path`."""
    place = shlex.quote(f"unix:{path}2,server=on,wait=off")
    return f"-qmp {place}    # one more, on QEMU's command line; then restart the guest"


def resume(name: str) -> str:
    """Return how to have a guest moved again."""
    return f"aerostat resume {shlex.quote(name)}"


def explain(name: str) -> str:
    """Return how to see what is done with a guest."""
    return f"aerostat explain {shlex.quote(name)}"


def access(path: str, user: str) -> str:
    """Return how to let `user` open a socket."""
    return f"setfacl -m u:{shlex.quote(user)}:rw {shlex.quote(path)}"


def of(examination: Examination, what: str, name: str) -> str | None:
    """Return what sets a field of an examination right; what the connector says, or in general."""
    said = examination.mending.get(what)
    if said is not None:
        return "\n".join(map(_clean_line, said.splitlines()))
    if examination.kind == "libvirt":
        return _LIBVIRT.get(what, "").format(name=shlex.quote(name)) or None
    return _QEMU.get(what)


def _clean_line(line: str) -> str:
    """Return a line that can be printed, as far to the right as it was."""
    return " " * (len(line) - len(line.lstrip(" "))) + clean_text(line)


_XML = """\
virsh edit {name}    # and shut the guest down and start it again
  <memballoon model='virtio' autodeflate='on' freePageReporting='on'>
    <stats period='5'/>
  </memballoon>"""
_LIBVIRT = {
    "balloon": _XML,
    "deflate_on_oom": _XML,
    "free_page_reporting": _XML,
    "interval": "virsh dommemstat {name} --period 5 --live --config",
    "locked_memory": "virsh edit {name}    # take <locked/> out of <memoryBacking>",
    "huge_pages": "virsh edit {name}    # take <hugepages/> out of <memoryBacking>",
    "may_change": "let the manager's user manage domains: usermod -aG libvirt aerostat",
}
_QEMU = {
    "balloon": BALLOON,
    "deflate_on_oom": BALLOON,
    "free_page_reporting": BALLOON,
    "locked_memory": "take -overcommit mem-lock=on off QEMU's command line; restart the guest",
    "huge_pages": "take hugetlb=on, or mem-path=/dev/hugepages, off QEMU's -object; restart it",
}
