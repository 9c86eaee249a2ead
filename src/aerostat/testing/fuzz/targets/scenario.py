"""Scenario files of the simulator."""

import tomllib

import numpy as np

from aerostat.daemon.config.source import Document
from aerostat.errors import UsageError
from aerostat.simulator.scenarios import from_toml
from aerostat.testing.fuzz.source import Source
from aerostat.testing.fuzz.target import Target
from aerostat.testing.fuzz.targets import toml_text

_TEXT = b"""\
title = "Three web servers to a nightly batch"
seconds = 1200
budget = "16GiB"

[[guests]]
family = "diurnal"
share = 3

[[guests]]
max_size = "2GiB"
arrives = 120
grow_rate = "128MiB"
moments = [
    { at = 0, hold = "200MiB" },
    { at = 600, hold = "1.5GiB", cold = "300MiB", read_rate = "20MiB", read_span = "1GiB" },
]
bursts = [{ at = 300, size = "1GiB", seconds = 20 }]
plugs = [{ at = 800, size = "2GiB" }]
silent_from = 600
"""
_OTHER = b"""\
[[guests]]
max_size = "512MiB"
swap_size = "1GiB"
guarantee = "64MiB"
shares = 2.5
deflate_on_oom = true
reporting = true
dialect = "10"
departs = 700.0
moments = [{ at = 0, mapped = "1MiB", skew = 2.0, write_rate = "1MiB" }]
[[guests]]
family = "liar"
bursts = [{ at = 1, size = "1MiB" }]
"""
_WORDS = tuple(
    b"title|seconds|budget|guests|family|trace|share|bursts|plugs|silent_from|max_size|swap_size"
    b"|guarantee|shares|deflate_on_oom|reporting|dialect|grow_rate|arrives|departs|moments|at|hold"
    b"|cold|mapped|read_rate|read_span|skew|write_rate|size|diurnal|steady|leak|build|jvm|liar"
    b'|inf|nan|-1|1e308|0|1e-320|8PiB|0MiB|1B|"|=|[[|]]|{|}|,|\n|6|10|16'.split(b"|")
)  # fmt: skip


_TABLES = tuple(tomllib.loads(text.decode()) for text in (_TEXT, _OTHER))
_TEXTS = tuple(word.decode() for word in _WORDS if len(word) > 1)


def run(case: bytes) -> None:
    """Read a scenario, and make some guests of it."""
    text = case.decode("utf-8", "replace")
    if case[:1] == b"\x01":
        text = toml_text.spoiled(Source(case[1:]), _TABLES, _TEXTS)
    scenario = from_toml(Document.of(text, "fuzz.toml"), "fuzz")
    assert scenario.seconds >= 1
    assert scenario.budget > 0
    for family in scenario.families:
        for guest in family.guests(1, 4, scenario.seconds):
            assert guest.max_size > 0
            assert np.isfinite(guest.max_size)


def _seeds() -> tuple[bytes, ...]:
    structured = (b"\x01" + bytes([7 * number, 99, number, 200, number]) for number in range(20))
    return (_TEXT, _OTHER, *structured)


TARGET = Target(
    "scenario",
    "scenario files of the simulator",
    run,
    allowed=(UsageError,),
    seeds=_seeds,
    words=_WORDS,
    longest=2048,
    text=True,
)
