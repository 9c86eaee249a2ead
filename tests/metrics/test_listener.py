"""The TCP listener answers what it should, and little else."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from aerostat.errors import UsageError
from aerostat.metrics import listener as room
from aerostat.metrics.listener import Listener, parse_address
from aerostat.metrics.service import Answer


async def answer(accept: str) -> Answer:
    if accept == "broken":
        raise ValueError("a fault of ours")
    return Answer(f"accepts {accept}\n".encode(), "text/plain; version=0.0.4; charset=utf-8")


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener(answer, "127.0.0.1", 0)
    await listener.start()
    yield listener
    await listener.close()


@pytest.fixture
def url(listener: Listener) -> str:
    return f"http://127.0.0.1:{listener.port}"


async def test_it_serves_metrics_in_the_format_that_is_asked_for(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        response = await session.get(f"{url}/metrics", headers={"Accept": "this"})

        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert await response.text() == "accepts this\n"
        assert '"/metrics"' in await (await session.get(url)).text()


async def test_it_does_nothing_else(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        assert (await session.post(f"{url}/metrics", data=b"x")).status == 405
        assert (await session.get(f"{url}/v1/status")).status == 404
        broken = await session.get(f"{url}/metrics", headers={"Accept": "broken"})

        assert broken.status == 500
        assert "fault" not in await broken.text()


async def test_few_connections_are_taken_at_a_time(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_MOST_CONNECTIONS", 2)
    taken = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(2)]
    for reader, writer in taken:
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    refused = b""
    with contextlib.suppress(ConnectionError):  # the end of it, too
        refused = await reader.read()
    assert refused == b""
    for _, each in (*taken, (reader, writer)):
        each.close()


async def test_a_port_that_is_taken_is_said(listener: Listener) -> None:
    with pytest.raises(UsageError, match=f"cannot be served on 127.0.0.1:{listener.port}: "):
        await Listener(answer, "127.0.0.1", listener.port).start()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9178", ("127.0.0.1", 9178)),
        ("[::1]:9178", ("::1", 9178)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":9178", "9178", "::1:9178", "a:", "a:b", "a:65536", "a:²"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        parse_address(text)
