"""QEMU crashes when asked for the status of a vhost-user device that is at work.

    python contrib/qemu/status_of_vhost/reproduce.py [--qemu PATH] [--device NAME] [--way WAY]

REPORT.md tells what is seen. Needs the standard library alone, and the directory above.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from machine import Machine, main

_PATH = "/machine/peripheral/device"


def of_the_device(machine: Machine) -> None:
    """Ask for the status of the device."""
    machine.start_driver()
    machine.command("x-query-virtio-status", path=_PATH)


def of_a_queue(machine: Machine) -> None:
    """Ask what vhost has of one of its queues."""
    machine.start_driver()
    machine.command("x-query-virtio-vhost-queue-status", path=_PATH, queue=0)


WAYS = {"device": of_the_device, "queue": of_a_queue}

if __name__ == "__main__":
    sys.exit(main(__doc__ or "", WAYS))
