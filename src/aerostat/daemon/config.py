"""The manager's configuration: TOML and command-line options to frozen structures.

Sizes are text with a unit (``"4GiB"``), or a percentage where that makes sense; they are bytes
in what comes out. Every mistake is a `UsageError` that names the file, the key and what would
be right. Touches the one file that it is given.

::

    manage = true                       # without it, aerostat observes and changes nothing
    interval = 1.0                      # seconds
    [host]
    reserve = "10%"                     # or: budget = "48GiB"
    [[connector]]
    kind = "qmp"
    sockets = ["/run/guests/*.qmp"]
    [guests]
    guarantee = "25%"
    [guest."db-*"]                      # name or key; where several match, the last one wins
    guarantee = "8GiB"
    shares = 20000
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar, get_args

import msgspec

from aerostat.daemon import paths
from aerostat.errors import AerostatError, UsageError
from aerostat.units import GIB, MIB, parse_size

# No machine has more; keeps every figure exact in the engine's float64 columns.
_LARGEST_SIZE = 1 << 53

# The guarantee of a guest for which none is configured. A quarter of its maximum keeps the
# kernel, its page tables (sized for the maximum) and a resting system out of reclaim on every
# guest that was tried; below 64 MiB a Linux guest cannot be trusted to live at all.
DEFAULT_GUARANTEE = 0.25
SMALLEST_DEFAULT_GUARANTEE = 64 * MIB


class Amount:
    """A size in bytes or a fraction of some total: ``"2GiB"`` or ``"10%"``."""

    __slots__ = ("fraction", "size")

    def __init__(self, size: int = 0, fraction: float | None = None) -> None:
        self.size = size
        self.fraction = fraction

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `text` means; raises `UsageError`."""
        stripped = text.strip()
        if not stripped.endswith("%"):
            return cls(_parse_bounded_size(text))
        try:
            percent = float(stripped[:-1])
        except ValueError:
            percent = -1.0
        if not 0.0 <= percent <= 100.0:
            raise UsageError(f"not a percentage from 0% to 100%: {text!r}")
        return cls(fraction=percent / 100.0)

    def of(self, total: int) -> int:
        """Return the bytes that this is, where the whole is `total` bytes."""
        return self.size if self.fraction is None else int(total * self.fraction)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Amount):
            return NotImplemented
        return (self.size, self.fraction) == (other.size, other.fraction)

    def __hash__(self) -> int:
        return hash((self.size, self.fraction))

    def __repr__(self) -> str:
        return f"Amount(size={self.size}, fraction={self.fraction})"


class Size(int):
    """Bytes that are written as text with a unit."""

    __slots__ = ()


class HostConfig(msgspec.Struct, frozen=True):
    """`[host]`: what the guests together may hold. At most one of the two.

    `budget` in bytes; `reserve` is what is kept for the host itself, of its total memory.
    """

    budget: Size | None = None
    reserve: Amount | None = None


class ConnectorConfig(msgspec.Struct, frozen=True):
    """`[[connector]]`: one way to reach guests. `sockets` are paths with wildcards."""

    kind: Literal["qmp"]
    sockets: tuple[str, ...] = ()


class GuestConfig(msgspec.Struct, frozen=True):
    """`[guests]` and `[guest.NAME]`: what is promised to a guest. None where nothing is said.

    `guarantee` and `ceiling` are bytes or a percentage of the guest's maximum size; `shares` is
    its weight when all want more. Without a word the guarantee is 25 % of the maximum, at least
    64 MiB; the ceiling is the maximum; and the shares are the ceiling in MiB, so that a squeeze
    takes the same proportion of everybody.
    """

    guarantee: Amount | None = None
    ceiling: Amount | None = None
    shares: float | None = None
    managed: bool | None = None


class JournalConfig(msgspec.Struct, frozen=True):
    """`[journal]`: where observations and moves are kept, and how many."""

    enabled: bool = True
    path: str | None = None
    keep_hours: float = 48.0
    keep_size: Size = Size(GIB)


class ApiConfig(msgspec.Struct, frozen=True):
    """`[api]`: the local socket. Who may connect is said by its `mode` alone."""

    enabled: bool = True
    socket: str | None = None
    mode: int = 0o660


