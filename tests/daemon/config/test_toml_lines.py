"""Where keys stand: every key that `tomllib` finds has its line, whatever stands between them."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.daemon.config.toml_lines import Place, key_lines

TEXT = '''\
# a comment with key = 1
manage = true   # and another = 2

  interval =  1.0
text = "not [a] = table # nor a comment"
long = """
fake = 1
[fake]
\\""" = not the end"""
literal = \'\'\'
fake = 2\'\'\'
list = [
    "a", # ] no end
    { x = 1, y = "]" },
]
a.b . "c d" = 1
[host]
budget = "1GiB"
[[connector]]
kind = "qmp"
[[connector]]
kind = "libvirt"
[connector.more]
deep = 1
[guest."db-*"]
shares = 1
[guest.'x.y']
shares = 2
["qu\\u006fted"]
k = 1'''

LINES: dict[Place, int] = {
    ("manage",): 2,
    ("interval",): 4,
    ("text",): 5,
    ("long",): 6,
    ("literal",): 10,
    ("list",): 12,
    ("a", "b", "c d"): 16,
    ("host",): 17,
    ("host", "budget"): 18,
    ("connector", 0): 19,
    ("connector", 0, "kind"): 20,
    ("connector", 1): 21,
    ("connector", 1, "kind"): 22,
    ("connector", 1, "more"): 23,
    ("connector", 1, "more", "deep"): 24,
    ("guest", "db-*"): 25,
    ("guest", "db-*", "shares"): 26,
    ("guest", "x.y"): 27,
    ("guest", "x.y", "shares"): 28,
    ("quoted",): 29,
    ("quoted", "k"): 30,
}


def test_every_key_and_heading_has_its_line() -> None:
    tomllib.loads(TEXT)
    assert {line.place: line.line for line in key_lines(TEXT)} == LINES


@pytest.mark.parametrize("text", ["", "\n", "# only", "\r\n a = 1\r\n"])
def test_little(text: str) -> None:
    assert [line.place for line in key_lines(text)] == [(key,) for key in tomllib.loads(text)]


VALUES = st.sampled_from(
    ["1", '"#["', "'\"'", '"""\n[x]\ny = 1\n"""', "'''\n'a'\n'''", "[1, # ]\n 2]", "{ a = [1] }"]
)
KEYS = st.sampled_from(["a", "b-c", '"d e"', "'f'", '"\\u0067"', "1"])


@given(st.lists(st.tuples(KEYS, VALUES), max_size=6, unique_by=lambda pair: pair[0]))
def test_whatever_the_values_are_each_key_has_the_line_it_was_written_on(
    pairs: list[tuple[str, str]],
) -> None:
    text, expected, line = "", [], 1
    for key, value in pairs:
        expected.append(line)
        written = f"{key} = {value}  # {key} = 3\n"
        text += written
        line += written.count("\n")
    found = list(key_lines(text))
    assert [one.line for one in found] == expected
    assert [one.place for one in found] == [(key,) for key in _keys(tomllib.loads(text))]


def _keys(table: dict[str, Any]) -> Iterator[str]:
    yield from table
