"""``aerostat config check``: is the configuration right, and what does it come to."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aerostat.cli.errors import BadConfigError
from aerostat.cli.options import json_option

if TYPE_CHECKING:
    from aerostat.daemon.config import Config


@click.group("config", short_help="Check the manager's configuration.")
def command() -> None:
    """Work with the manager's configuration file and its drop-ins, conf.d/*.toml beside it."""


@command.command(
    "check",
    short_help="Say what is wrong with a configuration, or what applies.",
    epilog="""\b
Examples:
  aerostat config check                   the file that 'run' would read
  aerostat config check new.toml          another one, before it is put in place
  aerostat config check && systemctl reload aerostat

\b
The exit code is 78 where something is wrong.
""",
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@json_option
def check(file: Path | None, *, as_json: bool) -> None:
    """Read FILE and its drop-ins as the manager would, and print every setting that applies.

    What is wrong is told with its file and its line. Nothing is changed.
    """
    from aerostat.cli.report import to_json
    from aerostat.daemon import paths
    from aerostat.daemon.config.source import files_of
    from aerostat.daemon.config.text import plain, written

    file = file or paths.config_file()
    settings = read(file)
    if as_json:
        click.echo(to_json(files=[str(path) for path in files_of(file)], settings=plain(settings)))
        return
    for path in files_of(file):
        click.echo(f"# {path}")
    click.echo(written(settings), nl=False)


def read(file: Path | None, overrides: dict[str, Any] | None = None) -> "Config":
    """Return the configuration of `file`, with options laid over it.

    Raises `BadConfigError` for what is wrong with the file, `UsageError` for the options.
    """
    from aerostat.daemon.config import ConfigError, load

    try:
        settings = load(file, overrides)
    except ConfigError as error:
        raise BadConfigError(str(error)) from error
    if file is not None and not settings.connector:
        raise BadConfigError(f"{file}: no guests are named; add a [[connector]]")
    return settings
