"""Text as manual pages are written: ``man(7)``. Pure."""

import re
from collections.abc import Iterable, Mapping

# What click has before a paragraph whose lines stay as they are.
AS_IT_IS = "\b\n"


def escape(text: str) -> str:
    """Return `text` so that it is printed as it is, and can be copied from a terminal."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    safe = safe.replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return "\n".join("\\&" + line if line.startswith(".") else line for line in safe.split("\n"))


def bold(text: str) -> str:
    """Return `text` in bold."""
    return f"\\fB{escape(text)}\\fR"


def title(name: str, number: int, version: str) -> str:
    """Return the beginning of the page of `name`, of a section of the manual."""
    # No date: a page is of a version, and the same whenever it is made.
    return f'.TH {name.upper()} {number} "" "aerostat {version}" "aerostat"\n'


def section(heading: str, body: str) -> str:
    """Return a section; `body` is ready and ends its last line."""
    return f".SH {heading}\n{body}" if body else ""


def paragraphs(texts: Iterable[str]) -> str:
    """Return paragraphs; the lines of one that begins with `AS_IT_IS` stay."""
    return ".PP\n".join(
        verbatim(text.removeprefix(AS_IT_IS))
        if text.startswith(AS_IT_IS)
        else escape(" ".join(text.split())) + "\n"
        for text in texts
    )


def verbatim(text: str) -> str:
    """Return lines as they are."""
    return f".nf\n{escape(text)}\n.fi\n"


def terms(described: Mapping[str, str]) -> str:
    """Return terms with what they mean, each as plain text."""
    return "".join(f".TP\n{bold(term)}\n{escape(text)}\n" for term, text in described.items())


def from_markdown(text: str) -> str:
    """Return one line of Markdown: code becomes bold, links their words."""
    text = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text)
    pieces = text.split("`")
    return "".join(
        bold(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )
