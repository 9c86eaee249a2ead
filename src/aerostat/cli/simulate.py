"""``aerostat simulate SCENARIO``: policies on modelled guests, and who holds how many unharmed."""

from pathlib import Path

import click

from aerostat.cli.options import json_option
from aerostat.errors import UsageError

_MOST_SECONDS = 7 * 86400


@click.command(
    "simulate",
    short_help="Try policies on modelled guests: how many fit, and what they suffer.",
    epilog="""\b
Examples:
  aerostat simulate --list
  aerostat simulate build --policy aerostat,mom,static
  aerostat simulate all --policy all --seeds 101-104 --dialect 16,10,6 --report out/
  aerostat simulate files --policy aerostat,proxmox --guests 24 --loss 0,0.1,0.5
  aerostat simulate mine.toml --policy mom:host_free=0.3,interval=5 --json
  aerostat simulate all --policy all --shard 2/2 --report part2    # and 1/2 elsewhere
  aerostat simulate --join part1 --join part2 --report out/
""",
)
@click.argument("scenario", required=False)
@click.option(
    "--policy",
    "policies",
    metavar="NAME[,NAME...]",
    multiple=True,
    help="Which policies: names of --list, with knobs as in mom:host_free=0.3,"
    " or all (default: aerostat,static).",
)
@click.option(
    "--seeds", default="1-4", show_default=True, metavar="N-M", help="Which guests: 1-4, or 1,3,7."
)
@click.option(
    "--dialect",
    "dialects",
    default="16",
    show_default=True,
    metavar="NAME[,NAME...]",
    help="What guests' drivers tell: 16, 10 or 6 tags, or another of --list.",
)
@click.option(
    "--guests",
    default="auto",
    show_default=True,
    metavar="N|auto",
    help="How many guests a house has; auto finds out how many each policy holds unharmed.",
)
@click.option(
    "--seconds",
    type=click.IntRange(180, _MOST_SECONDS),
    metavar="S",
    help="How long each house is simulated (default: the scenario's, 1200).",
)
@click.option(
    "--loss",
    "losses",
    default="0",
    show_default=True,
    metavar="SHARE[,...]",
    help="Share of samples that are lost; several are compared.",
)
@click.option(
    "--delay",
    "delays",
    default="0.05",
    show_default=True,
    metavar="S[,...]",
    help="Age of samples when they arrive, seconds; several are compared.",
)
@click.option("--tuned", is_flag=True, help="Give each policy the knobs that tuning has found.")
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="Processes (default: one a processor)."
)
@click.option("--shard", metavar="I/N", help="Do only the I-th of N parts, for several machines.")
@click.option(
    "--report",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a page with pictures, and the rows as Parquet, CSV and JSON.",
)
@click.option(
    "--join",
    "joined",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Simulate nothing: take the rows of this report; give it once for each part.",
)
@json_option
@click.option("--list", "listing", is_flag=True, help="List families, policies and dialects.")
def command(
    scenario: str | None,
    policies: tuple[str, ...],
    seeds: str,
    dialects: str,
    guests: str,
    seconds: int | None,
    losses: str,
    delays: str,
    jobs: int | None,
    shard: str | None,
    directory: Path | None,
    joined: tuple[Path, ...],
    *,
    tuned: bool,
    as_json: bool,
    listing: bool,
) -> None:
    """Run policies on modelled guests, and compare how many they hold and what guests suffer.

    SCENARIO is a family of guests (see --list), all of them, a trace, or a TOML file of your own.

    Without --guests, the density of each policy is searched: the most guests on a host of which
    the 99th of 100 is slowed down by 2 % at most, without an OOM kill. Then all are compared among
    as many guests as the best rival holds. Figures are deterministic: the same seeds give the
    same.
    """
    from aerostat.cli import simulating
    from aerostat.cli.report import to_json

    if listing:
        known = simulating.known()
        click.echo(to_json(**known) if as_json else "\n".join(simulating.list_lines(known)))
        return
    if (scenario is None) != bool(joined):
        raise UsageError("say what to simulate, or --join; 'aerostat simulate --list' has families")
    if directory is not None:
        from aerostat.simulator.report import files

        files.prepare(directory)
    if scenario is None:
        study = simulating.join(joined)
    else:
        wanted = simulating.wanted(
            scenario,
            policies=policies,
            seeds=seeds,
            dialects=dialects,
            guests=guests,
            seconds=seconds,
            losses=losses,
            delays=delays,
            tuned=tuned,
            shard=shard,
            record=directory is not None,
        )
        study = simulating.run(wanted, jobs)
    if as_json:
        click.echo(to_json(**simulating.as_json(study)))
    else:
        simulating.show(study)
    if directory is not None:
        page = files.write(study, directory)
        click.echo(f"written: {page}", err=as_json)
