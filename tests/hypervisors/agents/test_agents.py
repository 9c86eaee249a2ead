"""Reading a guest through its agent: what it says, what it refuses, what it gets wrong."""

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.balloon.statistics import Tag
from aerostat.errors import AerostatError, LinkError, PeerError
from aerostat.hypervisors.agents.figures import (
    AgentRefusedError,
    NoAgentError,
    figures,
    look_for_agent,
    read_figures,
)
from aerostat.hypervisors.agents.sockets import AgentSockets
from aerostat.hypervisors.agents.with_agent import WithAgent
from aerostat.testing.mocks.connector import FakeConnector, FakeGuest
from aerostat.testing.polling import until
from aerostat.units import MIB

VMSTAT = "nr_free_pages 25600\npswpin 3\npswpout 5\npgmajfault 7\nnr_file_pages 100\n"
MEMINFO = "MemTotal: 262144 kB\nMemFree: 102400 kB\nMemAvailable: 153600 kB\n"
KEY = "qmp:/run/vm/web1.qmp"


class ScriptedAgents:
    """Agents that read files out of `files`."""

    def __init__(self, **files: str) -> None:
        self.files = {f"/proc/{name}": text for name, text in files.items()}
        self.handles: dict[int, str] = {}
        self.fault: AerostatError | None = None
        self.asked = 0
        self.forgotten: list[str] = []
        self.closed = False

    async def ask(
        self,
        key: str,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        timeout: float = 1.0,
    ) -> Any:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        said = arguments or {}
        match command:
            case "guest-info":
                names = ["guest-file-open", "guest-file-read", "guest-file-close"]
                return {"supported_commands": [{"name": name, "enabled": True} for name in names]}
            case "guest-file-open":
                self.handles[self.asked] = said["path"]
                return self.asked
            case "guest-file-read":
                text = self.files[self.handles[said["handle"]]]
                return {"count": len(text), "buf-b64": base64.b64encode(text.encode()).decode()}
            case "guest-file-close":
                del self.handles[said["handle"]]
                return {}
        raise AssertionError(command)

    def forget(self, key: str) -> None:
        self.forgotten.append(key)

    def close(self) -> None:
        self.closed = True


async def test_the_files_are_read_as_the_driver_would_report_them() -> None:
    agents = ScriptedAgents(vmstat=VMSTAT, meminfo=MEMINFO)

    found = await read_figures(agents, KEY, 1.0)

    assert found[Tag.SWAP_IN] == 3 * 4096
    assert found[Tag.MAJOR_FAULTS] == 7
    assert found[Tag.TOTAL_MEMORY] == 256 * MIB
    assert found[Tag.AVAILABLE_MEMORY] == 150 * MIB
    assert agents.handles == {}


def test_the_page_size_is_the_guests() -> None:
    found = figures(VMSTAT.replace("25600", "1600"), MEMINFO)  # pages of 64 KiB

    assert found[Tag.SWAP_OUT] == 5 * 65536


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_figures_or_the_peers_fault(vmstat: str, meminfo: str) -> None:
    try:
        found = figures(vmstat, MEMINFO + meminfo)
    except PeerError:
        return

    assert all(0 <= value < 1 << 64 for value in found.values())


@pytest.mark.parametrize("text", ["", "MemTotal: 12 kB\nMemFree: 1 kB\n", "MemFree: " + "9" * 5000])
def test_files_that_say_nothing_of_memory_are_refused(text: str) -> None:
    with pytest.raises(PeerError):
        figures(VMSTAT, text)


async def test_an_agent_that_may_not_read_files_is_blocked() -> None:
    class Blocked(ScriptedAgents):
        async def ask(
            self,
            key: str,
            command: str,
            arguments: Mapping[str, Any] | None = None,
            *,
            timeout: float = 1.0,
        ) -> Any:
            return {"supported_commands": [{"name": "guest-file-open", "enabled": False}]}

    silent = ScriptedAgents()
    silent.fault = LinkError("no answer")

    assert await look_for_agent(Blocked(), KEY, 1.0) == "blocked"
    assert await look_for_agent(silent, KEY, 1.0) == "absent"
    assert await look_for_agent(ScriptedAgents(), KEY, 1.0) == "answers"


# A connector with agents.


class Time:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_only_a_guest_without_a_queue_is_read_through_its_agent() -> None:
    clock = Time()
    queue, silent = FakeGuest("queue"), FakeGuest("silent")
    queue.uses(100 * MIB)
    agents = ScriptedAgents(vmstat=VMSTAT, meminfo=MEMINFO)
    connector = WithAgent(FakeConnector(queue, silent, clock=clock), agents, clock=clock)
    keys = [queue.key, silent.key]

    first = await connector.sample(keys, 1.0)
    clock.now += 5.0
    await connector.sample(keys, 1.0)
    for _ in range(20):  # the agent's six answers
        await asyncio.sleep(0)
    asked_at = clock.now
    clock.now += 1.0
    later = await connector.sample(keys, 1.0)

    before, after = first[silent.key], later[silent.key]
    assert not isinstance(before, AerostatError)
    assert not isinstance(after, AerostatError)
    assert (before.way, dict(before.statistics)) == ("queue", {})
    assert (after.way, after.sampled_at) == ("agent", asked_at)
    assert after.statistics[Tag.AVAILABLE_MEMORY] == 150 * MIB
    by_queue = later[queue.key]
    assert not isinstance(by_queue, AerostatError)
    assert by_queue.way == "queue"
    assert agents.asked == 6


