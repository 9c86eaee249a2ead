"""Reading the configuration: TOML to frozen structures, or a mistake with its line.

Touches the files that it is given, and loads the policy that is named, to say whether it is there.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from aerostat.daemon.config.rules import guest_rules, rules_of
from aerostat.daemon.config.source import ConfigError, Document, Source, merge
from aerostat.daemon.config.tables import (
    Amount,
    ApiConfig,
    Config,
    ConnectorConfig,
    GuestConfig,
    HostConfig,
    JournalConfig,
    MetricsConfig,
    Size,
)
from aerostat.daemon.config.toml_lines import Place
from aerostat.errors import AerostatError, UsageError

_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "host": HostConfig,
    "guests": GuestConfig,
    "journal": JournalConfig,
    "api": ApiConfig,
    "metrics": MetricsConfig,
}
# How msgspec says where an error is: ``$.sockets[0]``.
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def load(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Config:
    """Return the configuration of the file at `path` with `overrides` laid over it.

    `overrides` has the file's own shape; a value in it replaces the file's, tables are merged.
    Raises `ConfigError` for the file, `UsageError` for the overrides.
    """
    source = Source([], "configuration") if path is None else Source.read(path)
    table = source.table()
    config = _build(table, source)
    if overrides:
        try:
            config = parse(merge(table, overrides), "options")
        except ConfigError as error:
            raise UsageError(str(error)) from error
    return config


def loads(text: str, source: str = "configuration") -> Config:
    """Return the configuration in TOML `text`; raises `ConfigError`."""
    document = Document.of(text, source)
    return _build(document.table, Source([document], source))


def parse(table: Mapping[str, Any], source: str) -> Config:
    """Return the configuration in `table`, the shape of the file; raises `ConfigError`."""
    return _build(table, Source([], source))


def own_settings(settings: Mapping[str, str]) -> tuple[GuestConfig, tuple[str, ...]]:
    """Return what a guest's own definition asks for, and what is wrong with it.

    The values are text, as in XML: a size or a percentage, a number, ``yes`` or ``no``. One that is
    wrong is left out.
    """
    found = GuestConfig()
    problems = []
    for key, text in settings.items():
        try:
            table = _guest_table({key: _plain(key, text)}, Source([], "its definition"), ())
            found = msgspec.structs.replace(found, **{key: getattr(table, key)})
        except UsageError as error:
            problems.append(str(error))
    return found, tuple(problems)


def _plain(key: str, text: str) -> object:
    if key == "managed":
        return {"yes": True, "true": True, "no": False, "false": False}.get(text.lower(), text)
    if key == "shares":
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _build(table: Mapping[str, Any], source: Source) -> Config:
    values = dict(table)
    # The tables first, each by itself, so that an error can name it.
    sections: dict[str, Any] = {
        name: _convert(values.pop(name, {}), kind, source, (name,))
        for name, kind in _SECTIONS.items()
    }
    sections["connector"] = tuple(
        _convert(entry, ConnectorConfig, source, ("connector", number))
        for number, entry in enumerate(_entries(values.pop("connector", []), source))
    )
    sections["guest"] = tuple(
        (pattern, _convert(entry, GuestConfig, source, ("guest", pattern)))
        for pattern, entry in _table(values.pop("guest", {}), source, ("guest",)).items()
    )
    plain = _convert(values, Config, source, ())
    config = msgspec.structs.replace(plain, **sections)
    for rule in rules_of(config):
        if not rule.holds:
            raise source.error(rule.place, f"must be {rule.right}")
    if "policy" in table:
        _check_policy(config.policy, source)
    return config


def _check_policy(spec: str, source: Source) -> None:
    # Imported here: the policies need the engine, and most configurations name none.
    from aerostat.daemon.policies import guide  # noqa: PLC0415

    try:
        guide(spec)
    except UsageError as error:
        raise source.error(("policy",), str(error)) from error


_Section = TypeVar("_Section", bound=msgspec.Struct)


def _guest_table(table: Mapping[str, object], source: Source, where: Place) -> GuestConfig:
    guest = _convert(table, GuestConfig, source, where)
    for rule in guest_rules(where, guest):
        if not rule.holds:
            raise source.error(rule.place, f"must be {rule.right}")
    return guest


def _convert(table: object, kind: type[_Section], source: Source, where: Place) -> _Section:
    values = _table(table, source, where)
    known = kind.__struct_fields__
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise source.error((*where, key), f"no such key; {hint}")
    try:
        return msgspec.convert(values, kind, dec_hook=_decode)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        place = tuple(int(number) if number else key for key, number in _STEP.findall(path))
        raise source.error((*where, *place), what + _choices(kind, place)) from error


def _choices(kind: type[msgspec.Struct], place: Place) -> str:
    """Return what may stand at `place`, where that is one of a few words."""
    words = get_args(kind.__annotations__.get(str(place[0]))) if place else ()
    texts = [word for word in words if isinstance(word, str)]
    return f"; write one of: {', '.join(texts)}" if texts else ""


def _decode(kind: type, value: object) -> object:
    if kind not in (Size, Amount):
        raise NotImplementedError(kind)  # a field of a new type, and no word here about it
    if not isinstance(value, str):
        # msgspec turns a ValueError into its own error, which knows the key.
        raise ValueError('write it as text with a unit, such as "512MiB"')  # noqa: TRY004
    try:
        return Size.parse(value) if kind is Size else Amount.parse(value)
    except AerostatError as error:
        raise ValueError(str(error)) from error


def _table(value: object, source: Source, where: Place) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise source.error(where, f"must be a table, [{'.'.join(map(str, where))}]")
    return value


def _entries(value: object, source: Source) -> list[object]:
    if not isinstance(value, list | tuple):
        raise source.error(("connector",), "must be tables, each under [[connector]]")
    return list(value)
