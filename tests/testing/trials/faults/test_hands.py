"""What is done to processes, on one that counts."""

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aerostat.testing.polling import until
from aerostat.testing.trials.faults import hands

# It says a letter each time it is told something, and opens a file each time, too.
_PROGRAM = """
import sys
files = []
for line in sys.stdin:
    try:
        what = line.strip()
        if what == "open":
            files.append(open("/dev/null"))
        elif what == "take":
            files.append(bytearray(64 << 20))
        elif what:
            with open(what, "wb") as file:
                file.write(bytes(1 << 20))
        print("done", flush=True)
    except (OSError, MemoryError) as error:
        print(type(error).__name__, flush=True)
"""


class Victim:
    """A process that does as it is told."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.told("") == "done"

    @property
    def pid(self) -> int:
        return self.process.pid

    def told(self, what: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def victim() -> Iterator[Victim]:
    victim = Victim()
    with victim.process:
        yield victim
        victim.process.kill()


async def test_a_stopped_process_is_stopped_at_once_and_goes_on(victim: Victim) -> None:
    async with hands.paused(victim.pid):
        assert hands.state_of(victim.pid) == "T"
    assert victim.told("") == "done"


async def test_a_starved_process_is_mostly_stopped(victim: Victim) -> None:
    async with hands.starved(victim.pid):
        await until(lambda: hands.state_of(victim.pid) == "T")
        assert await asyncio.to_thread(victim.told, "") == "done"
    assert hands.state_of(victim.pid) != "T"


@pytest.mark.parametrize(
    ("what", "told", "error"),
    [("descriptors", "open", "OSError"), ("memory", "take", "MemoryError")],
)
async def test_a_limit_holds_for_as_long_as_it_is_said(
    victim: Victim, what: str, told: str, error: str
) -> None:
    async with hands.limited(victim.pid, what):
        assert victim.told(told) == error
    assert victim.told(told) == "done"


async def test_a_full_disk(victim: Victim, tmp_path: Path) -> None:
    path = tmp_path / "file"
    async with hands.limited(victim.pid, "disk"):
        assert victim.told(str(path)) == "OSError"
    assert victim.told(str(path)) == "done"


async def test_who_is_gone_cannot_be_hurt(victim: Victim) -> None:
    victim.process.kill()
    victim.process.wait()
    async with hands.paused(victim.pid):
        pass
    async with hands.starved(victim.pid):
        await asyncio.sleep(0)
    for what in hands.LIMITS:
        async with hands.limited(victim.pid, what):
            pass
    assert hands.state_of(victim.pid) == ""
    assert hands.descriptors(victim.pid) == 0
    assert hands.status(victim.pid, "VmRSS") is None


def test_what_is_seen_of_a_process(victim: Victim) -> None:
    assert victim.pid in hands.children(os.getpid())
    assert hands.parent_of(victim.pid) == os.getpid()
    assert hands.session_of(victim.pid) == os.getsid(0)
    assert sys.executable in hands.command_line(victim.pid)
    assert 3 <= hands.descriptors(victim.pid) < 20
    weight = hands.status(victim.pid, "VmRSS")
    assert weight is not None
    assert weight % resource.getpagesize() == 0
