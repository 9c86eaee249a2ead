"""list, stats, set and explain against a running manager: its real API, guests in memory."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.balloon.statistics import NAMES
from aerostat.units import MIB

Call = Callable[..., tuple[int, str, str]]


def test_list_shows_a_line_a_guest(call: Call, socket: Path) -> None:
    code, out, err = call("list", "--socket", socket)
    assert (code, err) == (0, "")
    titles, *rows = out.splitlines()
    assert titles.split()[:4] == ["NAME", "MAX", "SIZE", "TARGET"]
    assert [row.split()[0] for row in rows] == ["twin", "twin", "web"]
    assert "512 MiB" in rows[2]
    assert "200 MiB" in rows[2]


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


def test_stats_are_keys_and_values_in_bytes(call: Call, socket: Path) -> None:
    code, out, _ = call("stats", "web", "--socket", socket)
    assert code == 0
    stats = dict(line.split(" ", 1) for line in out.splitlines())
    assert set(NAMES.values()) <= set(stats)
    assert stats["max_size"] == str(512 * MIB)
    assert stats["available_memory"] == str(200 * MIB)
    assert stats["swap_in"] == "4096"
    assert stats["oom_kills"] == "-"
    assert stats["tag-4242"] == "7"
    assert float(stats["sample_age"]) >= 0
    assert stats["source"] == "memory"


def test_stats_for_people(call: Call, socket: Path) -> None:
    _, out, _ = call("stats", "web", "--human", "--socket", socket)
    assert "available_memory 200 MiB\n" in out
    assert "swap_in 4 KiB\n" in out


def test_stats_as_json(call: Call, socket: Path) -> None:
    _, out, _ = call("stats", "web", "--json", "--socket", socket)
    answer = json.loads(out)
    assert answer["schema"] == 1
    assert answer["guest"]["statistics"]["swap_in"] == 4096


def test_set_fixes_a_size_and_auto_ends_it(call: Call, socket: Path) -> None:
    code, out, _ = call("set", "web", "400MiB", "--socket", socket)
    assert (code, out) == (0, "web: fixed at 400 MiB until 'set web auto'\n")
    code, out, _ = call("set", "web", "auto", "--json", "--socket", socket)
    assert json.loads(out) == {"schema": 1, "key": "fake:web", "name": "web", "size": None}
    assert call("set", "web", "auto", "--socket", socket)[1] == "web: the manager decides\n"


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


ASKING = [("list",), ("stats", "web"), ("set", "web", "1GiB"), ("explain", "web")]


@pytest.mark.parametrize("arguments", ASKING)
def test_without_a_manager(call: Call, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    nowhere = tmp_path / "nowhere.sock"
    code, out, err = call(*arguments, "--socket", nowhere)
    assert (code, out) == (3, "")
    assert err == (
        f"error: no manager is running at {nowhere}; start one with 'aerostat run --qmp GLOB'\n"
    )


@pytest.mark.parametrize("arguments", ASKING[1:])
def test_no_such_guest(call: Call, socket: Path, arguments: tuple[str, ...]) -> None:
    arguments = tuple("ghost\x1b[2J" if word == "web" else word for word in arguments)
    code, out, err = call(*arguments, "--socket", socket)
    assert (code, out) == (3, "")
    assert "no such guest: ghost?[2J; 'aerostat list' shows those there are" in err


@pytest.mark.parametrize("arguments", ASKING[1:])
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
