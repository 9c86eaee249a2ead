"""Policies by name: the built-in ones, those of installed packages, and a file of one's own.

An installed package offers policies by entry points of the group ``aerostat.policies``, each the
class of a policy (`aerostat.engine.policies.base.Policy`). A package that is broken makes an error
that names it, and nothing else fails. Touches what is installed, and the file that is named.
"""

import difflib
import importlib
import importlib.util
import math
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from aerostat.daemon.names import clean_text
from aerostat.daemon.thinking import OURS, Guide
from aerostat.engine.policies import catalogue
from aerostat.engine.policies.base import Policy
from aerostat.engine.policies.guarded import Guarded
from aerostat.errors import UsageError

GROUP = "aerostat.policies"

BUILT_IN = "built in"
GUARDED = "guarded:"


class Offer(NamedTuple):
    """A policy that can be named."""

    name: str
    origin: str
    """``built in``, or the package that brought it."""
    title: str
    """The first line of what its class says of itself."""
    problem: str
    """Why it cannot be used, or ""."""


def find(spec: str) -> Policy:
    """Return the policy that `spec` names; raises `UsageError` that says what is wrong with it.

    It is a built-in name, the name of an installed package's entry point, ``MODULE:CLASS`` or
    ``FILE.py:CLASS``; each may be followed by ``:KNOB=VALUE,...``. With ``guarded:`` before it, it
    is that policy under the engine's safeguards.
    """
    if spec.startswith(GUARDED):
        return Guarded(find(spec.removeprefix(GUARDED)))
    name, knobs = _split(spec)
    if name in catalogue.POLICIES:
        return catalogue.find(spec)
    if ":" in name:
        kind, origin = _from_place(name), name
    else:
        point = _entry_point(name)
        kind, origin = _loaded(point), f"policy {name} of {_package(point)}"
    return _made(kind, knobs, origin)


def guide(spec: str) -> Guide | None:
    """Return the policy that the manager is to follow, None for its own; raises `UsageError`."""
    if spec == OURS:
        return None
    policy = find(spec)
    if hasattr(policy, "foretold"):
        raise UsageError(f"{policy.name} has to know the future, and can only be simulated")
    return Guide(spec, policy)


def offers() -> Iterator[Offer]:
    """Give every policy that can be named, built-in ones first, also those that are broken."""
    for name, kind in catalogue.POLICIES.items():
        yield Offer(name, BUILT_IN, _title(kind), "")
    for point in _entry_points():
        title, problem = "", ""
        try:
            kind = _loaded(point)
            _made(kind, "", f"policy {point.name} of {_package(point)}")
            title = _title(kind)
            _entry_point(point.name)
        except UsageError as error:
            problem = str(error)
        if point.name in catalogue.POLICIES:
            problem = f"{_package(point)}: there is a built-in policy of the name {point.name}"
        yield Offer(point.name, _package(point), title, problem)


def _split(spec: str) -> tuple[str, str]:
    """Return what names a policy, and its knobs as they were written."""
    *rest, last = spec.split(":")
    return (":".join(rest), last) if rest and "=" in last else (spec, "")


def _entry_points() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))


def _package(point: EntryPoint) -> str:
    if point.dist is None:
        return point.value
    return f"package {clean_text(point.dist.name)} {clean_text(point.dist.version)}"


def _entry_point(name: str) -> EntryPoint:
    """Return the one entry point of this name."""
    found = [point for point in _entry_points() if point.name == name]
    if not found:
        known = list(catalogue.POLICIES)
        known += [point.name for point in _entry_points() if point.name not in known]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise UsageError(f"no such policy: {clean_text(name)}; {hint}")
    if len({point.value for point in found}) > 1:
        packages = " and ".join(_package(point) for point in found)
        raise UsageError(f"policy {name} is offered by {packages}; uninstall one of them")
    return found[0]


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        raise _broken(f"policy {point.name} of {_package(point)}", error) from error


def _from_place(place: str) -> Any:
    """Return the class at ``MODULE:CLASS`` or ``FILE.py:CLASS``."""
    where, _, name = place.rpartition(":")
    try:
        module = _of_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
        return getattr(module, name)
    except (Exception, SystemExit) as error:
        raise _broken(f"policy {clean_text(place)}", error) from error


def _of_file(path: Path) -> ModuleType:
    """Return a file as a module of its own, whatever else has its name."""
    name = f"aerostat_policy_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # a name that ends in .py always has one
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for the names in annotations
    spec.loader.exec_module(module)
    return module


def _made(kind: Any, knobs: str, origin: str) -> Policy:
    """Return a policy of this class; raises `UsageError` where it is none."""
    if not callable(kind):
        raise UsageError(f"{origin}: {clean_text(kind)} is not the class of a policy")
    try:
        word = origin.rpartition(":")[2]
        policy = catalogue.find(f"{word}:{knobs}", {word: kind}) if knobs else kind()
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from error
    except (Exception, SystemExit) as error:
        raise _broken(origin, error) from error
    return checked(policy, origin)


def checked(policy: Any, origin: str) -> Policy:
    """Return `policy` where it has all that a policy must have; raises `UsageError`."""
    for method in ("start", "step"):
        if not callable(getattr(policy, method, None)):
            raise UsageError(f"{origin}: it has no method {method}; a policy has start and step")
    name, interval = getattr(policy, "name", None), getattr(policy, "interval", None)
    if not isinstance(name, str) or not name:
        raise UsageError(f"{origin}: it has no name")
    if not isinstance(interval, int | float) or not 0 < interval < math.inf:
        raise UsageError(f"{origin}: its interval must be seconds, more than 0")
    found: Policy = policy
    return found


def _broken(origin: str, error: BaseException) -> UsageError:
    return UsageError(f"{origin} cannot be loaded: {type(error).__name__}: {clean_text(error)}")


def _title(kind: Any) -> str:
    return clean_text((getattr(kind, "__doc__", None) or "").strip().split("\n")[0])
