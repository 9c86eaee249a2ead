"""QEMU aborts when asked for the status of a virtio device, whichever it is.

    python contrib/qemu/status_of_any/reproduce.py [--qemu PATH] [--device NAME] [--way WAY]

REPORT.md tells what is seen. Needs the standard library alone, and the directory above.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from machine import Machine, main


def before_the_driver(machine: Machine) -> None:
    """Ask for it before a driver has come."""
    machine.command("x-query-virtio-status", path="/machine/peripheral/device")


def started(machine: Machine) -> None:
    """Ask for it when a driver is at work."""
    machine.start_driver()
    before_the_driver(machine)


WAYS = {"before": before_the_driver, "started": started}

if __name__ == "__main__":
    sys.exit(main(__doc__ or "", WAYS, device="virtio-balloon-device"))
