"""top, in lines and live, against a running manager."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from aerostat.cli import watching
from aerostat.cli.watching import Feed, watch
from aerostat.daemon.api.client import Client
from aerostat.errors import LinkError

Call = Callable[..., tuple[int, str, str]]


def test_one_look_as_text(call: Call, socket: Path) -> None:
    code, out, err = call("top", "-b", "-n", "1", "--sort", "available", "--socket", socket)
    assert (code, err) == (0, "")
    head, titles, *rows = out.splitlines()
    assert head.endswith("  managing; 3 guests; 2 silent")
    assert titles.startswith("NAME ")
    assert [row.split()[0] for row in rows[:3]] == ["web", "twin", "twin"]


def test_several_looks_as_csv_have_one_line_of_titles(call: Call, socket: Path) -> None:
    code, out, _ = call("top", "--csv", "-n", "2", "-d", "0.1", "--socket", socket)
    assert code == 0
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["name"] for row in rows] == ["twin", "twin", "web"] * 2
    assert rows[0]["time"] < rows[3]["time"]


def test_looks_as_json(call: Call, socket: Path) -> None:
    code, out, _ = call("top", "--json", "-n", "1", "--socket", socket)
    assert (code, json.loads(out)["schema"]) == (0, 1)


@pytest.mark.parametrize(
    "arguments", [("--csv", "--json"), ("-d", "0"), ("-d", "nan"), ("-n", "0")]
)
def test_what_makes_no_sense_is_refused(
    call: Call, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert call("top", *arguments, "--socket", tmp_path / "nowhere")[0] == 2


class ScriptedKeys:
    """Keys as if somebody pressed them; at the end, q."""

    def __init__(self, pressed: str) -> None:
        self._pressed: Iterator[str] = iter(pressed + "q")

    def __enter__(self) -> "ScriptedKeys":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def wait(self, timeout: float) -> str:
        assert timeout >= 0
        return next(self._pressed)


@pytest.fixture
def screen() -> Console:
    """Return a terminal whose output can be read."""
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        force_interactive=True,
        color_system=None,
        width=120,
        height=30,
        legacy_windows=False,
    )


def shown(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def press(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setattr(watching, "Keys", lambda: ScriptedKeys(keys))


def test_keys_sort_help_look_again_and_end(
    socket: Path, screen: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(monkeypatch, "?xs h")
    watch(Feed(Client(socket), 60.0, None), screen, "name")
    out = shown(screen)
    assert "MANAGING" in out
    assert "q  end" in out
    assert "by pressure" in out


def test_it_ends_after_so_many_looks(
    socket: Path, screen: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(monkeypatch, " " * 100)
    feed = Feed(Client(socket), 60.0, 3)
    watch(feed, screen, "held")
    assert not feed.more


def test_a_manager_that_goes_away_is_waited_for(
    socket: Path, screen: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(socket)
    feed = Feed(client, 60.0, None)
    answers = iter([client.snapshot(), LinkError("nobody is there"), client.snapshot()])

    def snapshot() -> object:
        answer = next(answers)
        if isinstance(answer, LinkError):
            raise answer
        return answer

    monkeypatch.setattr(client, "snapshot", snapshot)
    press(monkeypatch, "  ")
    watch(feed, screen, "name")
    assert "! nobody is there" in shown(screen)


def test_moves_are_told_once(socket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    move: dict[str, object] = dict.fromkeys(("key", "name", "reason", "sentence", "outcome"), "")
    move |= dict.fromkeys(("from_size", "to_size", "wall"), 0)
    client = Client(socket)
    told = [{**move, "time": 2.0}, {**move, "time": 1.0}]
    monkeypatch.setattr(client, "moves", lambda _: told)
    feed = Feed(client, 1.0, None)
    assert [row.time for row in feed.moves()] == [1.0, 2.0]
    told.insert(0, {**move, "time": 3.0})
    assert [row.time for row in feed.moves()] == [3.0]