class Config(msgspec.Struct, frozen=True):
    """Everything that the manager is told. Times are seconds.

    `mode` is ``need`` (memory is taken only while it is needed) or ``density`` (what is idle is
    always taken). `sample_timeout` is how long one round of samples may take (half the interval
    unless said), `request_timeout` how long a guest's monitor has to take a new target.
    """

    manage: bool = False
    mode: Literal["need", "density"] = "need"
    interval: float = 1.0
    sample_timeout: float | None = None
    request_timeout: float = 2.0
    on_exit: Literal["hold", "release"] = "hold"
    state_directory: str | None = None
    host: HostConfig = HostConfig()
    connector: tuple[ConnectorConfig, ...] = ()
    guests: GuestConfig = GuestConfig()
    guest: tuple[tuple[str, GuestConfig], ...] = ()
    journal: JournalConfig = JournalConfig()
    api: ApiConfig = ApiConfig()

    @property
    def sample_limit(self) -> float:
        """Return the seconds that one round of samples may take."""
        return self.interval / 2 if self.sample_timeout is None else self.sample_timeout

    @property
    def state_path(self) -> Path:
        """Return the directory of the state file and the lock."""
        if self.state_directory is None:
            return paths.state_directory()
        return Path(self.state_directory)

    @property
    def journal_path(self) -> Path:
        """Return the journal's file."""
        if self.journal.path is None:
            return self.state_path / "journal.sqlite"
        return Path(self.journal.path)

    @property
    def socket_path(self) -> Path:
        """Return the API's socket."""
        return paths.api_socket() if self.api.socket is None else Path(self.api.socket)

    def promise(self, name: str, key: str, max_size: int) -> "Promise":
        """Return what the configuration promises the guest `name` of `max_size` bytes."""
        said = self.guests
        for pattern, guest in self.guest:
            if fnmatchcase(name, pattern) or fnmatchcase(key, pattern):
                said = _overlay(said, guest)
        ceiling = max_size if said.ceiling is None else min(said.ceiling.of(max_size), max_size)
        if said.guarantee is None:
            guarantee = max(int(max_size * DEFAULT_GUARANTEE), SMALLEST_DEFAULT_GUARANTEE)
        else:
            guarantee = said.guarantee.of(max_size)
        return Promise(
            guarantee=min(guarantee, ceiling),
            ceiling=ceiling,
            shares=max(1.0, ceiling / MIB) if said.shares is None else said.shares,
            managed=said.managed is not False,
        )


class Promise(NamedTuple):
    """What one guest is promised: bytes, bytes, a weight, and whether it is managed at all."""

    guarantee: int
    ceiling: int
    shares: float
    managed: bool


