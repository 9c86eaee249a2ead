"""Run every bench, write ``build/bench.json``, and show a table.

Each ``bench/bench_*.py`` runs as a process of its own, so that none finds what another has left,
and one that fails does not stop the rest. One for which something is missing here is skipped, and
says what. Exits with 1 if a bench failed to run; a goal that was missed is shown, and is no
failure: how much was missed, and on which machine, is for a person to judge.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from aerostat.testing.processes import places, sessions

BENCHES = Path(__file__).resolve().parent
RESULTS = BENCHES.parent / "build" / "bench.json"

# Seconds until a bench counts as hung. On an idle machine each takes 2 to 20, with real guests 200.
PATIENCE = 900.0

FIELDS = ("name", "unit", "ours", "rival", "rival_name", "ratio", "goal", "met")

Figure = dict[str, Any]


class BenchFailedError(Exception):
    """A bench did not run to its end, or did not say what it should."""


class BenchSkippedError(Exception):
    """A bench cannot run here: something is missing."""


def find(directory: Path, wanted: Sequence[str]) -> list[str]:
    """Return the names of the benches in `directory`: all, or those asked for."""
    names = sorted(path.stem.removeprefix("bench_") for path in directory.glob("bench_*.py"))
    unknown = set(wanted) - set(names)
    if unknown:
        raise SystemExit(f"no bench named {', '.join(sorted(unknown))}; there are {names}")
    return [name for name in names if not wanted or name in wanted]


def run(name: str, *, quick: bool, directory: Path, patience: float = PATIENCE) -> list[Figure]:
    """Run one bench of `directory` and return its figures.

    Raises `BenchFailedError`, or `BenchSkippedError` with what is missing.
    """
    command = [sys.executable, "-m", f"{directory.name}.bench_{name}", *(["--quick"] * quick)]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        subprocess.Popen(
            command,
            cwd=directory.parent,
            env=os.environ | {"TMPDIR": scratch},
            stdout=subprocess.PIPE,
            process_group=0,
        ) as process,
    ):
        try:
            output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired as error:
            raise BenchFailedError(f"not done after {patience:g} s") from error
        finally:
            end_group(process.pid)
            for left in places.run_directories(Path(scratch)):
                sessions.sweep(left)  # its guests are in sessions of their own
    if process.returncode:
        raise BenchFailedError(f"it ended with {process.returncode}")
    return read(output)


def end_group(group: int) -> None:
    """End a bench, and whatever it has started and left behind."""
    with contextlib.suppress(ProcessLookupError):  # as it should be
        os.killpg(group, signal.SIGKILL)


def read(output: bytes) -> list[Figure]:
    """Return the figures that a bench has printed. Raises as `run` does."""
    try:
        figures = json.loads(output)
    except ValueError as error:
        raise BenchFailedError(f"it printed no JSON: {error}") from error
    match figures:
        case {"skipped": str(reason)}:
            raise BenchSkippedError(reason)
    if not isinstance(figures, list) or not figures:
        raise BenchFailedError("it printed no list of figures")
    for figure in figures:
        if not isinstance(figure, dict) or set(figure) != set(FIELDS):
            raise BenchFailedError(f"not a figure: {figure!r:.200}")
    return figures


def show(console: Console, figures: Sequence[Figure]) -> None:
    """Print the table for people."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", ratio=1)
    for heading in ("ours", "rival", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("goal", no_wrap=True)
    table.add_column("", no_wrap=True)
    for figure in figures:
        table.add_row(
            f"{figure['name']}\n[dim]{figure['unit']}; rival: {figure['rival_name']}[/dim]",
            rounded(figure["ours"]),
            rounded(figure["rival"]),
            rounded(figure["ratio"]),
            figure["goal"].replace(" and ", "\n"),
            "[green]met[/green]" if figure["met"] else "[red]missed[/red]",
        )
    console.print(table)


def rounded(value: float) -> str:
    """Return a figure with three digits that count, and without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main(
    arguments: Sequence[str] | None = None, directory: Path = BENCHES, results: Path = RESULTS
) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="the benches to run; default: all")
    parser.add_argument("--quick", action="store_true", help="a rough answer, soon")
    options = parser.parse_args(arguments)
    console = Console()
    figures: list[Figure] = []
    failed = False
    for name in find(directory, options.names):
        began = time.monotonic()
        try:
            figures += run(name, quick=options.quick, directory=directory)
        except BenchSkippedError as error:
            console.print(f"[yellow]{name} skipped:[/yellow] {error}", highlight=False)
        except BenchFailedError as error:
            failed = True
            console.print(f"[red]{name} failed:[/red] {error}", highlight=False)
        else:
            console.print(f"{name}: {time.monotonic() - began:.1f} s", highlight=False)
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(figures, indent=2) + "\n")
    show(console, figures)
    console.print(f"written to {results}", highlight=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
