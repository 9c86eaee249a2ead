"""A configuration as plain values, and as text: every setting that applies, defaults too. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aerostat.daemon.config.tables import Amount, Config, Size
from aerostat.units import GIB, KIB, MIB, TIB

_UNITS = (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB))


def plain(config: Config) -> dict[str, Any]:
    """Return `config` in the shape of the file, sizes as text; None where nothing is said."""
    values: dict[str, Any] = msgspec.to_builtins(config, enc_hook=_plain_value)
    values["guest"] = dict(values["guest"])
    return values


def written(config: Config) -> str:
    """Return `config` as TOML; what is left to a default that has no value is a comment."""
    values = plain(config)
    lines: list[str] = []
    tables: list[str] = []
    for key, value in values.items():
        if key == "guest":
            for pattern, table in value.items():
                tables += ["", f"[guest.{json.dumps(pattern)}]", *_lines(table)]
        elif key == "connector":
            for table in value:
                tables += ["", "[[connector]]", *_lines(table)]
        elif isinstance(value, Mapping):
            tables += ["", f"[{key}]", *_lines(value)]
        else:
            lines += _lines({key: value})
    return "\n".join([*lines, *tables, ""])


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if value is None:
            yield f"# {key} ="
        elif key == "mode" and isinstance(value, int):
            yield f"{key} = 0o{value:o}"
        else:
            yield f"{key} = {json.dumps(value)}"  # JSON's values are TOML's, but for null


def _plain_value(value: object) -> str:
    """Return the text of a type of our own (to msgspec a `Size` is one, though it is an int)."""
    if isinstance(value, Size):
        return _size(value)
    assert isinstance(value, Amount)
    return _size(value.size) if value.fraction is None else f"{value.fraction * 100:g}%"


def _size(size: int) -> str:
    for unit, factor in _UNITS:
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"
