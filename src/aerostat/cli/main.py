"""The ``aerostat`` command: finds the subcommand, and turns errors into one line and a number.

A face: may import everything, but imports only click and the core here, so that
``aerostat --version`` and ``aerostat device`` stay quick.
"""

import importlib
import importlib.util
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from aerostat import __version__
from aerostat.cli.errors import ExitCode, exit_code, one_line

_COMMANDS = {
    "check": "aerostat.cli.check:command",
    "config": "aerostat.cli.config:command",
    "demo": "aerostat.demo.command:command",
    "device": "aerostat.cli.device:command",
    "doctor": "aerostat.cli.doctor:command",
    "explain": "aerostat.cli.explain:command",
    "guest": "aerostat.cli.guest:command",
    "history": "aerostat.cli.history:command",
    "hold": "aerostat.cli.hold:command",
    "list": "aerostat.cli.list:command",
    "release": "aerostat.cli.release:command",
    "replay": "aerostat.cli.replay:command",
    "reserve": "aerostat.cli.reserve:command",
    "resume": "aerostat.cli.resume:command",
    "run": "aerostat.cli.run:command",
    "set": "aerostat.cli.set:command",
    "simulate": "aerostat.cli.simulate:command",
    "stats": "aerostat.cli.stats:command",
    "top": "aerostat.cli.top:command",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands that are installed."""
        return [name for name in _COMMANDS if self.get_command(ctx, name)]

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click calls it so
        cmd_name: str,
    ) -> click.Command | None:
        """Return the command of that name, or None."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        if not _is_installed(module):
            return None
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


def _is_installed(module: str) -> bool:
    """Say whether `module` can be found, without hiding an error inside it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its package is not there
        return False


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  aerostat run --qmp '/run/vm/*.qmp'            watch the guests; change nothing
  aerostat run --qmp '/run/vm/*.qmp' --manage   move their balloons
  aerostat list                                 ask the running manager

\b
Shell completion, for bash (zsh and fish likewise):
  eval "$(_AEROSTAT_COMPLETE=bash_source aerostat)"
""",
)
@click.version_option(__version__, prog_name="aerostat", message="%(prog)s %(version)s")
def cli() -> None:
    """Give every virtual machine the memory it is using, and the host the rest."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line `arguments` (those of the process, if None) and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An arrow that the locale does not have is no reason to end.
        sys.stdout.reconfigure(errors="replace")
    sys.exit(invoke(arguments))


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` and return its exit code (see `ExitCode`)."""
    try:
        # Where the reader of a pipe has gone (``aerostat list | head -1``), click exits quietly.
        result = cli.main(args=arguments, prog_name="aerostat", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise  # a mistake of ours: let it be seen whole
        click.echo(f"error: {one_line(error)}", err=True)
        return code
    return result if isinstance(result, int) else ExitCode.OK
