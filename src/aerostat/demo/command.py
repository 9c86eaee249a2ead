"""``aerostat demo``: guests, a budget that is too small for them, and the manager."""

from pathlib import Path

import click

from aerostat.cli.errors import ExitCode
from aerostat.cli.options import SIZE
from aerostat.errors import UsageError


@click.command(
    "demo",
    epilog="""\b
Examples:
  aerostat demo                          a minute of it, to watch
  aerostat demo --compare                the same without a manager, side by side
  aerostat demo --for 60 --json          unattended; the last line is the summary

\b
Real guests need user-mode Linux, neither root nor KVM: sudo apt-get install user-mode-linux
Without it the guests are processes: real memory and real balloons, and a model for a kernel.
""",
)
@click.option(
    "--for",
    "seconds",
    metavar="SECONDS",
    type=float,
    default=60.0,
    show_default=True,
    help="How long the guests work.",
)
@click.option(
    "--budget", metavar="SIZE", type=SIZE, help="What all guests together may hold (1.25GiB)."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the guests' workloads.")
@click.option(
    "--compare",
    is_flag=True,
    help="Afterwards the same work with fixed sizes: full ones, then equal shares of the budget.",
)
@click.option(
    "--guests",
    type=click.Choice(["auto", "uml", "process"]),
    default="auto",
    show_default=True,
    help="What guests are: user-mode Linux, processes, or the first that can be had.",
)
@click.option("--view/--no-view", default=None, help="Draw a live view (default: on a terminal).")
@click.option(
    "--record",
    metavar="FILE.svg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a picture of the view at its liveliest.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one line of JSON.")
def command(
    seconds: float,
    budget: int | None,
    seed: int,
    guests: str,
    record: Path | None,
    *,
    compare: bool,
    view: bool | None,
    as_json: bool,
) -> int:
    """Boot six Linux guests whose sizes exceed the budget, and move their balloons.

    Each has a kernel of its own, works in its own rhythm, and reports through the statistics
    queue of its balloon. Ctrl-C ends it; nothing stays behind. The exit code is 0 if nobody died
    and no kernel had to kill a process for want of memory.
    """
    # All of the manager (NumPy, asyncio) is behind these imports.
    from aerostat.demo import kinds, scenario, show
    from aerostat.demo.trial import Terms

    if not 0 < seconds < float("inf"):
        raise UsageError(f"--for takes seconds, more than 0, not {seconds:g}")
    budget = scenario.BUDGET if budget is None else budget
    if budget <= 0:
        raise UsageError("--budget must be more than nothing")
    if record is not None and not record.parent.is_dir():
        raise UsageError(f"--record: there is no directory {record.parent}")
    settings = [scenario.Setting.managed()]
    if compare:
        settings += [scenario.Setting.full_sizes(), scenario.Setting.equal_sizes(budget)]
    kind, remark = kinds.choose(guests)
    stage = show.Stage(view=view, as_json=as_json, record=record, noun=kind.noun)
    if remark:
        stage.say(remark)
    outcomes = show.run(settings, Terms(budget, seconds, seed, kind), stage)
    if not outcomes:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if outcomes[0].unharmed else ExitCode.FAILURE
