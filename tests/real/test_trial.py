"""Eight real guests of three kinds under one budget, two of them hostile, the manager killed twice.

The short form of ``make trial``.
"""

from pathlib import Path

import pytest

from aerostat.testing.trials import house, plan, report, verdict

pytestmark = [
    pytest.mark.uml,
    pytest.mark.qemu,
    pytest.mark.libvirt,
    pytest.mark.timeout(400),
]


async def test_a_minute_in_a_house_with_hostile_guests(tmp_path: Path) -> None:
    record = await house.make(plan.short(), print)
    verdicts = verdict.judge(record)

    assert report.write(record, verdicts, tmp_path).exists()
    assert [one for one in verdicts if not one.kept] == []
