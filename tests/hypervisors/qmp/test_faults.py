"""The QMP connector with every kind of monitor that does not behave, and with none."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from aerostat.errors import AerostatError, LinkError
from aerostat.hypervisors.base import Reading
from aerostat.hypervisors.qmp import connector as qmp
from aerostat.hypervisors.qmp.connector import QmpConnector
from aerostat.hypervisors.qmp.link import QmpLink
from aerostat.qmp.framing import encode

MIB = 1 << 20

# Ways to misbehave, each tried beside a good monitor, which must not notice.


async def hang(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.write(b'{"return": {"stats": {"stat-fr')
    await writer.drain()
    writer.close()


async def junk(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xffnonsense\r\n" * 10)


async def lie(writer: asyncio.StreamWriter) -> None:
    writer.write(b'{"return": {}, "id": 4711}\r\n')


async def flood(writer: asyncio.StreamWriter) -> None:
    writer.write(b'{"return": "')
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def nest(writer: asyncio.StreamWriter) -> None:
    writer.write(b'{"return":' + b"[" * 100_000 + b"]" * 100_000 + b"}\r\n")


@pytest.mark.parametrize(
    "fault", [pytest.param(hang, marks=pytest.mark.slow), close, junk, lie, flood, nest]
)
@pytest.mark.parametrize("command", ["query-balloon", "qom-set", "qom-get"])
async def test_a_bad_monitor_costs_only_itself(laboratory: Any, fault: Any, command: str) -> None:
    good = await laboratory.monitor("good")
    bad = await laboratory.monitor("bad")
    await laboratory.read(good)
    await laboratory.read(bad)
    bad.misbehave = {command: fault}
    fine, error = await laboratory.sample(good, bad, limit=1.0 if fault is hang else 5.0)
    assert isinstance(fine, Reading)
    assert isinstance(error, AerostatError)
    assert ("no answer within" in str(error)) == (fault is hang)  # all else shows at once
    bad.misbehave = {}
    await laboratory.read(bad)  # connected again
    assert (good.connections, bad.connections) == (1, 2)


async def test_a_hung_monitor_is_waited_for_once(laboratory: Any) -> None:
    monitors = [await laboratory.monitor(f"m{number}") for number in range(5)]
    for monitor in monitors:
        await laboratory.read(monitor)
    monitors[0].misbehave = monitors[3].misbehave = {"query-balloon": hang}
    results = await laboratory.sample(*monitors, limit=1.0)
    for number, result in enumerate(results):
        expected = LinkError if number in {0, 3} else Reading
        assert isinstance(result, expected)
    assert laboratory.connector.counters["timeouts"] == 2
    results = await laboratory.sample(*monitors, limit=5.0)  # not waited for any more
    assert isinstance(results[0], LinkError)
    assert isinstance(results[1], Reading)


async def test_nobody_is_given_up_for_time_that_we_did_not_have(laboratory: Any) -> None:
    monitors = [await laboratory.monitor(f"m{number}") for number in range(3)]
    for monitor in monitors:
        await laboratory.read(monitor)
    asyncio.get_running_loop().call_later(0.01, time.sleep, 0.6)  # the host runs somebody else
    monitors[0].answers_after = 0.02
    monitors[1].misbehave = {"qom-get": hang}
    late, hung, fine = await laboratory.sample(*monitors, limit=0.3)
    assert isinstance(late, Reading)
    assert isinstance(hung, LinkError)
    assert isinstance(fine, Reading)


async def test_many_guests_are_all_read(laboratory: Any) -> None:
    monitors = [await laboratory.monitor(f"m{number}") for number in range(qmp._AT_ONCE + 3)]
    monitors[-1].misbehave = {"query-balloon": hang}
    *fine, hung = await laboratory.sample(*monitors, limit=1.0)
    assert [reading.key for reading in fine] == [monitor.key for monitor in monitors[:-1]]
    assert isinstance(hung, LinkError)


async def test_a_hung_monitor_cannot_hold_up_a_target(laboratory: Any) -> None:
    monitor = await laboratory.monitor(misbehave={"balloon": hang})
    await laboratory.read(monitor)
    with pytest.raises(LinkError, match="no answer within"):
        await laboratory.connector.set_target(monitor.key, 200 * MIB, 0.1)


async def test_a_held_monitor_is_told_of(laboratory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A QMP monitor serves one client; the next one is left without a greeting."""
    monkeypatch.setattr(qmp, "_GREETING_TIMEOUT", 0.05)
    monitor = await laboratory.monitor(greets=False)
    (error,) = await laboratory.sample(monitor)
    assert isinstance(error, LinkError)
    assert "another client holds this monitor" in str(error)
    assert "second -qmp socket" in str(error)


