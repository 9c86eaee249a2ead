"""Kinds of guests that the demonstration can have: real Linux, or processes with a model of it.

Touches guests through the laboratory.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aerostat.errors import MissingError
from aerostat.testing.guests.uml import find_kernel, modules_directory
from aerostat.testing.laboratory import Guest, Laboratory
from aerostat.units import format_size

AUTO = "auto"


class Kind(NamedTuple):
    """What guests are. `noun` is what one is called, `start` starts one of a name and a size."""

    name: str
    noun: str
    start: Callable[[Laboratory, str, int], Awaitable[Guest]]
    has_files: bool
    """Whether its memory is in files, for which there has to be room in a directory."""

    def describe(self, guest: Guest) -> str:
        """Say what a guest is."""
        kernel = "a process" if self is PROCESS else f"Linux {guest.release}"
        return f"{kernel} with {format_size(guest.size)}"


async def _start_uml(laboratory: Laboratory, name: str, size: int) -> Guest:
    return await laboratory.start_guest(name, size)


async def _start_process(laboratory: Laboratory, name: str, size: int) -> Guest:
    return await laboratory.start_process_guest(name, size)


UML = Kind("uml", "guest", _start_uml, has_files=True)
PROCESS = Kind("process", "process guest", _start_process, has_files=False)
KINDS = {kind.name: kind for kind in (UML, PROCESS)}


def choose(wanted: str) -> tuple[Kind, str]:
    """Return the kind `wanted`, and what is to be said about it, if anything.

    `AUTO` is real Linux where it can be had. Raises `MissingError` where what is wanted cannot.
    """
    if wanted == PROCESS.name:
        return PROCESS, ""
    try:
        modules_directory(find_kernel())
    except MissingError as error:
        if wanted != AUTO:
            raise
        return PROCESS, f"{error}; until then, guests are processes with a model for a kernel"
    return UML, ""
