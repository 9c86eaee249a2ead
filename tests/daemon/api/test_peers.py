"""Who may change things, and how many may be connected."""

import asyncio
import contextlib
import grp
import os
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from aerostat.daemon.api import peers as api_peers
from aerostat.daemon.api import server as api_module
from aerostat.daemon.api.client import Client, NotPermittedError
from aerostat.daemon.api.peers import Peer, Rights, peer_of
from aerostat.daemon.api.server import Api
from aerostat.errors import UsageError
from aerostat.testing.mocks.house import House
from aerostat.testing.polling import until
from aerostat.units import MIB

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
SOMEBODY = Peer(1, 4711, frozenset({4711, 4712}))


@pytest.fixture
def path() -> Iterator[Path]:
    """Give a path that every user of this machine can reach."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory) / "api"


@pytest.fixture
async def house_with_guest(house: House) -> House:
    house.add("a").uses(300 * MIB)
    await house.start()
    await house.clock.advance(2)
    return house


@pytest.fixture
async def api(house_with_guest: House, path: Path) -> AsyncIterator[Api]:
    api = Api(house_with_guest.manager, path, 0o666)
    await api.start()
    yield api
    await api.close()


def test_the_kernel_says_who_connected() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert peer.groups == {os.getegid(), *os.getgroups()}


def test_root_the_manager_s_user_and_the_group_may_change_things() -> None:
    rights = Rights(frozenset({0, 990}), 4712)
    assert rights.may_change(Peer(1, 0, frozenset()))
    assert rights.may_change(Peer(1, 990, frozenset({990})))
    assert rights.may_change(SOMEBODY)
    assert not rights.may_change(Peer(1, 4711, frozenset({4711})))
    assert not Rights(frozenset({0, 990})).may_change(SOMEBODY)


def test_a_group_is_named() -> None:
    name = grp.getgrgid(os.getegid()).gr_name
    assert Rights.of_group(name).group == os.getegid()
    assert Rights.of_group(None) == Rights(frozenset({0, os.geteuid()}))
    with pytest.raises(UsageError, match="no group 'no-such-group' here"):
        Rights.of_group("no-such-group")


async def test_who_may_not_change_things_may_look(
    api: Api, path: Path, monkeypatch: pytest.MonkeyPatch, house: House
) -> None:
    monkeypatch.setattr(api_module, "peer_of", lambda _: SOMEBODY)
    client = Client(path)
    assert (await asyncio.to_thread(client.guest, "a"))["name"] == "a"
    for change in (
        lambda: client.set_target("a", 300 * MIB),
        lambda: client.hold("a"),
        lambda: client.resume("a"),
        lambda: client.release(None),
        lambda: client.reserve("b", MIB, 60),
        lambda: client.cancel("b"),
        client.reload,
    ):
        with pytest.raises(NotPermittedError, match="root and the manager's own user"):
            await asyncio.to_thread(change)
    assert house.manager.reservations == ()
    assert dict(house.manager.held_guests) == {}


_ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b" HTTP/1.0\\r\\n\\r\\n")
print(s.recv(65536).split()[1].decode())
"""


# Not the interpreter of these tests: others may not be allowed to run that.
_PYTHON = Path("/usr/bin/python3")


@pytest.mark.skipif(
    os.geteuid() != 0 or not _PYTHON.exists(), reason="needs root, and a Python for everybody"
)
async def test_real_processes_of_other_users(house_with_guest: House, path: Path) -> None:
    group = grp.getgrnam("daemon")
    api = Api(house_with_guest.manager, path, 0o666, group=group.gr_name)
    await api.start()
    nobody = 65534

    def status(request: str, groups: list[int]) -> str:
        done = subprocess.run(
            [_PYTHON, "-I", "-S", "-c", _ASK, str(path), request],
            user=nobody,
            group=nobody,
            extra_groups=groups,
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    try:
        assert os.stat(path).st_gid == group.gr_gid  # noqa: PTH116 - as pathlib is not for async
        assert await asyncio.to_thread(status, "GET /v1/guests", []) == "200"
        assert await asyncio.to_thread(status, "POST /v1/release", []) == "403"
        assert await asyncio.to_thread(status, "POST /v1/release", [group.gr_gid]) == "200"
    finally:
        await api.close()


@contextlib.asynccontextmanager
async def connected(path: Path) -> AsyncIterator[Streams]:
    """Give a connection to `path`, closed in the end."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def answer_to(path: Path) -> bytes:
    """Return all that is answered to a request, until the end of the connection."""
    async with connected(path) as (reader, writer):
        writer.write(b"GET /v1/status HTTP/1.0\r\n\r\n")
        return await reader.read()


async def test_a_reader_leaves_room_for_others(
    api: Api, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_peers, "MOST_OF_A_READER", 2)
    peers = iter([SOMEBODY] * 3 + [Peer(1, 0, frozenset({0}))] * 2 + [SOMEBODY] * 50)
    monkeypatch.setattr(api_peers, "peer_of", lambda _: next(peers))
    async with connected(path), connected(path):
        refused = await answer_to(path)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"too many connections" in refused
        assert (await answer_to(path)).startswith(b"HTTP/1.0 200 "), "root is let in"
        monkeypatch.setattr(api_peers, "MOST_CONNECTIONS", 2)
        assert (await answer_to(path)).startswith(b"HTTP/1.1 503 "), "but not without end"

    async def let_in() -> bool:
        return (await answer_to(path)).startswith(b"HTTP/1.0 200 ")

    await until(let_in)


async def test_a_client_that_says_nothing_or_reads_nothing_is_let_go(
    house_with_guest: House, path: Path
) -> None:
    api = Api(house_with_guest.manager, path, connection_limit=0.2)
    await api.start()
    request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    begun = b"PUT /v1/guests/a/target HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"
    try:
        async with connected(path) as silent, connected(path) as half, connected(path) as deaf:
            half[1].write(begun)
            deaf[1].transport.pause_reading()  # type: ignore[attr-defined]  # it can read
            deaf[1].write(request * 200)
            # Each ends by itself; a test that hangs here has found one that does not.
            assert await silent[0].read() == b""
            with contextlib.suppress(ConnectionError):
                await half[0].read()
            deaf[1].transport.resume_reading()  # type: ignore[attr-defined]
            with contextlib.suppress(ConnectionError):
                await deaf[0].read()
        assert (await answer_to(path)).startswith(b"HTTP/1.0 200 ")
    finally:
        await api.close()
