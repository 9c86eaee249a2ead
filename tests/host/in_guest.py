"""Runs in a laboratory guest, as root: the host's rooms on a real cgroup hierarchy and real PSI.

Prints what it saw as one line of JSON, which `test_host_in_guest` judges.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aerostat.host.budget import Budget
from aerostat.host.cgroup import Cgroup, cgroup_of
from aerostat.host.held import held_by, held_by_cgroup, held_together, read_held
from aerostat.host.host import Host
from aerostat.host.pressure import PressureTrigger, open_trigger

MIB = 1 << 20
ROOT = Path("/sys/fs/cgroup")
PAGE = 4096


def touch(memory: Any, size: int) -> None:
    """Write a byte to each page."""
    for offset in range(0, size, PAGE):
        memory[offset] = 1


def begin(group: Path, work: Callable[[], None]) -> int:
    """Start a process in a cgroup; it works, says so, and sleeps until it is killed."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        work()
        os.write(write, b"!")
        signal.pause()
    os.close(write)
    with os.fdopen(read, "rb", buffering=0) as done:
        done.read(1)
    return pid


def end(pid: int) -> None:
    """End a process that `begin` started."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def held(group: Path) -> dict[str, Any]:
    """Have a process hold 32 MiB of its own and another share 24 MiB with it; read both."""
    file = os.memfd_create("guest")
    os.ftruncate(file, 64 * MIB)

    def shared() -> None:
        os.pwrite(file, b"x" * (24 * MIB), 0)

    own_group, shared_group = group / "own", group / "shared"
    (group / "cgroup.subtree_control").write_text("+memory")
    own_group.mkdir()
    shared_group.mkdir()
    kept: list[bytearray] = []

    def keep() -> None:
        kept.append(bytearray(32 * MIB))
        touch(kept[0], 32 * MIB)

    one = begin(own_group, keep)
    two = begin(shared_group, shared)
    three = begin(shared_group, lambda: None)
    both = [read for pid in (two, three) if (read := read_held(pid)) is not None]
    found = cgroup_of(one)
    seen = {
        "own_rss": held_by(one),
        "own_cgroup": held_by_cgroup(one),
        "own_path": str(found and found.path),
        "shared_alone": [read.alone for read in both],
        "shared_files": [sum(read.files.values()) for read in both],
        "shared_together": held_together(both),
        "two_in_a_group": held_by_cgroup(two),
    }
    for pid in (one, two, three):
        end(pid)
    os.close(file)
    own_group.rmdir()
    shared_group.rmdir()
    (group / "cgroup.subtree_control").write_text("-memory")
    return seen


def backstop(group: Cgroup) -> dict[str, Any]:
    """Set `memory.high`, die without a word, and put it back as the next one."""
    high = group.path / "memory.high"
    (group.path / "memory.max").write_text(str(160 * MIB))
    high.write_text(str(150 * MIB))
    host = Host(Budget(cgroup="machine.slice", reserve=32 * MIB), backstop=group)
    reading = host.read(0)
    seen: dict[str, Any] = {
        "budget": reading.budget,
        "limit": reading.cgroup and reading.cgroup.limit,
    }
    seen["set"] = host.set_backstop()
    seen["file"] = int(high.read_text())
    # The first manager is killed here. The next one finds the group as it is.
    after = Cgroup.find("machine.slice")
    host = Host(Budget(cgroup="machine.slice", reserve=32 * MIB), backstop=after)
    reading = host.read(0)
    seen["limit_after"] = reading.cgroup and reading.cgroup.limit
    seen["set_after"] = host.set_backstop()
    host.close()
    seen["restored"] = int(high.read_text())
    seen["mark"] = os.listxattr(group.path)
    high.write_text("max")
    return seen


async def wait_for(trigger: PressureTrigger, within: float) -> bool:
    """Wait for a trigger as the manager's loop does."""
    fired = asyncio.Event()
    loop = asyncio.get_running_loop()

    loop.add_reader(trigger, fired.set)
    try:
        await asyncio.wait_for(fired.wait(), within)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(trigger)
    return True


def thrash(group: Cgroup) -> int:
    """Start a process that wants four times what its group may hold before it is slowed down."""
    (group.path / "memory.high").write_text(str(16 * MIB))

    def work() -> None:
        if not os.fork():
            touch(bytearray(64 * MIB), 64 * MIB)
            signal.pause()

    return begin(group.path, work)


def pressure(group: Cgroup) -> dict[str, Any]:
    """Fill a group beyond its `memory.high`, and see who notices."""
    host = Host(Budget(cgroup="machine.slice"))
    trigger = open_trigger(group.path / "memory.pressure")
    whole = host.pressure_trigger()
    assert trigger is not None
    assert whole is not None
    seen: dict[str, Any] = {"at_rest": trigger.wait(0.5)}
    first = host.read(0).pressure
    pid = thrash(group)
    seen["group_fired"] = asyncio.run(wait_for(trigger, 60))
    seen["host_fired"] = whole.wait(30)
    time.sleep(1)
    seen["pressure"] = [first, host.read(0).pressure]
    host.close()
    (group.path / "cgroup.kill").write_text("1")
    os.waitpid(pid, 0)
    seen["of_a_group_that_is_gone"] = gone(group, trigger)
    trigger.close()
    return seen


def gone(group: Cgroup, trigger: PressureTrigger) -> list[bool]:
    """Remove the group, as systemd does, and see that its trigger is quiet; then make it anew."""
    while (group.path / "cgroup.procs").read_text():
        time.sleep(0.05)
    trigger.wait(5.0)  # what came of the process that was killed
    group.path.rmdir()
    host = Host(Budget(cgroup="machine.slice"), backstop=group)
    quiet = [trigger.wait(0.1), trigger.wait(0.1)]
    without = host.read(0).cgroup is None and host.set_backstop() is None
    group.path.mkdir()
    read = host.read(0).cgroup is not None and group.backstop is not None
    host.close()
    return [*quiet, without, read, group.backstop is None]


def main() -> None:
    """Set the hierarchy up, and look at everything."""
    os.system("mount -t cgroup2 none /sys/fs/cgroup")
    (ROOT / "cgroup.subtree_control").write_text("+memory")
    slice_path = ROOT / "machine.slice"
    slice_path.mkdir()
    group = Cgroup.find("machine.slice")
    seen: dict[str, Any] = {
        "empty": group.read()._asdict(),
        "whole_path": str(Cgroup.find(str(slice_path)).path),
    }
    seen["backstop"] = backstop(group)
    (slice_path / "memory.max").write_text("max")
    seen["held"] = held(slice_path)
    seen["pressure"] = pressure(group)
    host = Host(Budget(reserve=MIB))
    host.read(0)
    time.sleep(0.5)  # rates are told of a time that has passed
    reading = host.read(0)
    seen["none"] = [name for name, value in reading._asdict().items() if value is None]
    seen["nodes"] = len(reading.nodes)
    print(json.dumps(seen))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