async def test_an_agent_that_does_not_answer_is_asked_ever_less_often() -> None:
    clock = Time()
    agents = ScriptedAgents()
    agents.fault = LinkError("no answer")
    silent = FakeGuest("silent")
    connector = WithAgent(FakeConnector(silent, clock=clock), agents, clock=clock)

    for _ in range(600):
        clock.now += 1.0
        answer = (await connector.sample([silent.key], 1.0))[silent.key]
        await asyncio.sleep(0)
        assert not isinstance(answer, AerostatError)
        assert answer.sampled_at is None

    assert 8 <= agents.asked <= 16


async def test_a_guest_that_goes_is_let_go_of() -> None:
    agents = ScriptedAgents(vmstat=VMSTAT, meminfo=MEMINFO)
    silent = FakeGuest("silent")
    fakes = FakeConnector(silent)
    connector = WithAgent(fakes, agents)
    await connector.sample([silent.key], 1.0)
    fakes.fakes.clear()

    await connector.guests()
    await connector.close()

    assert agents.forgotten == [silent.key]
    assert agents.closed
    assert fakes.closed


async def test_what_an_agent_may_do_is_examined() -> None:
    silent = FakeGuest("silent")
    connector = WithAgent(FakeConnector(silent), ScriptedAgents())

    assert (await connector.examine(silent.key, 1.0)).agent == "answers"


# Sockets.


@pytest.fixture
async def raving(run_directory: Path) -> AsyncIterator[Path]:
    """A socket whose peer answers each line with the next of the bytes in its ``script`` file."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in json.loads((run_directory / "script").read_text()):
                if not (line := await reader.readline()):
                    break  # it has heard enough
                number = json.loads(line.lstrip(b"\xff"))["arguments"].get("id", 0)
                writer.write(answer.replace("ID", str(number)).encode("latin-1"))
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, run_directory / "a.qga")
    yield run_directory
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (["\xff{}\n", "x"], LinkError),  # in step, but for another question
        (["\xff" + '{"return": ID}\n', "x" * 300_000], PeerError),
        (["\xff" + '{"return": ID}\n', "no JSON\n"], PeerError),
        (["\xff" + '{"return": ID}\n', "[1]\n"], PeerError),
        (["\xff" + '{"return": ID}\n', "[" * 50_000 + "\n"], PeerError),
        (["\xff" + '{"return": ID}\n', '{"error": {"desc": "disabled"}}\n'], AgentRefusedError),
        (["\xff" + '{"return": ID}\n', '{"error": 7}\n'], AgentRefusedError),
    ],
)
async def test_an_agent_that_raves_is_an_error(
    raving: Path, script: list[str], error: type[AerostatError]
) -> None:
    (raving / "script").write_text(json.dumps(script))
    agents = AgentSockets(f"{raving}/{{name}}.qga")

    with pytest.raises(error):
        await agents.ask("qmp:/x/a.sock", "guest-info", timeout=0.2)
    agents.close()


async def test_what_an_agent_still_says_to_somebody_else_is_thrown_away(raving: Path) -> None:
    script = ['{"return": 1}\nhalf of it\xff{"return": ID}\n', '{"return": "mine"}\n']
    (raving / "script").write_text(json.dumps(script))
    agents = AgentSockets(f"{raving}/{{name}}.qga")

    assert await agents.ask("qmp:/x/a.sock", "guest-info") == "mine"
    agents.close()


async def test_a_guest_without_an_agents_socket_says_so(run_directory: Path) -> None:
    with pytest.raises(NoAgentError, match="is not there"):
        await AgentSockets(f"{run_directory}/{{name}}.qga").ask("qmp:/x/b.sock", "guest-info")


@pytest.fixture
def real_agent(run_directory: Path) -> Iterator[Path]:
    """QEMU's own guest agent, on this machine instead of in a guest."""
    program = shutil.which("qemu-ga") or shutil.which("qemu-ga", path="/usr/sbin")
    assert program is not None, "install qemu-guest-agent, or: make lab-libvirt"
    path = run_directory / "a.qga"
    process = subprocess.Popen(
        [program, "-m", "unix-listen", "-p", path, "-t", run_directory, "-f", run_directory / "pid"]
    )
    yield path
    process.terminate()
    process.wait()


def here() -> dict[int, int]:
    """Return the figures of this machine."""
    return figures(Path("/proc/vmstat").read_text(), Path("/proc/meminfo").read_text())


@pytest.mark.libvirt
async def test_qemus_own_agent_says_what_proc_says(real_agent: Path) -> None:
    await until(real_agent.exists)
    agents = AgentSockets(f"{real_agent.parent}/{{name}}.qga")

    assert await look_for_agent(agents, "qmp:/x/a.sock", 2.0) == "answers"
    before = here()
    found = await read_figures(agents, "qmp:/x/a.sock", 2.0)
    after = here()

    assert found[Tag.TOTAL_MEMORY] == before[Tag.TOTAL_MEMORY]
    assert before[Tag.MINOR_FAULTS] <= found[Tag.MINOR_FAULTS] <= after[Tag.MINOR_FAULTS]
    with pytest.raises(AgentRefusedError, match="No such file"):
        await agents.ask("qmp:/x/a.sock", "guest-file-open", {"path": "/nonexistent", "mode": "r"})
    agents.close()
