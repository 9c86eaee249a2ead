"""The way of old: a daemon in the guest that reports its memory to the host, at an interval.

Runs inside the guest, on Python's standard library alone: ``inside_reporter.py PORT SECONDS``.
"""

import json
import sys
import time

WANTED = {"MemTotal:", "MemFree:", "MemAvailable:", "pswpin", "pswpout", "pgmajfault", "pgfault"}


def report() -> bytes:
    """Return the figures of now, a line of JSON."""
    found = {}
    for path in ("/proc/meminfo", "/proc/vmstat"):
        with open(path, encoding="ascii") as lines:  # noqa: PTH123 - smaller without pathlib
            for line in lines:
                name, value = line.split()[:2]
                if name in WANTED:
                    found[name.rstrip(":")] = int(value)
    return json.dumps(found).encode() + b"\n"


with open(sys.argv[1], "wb", buffering=0) as port:  # noqa: PTH123 - the same
    while True:
        port.write(report())
        time.sleep(float(sys.argv[2]))
