"""What checks contrib/, and what is in it."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aerostat.daemon.snapshot import Snapshot
from aerostat.metrics.exposition import exposition
from aerostat.metrics.tally import Tally

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def contrib() -> Path:
    return ROOT / "contrib"


@pytest.fixture
def find_program() -> Callable[[str], str]:
    """Give a function that finds a program; skips the test, or in CI fails it, where it is not."""

    def find(name: str) -> str:
        unpacked = ROOT / "build" / "lab" / "prometheus" / "usr" / "bin"
        found = shutil.which(name) or shutil.which(name, path=unpacked)
        if found is None:
            missing = f"there is no {name} here: make lab-prometheus"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        return found

    return find


@pytest.fixture
def promtool(find_program: Callable[[str], str]) -> str:
    return find_program("promtool")


@pytest.fixture
def exported() -> set[str]:
    """Return the names of all series that a manager exports, whether it has samples or not."""
    text = exposition(Snapshot(0.0, 0.0), Tally()).decode()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    parts = {f"{name}_{part}" for name in types for part in ("bucket", "count", "sum")}
    return types.keys() | {name for name in parts if types[name.rpartition("_")[0]] == "histogram"}
