"""QEMU aborts when a back-end that was lost comes back, and when its device is used meanwhile.

    python contrib/qemu/lost_backend/reproduce.py [--qemu PATH] [--way WAY]

REPORT.md tells what is seen. Needs the standard library alone, and the directory above.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from machine import Machine, main


def reconnect(machine: Machine) -> None:
    """Connect anew, the driver being at work."""
    _lose(machine)
    machine.backend.connect()
    machine.command("query-status")


def read_configuration(machine: Machine) -> None:
    """Read the device's configuration, as any guest may at any time."""
    _lose(machine)
    machine.read_configuration()


def restart_driver(machine: Machine) -> None:
    """Have the driver reset its device and start it again, as at a reboot."""
    _lose(machine)
    machine.start_driver()


def _lose(machine: Machine) -> None:
    machine.start_driver()
    machine.backend.hang_up()
    # What QEMU puts off until later is done after two rounds of its main loop.
    for _ in range(2):
        machine.command("query-status")


WAYS = {"reconnect": reconnect, "read": read_configuration, "restart": restart_driver}

if __name__ == "__main__":
    sys.exit(main(__doc__ or "", WAYS))
