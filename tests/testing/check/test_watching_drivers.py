"""How the kit watches a driver: its command, its front-end's words, its rings, its kernel's."""

import sys
from pathlib import Path

import pytest

from aerostat.errors import MissingError, UsageError
from aerostat.testing.check.driver.command import Command
from aerostat.testing.check.driver.complaints import complaints
from aerostat.testing.check.driver.conversation import Conversation
from aerostat.testing.check.driver.watched_ring import WatchedRing, statement_of
from aerostat.testing.mocks.driver import make_memory
from aerostat.testing.polling import until
from aerostat.vhost_user import messages
from aerostat.vhost_user.messages import ConfigPart, Request, RingState
from aerostat.virtio.chain import DESCRIPTORS, INDIRECT, NEXT, WRITE, BadChain, walk
from aerostat.virtio.driver_ring import DriverRing, lay_out
from aerostat.virtio.split_ring import SplitRing

# Says where its socket is, leaves a child behind, and waits for ever.
_PROGRAM = """
import os, subprocess, sys
print("at", sys.argv[1], os.environ["AEROSTAT_SOCKET"], flush=True)
print("child", subprocess.Popen(["sleep", "1000"]).pid, flush=True)
sys.stdin.read() and None
os.kill(os.getpid(), 19)
"""


async def test_a_command_finds_its_socket_and_ends_with_all_that_it_forked(tmp_path: Path) -> None:
    socket, log = tmp_path / "socket", tmp_path / "log"
    command = Command([sys.executable, "-c", _PROGRAM, "{socket}"], socket, log)
    await until(lambda: "child" in command.said(), within=30.0)
    assert f"at {socket} {socket}\n" in command.said()
    child = int(command.said().split()[-1])
    assert command.how_it_ended() == "the command runs"
    command.end()
    assert "signal 9" in command.how_it_ended()
    assert _state(child) in ("Z", "gone")
    assert log.read_text().startswith("$ ")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def test_a_command_that_cannot_be_is_the_users_fault(tmp_path: Path) -> None:
    for program, error in ((tmp_path / "none", MissingError), (tmp_path, UsageError)):
        with pytest.raises(error):
            Command([str(program)], tmp_path / "socket", tmp_path / "log")


def test_of_a_kernels_words_only_complaints_are_heard() -> None:
    text = "Linux version 6.1\nvirtio_balloon: Out of puff!\n[1.2] WARNING: CPU: 0 at vu.c:1\n"
    assert complaints(text) == ["[1.2] WARNING: CPU: 0 at vu.c:1"]


def test_a_conversation_is_heard_however_it_is_cut() -> None:
    part = ConfigPart(4, 0, bytes(4)).encode()
    said = b"".join(
        (
            messages.encode(Request.SET_CONFIG, part),
            messages.encode(Request.SET_FEATURES, messages.encode_u64(1 << 32 | 1 << 30)),
            messages.encode(Request.SET_VRING_ENABLE, RingState(1, 1).encode()),
            messages.encode(Request.SET_STATUS, messages.encode_u64(11)),
        )
    )
    heard = Conversation()
    for at in range(len(said)):
        heard.hear(said[at : at + 1])
    assert heard.features == [(2, 1 << 32)]
    assert heard.enabled == {1: 3}
    assert heard.status == [(4, 11)]
    assert [(one.when, one.at, one.written) for one in heard.config] == [(1, range(4, 8), True)]


def test_what_is_no_conversation_is_not_heard_any_more() -> None:
    heard = Conversation()
    heard.hear(bytes(64))
    heard.hear(messages.encode(Request.SET_FEATURES, messages.encode_u64(1)))
    assert heard.features == []


@pytest.mark.parametrize(
    ("first", "second", "broken"),
    [
        ((4, NEXT, 0), (4, 0, 0), "VQ-DRV-3"),
        ((4, NEXT, 99), (4, 0, 0), "VQ-DRV-3"),
        ((4, WRITE | NEXT, 1), (4, 0, 0), "VQ-DRV-2"),
        ((16, INDIRECT, 0), (4, 0, 0), "VQ-DRV-4"),
        ((17, INDIRECT, 0), (4, 0, 0), "VQ-DRV-4"),
    ],
)
def test_a_bad_chain_breaks_the_statement_that_forbids_it(
    first: tuple[int, int, int], second: tuple[int, int, int], broken: str
) -> None:
    memory = make_memory((0, 65536))
    pack = DESCRIPTORS["little"].pack
    table = memoryview(pack(4096, *first) + pack(8192, *second))
    with pytest.raises(BadChain) as caught:
        walk(memory, table, 0, indirect=first[0] == 17)
    assert statement_of(str(caught.value)) == broken


def test_a_buffer_that_changes_while_it_is_with_the_device_is_noticed() -> None:
    memory = make_memory((0, 65536))
    layout = lay_out(0, 8)
    driver = DriverRing(memory, 8, layout)
    offences: list[str] = []
    ring = WatchedRing(
        SplitRing(memory, 8, layout.desc, layout.avail, layout.used),
        lambda id_, _: offences.append(id_),
    )
    for _ in range(2):
        driver.add([(8192, 4)])
    kept, changed = ring.pop(), ring.pop()
    assert kept is not None
    assert changed is not None
    ring.push(kept.head)
    assert offences == []
    memory.write(8192, b"new!")
    ring.push(changed.head)
    assert offences == ["VQ-DRV-10"]
    ring.release()
