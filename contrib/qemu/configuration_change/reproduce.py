"""QEMU crashes when a back-end announces a new configuration while its device is not started.

    python contrib/qemu/configuration_change/reproduce.py [--qemu PATH] [--way WAY]

REPORT.md tells what is seen. Needs the standard library alone, and the directory above.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from machine import Machine, main


def while_stopped(machine: Machine) -> None:
    """Announce it while the virtual machine is stopped, its driver being at work."""
    machine.start_driver()
    machine.backend.announce_change()  # which goes well
    machine.command("stop")
    machine.backend.announce_change()


def before_the_driver(machine: Machine) -> None:
    """Announce it before a driver has come."""
    machine.backend.announce_change()


def after_a_reset(machine: Machine) -> None:
    """Announce it when the driver has gone."""
    machine.start_driver()
    machine.reset_driver()
    machine.backend.announce_change()


WAYS = {"stopped": while_stopped, "before": before_the_driver, "after": after_a_reset}

if __name__ == "__main__":
    sys.exit(main(__doc__ or "", WAYS))
