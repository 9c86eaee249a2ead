"""The framer: where messages begin and end, however the stream is cut."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.qmp.framing import (
    MAX_DEPTH,
    Framer,
    LineFramer,
    Malformed,
    OversizeError,
    decode,
    encode,
)

LIMIT = 300

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)
# Text that is nearly JSON finds more than random bytes do.
SCRAPS = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"\n",
        b"\r\n",
        b":",
        b",",
        b" ",
        b"\xff",
        b"\0",
        b"1",
        b"1e999",
        b"NaN",
        b"-",
        b'{"a":1}',
        b'{"a":"}\\""}',
        b'{"a":1,"a":2}',
        b'"\\u',
        b"true",
        b"x" * 60,
    ]
)
STREAMS = st.lists(SCRAPS | OBJECTS.map(encode) | st.binary(max_size=4), max_size=20).map(b"".join)


def drain(framer: Framer | LineFramer) -> list[object]:
    """Take what messages there are; an oversize one is the last."""
    found: list[object] = []
    try:
        while (message := framer.next_message()) is not None:
            found.append(message)
    except OversizeError:
        found.append("oversize")
    return found


def cut(framer: Framer | LineFramer, stream: bytes, sizes: list[int]) -> list[object]:
    found: list[object] = []
    position = 0
    while position < len(stream) and "oversize" not in found:
        size = sizes[len(found) % len(sizes)]
        framer.feed(stream[position : position + size])
        position += size
        found += drain(framer)
    return found


@given(STREAMS, st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_how_the_stream_is_cut_makes_no_difference(stream: bytes, sizes: list[int]) -> None:
    framers: list[Callable[[], Framer | LineFramer]] = [lambda: Framer(LIMIT), LineFramer]
    for new in framers:
        whole = new()
        whole.feed(stream)
        expected = drain(whole)
        assert cut(new(), stream, [1]) == expected
        assert cut(new(), stream, sizes) == expected


@given(st.lists(OBJECTS, max_size=5), st.sampled_from([None, 2]), st.sampled_from(["", "\n", " "]))
def test_objects_arrive_as_they_were_sent(
    objects: list[dict[str, object]], indent: int | None, separator: str
) -> None:
    framer = Framer(100_000)
    framer.feed(separator.join(json.dumps(item, indent=indent) for item in objects).encode())
    assert drain(framer) == objects


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"nonsense\n", ["JSON parse error"]),
        (b"[1, 2]", ["QMP input must be a JSON object"]),
        (b"}", ["JSON parse error"]),
        (b'{"a": "unterminated\n{}', ["line break in a string", {}]),
        (b'{"a": 1, "a": 2}\n{}', ["duplicate key", {}]),
        (b'{"a": NaN}{"a": 1e999}{"a": -Infinity}', ["invalid keyword", "out of range", "keyword"]),
        (b"\xff\n{}", ["parse error", {}]),
        (b'{"a": "\xff"}{}', ["codec can't decode", {}]),
        (b'{"a": ' + b"9" * 200 + b"}", [{"a": int("9" * 200)}]),
    ],
)
def test_what_is_malformed_does_not_hide_what_follows(
    stream: bytes, expected: list[object]
) -> None:
    framer = Framer(LIMIT)
    framer.feed(stream)
    found = drain(framer)
    assert len(found) == len(expected)
    for message, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, str):
            assert isinstance(message, Malformed)
            assert wanted in message.description
        else:
            assert message == wanted


def test_nesting_is_bounded_whether_or_not_the_line_is_whole() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}\n"

    framer = Framer(100_000)
    framer.feed(nested(MAX_DEPTH) + nested(MAX_DEPTH + 1) + nested(20_000) + b"{}")
    first, second, third, last = drain(framer)
    assert isinstance(first, dict)
    assert second == third == Malformed("JSON nesting depth limit exceeded")
    assert last == {}


def test_many_brackets_are_not_mistaken_for_deep_ones() -> None:
    wide: dict[str, object] = {"a": [{} for _ in range(3 * MAX_DEPTH)]}
    framer = Framer(10_000)
    framer.feed(encode(wide))
    assert drain(framer) == [wide]


@pytest.mark.parametrize("start", [b'{"a": "', b"{", b"[", b"x"])
def test_a_message_without_end_is_refused_at_the_limit(start: bytes) -> None:
    framer = Framer(LIMIT)
    framer.feed((start + b"x" * LIMIT)[:LIMIT])
    assert framer.next_message() is None
    framer.feed(b"x")
    with pytest.raises(OversizeError):
        framer.next_message()


def test_a_whole_message_beyond_the_limit_is_refused_too() -> None:
    framer = Framer(LIMIT)
    framer.feed(encode({"a": "x" * LIMIT}))
    with pytest.raises(OversizeError):
        framer.next_message()


@given(st.lists(OBJECTS, max_size=5), st.binary(max_size=5))
def test_lines_arrive_as_they_were_sent(objects: list[dict[str, object]], rest: bytes) -> None:
    framer = LineFramer()
    framer.feed(b"".join(encode(item) for item in objects) + rest.replace(b"\n", b""))
    assert drain(framer) == objects


def test_a_line_is_decoded_however_deep_it_is() -> None:
    framer = LineFramer()
    framer.feed(b'{"a":' + b"[" * 200_000 + b"\nnonsense\n\n[]\n" + encode({"a": 1}))
    deep, nonsense, empty, array, good = drain(framer)
    assert deep == Malformed("JSON nesting depth limit exceeded")
    assert all(isinstance(message, Malformed) for message in (nonsense, empty, array))
    assert good == {"a": 1}


def test_numbers_of_too_many_digits_are_malformed() -> None:
    assert isinstance(decode(b'{"a": ' + b"9" * 5000 + b"}"), Malformed)


def test_encoding_is_one_ascii_line() -> None:
    assert encode({"a": "é\n"}) == b'{"a": "\\u00e9\\n"}\r\n'
