"""What is in share/ is what the commands and the API are now, and it can be read."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from aerostat.cli.main import cli  # noqa: E402 - needs the path above
from tools import reference, roff  # noqa: E402

PAGES = sorted(reference.SHARE.glob("man/*/*"))


def test_all_of_it_is_up_to_date() -> None:
    assert reference.stale() == [], "run: tools/reference.py"


def test_every_command_has_its_page() -> None:
    context = click.Context(cli, info_name="aerostat")
    pages = {path.name for path in PAGES}
    assert {f"aerostat-{name}.1" for name in cli.list_commands(context)} <= pages
    assert {"aerostat.1", "aerostat.toml.5"} <= pages


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_pages_are_read_without_a_warning() -> None:
    command = ["groff", "-K", "utf8", "-T", "utf8", "-m", "man", "-ww", "-z", *map(str, PAGES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_a_page_says_what_the_command_says() -> None:
    page = reference.SHARE / "man/man1/aerostat-reserve.1"
    command = ["groff", "-K", "utf8", "-T", "utf8", "-m", "man", "-P", "-cbou", str(page)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "aerostat reserve 8GiB --for db2 --lease 5m --wait && virsh start db2" in shown
    assert "Keep SIZE (such as 8GiB) of the host's budget free for the guest NAME." in shown


def test_text_is_printed_as_it_is() -> None:
    assert roff.escape(".a\n'b' -c \\d") == "\\&.a\n\\(aqb\\(aq \\-c \\ed"
    assert roff.from_markdown("see [this](x.md): `a-b`.") == "see this: \\fBa\\-b\\fR\\&."


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.slow
def test_bash_completes_with_it() -> None:
    script = reference.SHARE / "bash-completion/completions/aerostat"
    ask = f"""
        source {script}
        COMP_WORDS=(aerostat re); COMP_CWORD=1
        _aerostat_completion aerostat
        echo "${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", ask],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PATH": path},
    )
    assert {"release", "reserve", "resume"} <= set(done.stdout.split())
