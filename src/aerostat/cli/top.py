"""``aerostat top``: the running manager's guests, live."""

from pathlib import Path

import click

from aerostat.cli.list import SORTS
from aerostat.cli.options import socket_option
from aerostat.errors import UsageError

_QUICKEST = 0.1


@click.command(
    "top",
    short_help="Watch the guests of the running manager, live.",
    epilog="""\b
Examples:
  aerostat top                       q ends it, s sorts, h helps
  aerostat top -b -n 1               one look, as text
  aerostat top -d 10 --csv >> log    a row a guest, every ten seconds
""",
)
@click.option(
    "-d",
    "--delay",
    metavar="SECONDS",
    type=float,
    default=1.0,
    show_default=True,
    help="Time between two looks.",
)
@click.option(
    "-n", "--number", metavar="N", type=click.IntRange(min=1), help="End after so many looks."
)
@click.option("-b", "--batch", is_flag=True, help="Print text, look after look, and read no keys.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a CSV row a guest; implies -b.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON snapshot a line; implies -b.")
@click.option(
    "--sort",
    "by",
    type=click.Choice(SORTS),
    default="name",
    show_default=True,
    help="The order; figures go from the largest down.",
)
@socket_option
def command(
    delay: float,
    number: int | None,
    by: str,
    socket: Path | None,
    *,
    batch: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Watch the guests of the running manager, live, as 'aerostat run' shows them.

    Without a terminal it prints text, as with -b.
    """
    from rich.console import Console

    from aerostat.cli.asking import manager_at
    from aerostat.cli.watching import Feed, csv_frames, json_frames, text_frames, watch
    from aerostat.tui.live import can_draw

    if not _QUICKEST <= delay <= 86400:
        raise UsageError(f"--delay takes seconds, from {_QUICKEST:g} to 86400, not {delay:g}")
    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other; give one of them")
    with manager_at(socket) as client:
        feed = Feed(client, delay, number)
        if as_csv:
            csv_frames(feed, by)
        elif as_json:
            json_frames(feed)
        elif batch or not can_draw(console := Console()):
            text_frames(feed, by)
        else:
            watch(feed, console, by)
