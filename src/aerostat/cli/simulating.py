"""What ``aerostat simulate`` does: reads its options, shows how far it is, prints tables."""

import math
import multiprocessing
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from aerostat.daemon.policies import find, offers
from aerostat.errors import UsageError
from aerostat.model.dialects import Dialect
from aerostat.simulator import studies
from aerostat.simulator.report import files, sums
from aerostat.simulator.report.figures import dialect_words
from aerostat.simulator.report.rows import Study
from aerostat.simulator.report.tables import Table, family_table, mean_table, text_lines
from aerostat.simulator.scenarios import scenario
from aerostat.simulator.workloads import FAMILIES

_DEFAULT = ("aerostat", "static")
_ALL = "all"
_AUTO = "auto"
_DIALECTS = {
    Dialect.LINUX: "Linux since 6.12: all sixteen tags",
    Dialect.OLDER_LINUX: "Linux from 4.19: ten tags, no OOM kills, stalls, scans and reclaims",
    Dialect.OLD_LINUX: "Linux before 3.19: six tags, not what is available or cached",
    Dialect.WINDOWS: "Windows with the driver's service",
    Dialect.FREEBSD: "FreeBSD: free and total memory, and faults",
    Dialect.SILENT: "no statistics at all",
    Dialect.LIAR: "one that claims to starve, whatever it has",
}
_MOST_SEEDS = 1000
_MOST_GUESTS = 100_000
_SEEDS = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


def wanted(
    name: str,
    *,
    policies: Sequence[str],
    seeds: str,
    dialects: str,
    guests: str,
    seconds: int | None,
    losses: str,
    delays: str,
    tuned: bool,
    shard: str | None,
    record: bool,
) -> studies.Wanted:
    """Return what the options ask for. Raises `UsageError`."""
    scenario(name)  # raises, before anything is begun, where there is none
    return studies.Wanted(
        scenario=name,
        policies=policy_names(policies),
        seeds=seed_numbers(seeds),
        dialects=dialect_names(dialects),
        guests=_count(guests),
        seconds=None if seconds is None else float(seconds),
        losses=_numbers(losses, "--loss", 1.0),
        delays=_numbers(delays, "--delay", 3600.0),
        tuned=tuned,
        shard=studies.Shard() if shard is None else studies.shard(shard),
        record=record,
        command=_command_line(),
    )


def join(directories: Sequence[Path]) -> Study:
    """Return the study that these reports are parts of. Raises `UsageError`, `OSError`."""
    return files.join(directories, _command_line())


def _command_line() -> str:
    return shlex.join(["aerostat", *sys.argv[1:]])


def policy_names(given: Sequence[str]) -> tuple[str, ...]:
    """Return the policies that are named, each once; raises `UsageError` for an unknown one.

    A comma parts policies, and the knobs of one: what has an equals sign and no colon is a knob of
    the policy before it.
    """
    names: list[str] = []
    for word in (word.strip() for text in given for word in text.split(",")):
        if "=" in word and ":" not in word and names:
            names[-1] += f",{word}"
        elif word == _ALL:
            names += [offer.name for offer in offers() if not offer.problem]
        elif word:
            names.append(word)
    found = tuple(dict.fromkeys(names or _DEFAULT))
    for name in found:
        find(name)
    return found


