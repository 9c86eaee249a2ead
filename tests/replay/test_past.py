"""A guest's and a host's past, from ticks and from rolled-up rows, told and drawn."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from aerostat.daemon.journal.history import TICK, best_span, guest_history
from aerostat.daemon.journal.reading import FOREVER, NEVER, JournalReader
from aerostat.daemon.journal.schema import MINUTE, QUARTER
from aerostat.errors import UsageError
from aerostat.replay.chart import chart
from aerostat.replay.drawing import html, svg, write_picture
from aerostat.replay.past import Past, guest_past, host_past

BEGAN = 1.8e9


@pytest.fixture
def past(journal: Path) -> Past:
    with JournalReader(journal) as reader:
        return guest_past(reader, "fake:db", NEVER, FOREVER, TICK)


@pytest.fixture
def of_host(journal: Path) -> Past:
    with JournalReader(journal) as reader:
        return host_past(reader, NEVER, FOREVER)


def test_rows_of_any_span_tell_the_same(journal: Path) -> None:
    with JournalReader(journal) as reader:
        ticks, minutes, quarters = (
            guest_history(reader, "fake:db", span=span) for span in (TICK, MINUTE, QUARTER)
        )
        seen = [one.guests.guest_size[1] for one in reader.observations()]
    assert ticks.columns["guest_size_mean"].tolist() == seen
    for rolled in (minutes, quarters):
        assert rolled.count.sum() == len(ticks)
        for name in ("guest_size", "held", "available_memory", "pressure"):
            low, high = ticks.columns[f"{name}_min"], ticks.columns[f"{name}_max"]
            assert np.nanmin(rolled.columns[f"{name}_min"]) == np.nanmin(low)
            assert np.nanmax(rolled.columns[f"{name}_max"]) == np.nanmax(high)
        mean = np.average(rolled.columns["guest_size_mean"], weights=rolled.count)
        assert mean == pytest.approx(np.mean(seen), abs=1)  # rows keep whole bytes
    assert (minutes.start % MINUTE == 0).all()
    assert (quarters.start % QUARTER == 0).all()


def test_a_part_of_the_time(journal: Path) -> None:
    with JournalReader(journal) as reader:
        part = guest_past(reader, "fake:db", BEGAN + 10, BEGAN + 20, TICK)
        assert part.history.start.min() >= BEGAN + 10
        assert part.history.start.max() <= BEGAN + 20
        assert all(BEGAN + 10 <= move.wall <= BEGAN + 20 for move in part.moves)
        with pytest.raises(UsageError, match="nothing of db is recorded in that time"):
            guest_past(reader, "fake:db", 0.0, 1.0)


def test_rows_suit_the_time(journal: Path) -> None:
    with JournalReader(journal) as reader:
        assert best_span(reader, NEVER, FOREVER) == TICK
        assert best_span(reader, BEGAN - 7 * 86400, FOREVER) == TICK  # there is no more than that
        assert best_span(reader, BEGAN + 10, BEGAN + 20) == TICK


def test_what_is_missing_leaves_a_gap(past: Past) -> None:
    """Between the two managers nothing was seen."""
    fitted = past.fitted("guest_size_mean", 400)
    gaps = np.isnan(fitted)
    assert gaps.any()
    assert not gaps[0]
    assert not gaps[-8:].all()  # Looks are further apart than places.
    edges = np.linspace(past.since, past.until, 401)
    assert past.until - past.since > (edges[:-1][gaps].max() - edges[:-1][gaps].min()) > 0


def test_figures_for_other_programs(past: Past, of_host: Past) -> None:
    for one in (past, of_host):
        title, *lines = one.csv().splitlines()
        assert title.startswith("start,ticks,")
        assert len(lines) == len(one.history)
        assert all(line.count(",") == title.count(",") for line in lines)
        assert lines[0].startswith("2027-01-15T08:00:00.000")
    plain = past.to_json()
    assert plain["rows"][0]["guest_size_mean"] == 512 << 20
    assert plain["rows"][0]["start"] == BEGAN
    assert len(plain["moves"]) == len(past.moves) > 0


def test_the_chart_says_what_there_is(past: Past, of_host: Past) -> None:
    text = chart(past, 100).plain
    lines = text.splitlines()
    assert lines[0].startswith("db  2027-01-15 08:00:00 to ")
    assert "512 MiB ┤░" in text
    for strip in ("held", "available", "pressure", "▲ ▼"):
        assert any(line.strip().startswith(strip) for line in lines)
    assert "▼" in lines[-1]
    assert max(map(len, lines)) <= 104
    assert "budget" in chart(of_host, 100).plain
    assert len(chart(past, 5).plain.splitlines()) == len(lines)  # hardly a terminal


def elements(text: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(text).iter(f"{{http://www.w3.org/2000/svg}}{tag}"))


def test_the_picture_is_whole(past: Past, of_host: Past) -> None:
    text = svg(past)
    styles = [path.get("class") for path in elements(text, "path")]
    assert {"balloon", "idle", "used", "size", "held", "pressure", "grown", "shrunk"} <= set(styles)
    titles = [title.text or "" for title in elements(text, "title")]
    assert any("gives" in title for title in titles)
    assert "NaN" not in text.upper()
    assert {"used", "limit"} <= {path.get("class") for path in elements(svg(of_host), "path")}


def test_a_name_cannot_break_out_of_the_picture(past: Past) -> None:
    from dataclasses import replace

    text = svg(replace(past, name='<script>&"'))
    assert "<script>" not in text
    ET.fromstring(text)
    assert "<script>" not in html(replace(past, name="</title><script>"))


def test_pictures_are_written_as_their_names_say(past: Past, tmp_path: Path) -> None:
    write_picture(past, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == svg(past)
    write_picture(past, tmp_path / "a.html")
    assert svg(past) in (tmp_path / "a.html").read_text()
    with pytest.raises(UsageError, match=r"pictures are \.svg, \.html or \.png"):
        write_picture(past, tmp_path / "a.gif")
