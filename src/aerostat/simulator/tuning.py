"""Finds the best knobs of policies: the same number of tries, on the same guests, for each.

Adapter; a command of its own, ``python -m aerostat.simulator.tuning``, for it takes hours. A policy
is tried as it is shipped and with settings of its knobs (`KNOBS`) that fill their ranges evenly: a
Latin hypercube, drawn from a seed. All are tried on few guests for a short time, the best quarter
of them and the shipped one again on all. The score is density, in the geometric mean over the
families; of equals, less harm at that density. Only the seeds for tuning are used.

What was found is kept in ``tuned.toml``, which `tuned` reads: a table for each dialect and policy.
"""

import argparse
import math
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aerostat.engine.policies.base import Knob, knobs_of
from aerostat.engine.policies.catalogue import POLICIES
from aerostat.errors import UsageError
from aerostat.simulator.report.rows import Part, Row
from aerostat.simulator.setting import TUNING, Setting
from aerostat.simulator.sweep import Task, run
from aerostat.simulator.workloads import FAMILIES
from aerostat.units import MIB

TABLE = "tuned.toml"
DIALECTS = ("16", "10", "6")

_SEED = 20
_LEAST = 0.5
"""Guests that a policy counts as holding that harms even one: a geometric mean knows no zero."""


class Score(NamedTuple):
    """How good a policy is with some knobs; the larger, the better."""

    density: float
    """Guests for each that would fit with all its memory, geometric mean over the families."""
    calm: float
    """Minus the mean over the families of the slowdown at that density."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best knobs of a policy for guests of a dialect."""

    policy: str
    dialect: str
    run_as: str
    """The policy with its knobs, as `aerostat simulate --policy` takes it."""
    density: float
    as_shipped: float
    """The density with the knobs that it is shipped with."""
    tries: int


