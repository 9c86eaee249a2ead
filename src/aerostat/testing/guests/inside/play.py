"""Plays a workload in a guest that has a Python and whose PID 1 is a shell.

``python3 -m aerostat.testing.guests.inside.play PLAN READY FILE STORE REPORT`` makes the file READY
and waits for PLAN: the workload as JSON (`Workload.to_dict`), and the second of it to begin at.
FILE is what it reads, STORE a file system in memory; in REPORT it tells, every second, what came of
it so far. Standard library only.
"""

import json
import sys
import time
from pathlib import Path

from aerostat.model.workload import Workload
from aerostat.testing.guests.inside.workload import TICK, Holding, Pattern, Player

_REPORT_EVERY = 1.0
_KILL_ME_FIRST = "1000"  # the highest oom_score_adj


def main(plan: str, ready: str, file: str, store: str, report: str) -> None:
    """Play until killed."""
    Path("/proc/self/oom_score_adj").write_text(_KILL_ME_FIRST)
    # What takes long is done before it is told to begin.
    holding = Holding(Pattern(store, seed=1))
    Path(ready).touch()
    while not Path(plan).exists():
        time.sleep(TICK)
    workload, since = json.loads(Path(plan).read_text())
    player = Player(Workload.from_dict(workload), holding, file, since=since)
    reported = 0.0
    while True:
        began = time.monotonic()
        player.tick()
        if began >= reported + _REPORT_EVERY:
            reported = began
            fresh = Path(f"{report}.new")
            fresh.write_text(json.dumps(player.report()))
            fresh.rename(report)
        time.sleep(max(0.0, began + TICK - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:])
