"""Everything that runs is killed, paused, starved and cut off at random; nobody is harmed by it.

The short form of ``make faults``.
"""

import os
import random
from pathlib import Path

import pytest

from aerostat.testing.trials.faults import campaign, report
from aerostat.testing.trials.faults.schedule import BRISK, PROCESSES, UML, Schedule

pytestmark = [pytest.mark.uml, pytest.mark.timeout(300)]

# A domain of libvirt would take longer to start than all the rest.
HOUSE = (PROCESSES[0], PROCESSES[3], PROCESSES[4], UML)
FAULTS = 25


async def test_faults_at_random_harm_nobody(tmp_path: Path) -> None:
    seed = int(os.environ.get("AEROSTAT_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"AEROSTAT_SEED={seed} chooses the same")
    schedule = Schedule(HOUSE, seed, tempo=BRISK)
    record = await campaign.make(schedule, FAULTS, print, settles=False)
    print(report.text(record))

    assert report.write(record, tmp_path).exists()
    assert [*record.found] == []
    assert len(record.injuries) == FAULTS
    assert record.checks > 0
