"""Sweep settings of the engine: how many guests a host holds with each value.

    python tools/sweep_settings.py --set pool_share=0.01,0.02,0.04 --families steady,build
    python tools/sweep_settings.py --around 2 --json docs/sweep.json   # each, halved and doubled
    python tools/sweep_settings.py --table docs/sweep.json             # what came of it, as text

Each value is tried by itself, the others as shipped; the first line is what is shipped. A figure is
the density of one family on the seeds for tuning (`aerostat.simulator.density`), in hosts that are
full without any balloon; the mean is the geometric one over the families. What is in the file
already is not tried again, so that a sweep can be interrupted.
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from aerostat.engine.policies.aerostat import Aerostat
from aerostat.engine.settings import Settings
from aerostat.simulator.density import densities
from aerostat.simulator.setting import TUNING, Setting
from aerostat.simulator.workloads import FAMILIES

# Settings that say what an operator wants, or what holds of machines, or that only matter where
# something is broken: nothing that a simulated house of sound guests could tell anything about.
NOT_SWEPT = frozenset(
    {
        *("mode", "fresh_for", "silent_after", "longest_tick", "blind_factor", "fault_cluster"),
        *("patience", "patience_steps", "longest_patience", "stuck_for", "crawl_share"),
        *("gain_patience", "gain_least", "useless_for", "speed_weight"),
        *("monitor", "monitor_share", "overhead_rise", "overhead_fall"),
        *("smallest_move", "smallest_move_share", "host_floor_share"),
        *("half_host_pressure", "half_host_swap_out", "strain_begins", "strain_ends"),
        *("strain_rise", "strain_fall", "lid_fall", "lid_rise", "lid_lowest_share"),
    }
)


@dataclass(frozen=True)
class Found:
    """What came of one value."""

    setting: str
    """Empty for what is shipped."""
    value: float
    dialect: str
    guests: dict[str, int]
    """The most that a host holds, by family."""
    mean: float
    """Geometric, in hosts that are full without any balloon."""


def main() -> None:
    """Sweep, print a line for each value, and keep it where asked."""
    wanted = _arguments()
    if wanted.table:
        print("\n".join(table(read(Path(wanted.table)))))
        return
    found = read(Path(wanted.json)) if wanted.json and Path(wanted.json).exists() else []
    known = {(each.setting, each.value, each.dialect) for each in found}
    for name, value in _variants(wanted):
        for dialect in wanted.dialects.split(","):
            if (name, value, dialect) in known:
                continue
            found.append(_try(name, value, dialect, wanted))
            print(_line(found[-1]), flush=True)
            if wanted.json:
                rows = ",\n".join(json.dumps(asdict(each)) for each in found)
                Path(wanted.json).write_text(f"[\n{rows}\n]\n", encoding="utf-8")


def read(path: Path) -> list[Found]:
    """Return what an earlier sweep has found."""
    return [Found(**each) for each in json.loads(path.read_text(encoding="utf-8"))]


def table(found: Sequence[Found]) -> Iterator[str]:
    """Yield a table: each setting with less, as shipped, and with more."""
    shipped = {each.dialect: each.mean for each in found if not each.setting}
    yield "| swept | tags | less | density | shipped | density | more | density |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    defaults = Settings()
    for name in swept():
        for dialect, mean in shipped.items():
            tried = [each for each in found if (each.setting, each.dialect) == (name, dialect)]
            if not tried:
                continue
            default = float(getattr(defaults, name))
            less = [each for each in tried if each.value < default]
            more = [each for each in tried if each.value > default]
            middle = [f"{default:g}", f"{mean:.2f}"]
            cells = [f"`{name}`", dialect, *_cells(less), *middle, *_cells(more)]
            yield f"| {' | '.join(cells)} |"


def swept() -> list[str]:
    """Return the names of the settings that a sweep can tell something about."""
    return [field.name for field in fields(Settings) if field.name not in NOT_SWEPT]


def _cells(tried: Sequence[Found]) -> tuple[str, str]:
    if not tried:
        return "", ""
    return f"{tried[0].value:g}", f"{tried[0].mean:.2f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE,VALUE")
    parser.add_argument("--around", type=float, metavar="FACTOR", help="each, less and more")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--dialects", default="16")
    parser.add_argument("--seeds", default=",".join(map(str, TUNING)))
    parser.add_argument("--json", metavar="FILE", help="where it is kept")
    parser.add_argument("--table", metavar="FILE", help="print what a sweep has found")
    return parser.parse_args()


def _variants(wanted: Any) -> Iterator[tuple[str, float]]:
    """Yield what is shipped, then each value by itself."""
    defaults = Settings()
    yield "", 0.0
    for item in wanted.set:
        name, _, values = item.partition("=")
        if not hasattr(defaults, name):
            raise SystemExit(f"the engine has no setting {name!r}")
        yield from ((name, float(value)) for value in values.split(","))
    for name in swept() if wanted.around else ():
        shipped = float(getattr(defaults, name))
        yield name, shipped / wanted.around
        # What is a share of something cannot be more than all of it.
        yield name, min(shipped * wanted.around, 1.0) if shipped < 1.0 else shipped * wanted.around


def _try(name: str, value: float, dialect: str, wanted: argparse.Namespace) -> Found:
    policy = Aerostat.tuned(**({name: value} if name else {}))
    seeds = tuple(int(seed) for seed in wanted.seeds.split(","))
    guests, shares = {}, []
    families = wanted.families.split(",")
    settings = [Setting(family, seeds=seeds, dialect=dialect) for family in families]
    for family, most in zip(families, densities(settings, policy), strict=True):
        guests[family] = most.count
        shares.append(max(most.count, 0.5) / most.full)
    mean = math.exp(sum(math.log(share) for share in shares) / len(shares))
    return Found(name, value, dialect, guests, round(mean, 4))


def _line(found: Found) -> str:
    name = f"{found.setting}={found.value:g}" if found.setting else "as shipped"
    cells = " ".join(f"{family} {count}" for family, count in found.guests.items())
    return f"{name}, {found.dialect} tags: {found.mean:.3f}   {cells}"


if __name__ == "__main__":
    main()
