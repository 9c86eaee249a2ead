"""Writes a report into a directory: the page, its pictures, and the rows in three formats.

Reads what it has written, to join the reports of several machines.
"""

import csv
import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import msgspec

from aerostat.errors import MissingError, UsageError
from aerostat.simulator.report.figures import figures
from aerostat.simulator.report.page import page
from aerostat.simulator.report.rows import Row, Study

_COLUMNS = [field.name for field in fields(Row)]


def prepare(directory: Path) -> None:
    """Make sure that a report can be written there, before hours go into what would be in it.

    Raises `MissingError` without pyarrow, `OSError`.
    """
    _pyarrow()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "index.html").touch()


def write(study: Study, directory: Path) -> Path:
    """Write all of a report into `directory`, which is made where there is none.

    Return the page's path. Raises `MissingError` without pyarrow, `OSError`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_parquet(study.rows, directory / "results.parquet")
    with (directory / "results.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain(row) for row in study.rows)
    (directory / "results.json").write_text(
        json.dumps(to_json(study), indent=2) + "\n", encoding="utf-8"
    )
    for figure in figures(study):
        (directory / f"{figure.name}.svg").write_text(figure.svg(), encoding="utf-8")
    index = directory / "index.html"
    index.write_text(page(study), encoding="utf-8")
    return index


def plain(row: Row) -> dict[str, Any]:
    """Return a row as numbers and text; its seeds as text, ``1 2 3``."""
    return asdict(row) | {"part": str(row.part), "seeds": " ".join(map(str, row.seeds))}


def to_json(study: Study) -> dict[str, Any]:
    """Return what was run and its rows, for JSON; sizes are bytes, times seconds."""
    values: dict[str, Any] = msgspec.to_builtins(Stored.of(study))
    return values


class Stored(msgspec.Struct, frozen=True):
    """What `results.json` has: a study without what was recorded of houses."""

    command: str
    version: str
    scenario: str
    notes: tuple[str, ...]
    families: dict[str, str]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, study: Study) -> "Stored":
        """Return what is stored of a study."""
        return cls(
            study.command, study.version, study.scenario, study.notes, study.words, study.rows
        )


def join(directories: Sequence[Path], command: str) -> Study:
    """Return the study that several reports are parts of, without houses over time.

    `command` is the command line that joins them. Raises `UsageError` where one is no report, and
    `OSError`.
    """
    parts = [_stored(directory) for directory in directories]
    first = parts[0]
    notes = [f"From: {part.command}" for part in parts]
    return Study(
        command=command,
        version=first.version,
        scenario=first.scenario,
        # A row that is in two of them is there once.
        rows=tuple(dict.fromkeys(row for part in parts for row in part.rows)),
        notes=tuple(dict.fromkeys(notes)),
        words={name: words for part in parts for name, words in part.families.items()},
    )


def _stored(directory: Path) -> Stored:
    file = directory / "results.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: not the results of a simulation: {error}") from error


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write rows as Parquet. Raises `MissingError` where pyarrow is not installed."""
    arrow, parquet = _pyarrow()
    parquet.write_table(arrow.Table.from_pylist([plain(row) for row in rows]), path)


def _pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet part, which are heavy, and only for who wants a report."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingError(
            "a report needs pyarrow; install it with: pip install 'aerostat[simulate]'"
        ) from error
