"""The text of a configuration: its files, what is in them, and on which line a key stands.

The file itself comes first, then each `conf.d/*.toml` beside it in the order of their names. A
later one replaces single keys of an earlier one, and adds `[[connector]]` tables. Touches those
files.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aerostat.daemon.config.toml_lines import Place, key_lines
from aerostat.errors import UsageError

DROP_INS = "conf.d"
_ARRAY = "connector"
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)$")
# A configuration larger than this is none; bounds what is read into memory.
_LARGEST_FILE = 4 << 20


class ConfigError(UsageError):
    """The configuration is wrong; the message begins with the file and the line."""


class Document(NamedTuple):
    """One file: its name, its text, and what TOML makes of that."""

    name: str
    text: str
    table: Mapping[str, Any]

    @classmethod
    def of(cls, text: str, name: str) -> "Document":
        """Return what `text` says. Raises `ConfigError`."""
        try:
            return cls(name, text, tomllib.loads(text))
        except RecursionError as error:
            raise ConfigError(f"{name}: nested too deeply") from error
        except ValueError as error:  # TOMLDecodeError is one; so is an integer of 5 000 digits
            where = _AT_LINE.search(str(error))
            place = f"{name}:{where[1]}" if where else name
            raise ConfigError(f"{place}: not TOML: {error}") from error

    @classmethod
    def read(cls, path: Path) -> "Document":
        """Return what the file at `path` says. Raises `ConfigError`."""
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST_FILE + 1)
            text = content.decode("utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        if len(content) > _LARGEST_FILE:
            raise ConfigError(f"{path}: far too large for a configuration")
        return cls.of(text, str(path))


class Source(NamedTuple):
    """Documents, the later ones laid over the earlier; `name` is said where there is none."""

    documents: Sequence[Document]
    name: str

    @classmethod
    def read(cls, path: Path) -> "Source":
        """Return the configuration file at `path` with its drop-ins. Raises `ConfigError`."""
        return cls([Document.read(file) for file in files_of(path)], str(path))

    def table(self) -> dict[str, Any]:
        """Return what all documents say together."""
        table: dict[str, Any] = {}
        for document in self.documents:
            connectors = [*_array(table), *_array(document.table)]
            table = merge(table, document.table)
            if connectors:
                table[_ARRAY] = connectors
        return table

    def error(self, place: Place, text: str) -> ConfigError:
        """Return the error that the value at `place` is wrong in the way that `text` says."""
        key = _written(place)
        return ConfigError(
            f"{self._where(place)}: {key}: {text}" if key else f"{self.name}: {text}"
        )

    def _where(self, place: Place) -> str:
        """Return the file and the line of `place`, or of the nearest heading or key above it."""
        found, depth = self.name, 0
        before = 0
        for document in self.documents:
            mine = place
            if place[:1] == (_ARRAY,) and len(place) > 1 and isinstance(place[1], int):
                mine = (_ARRAY, place[1] - before, *place[2:])
                before += len(_array(document.table))
            for line in key_lines(document.text):
                length = len(line.place)
                if length >= depth and line.place == mine[:length]:
                    found, depth = f"{document.name}:{line.line}", length
        return found


def files_of(path: Path) -> list[Path]:
    """Return the files of the configuration at `path`: itself and its drop-ins."""
    drop_ins = path.parent / DROP_INS
    return [path, *sorted(f for f in drop_ins.glob("*.toml") if not f.name.startswith("."))]


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `under` with the values of `over` in the place of its own; tables are merged."""
    merged = dict(under)
    for key, new in over.items():
        value, below = new, merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            value = merge(below, value)
        merged[key] = value
    return merged


def _array(table: Mapping[str, Any]) -> list[Any]:
    value = table.get(_ARRAY, [])
    return list(value) if isinstance(value, list | tuple) else []


def _written(place: Place) -> str:
    """Return a place as people write it: ``connector[0].sockets``, ``guest."db-*".shares``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "").isalnum() and text != "guest":
            text += f".{part}" if text else part
        else:
            text += f'."{part}"' if text else f'"{part}"'
    return text
