"""Surviving the pressure that the manager itself creates, and telling systemd how it fares.

Tries what is permitted, reports what is not, never fails. Touches this process only:
`mlockall(2)`, `/proc/self/oom_score_adj`, and the socket in ``$NOTIFY_SOCKET``. Children inherit
the OOM score: call it in a process that starts none.
"""

import ctypes
import os
import resource
import socket
from pathlib import Path

# sys/mman.h, the same on every Linux but alpha, powerpc and sparc.
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 1 << 14  # linux/capability.h

# As sshd and other services that must outlive what they serve.
OOM_SCORE = -900


def protect() -> list[str]:
    """Lock this process into memory and spare it from the OOM killer, where that is allowed.

    Returns a sentence for each that was not.
    """
    return [text for text in (_lock_memory(), _spare_from_oom()) if text]


def _lock_memory() -> str:
    # Under a limit the lock would succeed now and allocations fail later, which is worse.
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    if not unlimited and not _may_lock():
        return "memory is not locked: that needs CAP_IPC_LOCK, or no limit on locked memory"
    # On fault: what is used stays in memory, and what is only reserved costs nothing.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        return f"memory is not locked: {os.strerror(ctypes.get_errno())}"
    return ""


def _may_lock() -> bool:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) & _CAP_IPC_LOCK)
    return False


def _spare_from_oom() -> str:
    try:
        Path("/proc/self/oom_score_adj").write_text(f"{OOM_SCORE}\n", encoding="ascii")
    except OSError as error:
        return f"not spared from the OOM killer: {error.strerror}"
    return ""


def notify(message: str) -> bool:
    """Send systemd a message such as ``READY=1`` (sd_notify(3)); tell whether it was taken."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # an abstract socket's name begins with a zero byte
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
            channel.sendto(message.encode(), address)
    except OSError:
        return False
    return True
