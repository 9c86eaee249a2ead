"""What the tests of the documents share: reading their tables and code."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| (.*) \|$", re.MULTILINE)
_RULE = re.compile(r"^[-| ]+$")


class Document:
    """A Markdown file."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")

    def table(self, title: str) -> dict[str, list[str]]:
        """Return the cells after the first, by the first, of the table with this first title.

        Backquotes around a cell are left out.
        """
        (begin,) = (match.start() for match in _ROW.finditer(self.text) if title == _first(match))
        lines = self.text[begin:].split("\n\n")[0].splitlines()[1:]
        rows = [[cell.strip(" `") for cell in line[1:-1].split("|")] for line in lines]
        return {row[0]: row[1:] for row in rows if not _RULE.match(row[0])}

    def section(self, heading: str) -> str:
        """Return what is below a heading, up to the next one of any level."""
        (text,) = re.findall(
            rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", self.text, re.MULTILINE | re.DOTALL
        )
        return str(text)

    def code(self, language: str) -> list[str]:
        """Return the blocks of code in a language."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)


def _first(match: re.Match[str]) -> str:
    return match[1].split(" | ")[0].strip()


@pytest.fixture(scope="session")
def document() -> Callable[[str], Document]:
    """Return a reader of documents, by their paths in the repository."""
    return lambda path: Document(ROOT / path)
