"""TOML as somebody may write it who has read only half of what should be there. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.targets import json_values


def spoiled(source: Source, tables: Sequence[Mapping[str, Any]], words: Sequence[str]) -> str:
    """Return one of `tables` with some values replaced, as text."""
    table = source.choose(tables)
    changed = json_values.spoil(source, table, words, 1 + source.below(3))
    return write(changed if isinstance(changed, dict) else {"value": changed})


def write(table: Mapping[str, Any]) -> str:
    """Return a table as text; of a null, which TOML does not have, nothing."""
    lines = [
        f"{_key(key)} = {_value(value)}"
        for key, value in table.items()
        if not _is_table(value) and value is not None
    ]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += [f"[{_key(key)}]", *_body(value)]
        elif _is_table(value):
            for entry in value:
                lines += [f"[[{_key(key)}]]", *_body(entry)]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    if isinstance(value, list) and value:
        return all(isinstance(entry, dict) for entry in value)
    return isinstance(value, dict)


def _body(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None]


def _key(key: str) -> str:
    return key if key.isascii() and key.isidentifier() else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(_body(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(entry) for entry in value if entry is not None) + "]"
    if isinstance(value, str):
        return _text(value)
    return str(value).lower()


def _text(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode())
