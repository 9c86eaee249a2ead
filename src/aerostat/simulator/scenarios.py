"""What `aerostat simulate` is given as its scenario: a family, all of them, a trace, a file.

A file of one's own is TOML: kinds of guests, of which a house has so many of each, in turn::

    title = "Three web servers to a nightly batch"
    seconds = 1200
    budget = "16GiB"

    [[guests]]
    family = "diurnal"
    share = 3

    [[guests]]
    trace = "traces/bitbrains"   # a file or a directory, beside this one
    silent_from = 600            # from then on their drivers tell nothing

    [[guests]]
    max_size = "2GiB"
    arrives = 120
    grow_rate = "128MiB"         # a second
    moments = [
        { at = 0, hold = "200MiB" },
        { at = 600, hold = "1.5GiB", cold = "300MiB", read_rate = "20MiB", read_span = "1GiB" },
    ]
    bursts = [{ at = 300, size = "1GiB", seconds = 20 }]
    plugs = [{ at = 800, size = "2GiB" }]

Reads the file that it is given, and nothing else.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from aerostat.daemon.config.source import Document, Source
from aerostat.daemon.config.tables import Size
from aerostat.daemon.config.toml_lines import Place
from aerostat.errors import AerostatError, UsageError
from aerostat.model.plans import Moment, Plan, Plans
from aerostat.simulator.traces import READERS, family_of, read
from aerostat.simulator.workloads import FAMILIES
from aerostat.simulator.workloads.family import Family
from aerostat.simulator.workloads.happenings import burst
from aerostat.simulator.world import GuestSpec, Plug
from aerostat.units import GIB, MIB

ALL = "all"
SECONDS = 1200.0
BUDGET = 16.0 * GIB
_SUFFIX = ".toml"
_MOST_SHARES = 1000
_LONGEST = 7 * 86400.0
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated: families of guests, and the house that they come to. Bytes, seconds."""

    name: str
    families: tuple[Family, ...]
    seconds: float = SECONDS
    budget: float = BUDGET


def scenario(text: str) -> Scenario:
    """Return the scenario that a word of the command line names; ``google:FILE`` is a trace.

    Raises `UsageError`: there is no such family, or the file is wrong (with its line).
    """
    if text == ALL:
        return Scenario(ALL, tuple(FAMILIES.values()))
    if text in FAMILIES:
        return Scenario(text, (FAMILIES[text],))
    of, colon, rest = text.partition(":")
    if colon and of in READERS:
        return from_trace(Path(rest), of)
    path = Path(text)
    if path.suffix == _SUFFIX:
        return from_toml(Document.read(path), path.stem)
    if path.exists():
        return from_trace(path)
    close = difflib.get_close_matches(text, [*FAMILIES, ALL])
    hint = f"did you mean {' or '.join(close)}?" if close else "'aerostat simulate --list' has them"
    raise UsageError(f"no family of guests is called {text!r}, and no file; {hint}")


class _Moment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: float
    hold: Size = Size(0)
    cold: Size = Size(0)
    mapped: Size = Size(10 * MIB)
    read_rate: Size = Size(0)
    read_span: Size = Size(0)
    skew: float = 1.0
    write_rate: Size = Size(0)


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: float
    size: Size
    seconds: float = _LONGEST