def seed_numbers(text: str) -> tuple[int, ...]:
    """Return the seeds that ``1-4,9`` means, each once. Raises `UsageError`."""
    seeds: list[int] = []
    for word in text.split(","):
        match = _SEEDS.fullmatch(word.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= last - first < _MOST_SEEDS:
            raise UsageError(f"not seeds: {text!r}; write them as 1-4, or 1,3,7")
        seeds += range(first, last + 1)
    return tuple(dict.fromkeys(seeds))


def dialect_names(text: str) -> tuple[str, ...]:
    """Return the dialects that ``16,10,6`` names, each once. Raises `UsageError`."""
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    there = [dialect.value for dialect in Dialect]
    for name in names:
        if name not in there:
            raise UsageError(f"no dialect is called {name!r}; there are: {', '.join(there)}")
    return names


def _count(text: str) -> int | None:
    if text == _AUTO:
        return None
    if not (text.isdecimal() and 1 <= int(text) <= _MOST_GUESTS):
        raise UsageError(f"--guests: {text!r} is neither auto nor from 1 to {_MOST_GUESTS}")
    return int(text)


def _numbers(text: str, option: str, highest: float) -> tuple[float, ...]:
    try:
        values = sorted({float(word) for word in text.split(",")})
    except ValueError:
        values = [math.nan]
    if not all(0 <= value <= highest for value in values):
        raise UsageError(f"{option}: {text!r}; write numbers from 0 to {highest:g}, with commas")
    return tuple(values)


def run(wanted: studies.Wanted, jobs: int | None) -> Study:
    """Run what is wanted in so many processes; show how far it is, on a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("simulating"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[last]}"),
    )
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with executor(jobs or os.cpu_count() or 1) as doers, shown:
        task = shown.add_task("", total=None, last="")

        def progress(done: int, of: int, what: str) -> None:
            shown.update(task, completed=done, total=of, last=what)

        return studies.run(wanted, doers, progress)


@contextmanager
def executor(jobs: int) -> Iterator[Executor]:
    """Give what runs jobs: a thread, or processes; whoever waits no longer stops them."""
    doers: Executor
    if jobs == 1:
        doers = ThreadPoolExecutor(1)
    else:
        # Not by fork: the view of the progress has a thread.
        context = multiprocessing.get_context("forkserver")
        doers = ProcessPoolExecutor(jobs, mp_context=context, initializer=_quietly)
    try:
        yield doers
    finally:
        doers.shutdown(wait=True, cancel_futures=True)


def _quietly() -> None:
    """Let Ctrl-C end this process without a word: the one that started it has them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def known() -> dict[str, Any]:
    """Return what can be simulated, with words: families, policies, dialects."""
    return {
        "families": {family.name: family.words for family in FAMILIES.values()},
        "policies": {offer.name: offer.problem or offer.title for offer in offers()},
        "dialects": {dialect.value: words for dialect, words in _DIALECTS.items()},
    }


def list_lines(values: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield what can be simulated, for people."""
    for number, (title, entries) in enumerate(values.items()):
        if number:
            yield ""
        yield title.upper()
        width = max(map(len, entries), default=0)
        for name, words in entries.items():
            yield f"  {name.ljust(width)}  {words}".rstrip()


def as_json(study: Study) -> dict[str, Any]:
    """Return all rows, and what they come to over families."""
    families = sums.families(study.rows)
    means = {
        dialect: [
            {name: getattr(mean, name) for name in mean.__dataclass_fields__}
            for mean in sums.means([r for r in study.rows if r.dialect == dialect], dialect)
        ]
        for dialect in sums.dialects(study.rows)
    }
    return {**files.to_json(study), **({"means": means} if len(families) > 1 else {})}


def show(study: Study) -> None:
    """Print the tables: each family's, then all together."""
    tables: list[Table] = []
    for dialect in sums.dialects(study.rows):
        rows = [row for row in study.rows if row.dialect == dialect]
        families = sums.families(rows)
        tables += [
            family_table(f"{family}, {dialect_words(dialect)}", sums.lines(rows, family, dialect))
            for family in families
        ]
        if len(families) > 1:
            title = f"all families, {dialect_words(dialect)}"
            tables.append(mean_table(title, sums.means(rows, dialect), len(families)))
    for table, after in zip_longest(tables, tables[1:]):
        _print(table)
        if after is None or after.words != table.words:  # what says the same is said once
            click.echo(click.wrap_text(table.words, 100))
        if after is not None:
            click.echo()
    for note in study.notes:
        click.echo(note)


def _print(table: Table) -> None:
    click.echo(table.title)
    titles, *lines = text_lines(table)
    click.echo(titles)
    for line, row in zip(lines, table.rows, strict=True):
        click.secho(line, bold=table.is_ours(row) or None)
