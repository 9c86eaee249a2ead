"""``aerostat history GUEST``: what a guest, or the host, has been through."""

from pathlib import Path

import click

from aerostat.cli.options import json_option
from aerostat.errors import UsageError


@click.command(
    "history",
    short_help="Show what a guest has been through, drawn or as figures.",
    epilog="""\b
Examples:
  aerostat history web1                            the last hour, in this terminal
  aerostat history web1 --since 14:00 --until 15:00
  aerostat history --host --since 2d               the host's accounts
  aerostat history web1 --since 7d --output web1.svg
  aerostat history web1 --rows minute --csv        figures for other programs
""",
)
@click.argument("guest", required=False)
@click.option("--host", "of_host", is_flag=True, help="Show the host instead of a guest.")
@click.option("--since", metavar="TIME", help="From then on: 10m, 14:05, 7d (default: 1h).")
@click.option("--until", metavar="TIME", help="Up to then (default: the journal's end).")
@click.option(
    "--rows",
    type=click.Choice(["tick", "minute", "quarter"]),
    help="What a row covers (default: what suits the time).",
)
@click.option(
    "--journal",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The journal to read (default: the configured one).",
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a picture: .svg, .html or .png.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with bytes.")
@json_option
def command(
    guest: str | None,
    since: str | None,
    until: str | None,
    rows: str | None,
    journal: Path | None,
    output: Path | None,
    *,
    of_host: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Show sizes, use, pressure and moves of GUEST (a name or a key) over time.

    Reads the journal, so no manager needs to run. Durations count back from the journal's end.
    """
    from aerostat.cli.past import journal_path, key_of, time_range
    from aerostat.cli.report import to_json
    from aerostat.daemon.journal.history import check_span
    from aerostat.daemon.journal.reading import JournalReader
    from aerostat.replay.past import guest_past, host_past

    if of_host == (guest is not None):
        raise UsageError("name a guest, or give --host")
    if as_csv + as_json + (output is not None) > 1:
        raise UsageError("--csv, --json and --output exclude each other; give one of them")
    span = None if rows is None else check_span(rows)
    with JournalReader(journal_path(journal)) as reader:
        times = time_range(reader, since, until, default="1h")
        if guest is None:
            past = host_past(reader, *times, span)
        else:
            past = guest_past(reader, key_of(reader, guest), *times, span)
    if as_json:
        click.echo(to_json(**past.to_json()))
    elif as_csv:
        click.echo(past.csv())
    elif output is not None:
        from aerostat.replay.drawing import write_picture

        write_picture(past, output)
        click.echo(f"written: {output}")
    else:
        from rich.console import Console

        from aerostat.replay.chart import chart

        console = Console()
        console.print(chart(past, min(console.width, 160)))
