"""The journal of a manager of process guests: replayed bit for bit, over a kill, and told."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.daemon.journal.reading import JournalReader
from aerostat.model.workload import reader
from aerostat.testing.laboratory import Laboratory
from aerostat.testing.processes.manager import ManagerProcess
from aerostat.units import MIB

pytestmark = pytest.mark.slow

MakeManager = Callable[..., ManagerProcess]

SIZE = 256 * MIB


@pytest.fixture
async def journal(laboratory: Laboratory, manager_of: MakeManager) -> Path:
    """Give the journal of a manager that was killed, started again and ended; three guests."""
    names = ("web", "db", "files")
    web, db, files = await asyncio.gather(
        *(laboratory.start_process_guest(name, SIZE) for name in names)
    )
    await web.command("hold", worker="held", size=40 * MIB)
    await db.command("hold", worker="held", size=60 * MIB)
    await files.play(reader(0, rate=40 * MIB, span=128 * MIB))
    manager = manager_of(budget=480 * MIB, manage=True)
    await manager.start()
    await manager.ticks(20)
    await web.command("hold", worker="more", size=100 * MIB)
    await manager.ticks(15)
    await manager.kill()
    await manager.start()
    await manager.ticks(15)
    await manager.stop()
    return laboratory.directory / "manager.state" / "journal.sqlite"


async def call(*arguments: str | Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aerostat", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_real_decisions_are_made_again_bit_for_bit(journal: Path, tmp_path: Path) -> None:
    code, out, err = await call("replay", journal, "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["identical"] == told["compared"] == told["steps"] >= 40
    assert (told["skipped"], told["runs"]) == (0, 2)
    assert told["unlike_recorded"] == []
    with JournalReader(journal) as opened:
        moves = list(opened.moves())
        assert sorted(opened.guests().values()) == ["db", "files", "web"]
        # What was being written when it was killed is there, or not; never half.
        counted = opened.rows(tuple[int], "SELECT sum(count) FROM guest_quarters")[0][0]
        assert counted == 3 * len(list(opened.ticks()))
    assert {move.outcome for move in moves} == {"accepted"}

    code, out, _ = await call("explain", "web", "--journal", journal, "--json")
    timeline = json.loads(out)["timeline"]
    assert any(entry["kind"] == "move" and entry["reached_after"] is not None for entry in timeline)
    code, _, _ = await call("history", "web", "--journal", journal, "--output", tmp_path / "w.html")
    assert code == 0
    assert "</svg>" in (tmp_path / "w.html").read_text()