class _Guests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    family: str | None = None
    trace: str | None = None
    share: int = 1
    bursts: tuple[_Event, ...] = ()
    """So much more is wanted, for so long."""
    plugs: tuple[_Event, ...] = ()
    """So much memory more is plugged in, for good."""
    silent_from: float | None = None
    max_size: Size | None = None
    swap_size: Size = Size(0)
    guarantee: Size = Size(0)
    shares: float | None = None
    deflate_on_oom: bool = False
    reporting: bool = False
    dialect: str = "16"
    grow_rate: Size = Size(128 * MIB)
    arrives: float = 0.0
    departs: float | None = None
    moments: tuple[_Moment, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    guests: tuple[_Guests, ...]
    title: str = ""
    seconds: float = SECONDS
    budget: Size = Size(int(BUDGET))


def from_toml(document: Document, name: str) -> Scenario:
    """Return the scenario of a TOML document; raises `ConfigError` with file and line."""
    source = Source([document], document.name)
    file = _convert(document.table, source)
    if not 1 <= file.seconds <= _LONGEST:
        raise source.error(("seconds",), f"must be from 1 to {_LONGEST:.0f}")
    if not file.budget:
        raise source.error(("budget",), "must be more than nothing")
    if not file.guests:
        raise source.error(("guests",), "there are none; each kind is under [[guests]]")
    kinds = [_kind(kind, source, ("guests", row)) for row, kind in enumerate(file.guests)]
    if sum(kind.share for kind in file.guests) > _MOST_SHARES:
        raise source.error(("guests",), f"their shares are more than {_MOST_SHARES} together")
    turns = [kind for kind, told in zip(kinds, file.guests, strict=True) for _ in range(told.share)]
    title = file.title or name
    family = Family(name, title, title, Turns(tuple(turns)))
    return Scenario(name, (family,), file.seconds, float(file.budget))


def from_trace(path: Path, of: str | None = None) -> Scenario:
    """Return guests that play what was recorded of machines; raises `UsageError`.

    `of` is whose trace it is, where that does not show.
    """
    return Scenario(path.stem, (family_of(path.stem, read(path, of)),))


class _Kind(NamedTuple):
    """A kind of guests: who they are, or who makes them, and what the file tells."""

    made: Family | GuestSpec
    told: _Guests


class Turns:
    """Makes guests of several kinds, in turn."""

    def __init__(self, kinds: "Sequence[_Kind]") -> None:
        self._kinds = kinds

    def __call__(
        self, rng: np.random.Generator, index: int, seconds: float, common: np.random.Generator
    ) -> GuestSpec:
        """Return guest number `index`."""
        made, told = self._kinds[index % len(self._kinds)]
        if isinstance(made, Family):
            made = made.guest(rng, index, seconds, common)
        return _with_events(made, told)


def _with_events(guest: GuestSpec, told: _Guests) -> GuestSpec:
    """Return the guest to which happens what its kind is told."""
    for event in told.bursts:
        guest = burst(guest, event.at, float(event.size), event.seconds)
    size, plugs = guest.max_size, []
    for event in sorted(told.plugs, key=lambda plug: plug.at):
        size += float(event.size)
        plugs.append(Plug(event.at, size))
    silent_from = np.inf if told.silent_from is None else told.silent_from
    return replace(guest, silent_from=silent_from, plugs=tuple(plugs))


def _kind(told: _Guests, source: Source, where: Place) -> _Kind:
    if told.share < 1:
        raise source.error((*where, "share"), "must be 1 or more")
    for event in (*told.bursts, *told.plugs):
        if not (0 <= event.at <= _LONGEST and 0 <= event.seconds <= _LONGEST):
            raise source.error(where, f"an event is not within {_LONGEST:.0f} seconds")
    ways = [told.family is not None, told.trace is not None, told.max_size is not None]
    if sum(ways) != 1 or bool(told.moments) != ways[2]:
        raise source.error(where, "needs one of: a family, a trace, or max_size and moments")
    if told.family is not None:
        if told.family not in FAMILIES:
            raise source.error((*where, "family"), f"there are: {', '.join(FAMILIES)}")
        return _Kind(FAMILIES[told.family], told)
    if told.trace is not None:
        path = Path(source.name).parent / told.trace
        try:
            return _Kind(family_of(path.stem, read(path)), told)
        except UsageError as error:
            raise source.error((*where, "trace"), str(error)) from error
    assert told.max_size is not None
    return _Kind(_spec(told, told.max_size, source, where), told)


def _spec(told: _Guests, max_size: Size, source: Source, where: Place) -> GuestSpec:
    moments = [Moment(*map(float, msgspec.structs.astuple(moment))) for moment in told.moments]
    departs = np.inf if told.departs is None else told.departs
    plan = Plan(moments, float(told.grow_rate), told.arrives, departs)
    try:
        Plans.of([plan])
        return GuestSpec(
            float(max_size),
            plan,
            swap_size=float(told.swap_size),
            deflate_on_oom=told.deflate_on_oom,
            reporting=told.reporting,
            guarantee=float(told.guarantee),
            shares=told.shares,
            dialect=told.dialect,
        )
    except UsageError as error:
        raise source.error(where, str(error)) from error


def _convert(table: Mapping[str, Any], source: Source) -> _File:
    try:
        return msgspec.convert(table, _File, dec_hook=_size)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        place = tuple(int(number) if number else key for key, number in _STEP.findall(path))
        raise source.error(place, what) from error


def _size(kind: type, value: object) -> object:
    assert kind is Size
    if not isinstance(value, str):
        # msgspec turns a ValueError into its own error, which knows the key.
        raise ValueError('write it as text with a unit, such as "512MiB"')  # noqa: TRY004
    try:
        return Size.parse(value)
    except AerostatError as error:
        raise ValueError(str(error)) from error
