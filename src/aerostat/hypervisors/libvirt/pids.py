"""Which process a domain's QEMU is, from the files in which libvirt writes it down.

What a process holds is measured better by its own status than by libvirt, which leaves huge pages
out and counts the VMM's program in. Reads libvirt's run directories and ``/proc``.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from aerostat.host.proc import read_small

_SYSTEM = Path("/run/libvirt/qemu")


def run_directory(uri: str) -> Path | None:
    """Return where the libvirtd at `uri` writes down processes, if it is the host's own."""
    parts = urlsplit(uri)
    if parts.netloc or "socket=" in parts.query or not parts.scheme.startswith("qemu"):
        return None
    if parts.path == "/system":
        return _SYSTEM
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "libvirt/qemu/run" if runtime else None


def find_pid(directory: Path | None, name: str, uuid: str) -> int | None:
    """Return the process of a domain; None where it cannot be told."""
    if directory is None or "/" in name:
        return None
    try:
        pid = int(read_small(directory / f"{name}.pid"))
        command = read_small(f"/proc/{pid}/cmdline")
    except (OSError, ValueError):
        return None
    # The file may be a leftover, and its number another's by now.
    return pid if uuid in command.split("\0") else None
