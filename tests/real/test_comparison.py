"""Two policies drive the same four real guests in turn: the short form of the comparison."""

from pathlib import Path

import pytest

from aerostat.testing.trials.comparison import harm, schedule
from aerostat.testing.trials.comparison.drivers import NOBODY
from aerostat.testing.trials.comparison.inhabitants import KINDS
from aerostat.testing.trials.comparison.running import Job, budget
from aerostat.testing.trials.comparison.scenes import SIZE

GUESTS = [kind for kind in KINDS if kind.program == "uml"][:4]

pytestmark = [pytest.mark.uml, pytest.mark.slow, pytest.mark.timeout(400)]


async def test_policies_are_compared_on_real_guests(tmp_path: Path) -> None:
    listed = [Job("files", policy, 1, seconds=12) for policy in (NOBODY, "aerostat", "proxmox")]

    made = await schedule.make_all(listed, GUESTS, tmp_path / "runs.jsonl", print)

    assert [run.job for run in made] == listed
    assert schedule.read(tmp_path / "runs.jsonl") == made
    free, ours, theirs = made
    for run in made:
        assert run.guests.keys() == {kind.name for kind in GUESTS}
        assert 0 < harm.mean_held(run) <= harm.peak_held(run) <= SIZE * len(GUESTS) * 1.05
        assert all(one.counters for one in run.guests.values())
        assert harm.worked(run) > 0
        assert harm.total(run, "disk_reads") > 0
    # Left with all their memory they miss nothing, and hold more than they may under a policy.
    assert harm.total(free, "refaulted") == free.moves == 0
    assert harm.mean_held(ours) <= budget(GUESTS) < harm.peak_held(free)
    assert theirs.moves > 0
