"""Manual pages: of each command from its own help, of the configuration from the guide's table."""

import inspect
import subprocess
import sys
from collections.abc import Iterator, Mapping

import click

from aerostat import __version__
from aerostat.cli.main import cli
from tools import roff

# Commands that become another program, which has a help of its own.
_PROGRAMS = {"aerostat device", "aerostat guest"}
_WIDTH = 100
_FILES = {
    "/etc/aerostat/aerostat.toml": "The configuration of the host's manager, aerostat.toml(5).",
    "~/.config/aerostat/aerostat.toml": "The same of a user's own.",
    "/run/aerostat/aerostat.sock": "Where the host's manager listens.",
    "/var/lib/aerostat": "What a manager has learned, and its journal.",
    "/usr/share/aerostat/openapi.json": "What the manager can be asked, as OpenAPI.",
}
_ENVIRONMENT = {
    "AEROSTAT_SOCKET": "Where the manager listens, as with --socket.",
    "NO_COLOR": "If it is set, nothing is coloured.",
}
_CONFIGURATION = """\
The manager reads it at its start, and again on SIGHUP or 'systemctl reload'. It is TOML: sizes \
are text with a unit ("512MiB", "1.5GiB"), times are seconds. 'aerostat config check' says whether \
it is right. Options of the command line go before it."""


def pages(guide: str) -> dict[str, str]:
    """Return the text of each page by its name, such as ``aerostat-list.1``.

    `guide` is the operators' guide, whose tables tell of exit codes and of the configuration.
    """
    made = dict(_of_command(cli, click.Context(cli, info_name="aerostat", **cli.context_settings)))
    made["aerostat.1"] += (
        roff.section("EXIT STATUS", _markdown_terms({k: r[0] for k, r in table(guide, "code")}))
        + roff.section("ENVIRONMENT", roff.terms(_ENVIRONMENT))
        + roff.section("FILES", roff.terms(_FILES))
    )
    for name, text in made.items():
        others = "aerostat.toml(5)" if name == "aerostat.1" else "aerostat(1), aerostat.toml(5)"
        made[name] = text + roff.section("SEE ALSO", others + "\n")
    return made | {"aerostat.toml.5": _configuration(guide)}


def table(guide: str, first_title: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of the guide's table with this first title: the first cell, the others."""
    begin = guide.index(f"\n| {first_title} |") + 1
    for line in guide[begin:].split("\n\n", maxsplit=1)[0].splitlines()[2:]:
        first, *others = (cell.strip() for cell in line[1:-1].split("|"))
        yield first.strip("`"), others


def _of_command(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the page of a command, and those of the commands below it."""
    name = context.command_path.replace(" ", "-")
    below = list(_below(command, context))
    short = command.get_short_help_str(_WIDTH).rstrip(".")
    usage = " ".join(command.collect_usage_pieces(context))
    yield (
        f"{name}.1",
        roff.title(name, 1, __version__)
        + roff.section("NAME", f"{roff.escape(name)} \\- {roff.escape(short)}\n")
        + roff.section("SYNOPSIS", f"{roff.bold(context.command_path)} {roff.escape(usage)}\n")
        + roff.section("DESCRIPTION", _description(command, context))
        + roff.section("COMMANDS", roff.terms(_short_helps(below)))
        + roff.section("OPTIONS", roff.terms(_options(command, context)))
        + _epilog(command),
    )
    for inner, inner_context in below:
        yield from _of_command(inner, inner_context)


def _below(
    command: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            yield inner, click.Context(inner, context, name)


def _short_helps(below: list[tuple[click.Command, click.Context]]) -> dict[str, str]:
    return {
        context.command_path.replace(" ", "-") + "(1)": command.get_short_help_str(_WIDTH)
        for command, context in below
    }


def _description(command: click.Command, context: click.Context) -> str:
    if context.command_path in _PROGRAMS:
        module = context.command_path.replace(" ", ".")
        shown = subprocess.run(
            [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
        )
        return roff.verbatim(shown.stdout.rstrip())
    return roff.paragraphs(_parts(command.help or ""))


def _options(command: click.Command, context: click.Context) -> dict[str, str]:
    if context.command_path in _PROGRAMS:
        return {}
    options = (each for each in command.get_params(context) if isinstance(each, click.Option))
    records = (option.get_help_record(context) for option in options)
    return dict(record for record in records if record is not None)


def _epilog(command: click.Command) -> str:
    """Return the epilog: examples, and notes."""
    examples, notes = "", []
    for part in _parts(command.epilog or ""):
        heading, _, rest = part.removeprefix(roff.AS_IT_IS).partition("\n")
        if heading == "Examples:":
            examples = roff.verbatim(rest)
        else:
            notes.append(part)
    return roff.section("EXAMPLES", examples) + roff.section("NOTES", roff.paragraphs(notes))


def _parts(text: str) -> list[str]:
    """Return the paragraphs of a help text."""
    return inspect.cleandoc(text).split("\n\n")


def _markdown_terms(described: Mapping[str, str]) -> str:
    return "".join(
        f".TP\n{roff.bold(term)}\n{roff.from_markdown(text)}\n" for term, text in described.items()
    )


def _configuration(guide: str) -> str:
    keys = {}
    for key, (default, words) in table(guide, "key"):
        said = words[:1].upper() + words[1:] + "."
        keys[key] = said + (f" Where nothing is said: {default}." if default else "")
    return (
        roff.title("aerostat.toml", 5, __version__)
        + roff.section("NAME", "aerostat.toml \\- the configuration of aerostat\n")
        + roff.section("DESCRIPTION", roff.paragraphs([_CONFIGURATION]))
        + roff.section("KEYS", _markdown_terms(keys))
        + roff.section("SEE ALSO", "aerostat(1), aerostat\\-run(1), aerostat\\-config(1)\n")
    )
