"""What a user-mode Linux needs to run on a processor with AMX: see `xstate.c`.

Touches the compiler and the user's cache directory, and only on such a processor.
"""

import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from aerostat.errors import MissingError

SOURCE = Path(__file__).with_suffix(".c")
_GET_IT = "install a C compiler: sudo apt-get install gcc libc6-dev"
_COMPILE = ("cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC")


def is_wide(processor: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor's extended state has AMX in it, and the kernel uses that."""
    lines = processor.read_text(errors="replace").splitlines()
    return any("amx_tile" in line.split() for line in lines if line.startswith("flags"))


def cache_directory() -> Path:
    """Return where the library is kept, by the XDG Base Directory Specification."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".cache") / "aerostat"


def build_library(directory: Path) -> Path:
    """Return the library for LD_PRELOAD, made in `directory` where it is not there yet.

    Raises `MissingError` where there is no compiler.
    """
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    library = directory / f"xstate-{digest}.so"
    if not library.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as place:
            made = Path(place, library.name)
            _compile(made)
            made.rename(library)  # whole or not at all, whoever else makes it now
    return library


def _compile(target: Path) -> None:
    command = [*_COMPILE, "-o", str(target), str(SOURCE), "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        why = said.decode(errors="replace").strip() or error
        raise MissingError(
            f"user-mode Linux needs a small library where the processor has AMX: {why}; {_GET_IT}"
        ) from error


@functools.cache
def command_prefix() -> tuple[str, ...]:
    """Return what goes before a user-mode Linux on a command line here: mostly nothing.

    Raises `MissingError` where it cannot be made.
    """
    if not is_wide():
        return ()
    return ("env", f"LD_PRELOAD={build_library(cache_directory())}")
