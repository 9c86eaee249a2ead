"""The functions on a guest's record, compiled: the one room that knows Numba. Pure.

A process guest runs the very same functions as they are, and must not pay for a compiler: so they
know nothing of one, and are compiled here, all of them, as copies that call each other's copies.
The machine code is kept beside this file or in the user's cache.

Whole numbers and floats come out the same to the last bit either way: nothing is reordered (no
`fastmath`), and no function of the C library is used whose last bits differ between machines.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from aerostat.balloon.abi import PAGE_SIZE
from aerostat.errors import MissingError
from aerostat.model import balloon, harm, interval, living, reclaim

#: The rooms whose functions are compiled.
_ROOMS: tuple[ModuleType, ...] = (reclaim, balloon, harm, interval, living)


def _whole_pages(amount: float) -> float:
    """Return what `reclaim.whole_pages` does, with a floor that is a float at once.

    Python's is an integer first, and compiled code waits for it to be made one and a float again.
    The addition is for -0.0, which as an integer is 0.
    """
    return float(np.floor(amount * (1.0 / PAGE_SIZE))) * float(PAGE_SIZE) + 0.0


#: What is compiled in the place of a function, and comes to the same bits.
_INSTEAD: dict[Callable[..., Any], Callable[..., Any]] = {reclaim.whole_pages: _whole_pages}


@cache
def live_all() -> Callable[..., None]:
    """Return `living.live_all`, compiled. Raises `MissingError` without Numba."""
    try:
        import numba  # noqa: PLC0415 - an extra; takes half a second and 100 MiB
    except ImportError as error:
        raise MissingError("the simulator needs Numba: pip install 'aerostat[simulate]'") from error
    # Nothing is allocated in there; the counting of references alone would take half of the time.
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "_nrt": False}
    helpers = {**options, "forceinline": True}
    spaces = {room.__name__: dict(vars(room)) for room in _ROOMS}
    for room in _ROOMS:
        for name, function in vars(room).items():
            if inspect.isfunction(function) and function.__module__ == room.__name__:
                copy = FunctionType(function.__code__, spaces[room.__name__], name)
                fast = numba.njit(_INSTEAD.get(function, copy), **helpers)
                for space in spaces.values():
                    if space.get(name) is function:
                        space[name] = fast
    entry = FunctionType(living.live_all.__code__, spaces[living.__name__], "live_all")
    # Numba looks for changes in the entry's own file alone, so that its name says what it is of.
    entry.__qualname__ = f"live_all_{_digest(helpers)}"
    compiled: Callable[..., None] = numba.njit(cache=True, **options)(entry)
    return compiled


def _digest(options: Mapping[str, Any]) -> str:
    """Return what tells one version of the functions, and of all that they use, from another.

    It is taken of what is loaded; the files may have changed since.
    """
    digest = hashlib.sha256(repr(options).encode())
    for room in _ROOMS:
        for name, thing in vars(room).items():
            if inspect.isfunction(thing):
                code = _INSTEAD.get(thing, thing).__code__
                parts: object = (code.co_code, code.co_consts, code.co_names, code.co_varnames)
            elif isinstance(thing, int | float):
                parts = thing
            else:
                parts = getattr(thing, "_fields", None)  # of a named tuple
            digest.update(repr((name, parts)).encode())
    return digest.hexdigest()[:16]
