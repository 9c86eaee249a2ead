"""JSON as somebody may send it who has read only half of what it should be. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from aerostat.testing.fuzz.source import Source

_DEEPEST = 4
_TEXTS = ("", "a", "0", "-1", "\u0000", "\ud800", "\u00e9\U0001f600", "x" * 300, "1e999")
_FLOATS = (0.5, -0.0, 1e300, -1e308, 1e-320, 2.0**53, 9.007199254740993e15)
_HUGE = 10**400


def value(source: Source, words: Sequence[str], depth: int = 0) -> Any:
    """Return any value; texts, and the keys of objects, are often one of `words`."""
    match source.below(10 if depth < _DEEPEST else 7):
        case 5 | 6:
            return word(source, words)
        case 7:
            return [value(source, words, depth + 1) for _ in range(source.below(5))]
        case 8 | 9:
            items = range(source.below(6))
            return {word(source, words): value(source, words, depth + 1) for _ in items}
        case _:
            return _plain(source)


def _plain(source: Source) -> Any:
    match source.below(5):
        case 0:
            return None
        case 1:
            return source.chance(50)
        case 2:
            return source.choose((*_FLOATS, _HUGE))
        case _:
            number = source.number(65)
            return -number if source.chance(20) else number


def word(source: Source, words: Sequence[str]) -> str:
    """Return one of `words`, or another text."""
    return source.choose(words) if words and source.chance(80) else source.choose(_TEXTS)


def spoil(source: Source, whole: Any, words: Sequence[str], times: int) -> Any:
    """Return `whole` with some values of it replaced, left out or doubled."""
    for _ in range(times):
        whole = _spoil_one(source, whole, words, 0)
    return whole


def _spoil_one(source: Source, whole: Any, words: Sequence[str], depth: int) -> Any:
    if isinstance(whole, dict) and whole and depth < 2 * _DEEPEST:
        key = source.choose(sorted(whole))
        rest = {name: part for name, part in whole.items() if name != key}
        if source.chance(10):
            return rest
        name = word(source, words) if source.chance(5) else key
        return rest | {name: _spoil_one(source, whole[key], words, depth + 1)}
    if isinstance(whole, list) and whole and depth < 2 * _DEEPEST and not source.chance(15):
        at = source.below(len(whole))
        if source.chance(15):
            return whole[:at] + whole[at + source.below(2) :] + whole[at:]
        return [*whole[:at], _spoil_one(source, whole[at], words, depth + 1), *whole[at + 1 :]]
    if source.chance(50):
        return _like(source, whole, words)
    return value(source, words, depth)


def _like(source: Source, whole: Any, words: Sequence[str]) -> Any:
    """Return a value of the same type, where there is one."""
    match whole:
        case bool():
            return not whole
        case int():
            return source.near(whole, 64) if source.chance(50) else source.number(64)
        case float():
            return source.choose((*_FLOATS, whole / 2, whole + 1))
        case str():
            return word(source, words)
        case _:
            return [] if isinstance(whole, list) else {}


def text(source: Source, whole: Any) -> bytes:
    """Return `whole` as text; sometimes a little damaged."""
    data = bytearray(json.dumps(whole, ensure_ascii=source.chance(50)).encode(errors="replace"))
    if source.chance(10) and data:
        at = source.below(len(data))
        data[at : at + source.below(4)] = source.blob(4)
    return bytes(data)