@dataclass(frozen=True, slots=True)
class Trials:
    """On what policies are tried."""

    families: tuple[str, ...] = tuple(FAMILIES)
    seeds: tuple[int, ...] = TUNING
    seconds: float = 1200.0
    budget: int = 16
    """How many settings of its knobs each policy is tried with."""

    def first(self) -> list[Setting]:
        """Return the settings of the first round: half the seeds, for half the time."""
        half = self.seeds[: (len(self.seeds) + 1) // 2]
        return [replace(each, seeds=half, seconds=self.seconds / 2) for each in self.second()]

    def second(self) -> list[Setting]:
        """Return the settings of the second round."""
        return [Setting(name, seeds=self.seeds, seconds=self.seconds) for name in self.families]


def tuned(dialect: str | None = None) -> dict[str, str]:
    """Return what each policy is run as when it is tuned for guests of a dialect.

    What was not tuned for that dialect is run as for 16 statistics: most rivals read no more than
    any guest sends. Policies that were not tuned at all are not in it.
    """
    try:
        table = tomllib.loads(files("aerostat.simulator").joinpath(TABLE).read_text())
    except FileNotFoundError:
        return {}
    most = DIALECTS[0]
    entries: Mapping[str, Any] = {**table.get(most, {}), **table.get(dialect or most, {})}
    return {name: str(entry["run_as"]) for name, entry in entries.items()}


def candidates(name: str, policy: type[Any], count: int) -> list[str]:
    """Return the policy as shipped, and with settings of its knobs: `count` names in all."""
    knobs = knobs_of(policy)
    if not knobs:
        return [name]
    rng = np.random.default_rng([_SEED, count, len(knobs)])
    cells = np.array([rng.permutation(count - 1) for _ in knobs], dtype=np.float64)
    shares = (cells + rng.random(cells.shape)) / max(count - 1, 1)
    settings = [
        ",".join(
            f"{knob}={_text(of, share)}"
            for (knob, of), share in zip(knobs.items(), row, strict=True)
        )
        for row in shares.T
    ]
    return [name, *(f"{name}:{setting}" for setting in settings)]


def _text(knob: Knob, share: float) -> str:
    """Return the value that lies so far on the way through a knob's range, to three digits."""
    if knob.logarithmic:
        value = knob.low * (knob.high / knob.low) ** share
    else:
        value = knob.low + (knob.high - knob.low) * share
    return f"{value / MIB:.0f}MiB" if knob.high >= MIB else f"{value:.3g}"


def tune(
    name: str,
    dialect: str,
    trials: Trials,
    executor: Executor | None = None,
    *,
    policy: type[Any] | None = None,
) -> Tuned:
    """Return the best knobs of a policy. Raises `UsageError`."""
    if trials.budget < 1:
        raise UsageError("a policy is tried once at least")
    if policy is None and name not in POLICIES:
        raise UsageError(f"no policy is called {name!r}; there is {', '.join(POLICIES)}")
    specs = candidates(name, policy or POLICIES[name], trials.budget)
    best = specs
    if len(specs) > 2:
        scores = _scores(specs, dialect, trials.first(), executor)
        ranking = sorted(specs[1:], key=lambda spec: scores[spec], reverse=True)
        best = [name, *ranking[: math.ceil(len(specs) / 4)]]
    scores = _scores(best, dialect, trials.second(), executor)
    # The shipped one comes first, and another has to be better.
    winner = max(best, key=lambda spec: scores[spec])
    return Tuned(
        policy=name,
        dialect=dialect,
        run_as=winner,
        density=scores[winner].density,
        as_shipped=scores[name].density,
        tries=len(specs),
    )


def _scores(
    specs: Sequence[str], dialect: str, settings: Sequence[Setting], executor: Executor | None
) -> dict[str, Score]:
    """Return the score of each policy in these settings."""
    tasks = [Task(replace(each, dialect=dialect), spec) for spec in specs for each in settings]
    rows = run(tasks, executor)
    many = len(settings)
    return {
        spec: score(rows[many * place : many * (place + 1)], [each.full() for each in settings])
        for place, spec in enumerate(specs)
    }


def score(found: Sequence[Sequence[Row]], full: Sequence[float]) -> Score:
    """Return the score of what was found in some settings, where so many guests would fit."""
    logs: list[float] = []
    harm: list[float] = []
    for rows, fitting in zip(found, full, strict=True):
        best = next((row for row in rows if row.part is Part.DENSITY), None)
        logs.append(math.log((best.guests if best else _LEAST) / max(fitting, 1.0)))
        harm.append(best.p99_slowdown if best else 1.0)
    return Score(math.exp(math.fsum(logs) / len(logs)), -math.fsum(harm) / len(harm))


def write(path: Path, found: Iterable[Tuned]) -> None:
    """Write what was found into a table; what it has of other policies and dialects stays."""
    table: dict[str, dict[str, Any]] = tomllib.loads(path.read_text()) if path.exists() else {}
    for one in found:
        table.setdefault(one.dialect, {})[one.policy] = {
            "run_as": one.run_as,
            "density": round(one.density, 3),
            "as_shipped": round(one.as_shipped, 3),
            "tries": one.tries,
        }
    lines = [
        "# The best knobs of policies, found by python -m aerostat.simulator.tuning: a table for",
        "# each dialect and policy. `density` is guests for each that would fit with all its",
        "# memory, the geometric mean over the families, on the seeds for tuning.",
    ]
    for dialect in sorted(table, key=_order):
        for policy in sorted(table[dialect]):
            lines += ["", f'["{dialect}".{policy}]']
            for key, value in table[dialect][policy].items():
                lines.append(f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}")
    path.write_text("\n".join(lines) + "\n")


def _order(dialect: str) -> tuple[int, str]:
    return (DIALECTS.index(dialect) if dialect in DIALECTS else len(DIALECTS), dialect)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tune policies from the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m aerostat.simulator.tuning", description="Find the best knobs of policies."
    )
    parser.add_argument("--policies", default=",".join(POLICIES), help="names, with commas")
    parser.add_argument("--dialects", default=",".join(DIALECTS), help="%(default)s")
    parser.add_argument("--families", default=",".join(FAMILIES), help="%(default)s")
    parser.add_argument("--budget", type=int, default=16, help="tries a policy: %(default)s")
    parser.add_argument("--seconds", type=float, default=1200.0, help="%(default)s")
    parser.add_argument("--jobs", type=int, default=1, help="processes: %(default)s")
    default = Path(__file__).parent / TABLE
    parser.add_argument("--out", type=Path, default=default, help="the table, which is added to")
    asked = parser.parse_args(arguments)
    trials = Trials(
        families=tuple(asked.families.split(",")), seconds=asked.seconds, budget=asked.budget
    )
    try:
        with ProcessPoolExecutor(asked.jobs) as executor:
            for name in asked.policies.split(","):
                for dialect in asked.dialects.split(","):
                    one = tune(name, dialect, trials, executor if asked.jobs > 1 else None)
                    write(asked.out, [one])
                    told = f"{dialect:>2} {one.run_as}: {one.density:.3f}"
                    sys.stdout.write(f"{told}, as shipped {one.as_shipped:.3f}\n")
                    sys.stdout.flush()
    except UsageError as error:
        sys.stderr.write(f"tuning: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
