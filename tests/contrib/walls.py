"""Run a command behind those walls of a unit that need no systemd: ``walls.py UNIT COMMAND...``.

The unit's system calls, no memory that is writable and executable, no new privileges. Standard
library, systemd-analyze (which knows what @system-service means) and libseccomp.
"""

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

# seccomp.h, linux/prctl.h
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_SET_NO_NEW_PRIVS, _SET_MDWE, _MDWE_REFUSE_EXEC_GAIN = 38, 65, 1


def calls_of(group: str) -> set[str]:
    """Return the system calls of one of systemd's groups."""
    command = ["systemd-analyze", "syscall-filter", group]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names: set[str] = set()
    for line in text.splitlines()[1:]:
        name = line.strip()
        if name and not name.startswith("#"):
            names |= calls_of(name) if name.startswith("@") else {name}
    return names


def allowed(unit: Path) -> set[str]:
    """Return the system calls that a unit allows."""
    names = calls_of("@default")  # with an allow list these are always in it
    for line in unit.read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "SystemCallFilter":
            for word in value.removeprefix("~").split():
                these = calls_of(word) if word.startswith("@") else {word}
                names = names - these if value.startswith("~") else names | these
    return names


def refuse_all_but(names: set[str]) -> None:
    """Let this process and its children make no other system calls."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_ERRNO | errno.EPERM)))
    for name in names:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # another architecture's otherwise
            seccomp.seccomp_rule_add_array(rules, ctypes.c_uint32(_ALLOW), number, 0, None)
    if seccomp.seccomp_load(rules) != 0:
        sys.exit("the filter cannot be loaded")


def main(unit: str, *command: str) -> None:
    """Put up the walls and become the command."""
    names = allowed(Path(unit))
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        print("this kernel cannot refuse writable code (Linux 6.3 can)", file=sys.stderr)
    refuse_all_but(names)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
