"""Lines of files that somebody else has made: checked, and never more than one in memory.

Adapter: reads the files that it is given, plain or compressed with gzip. Whatever is wrong with
them is a `UsageError` that names the file and the line.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aerostat.errors import UsageError

# The longest line of any of these traces has some hundred characters; this bounds what is read.
_LONGEST_LINE = 1 << 16
_GZIP = b"\x1f\x8b"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER = 40
MOST = float(1 << 53)
"""Beyond this a figure is no longer exact, and no machine has as much memory."""


class Row(NamedTuple):
    """The fields of a line."""

    path: Path
    line: int
    """Counted from 1."""
    fields: tuple[str, ...]

    def error(self, text: str) -> UsageError:
        """Return the error that this line is wrong in the way that `text` says."""
        return UsageError(f"{self.path}:{self.line}: {text}")

    def text(self, place: int, what: str) -> str:
        """Return a field. Raises `UsageError` where it is missing or empty."""
        text = self.fields[place] if place < len(self.fields) else ""
        if not text:
            raise self.error(f"{what} is missing")
        return text

    def number(
        self, place: int, what: str, *, low: float = 0.0, high: float = MOST, comma: bool = False
    ) -> float:
        """Return a field that is a number from `low` to `high`. Raises `UsageError`.

        Its decimals may follow a comma where `comma` says so.
        """
        text = self.text(place, what)
        if comma:
            text = text.replace(",", ".")
        if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
            raise self.error(f"{what} is not a number: {text[:_LONGEST_NUMBER]!r}")
        value = float(text)
        if not low <= value <= high:
            raise self.error(f"{what} is {text}, not from {low:g} to {high:g}")
        return value


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give the lines of a file that are not empty, with their numbers. Raises `UsageError`."""
    number = 0
    try:
        with path.open("rb") as plain:
            packed = plain.read(len(_GZIP)) == _GZIP
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise UsageError(f"{path}:{number}: a line of more than {_LONGEST_LINE} bytes")
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield number, text
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}:{number}: not text: {error}") from error
    except (EOFError, zlib.error) as error:
        raise UsageError(f"{path}:{number + 1}: compressed, and damaged: {error}") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error


def rows(path: Path, separator: str = ",") -> Iterator[Row]:
    """Give the lines of a file as fields, without the space and the quotes around each."""
    for number, text in lines(path):
        fields = (field.strip().strip('"').strip() for field in text.split(separator))
        yield Row(path, number, tuple(fields))
