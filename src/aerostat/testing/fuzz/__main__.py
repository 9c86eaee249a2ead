"""``python -m aerostat.testing.fuzz``: fuzz what takes things that others send."""

import argparse
import logging
import sys
from pathlib import Path

from aerostat.errors import AerostatError
from aerostat.testing.fuzz.keeping import Store
from aerostat.testing.fuzz.oracle import Oracle
from aerostat.testing.fuzz.playing import Played, play
from aerostat.testing.fuzz.registry import NAMES, find
from aerostat.testing.fuzz.running import require_atheris, run_guided
from aerostat.testing.fuzz.target import Target

_CASES = 10_000
_COLUMNS = ("cases", "a second", "new coverage", "faults", "longest turn")
_WIDTHS = (10, 10, 14, 8, 14)
_HEADING = f"{'target':20}" + "".join(
    f"{column:>{width}}" for column, width in zip(_COLUMNS, _WIDTHS, strict=True)
)


def main() -> int:
    """Fuzz the targets that are named; return 0 where nothing was found, 1 where something was."""
    options = parser().parse_args()
    if options.list:
        for name in NAMES:
            print(f"{name:20} {find(name).about}")
        return 0
    logging.disable()  # what a target has to say of a case, nobody reads
    try:
        targets = [find(name) for name in options.targets or NAMES]
        if options.replay:
            return _replay(targets, options.replay)
        return _fuzz(targets, options)
    except AerostatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    made = argparse.ArgumentParser(prog="aerostat.testing.fuzz", description=__doc__)
    made.add_argument("targets", nargs="*", metavar="TARGET", help="all of them by default")
    made.add_argument("--list", action="store_true", help="say which targets there are")
    made.add_argument("--cases", type=int, help=f"of each target ({_CASES}, if no time is told)")
    made.add_argument("--minutes", type=float, help="of all targets together")
    made.add_argument("--seed", type=int, default=1, help="the same one makes the same cases")
    made.add_argument("--guided", action="store_true", help="by coverage; needs atheris")
    made.add_argument("--corpus", action="store_true", help="begin with the store's corpus")
    made.add_argument("--store", type=Path, default=Path("build/fuzz"), help="a directory")
    made.add_argument("--replay", type=Path, metavar="FILE", help="play one case, and no other")
    return made


def _replay(targets: list[Target], path: Path) -> int:
    (target,) = targets
    with Oracle(target).watching():
        finding = Oracle(target).judge(path.read_bytes())
    print(finding.trace if finding else "nothing is wrong with it")
    return int(finding is not None)


def _fuzz(targets: list[Target], options: argparse.Namespace) -> int:
    store = Store(options.store)
    seconds = None if options.minutes is None else options.minutes * 60 / len(targets)
    count = _CASES if options.cases is None and seconds is None else options.cases
    if options.guided:
        require_atheris()
    print(_HEADING, flush=True)
    found = 0
    for target in targets:
        if options.guided:
            played = run_guided(target, store, options.seed, count=count, seconds=seconds or 0)
        else:
            known = store.cases(target.name) if options.corpus else ()
            played = play(target, options.seed, count=count, seconds=seconds, known=known)
        found += len(played.findings)
        _tell(played, store)
    return int(found > 0)


def _tell(played: Played, store: Store) -> None:
    rate = played.cases / played.seconds if played.seconds else 0.0
    coverage = "" if played.coverage is None else f"{played.coverage:+}"
    longest = f"{played.longest * 1e3:.1f} ms" if played.longest else ""
    columns = f"{played.target:20}{played.cases:>10}{rate:>10.0f}{coverage:>14}"
    print(f"{columns}{len(played.findings):>8}{longest:>14}", flush=True)
    for finding in played.findings:
        print(f"    {finding.identity}: {store.keep(finding)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
