"""``aerostat replay JOURNAL``: the engine run over what was recorded."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aerostat.cli.options import json_option

if TYPE_CHECKING:
    from aerostat.daemon.journal.reading import JournalReader
    from aerostat.daemon.thinking import Guide
    from aerostat.replay.comparison import Comparison
    from aerostat.replay.steps import Change


@click.command(
    "replay",
    short_help="Decide again what a journal recorded, also by another policy.",
    epilog="""\b
Examples:
  aerostat replay /var/lib/aerostat/journal.sqlite
  aerostat replay journal.sqlite --policy density
  aerostat replay journal.sqlite --policy mom:host_free=0.3
  aerostat replay journal.sqlite --policy ./my_policy.py:MyPolicy
  aerostat replay journal.sqlite --set cooldown=30 --set reserve_floor=64MiB --guest db1
  aerostat replay journal.sqlite --since '2026-11-23 14:00' --until 15:00 --json
""",
)
@click.argument("journal", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    metavar="NAME",
    help="Ask another policy what it would have decided: a mode of the engine's own (need or"
    " density), or any policy that can be named, under the same safeguards.",
)
@click.option(
    "--set",
    "assignments",
    metavar="SETTING=VALUE",
    multiple=True,
    help="Ask with another setting of the engine; may be given several times.",
)
@click.option("--since", metavar="TIME", help="From then on: 2h, 14:05, '2026-11-23 14:05'.")
@click.option("--until", metavar="TIME", help="Up to then; durations count back from the end.")
@click.option("--guest", metavar="GUEST", help="Tell of this guest only, a name or a key.")
@json_option
def command(
    journal: Path,
    policy: str | None,
    assignments: tuple[str, ...],
    since: str | None,
    until: str | None,
    guest: str | None,
    *,
    as_json: bool,
) -> int:
    """Run the engine over JOURNAL, and say whether it decides as was recorded.

    With --policy or --set, say for each guest where, and why, another decision would first have
    been made. What would have followed then is not known. The exit code is 1 where the recorded
    policy itself decides otherwise now.
    """
    from aerostat.cli.errors import ExitCode
    from aerostat.cli.past import key_of, time_range
    from aerostat.cli.report import to_json
    from aerostat.daemon.journal.reading import JournalReader
    from aerostat.replay.comparison import NOT_KNOWN, faithful_lines, other_lines
    from aerostat.replay.policies import change_of, guide_of

    change, guide = change_of(policy, assignments), guide_of(policy)
    with JournalReader(journal) as reader:
        times = time_range(reader, since, until)
        only = None if guest is None else key_of(reader, guest)
        comparison = compare(reader, change, guide, times, only)
    label = ", ".join([*([policy] if policy else []), *assignments])
    if as_json:
        values = comparison.to_json()
        if change is not None:
            values |= {"other": label, "note": NOT_KNOWN}
        click.echo(to_json(**values))
    else:
        lines = faithful_lines(comparison)
        if change is not None:
            lines += ["", *other_lines(comparison, label)]
        click.echo("\n".join(lines))
    return ExitCode.OK if comparison.faithful else ExitCode.FAILURE


def compare(
    reader: "JournalReader",
    change: "Change | None",
    guide: "Guide | None",
    times: tuple[float, float],
    only: str | None,
) -> "Comparison":
    """Replay the ticks within `times` (wall seconds); show how far it is, on a terminal."""
    from aerostat.cli.past import shown_on_the_way
    from aerostat.replay.comparison import Comparison
    from aerostat.replay.steps import Replayer

    first, last = reader.bounds(*times)
    start = reader.state_before(first) or first
    replayer, comparison = Replayer(reader.runs(), change, guide), Comparison(only)
    for tick in shown_on_the_way(reader.ticks(start, last), "replaying", last - start + 1):
        replayed = replayer.feed(tick)
        if replayed is not None and tick.id >= first:
            comparison.add(replayed)
    comparison.finish(replayer)
    return comparison
