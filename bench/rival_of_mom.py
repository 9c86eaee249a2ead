"""A stand-in for oVirt MOM, for machines that have no checkout of it: what it asks, as often.

``/usr/bin/python3 rival_of_mom.py URI SECONDS`` has a thread for each running domain. Every so
many seconds each finds its domain by UUID and reads its memory statistics, finds it again and
reads its state and its whole description, which it parses, and reads QEMU's ``/proc/PID/stat``.
Its rules, which the real one goes through every ten seconds, are left out. Runs on the
distribution's Python, for libvirt's binding.
"""

import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt  # type: ignore[import-not-found]  # of the distribution


def pid_of(uuid: str) -> int:
    """Return the process of a domain, from the list of all processes."""
    listed = subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0]) for line in listed.splitlines() if uuid in line)


def watch(connection: libvirt.virConnect, uuid: str, seconds: float) -> None:
    """Read one domain, for ever."""
    history: list[dict[str, int]] = []
    process = Path(f"/proc/{pid_of(uuid)}/stat")
    while True:
        figures = dict(connection.lookupByUUIDString(uuid).memoryStats())
        domain = connection.lookupByUUIDString(uuid)
        _, figures["max"], figures["size"], *_ = domain.info()
        found = ET.fromstring(domain.XMLDesc(0)).find("memtune/min_guarantee")
        figures["min"] = int(found.text or 0) if found is not None else 0
        figures["rss"] = int(process.read_text().split()[23])
        history = [*history, figures][-10:]
        time.sleep(seconds)


def main(uri: str, seconds: float) -> None:
    """Watch all domains that run now."""
    connection = libvirt.open(uri)
    for domain in connection.listAllDomains():
        domain.setMemoryStatsPeriod(int(seconds))
        uuid = domain.UUIDString()
        threading.Thread(target=watch, args=(connection, uuid, seconds), daemon=True).start()
    while True:
        connection.listDomainsID()
        time.sleep(seconds)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
