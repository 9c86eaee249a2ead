"""Sweep settings of the engine: how many guests a host holds with each value, family by family.

    python tools/sweep_settings.py --set pool_share=0.01,0.02,0.04 --families steady,build
    python tools/sweep_settings.py --set growth_memory=120,900 --set reaction_time=1.3,2 --json out

Each value of each `--set` is tried by itself, the others as shipped; the first line is what is
shipped. Counts of guests are tried one by one on the seeds for tuning; a cell is the largest below
the first that harms somebody: more than 2 % of its work lost by the 99th of a hundred guests, or
anything killed. After it stand the slowdown and the kills at that first one.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from aerostat.engine.policies.aerostat import Aerostat
from aerostat.engine.settings import Settings
from aerostat.simulator.density import well
from aerostat.simulator.report.rows import Part
from aerostat.simulator.setting import TUNING, Setting
from aerostat.simulator.workloads import FAMILIES


@dataclass(frozen=True)
class Found:
    """What came of one value, family and dialect."""

    values: dict[str, float]
    """Settings that are not as shipped."""
    family: str
    dialect: str
    guests: int
    next_slowdown: float
    """Of the 99th of a hundred guests, with the first number that harms somebody."""
    next_kills: float


def main() -> None:
    """Sweep, print a table, and write JSON where asked."""
    wanted = _arguments()
    found: list[Found] = []
    for values in _variants(wanted.set):
        row = [
            _try(values, family, dialect, wanted)
            for dialect in wanted.dialects.split(",")
            for family in wanted.families.split(",")
        ]
        found += row
        print(_line(values, row), flush=True)
    if wanted.json:
        text = json.dumps([asdict(each) for each in found], indent=1)
        Path(wanted.json).write_text(text + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE,VALUE")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--dialects", default="16,10,6")
    parser.add_argument("--seeds", default=",".join(map(str, TUNING)))
    parser.add_argument("--counts", default="8-24", metavar="FROM-TO")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def _variants(said: Sequence[str]) -> Iterator[dict[str, float]]:
    """Yield what is shipped, then each value by itself."""
    names = {field.name for field in fields(Settings)}
    yield {}
    for item in said:
        name, _, values = item.partition("=")
        if name not in names:
            raise SystemExit(f"the engine has no setting {name!r}")
        yield from ({name: float(value)} for value in values.split(","))


def _try(values: dict[str, float], family: str, dialect: str, wanted: argparse.Namespace) -> Found:
    policy = Aerostat.tuned(**values)
    seeds = tuple(int(seed) for seed in wanted.seeds.split(","))
    setting = Setting(family, seeds=seeds, dialect=dialect)
    low, _, high = wanted.counts.partition("-")
    counts = range(int(low), int(high) + 1)
    guests = 0
    for row in setting.rows(setting.run(policy, counts), policy.name, Part.SEARCH):
        if not well(row):
            return Found(values, family, dialect, guests, row.p99_slowdown, row.kills)
        guests = row.guests
    return Found(values, family, dialect, guests, math.nan, math.nan)


def _line(values: dict[str, float], row: list[Found]) -> str:
    name = ", ".join(f"{name}={value:g}" for name, value in values.items()) or "as shipped"
    mean = math.exp(sum(math.log(max(each.guests, 1)) for each in row) / len(row))
    cells = (
        f"{each.family}/{each.dialect} {each.guests}"
        f" ({each.next_slowdown:.1%}, {each.next_kills:.0f})"
        for each in row
    )
    return f"{name}: {mean:.2f}   {'  '.join(cells)}"


if __name__ == "__main__":
    main()
