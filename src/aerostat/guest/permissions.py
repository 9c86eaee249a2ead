"""What the machine must permit, and the errors that say so.

May read /sys/kernel/security. Standard library only, Python 3.9.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from aerostat.errors import MissingError

_LOCKDOWN = Path("/sys/kernel/security/lockdown")


class NotPermittedError(MissingError):
    """This user, or this kernel, does not permit it."""


class NoDeviceError(MissingError):
    """There is no such device in this guest."""


def require_root() -> None:
    """Raise `NotPermittedError` unless this process is root's."""
    if os.geteuid() != 0:
        raise NotPermittedError("driving a PCI device takes root: run this with sudo")


def require_no_lockdown(path: Path = _LOCKDOWN) -> None:
    """Raise `NotPermittedError` if the kernel is locked down, and says so.

    Lockdown, which Secure Boot switches on in most distributions, keeps even root from a
    device's registers. To be asked before anything is changed.
    """
    try:
        text = path.read_text()
    except OSError:
        return  # no lockdown in this kernel, or no securityfs mounted
    chosen = re.search(r"\[(\w+)\]", text)
    if chosen and chosen[1] != "none":
        raise lockdown_error(chosen[1])


def lockdown_error(mode: str = "") -> NotPermittedError:
    """Return the error for a kernel that is locked down, in `mode` if it is known."""
    how = f" ({mode})" if mode else ""
    return NotPermittedError(
        f"the kernel's lockdown{how} forbids programs to drive PCI devices; it comes with Secure "
        "Boot, or with lockdown= on the kernel's command line. The kernel's own driver is allowed"
    )
