"""history, explain and replay as their users call them, on a journal alone."""

import csv
import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.daemon import paths

Call = Callable[..., tuple[int, str, str]]


def test_replay_says_that_all_is_the_same(call: Call, journal: Path) -> None:
    code, out, err = call("replay", journal)
    assert (code, err) == (0, "")
    assert "2 guests, 2 runs\nevery decision is the recorded one, bit for bit" in out


def test_replay_with_another_policy(call: Call, journal: Path) -> None:
    static = ("--policy", "static", "--until", "40s")
    code, out, _ = call("replay", journal, *static, "--guest", "db")
    assert code == 0
    assert "with static, these are each guest's first decisions that would have been others" in out
    assert out.count("  recorded  ") == 1
    assert "What would have followed is not known" in out
    code, out, _ = call("replay", journal, *static, "--json")
    told = json.loads(out)
    assert (told["schema"], told["other"]) == (1, "static")
    assert told["identical"] == told["compared"] == told["steps"]
    first = told["unlike_other"][0]
    assert first["one"]["target_size"] != first["other"]["target_size"]
    assert "not known" in told["note"]


def test_replay_of_a_part(call: Call, journal: Path) -> None:
    code, out, _ = call("replay", journal, "--since", "10s", "--json")
    told = json.loads(out)
    assert code == 0
    assert 5 <= told["steps"] <= 25
    assert told["identical"] == told["steps"]  # it was led there from the state that was kept


def test_replay_fails_where_decisions_are_others(call: Call, journal: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    shutil.copyfile(journal, copy)
    file = sqlite3.connect(copy)
    with file:
        about = json.loads(file.execute("SELECT about FROM runs LIMIT 1").fetchone()[0])
        about["settings"]["shrink_rate"] = 0.01
        about["settings"]["gone"] = 1
        file.execute("UPDATE runs SET about = ?", (json.dumps(about),))
    file.close()
    code, out, _ = call("replay", copy)
    assert code == 1
    assert "are decided otherwise now (recorded by version" in out
    assert "settings that only one of the two knows: gone" in out


def test_history_in_all_its_shapes(call: Call, journal: Path, tmp_path: Path) -> None:
    for who in ("web", "fake:web", "--host"):
        code, out, _ = call("history", who, "--journal", journal)
        assert code == 0
        assert "░" in out
    code, out, _ = call("history", "web", "--journal", journal, "--rows", "minute", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert sum(int(row["ticks"]) for row in rows) > 45
    code, out, _ = call("history", "--host", "--journal", journal, "--json")
    assert json.loads(out)["rows"][0]["budget_mean"] == 600 << 20
    code, out, _ = call("history", "web", "--journal", journal, "--output", tmp_path / "web.svg")
    assert (code, out) == (0, f"written: {tmp_path / 'web.svg'}\n")
    assert (tmp_path / "web.svg").read_text().startswith("<svg")


def test_explain_from_a_journal_alone(call: Call, journal: Path) -> None:
    code, out, _ = call("explain", "web", "--journal", journal)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("web ")
    words = [line.split()[0] for line in lines[1:5]]
    assert words == ["sample", "estimates", "bounds", "decision"]
    assert "gives" in out
    assert "an operator set it to 200 MiB" in out
    assert "accepted, reached within" in out
    assert out.count("manager: started: manages") == 2
    code, out, _ = call("explain", "web", "--journal", journal, "--until", "35s", "--json")
    told = json.loads(out)
    moves = [entry for entry in told["timeline"] if entry["kind"] == "move"]
    assert moves
    assert all(entry["estimates"]["demand"] >= 0 for entry in moves[1:])
    assert told["values"]["decision"]["sentence"] in told["explanation"]


def test_where_there_is_no_manager_its_journal_is_asked(
    call: Call, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "state_directory", lambda: journal.parent)
    monkeypatch.setattr(paths, "config_file", lambda: tmp_path / "none.toml")
    for name in ("api_socket", "manager_socket"):
        monkeypatch.setattr(paths, name, lambda: tmp_path / "nobody.sock")
    code, out, err = call("explain", "web", "--since", "5s")
    assert code == 0
    assert f"no manager is running; this is from {journal}" in err
    assert out.startswith("web ")
    code, out, _ = call("history", "web")
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("history",), 2, "name a guest, or give --host"),
        (("history", "web", "--host"), 2, "name a guest, or give --host"),
        (("history", "web", "--csv", "--json"), 2, "exclude each other"),
        (("history", "nobody"), 3, "the journal knows no guest 'nobody'; it knows: db, web"),
        (("history", "web", "--since", "soon"), 2, "not a time: 'soon'"),
        (("history", "web", "--since", "1m", "--until", "2h"), 2, "ends before it begins"),
        (("explain", "nobody"), 3, "the journal knows no guest 'nobody'"),
    ],
)
def test_mistakes(
    call: Call, journal: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result, out, err = call(*arguments, "--journal", journal)
    assert (result, out) == (code, "")
    assert message in err


def test_no_such_journal(call: Call, tmp_path: Path) -> None:
    code, _, err = call("history", "web", "--journal", tmp_path / "none")
    assert (code, err) == (3, f"error: there is no journal {tmp_path / 'none'}\n")
    (tmp_path / "text").write_text("no database\n" * 100)
    code, _, err = call("replay", tmp_path / "text")
    assert code == 2
    assert "is not a journal of aerostat" in err
