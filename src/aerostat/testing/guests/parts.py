"""Where the parts of the laboratory are that ``make lab`` and its optional targets get.

They are in build/lab, or where $AEROSTAT_LAB says. An optional part has a directory of its own
there; $AEROSTAT_LAB may name one of those, too. Reads directories.
"""

import os
from pathlib import Path

from aerostat.errors import MissingError

GET_NEWER = "make lab-newer"


def lab_directory() -> Path:
    """Return where the laboratory's parts are."""
    return Path(os.environ.get("AEROSTAT_LAB", "build/lab"))


def find_part(name: str, get_it: str) -> Path:
    """Return the directory, or program, of an optional part.

    Raises `MissingError`, which says that `get_it` gets it.
    """
    for directory in (lab_directory(), lab_directory().parent):
        if (part := directory / name).exists():
            return part
    raise MissingError(f"no {name} in {lab_directory()}; get it with: {get_it}")


def find_newer_uml() -> Path:
    """Return a user-mode Linux 6.12, for $AEROSTAT_UML. Raises `MissingError`."""
    return find_part("linux6.12/usr/bin/uml6.12", GET_NEWER)
