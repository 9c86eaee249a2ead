"""On which line of a TOML text each key stands: what `tomllib` does not tell. Pure.

Only for text that `tomllib` has accepted: nothing is checked here again, and keys inside inline
tables have the line of the key before them.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

Place = tuple[str | int, ...]
"""Where a value stands: ``("connector", 0, "sockets")``."""

# A key is bare or quoted, and several may be joined by dots (TOML 1.0, "Keys").
_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
# What a value is made of, so that its end is found: strings and comments are passed over whole.
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
    r"|#[^\n]*|[\[{]|[\]}]|\n|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)


class Line(NamedTuple):
    """A key's place and its line, counted from 1."""

    place: Place
    line: int


def key_lines(text: str) -> Iterator[Line]:
    """Give each key and each table heading of `text`, which is TOML."""
    table: Place = ()
    counts: dict[Place, int] = {}
    at = _skip(_SPACE, text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        if text[at] == "[":
            of_array = text.startswith("[[", at)
            keys, at = _keys(text, _skip(re.compile(r"\[+[ \t]*"), text, at))
            table = _entered((), keys[:-1], counts) + keys[-1:]
            if of_array:
                counts[table] = counts.get(table, 0) + 1
                table += (counts[table] - 1,)
            yield Line(table, line)
            at = _skip(re.compile(r"[ \t]*\]+"), text, at)
        else:
            keys, at = _keys(text, at)
            yield Line(table + keys, line)
            at = _skip_value(text, at)
        at = _skip(_SPACE, text, at)


def _entered(place: Place, keys: Place, counts: dict[Place, int]) -> Place:
    """Return the place of `keys` below `place`: of an array of tables, the last one."""
    for key in keys:
        place += (key,)
        if place in counts:
            place += (counts[place] - 1,)
    return place


def _keys(text: str, at: int) -> tuple[Place, int]:
    keys: list[str] = []
    while (match := _PART.match(text, at)) is not None:
        keys.append(_plain(match[0]))
        at = match.end()
        if (dot := _DOT.match(text, at)) is None:
            break
        at = dot.end()
    return tuple(keys), at


def _plain(key: str) -> str:
    if key.startswith("'"):
        return key[1:-1]
    if not key.startswith('"'):
        return key
    return str(tomllib.loads(f"key = {key}")["key"]) if "\\" in key else key[1:-1]


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()


def _skip_value(text: str, at: int) -> int:
    """Return where the value that follows the key before `at` ends: at the end of its last line."""
    depth = 0
    while at < len(text) and (token := _TOKEN.match(text, at)) is not None:
        if token[0] == "\n" and depth == 0:
            break
        depth += (token[0] in "[{") - (token[0] in "]}")
        at = token.end()
    return at
