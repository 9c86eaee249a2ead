"""What holds for every document: links lead somewhere, and nothing outside the house is named."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("changelog.d/*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_CODE = re.compile(r"```.*?```", re.DOTALL)
_KINDS = {"added", "changed", "fixed", "removed", "security"}


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings."""
    text = _CODE.sub("", path.read_text(encoding="utf-8"))
    headings = (re.sub(r"[^\w\- ]", "", heading).lower() for heading in _HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = _CODE.sub("", path.read_text(encoding="utf-8"))
    for link in _LINK.findall(text):
        if link.startswith(("https://", "http://")):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path

        assert target.is_relative_to(ROOT)
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_are_tidy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\t" not in text
    assert not re.search(r" +$", text, re.MULTILINE)


def test_changelog_fragments_have_a_kind() -> None:
    fragments = [path.name for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md"]

    assert fragments
    for name in fragments:
        slug, kind, suffix = name.split(".")
        assert slug
        assert kind in _KINDS
        assert suffix == "md"
