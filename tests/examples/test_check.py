"""The examples of `aerostat check` in a build: the script runs it, the job is YAML."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples" / "check"


def test_the_script_says_that_there_is_no_device(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", EXAMPLES / "ci.sh", "sh", "-c", "echo nothing to serve >&2; exit 3"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "status 3: nothing to serve" in done.stderr


def test_the_job_has_its_steps() -> None:
    yaml = importlib.import_module("yaml")
    job = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text(encoding="utf-8"))

    steps = [step.get("run", step.get("uses")) for step in job["jobs"]["check"]["steps"]]
    assert any(step.startswith("aerostat check device balloon.sock --quiet") for step in steps)
    assert all("\n" not in step.strip() for step in steps)
