"""Running guided fuzzing of targets, each in a process of its own, and reading what it says.

Touches processes and the store.
"""

import importlib.util
import re
import subprocess
import sys
import time

from aerostat.errors import MissingError
from aerostat.testing.fuzz.keeping import Store
from aerostat.testing.fuzz.oracle import Oracle
from aerostat.testing.fuzz.playing import Played
from aerostat.testing.fuzz.target import Target

# libFuzzer's own words: ``#12  INITED cov: 34 ...`` once it has played the corpus, later others.
_COVERAGE = re.compile(r"^#\d+\s+(\w+)\s+cov: (\d+)", re.MULTILINE)
_CASES = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_TOTAL = re.compile(r"^#(\d+)\s", re.MULTILINE)
# What loading and the end of a process may take.
_MARGIN = 120.0


def require_atheris() -> None:
    """Raise `MissingError` where nobody can guide."""
    if importlib.util.find_spec("atheris") is None:
        raise MissingError("guided fuzzing needs atheris: pip install atheris (make fuzz does)")


def run_guided(
    target: Target, store: Store, seed: int, *, count: int | None, seconds: float
) -> Played:
    """Fuzz one target, so many cases or for so long, and on what earlier runs have found."""
    command = [
        *(sys.executable, "-m", "aerostat.testing.fuzz.guided", target.name),
        *("--store", str(store.directory), "--seed", str(seed), "--seconds", str(round(seconds))),
    ]
    if count is not None:
        command += ["--cases", str(count)]
    log = store.corpus(target.name).parent.parent / f"{target.name}.log"
    for finding in store.findings(target.name):
        if Oracle(target).judge(finding.case) is None:
            store.forget(finding)
    began = time.monotonic()
    with log.open("w") as file:
        ended = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=file,
            timeout=seconds + _MARGIN if seconds else None,
            check=False,
        )
    took = time.monotonic() - began
    text = log.read_text(errors="replace")
    if ended.returncode != 0:
        raise MissingError(f"the fuzzer of {target.name} ended with {ended.returncode}: see {log}")
    seen = _COVERAGE.findall(text)
    first = [int(cov) for kind, cov in seen if kind == "INITED"]
    coverage = max((int(cov) for _, cov in seen), default=0) - (first[0] if first else 0)
    cases = _CASES.findall(text) or _TOTAL.findall(text) or ["0"]
    findings = tuple(store.findings(target.name))
    return Played(target.name, int(cases[-1]), took, findings, coverage=coverage)
