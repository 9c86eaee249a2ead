"""``aerostat explain GUEST``: what is done with a guest, and why; now and lately."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aerostat.cli.options import json_option, socket_option

if TYPE_CHECKING:
    from aerostat.daemon.journal.reading import JournalReader
    from aerostat.replay.timeline import Timeline


@click.command(
    "explain",
    short_help="Say what is done with a guest, and why.",
    epilog="""\b
Examples:
  aerostat explain web1                        now
  aerostat explain web1 --since 10m            and every move of the last ten minutes
  aerostat explain web1 --since 14:00 --until 14:30 --json
  aerostat explain web1 --journal old.sqlite   from a journal alone, without a manager
""",
)
@click.argument("guest")
@click.option("--since", metavar="TIME", help="Tell its moves from then on: 10m, 14:05.")
@click.option("--until", metavar="TIME", help="Up to then (default: the journal's end).")
@click.option(
    "--journal",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Ask this journal; without --socket, instead of a manager.",
)
@socket_option
@json_option
def command(
    guest: str,
    since: str | None,
    until: str | None,
    journal: Path | None,
    socket: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say what is done with GUEST (a name or a key), and why.

    First in a sentence, then by the figures behind it: what the guest said, what was made of that,
    between which bounds it moves, what was decided, and what came of the last move. With --since
    every move of that time follows, from the journal.
    """
    from aerostat.cli.report import to_json
    from aerostat.replay.timeline import Entry
    from aerostat.replay.words import figure_lines, timeline_lines

    entries: list[Entry] | None = None
    told = None if journal is not None and socket is None else ask_manager(guest, socket)
    if told is None or since is not None or until is not None:
        key = guest if told is None else str(told[1].get("key", guest))
        timeline, entries, times = read_journal(key, journal, since, until)
        told = told or (sentence_of(timeline.last), timeline.last or {})
    sentence, values = told
    if as_json:
        lately = {} if entries is None else {"timeline": [one.to_json() for one in entries]}
        click.echo(to_json(guest=guest, explanation=sentence, values=values, **lately))
        return
    click.echo("\n".join([sentence, *figure_lines(values)]))
    if entries is not None:
        click.echo("\n".join(["", *timeline_lines(entries, *times)]))


def ask_manager(guest: str, socket: Path | None) -> tuple[str, dict[str, Any]] | None:
    """Return the running manager's sentence on a guest, and the values behind it.

    None where none runs, but the journal of one is there to be asked.
    """
    from aerostat.cli.asking import manager_at
    from aerostat.cli.errors import NotThereError
    from aerostat.cli.past import journal_path
    from aerostat.errors import LinkError

    try:
        with manager_at(socket) as client:
            return client.explain(guest), client.explain_values(guest)
    except NotThereError as error:
        if not isinstance(error.__cause__, LinkError) or socket is not None:
            raise
        with contextlib.suppress(NotThereError):
            path = journal_path(None)
            click.echo(f"no manager is running; this is from {path}", err=True)
            return None
        raise


def read_journal(
    guest: str, journal: Path | None, since: str | None, until: str | None
) -> "tuple[Timeline, list[Any], tuple[float, float]]":
    """Return what a journal says of a guest, its entries, and the time that they are of."""
    from aerostat.cli.past import journal_path, key_of, time_range
    from aerostat.daemon.journal.reading import JournalReader
    from aerostat.replay.timeline import Timeline

    with JournalReader(journal_path(journal)) as reader:
        key = key_of(reader, guest)
        begin, end = time_range(reader, since, until, default="10m")
        timeline = Timeline(key, reader.moves(key, begin, end), reader.events(begin, end))
        walk(reader, timeline, begin, end)
        return timeline, timeline.finish(), (begin, end)


def walk(reader: "JournalReader", timeline: "Timeline", begin: float, end: float) -> None:
    """Feed `timeline` the ticks from `begin` to `end` (wall seconds), and those that lead there."""
    from aerostat.cli.past import shown_on_the_way
    from aerostat.replay.steps import Replayer

    first, last = reader.bounds(begin, end)
    start = reader.state_before(first) or first
    replayer = Replayer(reader.runs())
    for tick in shown_on_the_way(reader.ticks(start, last), "reading", last - start + 1):
        replayed = replayer.feed(tick)
        if tick.id >= first:
            timeline.feed(tick, replayed)


def sentence_of(values: dict[str, Any] | None) -> str:
    """Return a guest's sentence, made from figures."""
    from aerostat.cli.errors import NotThereError
    from aerostat.replay.words import name_of

    if not values:
        raise NotThereError("nothing of this guest is recorded in that time")
    decision = values.get("decision")
    if decision is None:
        return f"{name_of(values)}: what the engine knew is not recorded"
    return f"{name_of(values)} {decision['sentence']}"