async def test_a_full_backlog_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    connector = QmpConnector([str(path)])
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as holder:
        listener.bind(str(path))
        listener.listen(0)
        holder.connect(str(path))
        await connector.start()
        error = (await connector.sample([f"qmp:{path}"], 5.0))[f"qmp:{path}"]
        await connector.close()
    assert isinstance(error, LinkError)
    assert "another client holds this monitor" in str(error)


async def test_a_first_timeout_before_the_greeting_says_so(laboratory: Any) -> None:
    monitor = await laboratory.monitor(greets=False)
    (error,) = await laboratory.sample(monitor, limit=0.05)
    assert isinstance(error, LinkError)
    assert "not greeted" in str(error)


async def test_it_is_no_guest_where_nobody_listens(laboratory: Any) -> None:
    """A killed QEMU leaves its socket behind."""
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(laboratory.directory / "dead.sock"))
    (laboratory.directory / "file.sock").write_text("not a socket")
    assert await laboratory.connector.guests() == []


async def test_guests_come_and_go_and_come_again(
    laboratory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qmp, "_SCAN_INTERVAL", 0.0)
    assert await laboratory.connector.guests() == []
    monitor = await laboratory.monitor("a")
    await laboratory.read(monitor)
    assert len(await laboratory.connector.guests()) == 1
    await monitor.stop()
    assert await laboratory.connector.guests() == []
    (error,) = await laboratory.sample(monitor)
    assert isinstance(error, LinkError)
    again = await laboratory.monitor("a", max_size=256 * MIB, guest_size=256 * MIB)
    assert (await laboratory.read(again)).max_size == 256 * MIB


async def test_a_new_socket_is_tried_at_once(
    laboratory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long its predecessor at the same path has been dead."""
    monkeypatch.setattr(qmp, "_SCAN_INTERVAL", 0.0)
    monkeypatch.setattr(qmp, "_FIRST_RETRY", 1000.0)
    path = laboratory.directory / "a.sock"
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(path))
    assert await laboratory.connector.guests() == []
    path.unlink()
    monitor = await laboratory.monitor("a")
    assert isinstance((await laboratory.sample(monitor))[0], Reading)


async def test_a_broken_connection_is_made_again(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    await laboratory.read(monitor)
    assert monitor.writer is not None
    monitor.writer.close()
    await laboratory.read(monitor)
    assert monitor.connections == 2


async def test_closing_leaves_nothing_behind(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    await laboratory.monitor("held", greets=False)
    await laboratory.read(monitor)
    await laboratory.connector.close()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not any(name.startswith("qmp:") for name in names)


async def test_a_cancelled_sample_leaves_the_connection_sound(laboratory: Any) -> None:
    monitor = await laboratory.monitor()
    await laboratory.read(monitor)
    for delay in (0.0, 0.001, 0.003):
        sample = asyncio.create_task(laboratory.sample(monitor))
        await asyncio.sleep(delay)
        sample.cancel()
        await asyncio.wait([sample])
    assert (await laboratory.read(monitor)).statistics
    assert monitor.connections == 1


async def test_a_greeting_that_nobody_waits_for_any_more_is_no_error() -> None:
    link = QmpLink()
    assert link.negotiated.cancel()
    version = {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""}
    link.data_received(encode({"QMP": {"version": version, "capabilities": []}}))
    link.data_received(b'{"return": {}, "id": 0}\r\n')
    assert link.error is None
    link.close()
