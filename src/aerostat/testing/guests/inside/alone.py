"""PID 1 of a guest that nobody commands: loads kernel modules, then uses memory for ever.

``python3 -I -S alone.py MODULE...`` runs as `init` inside user-mode Linux, on the host's own
interpreter; the root file system is the host's, read-only. A child takes nearly all that is free
and lets go of it again, over and over, so that a page that is not the guest's to use is used all
the same if the kernel believes that it is. Standard library only.
"""

import contextlib
import mmap
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

if __name__ == "__main__":  # run by path, isolated: the package has to be found first
    sys.path.append(str(Path(__file__).resolve().parents[4]))

from aerostat.testing.guests.inside.init import load_module, mount

_CHUNK = 4 << 20
_LEFT_FREE = 16 << 20  # a kernel kills before the last page is gone
_HOLD_SECONDS = 0.05
_PAUSE_SECONDS = 0.3
_KILL_ME_FIRST = "1000"  # the highest oom_score_adj


def main(modules: list[str]) -> NoReturn:
    """Load the modules and keep somebody using memory."""
    # Anywhere else, what follows would do harm.
    if os.getpid() != 1:
        raise SystemExit("this is PID 1 of a laboratory guest; it does nothing elsewhere")
    mount("proc", "/proc")
    for module in modules:
        load_module(module)
    while True:
        child = os.fork()
        if child == 0:
            Path("/proc/self/oom_score_adj").write_text(_KILL_ME_FIRST)
            use_memory()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)  # killed: there was too little memory, and now there is more
        time.sleep(_PAUSE_SECONDS)


def use_memory() -> NoReturn:
    """Take what is free, but for a little, and let it go again, until killed."""
    ones = os.memfd_create("ones")
    os.write(ones, b"\1" * _CHUNK)
    while True:
        chunks: list[mmap.mmap] = []
        with contextlib.suppress(OSError):  # no memory, for a moment
            while free_memory() > _LEFT_FREE + _CHUNK:
                chunk = mmap.mmap(-1, _CHUNK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
                chunks.append(chunk)
                os.preadv(ones, [chunk], 0)  # the kernel's own copying is fast there
        time.sleep(_HOLD_SECONDS)
        for chunk in chunks:
            chunk.close()
        time.sleep(_PAUSE_SECONDS)


def free_memory() -> int:
    """Return the guest's free memory in bytes."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, value, *_ = line.split()
        if name == "MemFree:":
            return int(value) * 1024
    return 0


if __name__ == "__main__":
    # User-mode Linux adds what it takes for arguments of init's, such as `console=tty0`.
    main([argument for argument in sys.argv[1:] if argument.startswith("/")])
