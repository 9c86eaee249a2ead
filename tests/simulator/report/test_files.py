"""A report's files: complete, by themselves, and read back as they were."""

import csv
import html.parser
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aerostat.errors import MissingError, UsageError
from aerostat.simulator.report import files
from aerostat.simulator.report.page import page
from aerostat.simulator.report.rows import Study


class Tags(html.parser.HTMLParser):
    """What a page's tags are, and whether each is closed."""

    VOID = frozenset({"meta", "rect", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(study: Study, tmp_path: Path) -> None:
    index = files.write(study, tmp_path / "out")
    text = index.read_text()
    tags = Tags()
    tags.feed(text)

    assert tags.open == []
    assert all((index.parent / link).is_file() for link in tags.links)
    assert {path.name for path in index.parent.iterdir()} == {*tags.links, "index.html"}
    assert not re.search(r"@import|url\(|<script|http-equiv", text)
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_says_what_was_run(study: Study) -> None:
    text = page(study)

    assert "aerostat simulate &lt;all&gt;" in text
    assert "2 families, 4 policies, 2 seeds (1, 2); guests that tell 16 tags" in text
    assert '<p class="quiet">A note.</p>' in text
    assert "Compilers &amp; linkers." in text
    assert '<tr class="ours"><td>aerostat</td><td>20</td><td>2.00x</td>' in text


def test_the_rows_are_in_all_three_files(study: Study, tmp_path: Path) -> None:
    from pyarrow import parquet

    files.write(study, tmp_path)
    with (tmp_path / "results.csv").open() as file:
        plain = list(csv.DictReader(file))
    stored = json.loads((tmp_path / "results.json").read_text())
    table = parquet.read_table(tmp_path / "results.parquet").to_pylist()

    assert len(plain) == len(stored["rows"]) == len(table) == len(study.rows)
    assert table[0] == files.plain(study.rows[0])
    assert {name: str(value) for name, value in table[0].items()} == plain[0]
    assert stored["rows"][0]["seeds"] == [1, 2]


def test_reports_are_joined(study: Study, tmp_path: Path) -> None:
    for number, part in enumerate((study.rows[:9], study.rows[7:])):
        files.write(replace(study, rows=part), tmp_path / str(number))
    joined = files.join([tmp_path / "0", tmp_path / "1"], "again")

    assert joined.rows == study.rows
    assert joined.command == "again"
    assert joined.notes == ("From: aerostat simulate <all>",)


@pytest.mark.parametrize("text", ["", "[]", '{"rows": [{"part": "none"}]}', "\xff"])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text, encoding="latin-1")

    with pytest.raises(UsageError, match=r"results\.json: not the results of a simulation"):
        files.join([tmp_path], "")


def test_without_pyarrow_it_says_so_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(MissingError, match=r"pip install 'aerostat\[simulate\]'"):
        files.prepare(tmp_path / "out")
    assert not (tmp_path / "out").exists()
