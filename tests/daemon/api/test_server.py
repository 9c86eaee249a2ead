"""The local API over a real unix socket, with the manager's own client."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aerostat.daemon.api.client import Client, GuestError
from aerostat.daemon.api.server import Api
from aerostat.daemon.config import parse
from aerostat.daemon.snapshot import Snapshot
from aerostat.errors import LinkError, UsageError
from aerostat.hypervisors.base import GuestInfo
from aerostat.testing.mocks.connector import FakeConnector
from aerostat.testing.mocks.house import House
from aerostat.units import MIB

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "aerostat.sock"


@pytest.fixture
async def api(house: House, path: Path) -> AsyncIterator[Api]:
    """A manager of three guests, two of them of one name, and its API."""
    house.add("web/1 \u00e9").uses(300 * MIB)
    house.add("twin").uses(300 * MIB)
    other = house.add("other-twin")
    other.uses(300 * MIB)
    manager = await house.start()
    await house.clock.advance(2)
    api = Api(manager, path)
    await api.start()
    yield api
    await api.close()


@pytest.fixture
def ask(api: Api, path: Path) -> Ask:
    """Call a method of the client in a thread, while the loop serves it."""
    client = Client(path)

    async def ask(method: str, *arguments: object) -> Any:
        return await asyncio.to_thread(getattr(client, method), *arguments)

    return ask


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def raw(path: Path, request: bytes) -> tuple[int, dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split()[0])
    body = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), json.loads(body)


async def test_status_and_snapshot(ask: Ask, house: House) -> None:
    status = await ask("status")
    assert status["schema"] == 1
    assert status["mode"] == "manage"
    assert status["guests"] == 3
    assert status["pid"] == os.getpid()
    assert Snapshot.from_json(await ask("snapshot")) == house.last


async def test_guests_by_name_and_by_key(ask: Ask) -> None:
    rows = await ask("guests")
    assert len(rows) == 3
    for row in rows:
        assert (await ask("guest", row["key"]))["key"] == row["key"]
        assert (await ask("guest", row["name"]))["key"] == row["key"]
    assert rows[0]["statistics"]["available_memory"] == 300 * MIB
    assert rows[0]["major_fault_rate"] is None


async def test_explain(ask: Ask) -> None:
    assert (await ask("explain", "web/1 \u00e9")).startswith("web/1 \u00e9 ")


async def test_an_unknown_guest_is_not_found(ask: Ask) -> None:
    for name in ("nobody", "..", "\x1b[2J", "x" * 300):
        with pytest.raises(GuestError, match="no such guest"):
            await ask("guest", name)


async def test_an_ambiguous_name_is_answered_with_the_keys(
    ask: Ask, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = house.last.guests
    twins = tuple(
        Snapshot.from_json(
            {
                "schema": 1,
                "time": 0,
                "wall": 0,
                "guests": [{"key": r.key, "name": "t", "source": ""}],
            }
        ).guests[0]
        for r in rows[:2]
    )
    house.manager.snapshot = Snapshot(0.0, 0.0, guests=twins)
    with pytest.raises(GuestError, match="2 guests are called t") as caught:
        await ask("set_target", "t", 300 * MIB)
    assert caught.value.keys == (rows[0].key, rows[1].key)
    assert rows[0].key in str(caught.value)


async def test_a_target_is_pinned_and_released(ask: Ask, house: House) -> None:
    answer = await ask("set_target", "twin", 300 * MIB)
    assert answer["size"] == 300 * MIB
    await house.clock.advance(40)
    assert house.connector.fakes["fake:twin"].guest_size == 300 * MIB
    assert (await ask("guest", "twin"))["pinned"] == 300 * MIB
    moves = await ask("moves", 1)
    assert len(moves) == 1
    assert moves[0]["outcome"] == "accepted"
    await ask("set_target", "twin", None)
    await house.clock.advance(2)
    assert (await ask("guest", "twin"))["pinned"] is None


@pytest.mark.parametrize("size", [1, 1 << 62, -5])
async def test_a_target_that_breaks_a_promise_is_refused(ask: Ask, house: House, size: int) -> None:
    with pytest.raises(UsageError, match="twin can be set from 128 MiB to 512 MiB"):
        await ask("set_target", "twin", size)


async def test_an_observer_refuses_targets(house: House, tmp_path: Path) -> None:
    house.add("a").uses(300 * MIB)
    manager = await house.start(parse({}, "test"))
    await house.clock.advance(2)
    api = Api(manager, tmp_path / "s")
    await api.start()
    try:
        with pytest.raises(UsageError, match="only observes"):
            await asyncio.to_thread(Client(tmp_path / "s").set_target, "a", 300 * MIB)
    finally:
        await api.close()
    assert house.connector.sent == []


@pytest.mark.parametrize(
    ("request_line", "body", "status"),
    [
        ("GET /", "", 404),
        ("GET /v2/guests", "", 404),
        ("POST /v1/guests", "", 405),
        ("GET /v1/moves?limit=-1", "", 400),
        ("GET /v1/moves?limit=%C2%B2", "", 400),
        ("PUT /v1/guests/twin/target", "", 400),
        ("PUT /v1/guests/twin/target", "{}", 400),
        ("PUT /v1/guests/twin/target", '{"size": "1GiB"}', 400),
        ("PUT /v1/guests/twin/target", '{"size": 1.5}', 400),
        ("PUT /v1/guests/twin/target", '{"size": true}', 400),
        ("PUT /v1/guests/twin/target", '{"size": 1, "more": 2}', 400),
        ("PUT /v1/guests/twin/target", "[" * 3000, 400),
        ("PUT /v1/guests/twin/target", '{"size": ' + "1" * 4000 + "}", 400),
        ("PUT /v1/guests/twin/target", " " * 5000, 413),
    ],
)
async def test_every_failure_is_json(
    api: Api, path: Path, request_line: str, body: str, status: int
) -> None:
    request = f"{request_line} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    got, answer = await raw(path, request.encode())
    assert got == status
    assert answer["schema"] == 1
    assert answer["error"]


async def test_before_the_first_tick_it_says_so(house: House, tmp_path: Path) -> None:
    class Waiting(FakeConnector):
        async def guests(self) -> list[GuestInfo]:
            await asyncio.Event().wait()
            return []

    manager = await house.start(connectors=[Waiting()])
    api = Api(manager, tmp_path / "s")
    await api.start()
    try:
        with pytest.raises(LinkError, match="first tick"):
            await asyncio.to_thread(Client(tmp_path / "s").status)
    finally:
        await api.close()


async def test_the_socket_is_for_owner_and_group_only(api: Api, path: Path) -> None:
    assert mode_of(path) == 0o660


async def test_the_socket_is_removed_at_the_end(house: House, tmp_path: Path) -> None:
    manager = await house.start()
    api = Api(manager, tmp_path / "s", 0o600)
    await api.start()
    assert mode_of(tmp_path / "s") == 0o600
    await api.close()
    assert not (tmp_path / "s").exists()


async def test_a_second_manager_is_refused_and_takes_nothing(
    api: Api, house: House, path: Path, ask: Ask
) -> None:
    with pytest.raises(UsageError, match="another manager listens"):
        await Api(house.manager, path).start()
    assert (await ask("status"))["schema"] == 1


async def test_a_socket_left_behind_is_replaced(house: House, tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "s"))
    stale.close()
    api = Api(await house.start(), tmp_path / "s")
    await api.start()
    await api.close()


@pytest.mark.parametrize("name", ["file", "x" * 200])
async def test_a_place_where_no_socket_can_be(house: House, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("precious", encoding="ascii")
    with pytest.raises(UsageError, match=name):
        await Api(await house.start(), tmp_path / name).start()
    assert (tmp_path / "file").read_text(encoding="ascii") == "precious"


class TestClient:
    def test_no_manager_there(self, tmp_path: Path) -> None:
        with pytest.raises(LinkError, match="start one with: aerostat run"):
            Client(tmp_path / "none").status()

    def test_something_else_there(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "s"))
            listener.listen()
            with pytest.raises(LinkError, match="does not answer"):
                Client(tmp_path / "s", timeout=0.05).status()