def load(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Return the configuration of the file at `path` with `overrides` laid over it.

    `overrides` has the file's own shape; a value in it replaces the file's, tables are merged.
    Raises `UsageError`.
    """
    table: dict[str, Any] = {}
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
        table = _parse_toml(text, str(path))
    config = parse(table, str(path))
    if overrides:
        config = parse(_merge(table, overrides), "options")
    return config


def loads(text: str, source: str = "configuration") -> Config:
    """Return the configuration in TOML `text`; raises `UsageError`."""
    return parse(_parse_toml(text, source), source)


def parse(table: Mapping[str, Any], source: str) -> Config:
    """Return the configuration in `table`, the shape of the file; raises `UsageError`."""
    values = dict(table)
    # The tables first, each by itself, so that an error can name it.
    sections: dict[str, Any] = {
        "host": _convert(values.pop("host", {}), HostConfig, source, "host"),
        "connector": tuple(
            _convert(entry, ConnectorConfig, source, f"connector[{number}]")
            for number, entry in enumerate(_entries(values.pop("connector", []), source))
        ),
        "guests": _convert(values.pop("guests", {}), GuestConfig, source, "guests"),
        "guest": tuple(
            (pattern, _convert(entry, GuestConfig, source, f'guest."{pattern}"'))
            for pattern, entry in _table(values.pop("guest", {}), source, "guest").items()
        ),
        "journal": _convert(values.pop("journal", {}), JournalConfig, source, "journal"),
        "api": _convert(values.pop("api", {}), ApiConfig, source, "api"),
    }
    plain = _convert(values, Config, source, "")
    config = msgspec.structs.replace(plain, **sections)
    _check(config, source)
    return config


def _check(config: Config, source: str) -> None:
    """Raise `UsageError` for values that are of the right type and still wrong."""
    rules: list[tuple[bool, str, str]] = [
        (0.05 <= config.interval <= 3600, "interval", "seconds, from 0.05 to 3600"),
        (
            0.01 <= config.sample_limit < config.interval,
            "sample_timeout",
            f"seconds, from 0.01 to less than the interval ({config.interval:g})",
        ),
        (0.01 <= config.request_timeout <= 600, "request_timeout", "seconds, from 0.01 to 600"),
        (
            config.host.budget is None or config.host.reserve is None,
            "host",
            "either budget or reserve, not both",
        ),
        (config.host.budget != 0, "host.budget", "more than nothing"),
        (0 < config.journal.keep_hours <= 1e6, "journal.keep_hours", "hours, more than 0"),
        (config.journal.keep_size >= MIB, "journal.keep_size", "at least 1MiB"),
        (0 <= config.api.mode <= 0o777, "api.mode", "a file mode in octal, such as 0o660"),
        *_guest_rules("guests", config.guests),
    ]
    for number, connector in enumerate(config.connector):
        sockets = connector.sockets
        rules.append(
            (bool(sockets) and all(sockets), f"connector[{number}].sockets", "at least one path")
        )
    for pattern, guest in config.guest:
        rules += _guest_rules(f'guest."{pattern}"', guest)
    for holds, key, right in rules:
        if not holds:
            raise UsageError(f"{source}: {key}: must be {right}")


def _guest_rules(where: str, guest: GuestConfig) -> Iterable[tuple[bool, str, str]]:
    shares, guarantee, ceiling = guest.shares, guest.guarantee, guest.ceiling
    yield shares is None or 0 < shares <= 1e12, f"{where}.shares", "a number more than 0"
    yield ceiling is None or bool(ceiling.size or ceiling.fraction), f"{where}.ceiling", "more"
    if guarantee is not None and ceiling is not None:
        # A size and a percentage can only be compared once the guest is known; `promise` does.
        comparable = (guarantee.fraction is None) == (ceiling.fraction is None)
        fits = guarantee.of(_LARGEST_SIZE) <= ceiling.of(_LARGEST_SIZE)
        yield fits or not comparable, f"{where}.guarantee", "at most the ceiling"


_Section = TypeVar("_Section", bound=msgspec.Struct)


def _convert(table: object, kind: type[_Section], source: str, where: str) -> _Section:
    values = _table(table, source, where)
    known = kind.__struct_fields__
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise UsageError(f"{source}: {_join(where, key)}: no such key; {hint}")
    try:
        return msgspec.convert(values, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        key = _join(where, place.strip("`.")) if place else where
        raise UsageError(f"{source}: {key}: {what}{_choices(kind, place)}") from error


def _choices(kind: type[msgspec.Struct], place: str) -> str:
    """Return what may stand at `place`, where that is one of a few words."""
    words = get_args(kind.__annotations__.get(place.strip("`."))) if place else ()
    texts = [word for word in words if isinstance(word, str)]
    return f"; write one of: {', '.join(texts)}" if texts else ""


def _decode(kind: type, value: object) -> object:
    if kind not in (Size, Amount):
        raise NotImplementedError(kind)  # a field of a new type, and no word here about it
    if not isinstance(value, str):
        # msgspec turns a ValueError into its own error, which knows the key.
        raise ValueError('write it as text with a unit, such as "512MiB"')  # noqa: TRY004
    try:
        return Size(_parse_bounded_size(value)) if kind is Size else Amount.parse(value)
    except AerostatError as error:
        raise ValueError(str(error)) from error


def _parse_bounded_size(text: str) -> int:
    try:
        size = parse_size(text)
    except OverflowError:
        size = _LARGEST_SIZE + 1
    if size > _LARGEST_SIZE:
        raise UsageError(f"no machine has so much memory: {text[:40]!r}")
    return size


def _parse_toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UsageError(f"{source}: nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError is one; so is an integer of 5 000 digits
        raise UsageError(f"{source}: not TOML: {error}") from error


def _overlay(under: GuestConfig, over: GuestConfig) -> GuestConfig:
    said = {
        key: value for key in over.__struct_fields__ if (value := getattr(over, key)) is not None
    }
    return msgspec.structs.replace(under, **said)


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, new in over.items():
        value, below = new, merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = _merge(below, value)
        merged[key] = value
    return merged


def _table(value: object, source: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{source}: {where}: must be a table, [{where}]")
    return value


def _entries(value: object, source: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{source}: connector: must be tables, each under [[connector]]")
    return list(value)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where and key else where or key
