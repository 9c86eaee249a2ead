"""What the dead leave: processes of nobody, a manager's state and its journal.

Touches /proc, and the state directory.
"""

import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from aerostat.daemon.journal.reading import JournalReader
from aerostat.daemon.savefile import SaveFile
from aerostat.errors import AerostatError
from aerostat.testing.trials.faults import hands


def strays(place: str, heads: Collection[int]) -> list[str]:
    """Return the processes that `place` is named in the command lines of, and that are strangers.

    Known are `heads`, what they started, and who is in a session of theirs.
    """
    found = []
    for pid in hands.processes():
        said = hands.command_line(pid)
        if place in said and not set(heads) & set(_above(pid)):
            found.append(f"{pid}: {said[:120]}")
    return found


def _above(pid: int) -> Iterator[int]:
    """Yield a process, the leader of its session, and those that it comes from."""
    while pid > 1:
        yield pid
        if leader := hands.session_of(pid):
            yield leader
        pid = hands.parent_of(pid) or 0


def left_behind(directory: Path) -> list[str]:
    """Return what is wrong with what a dead manager left: its state and its journal."""
    troubles = []
    state = directory / "state.json"
    if state.exists():
        copy = directory / "copy.json"
        shutil.copyfile(state, copy)
        SaveFile(copy).load(time.monotonic())
        if copy.with_name(copy.name + ".bad").exists():
            troubles.append("the state that a dead manager left cannot be read")
        copy.unlink(missing_ok=True)
    if state.with_name(state.name + ".bad").exists():
        troubles.append("a manager could not use the state that it found")
    try:
        with JournalReader(directory / "journal.sqlite") as journal:
            journal.bounds()
    except AerostatError as error:
        troubles.append(f"the journal that a dead manager left: {error}")
    if broken := list(directory.glob("*.broken-*")):
        troubles.append(f"a journal that could not be used was set aside: {broken[0].name}")
    return troubles
