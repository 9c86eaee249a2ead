"""list, stats, set and explain against a running manager: its real API, guests in memory."""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.cli import reserving
from aerostat.daemon.api.client import Client
from aerostat.units import KIB, MIB

Call = Callable[..., tuple[int, str, str]]


def until(holds: Callable[[], bool], within: float = 30.0) -> None:
    """Ask again until it holds; the manager takes a tick to show what it was told."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_list_shows_a_line_a_guest(call: Call, socket: Path) -> None:
    code, out, err = call("list", "--socket", socket)
    assert (code, err) == (0, "")
    titles, *rows = out.splitlines()
    assert titles.split() == [
        *("NAME", "MAX", "SIZE", "TARGET", "HELD", "FREE", "AVAILABLE"),
        *("PRESSURE", "AGE", "WAY", "CONDITION"),
    ]
    assert [row.split()[0] for row in rows[:3]] == ["twin", "twin", "web"]
    assert "512 MiB" in rows[2]
    assert "200 MiB" in rows[2]
    assert rows[3].startswith("localhost: budget 8.0 GiB, ")


def test_list_in_an_order(call: Call, socket: Path) -> None:
    _, out, _ = call("list", "--sort", "available", "--socket", socket)
    assert [row.split()[0] for row in out.splitlines()[1:4]] == ["web", "twin", "twin"]


def test_the_socket_comes_from_the_environment_too(
    call: Call, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEROSTAT_SOCKET", str(socket))
    assert call("list")[0] == 0


def test_list_as_json(call: Call, socket: Path) -> None:
    code, out, _ = call("list", "--json", "--socket", socket)
    answer = json.loads(out)
    assert (code, answer["schema"]) == (0, 1)
    web = next(guest for guest in answer["guests"] if guest["name"] == "web")
    assert web["max_size"] == 512 * MIB
    assert web["available_memory"] == 200 * MIB


def test_list_as_lines_and_as_csv(call: Call, socket: Path) -> None:
    _, out, _ = call("list", "-o", "jsonl", "--socket", socket)
    assert [json.loads(line)["guest"]["name"] for line in out.splitlines()] == [
        *("twin", "twin", "web")
    ]
    _, out, _ = call("list", "-o", "csv", "--socket", socket)
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["available_memory"] for row in rows] == ["", "", str(200 * MIB)]


def test_stats_are_keys_and_values_in_kib(call: Call, socket: Path) -> None:
    code, out, _ = call("stats", "web", "--socket", socket)
    assert code == 0
    stats = dict(line.split(" ", 1) for line in out.splitlines())
    assert stats["actual"] == stats["max_size"] == str(512 * KIB)
    assert stats["usable"] == str(200 * KIB)
    assert stats["swap_in"] == "4"
    assert "oom_kills" not in stats
    assert stats["tag-4242"] == "7"
    assert abs(int(stats["last_update"]) - time.time()) < 60
    assert stats["source"] == "memory"


def test_stats_in_other_units(call: Call, socket: Path) -> None:
    _, out, _ = call("stats", "web", "--human", "--socket", socket)
    assert "usable 200 MiB\n" in out
    assert "swap_in 4 KiB\n" in out
    _, out, _ = call("stats", "web", "--bytes", "--socket", socket)
    assert f"usable {200 * MIB}\n" in out
    code, _, err = call("stats", "web", "--bytes", "--human", "--socket", socket)
    assert (code, "give one of them" in err) == (2, True)


def test_stats_as_json(call: Call, socket: Path) -> None:
    _, out, _ = call("stats", "web", "--json", "--socket", socket)
    answer = json.loads(out)
    assert answer["schema"] == 1
    assert answer["guest"]["statistics"]["swap_in"] == 4096


def test_set_fixes_a_size_and_auto_ends_it(call: Call, socket: Path) -> None:
    code, out, _ = call("set", "web", "400MiB", "--dry-run", "--socket", socket)
    assert (code, out) == (0, "web: would be fixed at 400 MiB until 'set web auto'\n")
    code, out, _ = call("set", "web", "400MiB", "--socket", socket)
    assert (code, out) == (0, "web: fixed at 400 MiB until 'set web auto'\n")
    code, out, _ = call("set", "web", "auto", "--json", "--socket", socket)
    answer = json.loads(out)
    assert (answer["schema"], answer["key"], answer["size"]) == (1, "fake:web", None)
    assert call("set", "web", "auto", "--socket", socket)[1] == "web: left to the manager\n"


def test_set_refuses_what_the_manager_refuses(call: Call, socket: Path) -> None:
    code, out, err = call("set", "web", "1MiB", "--socket", socket)
    assert (code, out) == (2, "")
    assert "web can be set from 128 MiB to 512 MiB" in err


def test_set_wants_a_size_with_a_unit(call: Call, socket: Path) -> None:
    code, _, err = call("set", "web", "400", "--socket", socket)
    assert code == 2
    assert "write it with a unit" in err


@pytest.mark.parametrize("socket", [False], indirect=True)
def test_set_needs_a_manager_that_manages(call: Call, socket: Path) -> None:
    code, _, err = call("set", "web", "400MiB", "--socket", socket)
    assert code == 2
    assert "only observes" in err


def test_explain(call: Call, socket: Path) -> None:
    code, out, _ = call("explain", "web", "--socket", socket)
    assert code == 0
    assert out.startswith("web ")
    code, out, _ = call("explain", "web", "--json", "--socket", socket)
    assert json.loads(out)["explanation"].startswith("web ")


def test_hold_and_resume(call: Call, socket: Path) -> None:
    code, out, _ = call("hold", "web", "--note", "a restore", "--socket", socket)
    assert (code, out) == (0, "web: on hold until 'aerostat resume web'\n")
    until(lambda: "on hold" in call("list", "--socket", socket)[1])
    code, out, _ = call("resume", "web", "--json", "--socket", socket)
    assert (code, json.loads(out)["held"]) == (0, False)
    until(lambda: "on hold" not in call("list", "--socket", socket)[1])
    code, _, err = call("resume", "web", "--socket", socket)
    assert (code, "is not held" in err) == (2, True)


def test_hold_tried_only(call: Call, socket: Path) -> None:
    code, out, _ = call("hold", "web", "--dry-run", "--socket", socket)
    assert (code, out) == (0, "web: would be on hold until 'aerostat resume web'\n")
    code, _, err = call("resume", "web", "--dry-run", "--socket", socket)
    assert (code, "is not held" in err) == (2, True)


def test_release(call: Call, socket: Path) -> None:
    code, out, _ = call("release", "web", "--socket", socket)
    assert code == 0
    assert "nothing to give back" in out, "it has all of its memory"
    assert json.loads(call("release", "--all", "--json", "--socket", socket)[1])["keys"] == []
    for arguments in ((), ("web", "--all")):
        code, _, err = call("release", *arguments, "--socket", socket)
        assert (code, "name one guest, or give --all" in err) == (2, True)


def test_reserve_list_and_cancel(call: Call, socket: Path) -> None:
    assert call("reserve", "--list", "--socket", socket)[1] == "nothing is reserved\n"
    code, out, _ = call("reserve", "1GiB", "--for", "db2", "--dry-run", "--socket", socket)
    assert (code, out) == (0, "would reserve: db2 1.0 GiB, not there yet, 5m left\n")
    order = ("reserve", "1GiB", "--for", "db2", "--wait", "--socket", socket)
    code, out, err = call(*order)
    assert (code, out) == (0, "db2 1.0 GiB, there, 5m left\n"), err
    rows = json.loads(call("reserve", "--list", "--json", "--socket", socket)[1])["reservations"]
    assert [(row["name"], row["size"], row["backed"]) for row in rows] == [("db2", 1 << 30, True)]
    assert "reserved for db2 1.0 GiB, there" in call("list", "--socket", socket)[1]
    assert call("reserve", "--cancel", "db2", "--socket", socket)[0] == 0
    code, _, err = call("reserve", "--cancel", "db2", "--socket", socket)
    assert code == 3
    assert "nothing is reserved for db2; 'aerostat reserve --list' shows what is" in err


def test_reserve_waits_in_vain_until_its_lease_ends(call: Call, socket: Path) -> None:
    order = ("reserve", "100GiB", "--for", "giant", "--lease", "0.3s", "--wait")
    code, out, err = call(*order, "--socket", socket)
    assert (code, out) == (1, "")
    first, *_, last = err.splitlines()
    assert first.startswith("waiting: giant 100.0 GiB, not there yet")
    assert last == "error: the reservation for giant ended before 100.0 GiB were there"


def test_reserve_is_over_when_its_guest_comes(
    call: Call, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(_: Client) -> list[dict[str, object]]:
        return []  # as it is the moment after the guest was seen

    monkeypatch.setattr(reserving, "_EVERY", 0.01)
    monkeypatch.setattr(Client, "reservations", rows)
    monkeypatch.setattr(Client, "guests", lambda _: [{"name": "giant", "key": "k"}])
    order = ("reserve", "100GiB", "--for", "giant", "--wait", "--socket", socket)
    assert call(*order)[0] == 0
    call("reserve", "--cancel", "giant", "--socket", socket)
    monkeypatch.setattr(Client, "guests", lambda _: [])
    assert call(*order)[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("1GiB",),
        ("--for", "a"),
        ("1GiB", "--for", "a", "--list"),
        ("--list", "--cancel", "a"),
        ("--list", "--wait"),
        ("1GiB", "--for", "a", "--wait", "--dry-run"),
        ("1GiB", "--for", "a", "--lease", "5"),
    ],
)
def test_reserve_says_what_it_wants(call: Call, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, _, err = call("reserve", *arguments, "--socket", tmp_path / "nowhere")
    assert code == 2
    assert err.count("\n") == 1


ASKING = [
    ("list",),
    ("top", "-b"),
    ("stats", "web"),
    ("set", "web", "1GiB"),
    ("explain", "web"),
    ("hold", "web"),
    ("resume", "web"),
    ("release", "web"),
    ("reserve", "1GiB", "--for", "db2"),
]


@pytest.mark.parametrize("arguments", ASKING)
def test_without_a_manager(call: Call, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    nowhere = tmp_path / "nowhere.sock"
    code, out, err = call(*arguments, "--socket", nowhere)
    assert (code, out) == (3, "")
    assert err == (
        f"error: no manager is running at {nowhere}; start one with 'aerostat run --qmp GLOB'\n"
    )


@pytest.mark.parametrize("arguments", ASKING[2:-1])
def test_no_such_guest(call: Call, socket: Path, arguments: tuple[str, ...]) -> None:
    arguments = tuple("ghost\x1b[2J" if word == "web" else word for word in arguments)
    code, out, err = call(*arguments, "--socket", socket)
    assert (code, out) == (3, "")
    assert "no such guest: ghost?[2J; 'aerostat list' shows those there are" in err


@pytest.mark.parametrize("arguments", ASKING[2:-1])
def test_a_name_of_several_guests(call: Call, socket: Path, arguments: tuple[str, ...]) -> None:
    arguments = tuple("twin" if word == "web" else word for word in arguments)
    code, _, err = call(*arguments, "--socket", socket)
    assert code == 2
    assert "fake:other" in err
    assert "fake:twin" in err
    assert err.count("\n") == 1


def test_something_else_listens(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("not a socket")
    code, _, err = call("list", "--socket", path)
    assert code == 3
    assert str(path) in err
