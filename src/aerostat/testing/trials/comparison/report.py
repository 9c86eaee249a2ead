"""The comparison as a page, as a picture and as figures.

Writes files into the directory that it is given.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

from aerostat.testing.trials.comparison import harm
from aerostat.testing.trials.comparison.bars import COLOURS, Bars, sheet
from aerostat.testing.trials.comparison.drivers import NOBODY, OURS
from aerostat.testing.trials.comparison.harm import Score
from aerostat.testing.trials.comparison.inhabitants import Kind
from aerostat.testing.trials.comparison.running import Job, Run, budget
from aerostat.testing.trials.comparison.scenes import GUARANTEE, SCENES, SIZE, START, WARM_UP
from aerostat.testing.trials.plots import Line, Plot
from aerostat.units import MIB, format_size

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 70em; color: #1d2733 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
td, th { padding: .2em .6em; text-align: right; border-bottom: 1px solid #dde3ea }
td:first-child, th:first-child { text-align: left } .nobody { color: #8794a3 }
pre { white-space: pre-wrap }
"""

_Value = Callable[[Run], float]
_EVENTS = {"major_faults", "alloc_stalls", "oom_kills"}


def _sum(name: str) -> _Value:
    scale = 1 if name in _EVENTS else MIB
    return lambda run: harm.total(run, name) / scale


#: What is shown of each policy in a scene: a heading, the value of a run, its unit.
COLUMNS: tuple[tuple[str, _Value, str], ...] = (
    ("held, mean", lambda run: harm.mean_held(run) / MIB, " MiB"),
    ("peak", lambda run: harm.peak_held(run) / MIB, " MiB"),
    ("over budget", lambda run: 100 * harm.over_budget(run), " %"),
    ("work lost", lambda run: 100 * harm.score(run)[1], " %"),
    ("of it to the host's swap", lambda run: 100 * harm.lost_to_host(run), " %"),
    *((title, _sum(name), "" if name in _EVENTS else " MiB") for name, title in harm.SUMS.items()),
    ("work done", lambda run: 100 * harm.worked(run), " %"),
    ("moves", lambda run: run.moves, ""),
)
_JUDGED = ("held, mean", "major faults", "allocation stalls", "disk reads")
_PICTURES = ("work lost", "major faults", "allocation stalls", "disk reads", "held, mean")


def write(
    runs: Sequence[Run],
    failed: Sequence[Job],
    kinds: Sequence[Kind],
    simulated: Mapping[str, Mapping[str, Score]],
    directory: Path,
    *,
    note: str = "",
) -> Path:
    """Write ``index.html``, ``comparison.json`` and ``comparison.svg``; return the page's path.

    `simulated` has, by scene and policy, what the simulator finds; `note` says why it has nothing.
    """
    directory.mkdir(parents=True, exist_ok=True)
    groups = harm.grouped(runs)
    figures = summary(runs, failed, kinds, simulated)
    (directory / "comparison.json").write_text(json.dumps(figures, indent=2) + "\n")
    (directory / "comparison.svg").write_text(sheet(_bars(groups)))
    page = directory / "index.html"
    page.write_text(_page(groups, failed, kinds, figures, note), encoding="utf-8")
    return page


def summary(
    runs: Sequence[Run],
    failed: Sequence[Job],
    kinds: Sequence[Kind],
    simulated: Mapping[str, Mapping[str, Score]],
) -> dict[str, Any]:
    """Return all figures: medians of each policy in each scene, and who ranks where."""
    scenes: dict[str, Any] = {}
    alike = apart = 0
    for scene, policies in harm.grouped(runs).items():
        real = harm.scores(policies)
        modelled = simulated.get(scene, {})
        same, told = harm.agreement(real, modelled)
        alike, apart = alike + same, apart + told
        scenes[scene] = {
            "ranking": harm.ranked(real),
            "simulated": harm.ranked(modelled),
            "simulated_scores": {name: list(score) for name, score in modelled.items()},
            "pairs": {"alike": same, "told_apart": told},
            "policies": {
                policy: {
                    "runs": len(some),
                    **{title: median(value(run) for run in some) for title, value, _ in COLUMNS},
                }
                for policy, some in policies.items()
            },
        }
    return {
        "guests": [kind._asdict() for kind in kinds],
        "budget": budget(kinds),
        "pairs": {"alike": alike, "told_apart": apart},
        "failed": [job.title for job in failed],
        "scenes": scenes,
    }


def lines(figures: Mapping[str, Any]) -> list[str]:
    """Return the outcome in lines of text."""
    said = []
    for scene, found in figures["scenes"].items():
        lost = {name: row["work lost"] for name, row in found["policies"].items()}
        order = ", ".join(f"{name} {lost[name]:.2f} %" for name in found["ranking"])
        said.append(f"{scene}: work lost: {order}")
        said += [f"{'':{len(scene)}}  {line}" for line in _beside(found["policies"])]
        if found["simulated"]:
            said.append(f"{'':{len(scene)}}  the simulator: {', '.join(found['simulated'])}")
    pairs = figures["pairs"]
    if pairs["told_apart"]:
        said.append(f"the simulator ranks {_of(pairs)} pairs of policies as real guests do")
    if figures["failed"]:
        said.append(f"came to nothing: {'; '.join(figures['failed'])}")
    return said


def _beside(rows: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Say how much of what others' guests suffered ours did, and of what they held ours held."""
    ours = rows.get(OURS)
    for name, theirs in rows.items():
        if ours is not None and name not in (OURS, NOBODY):
            parts = [
                f"{title} {ours[title]:.0f} to {theirs[title]:.0f}{unit}"
                for title, _, unit in COLUMNS
                if title in _JUDGED
            ]
            yield f"{OURS} to {name}: {', '.join(parts)}"


def _of(pairs: Mapping[str, int]) -> str:
    return f"{pairs['alike']} of {pairs['told_apart']}"


def _bars(groups: Mapping[str, Mapping[str, Sequence[Run]]]) -> list[Bars]:
    names = tuple(dict.fromkeys(name for policies in groups.values() for name in policies))
    return [
        Bars(
            title,
            unit,
            names,
            {
                scene: {name: [value(run) for run in some] for name, some in policies.items()}
                for scene, policies in groups.items()
            },
        )
        for title, value, unit in COLUMNS
        if title in _PICTURES
    ]


def _page(
    groups: Mapping[str, Mapping[str, Sequence[Run]]],
    failed: Sequence[Job],
    kinds: Sequence[Kind],
    figures: Mapping[str, Any],
    note: str,
) -> str:
    programs = [kind.program for kind in kinds]
    about = (
        f"{len(kinds)} guests of {format_size(SIZE)}, {programs.count('uml')} in user-mode Linux "
        f"and {programs.count('qemu')} in QEMU, may hold {format_size(budget(kinds))} together. "
        f"All begin with {format_size(START)}, and are guaranteed {format_size(GUARANTEE)}. After "
        f"{WARM_UP:g} s everything is counted, inside each guest by its kernel; what they hold is "
        "measured on the host twice a second. The figures are medians; dots are single runs. Work "
        "lost is reckoned from what was read again, swapped in and reclaimed by programs, and from "
        "what a host of that budget would have had in its own swap, at the costs in time that the "
        "model states. A rule that aims at a share of its host is shown one "
        "that is so much larger, so that all are after the same memory held."
    )
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        f"<title>Policies on real guests</title><style>{_STYLE}</style>",
        f"<h1>Policies on real guests</h1><p>{about}</p>",
        f"<pre>{escape(chr(10).join(lines(figures)))}</pre>",
    ]
    if note:
        parts.append(f"<p>{escape(note)}</p>")
    if failed:
        parts.append(f"<p>{len(failed)} runs came to nothing.</p>")
    parts.append(sheet(_bars(groups)))
    for scene, policies in groups.items():
        words = SCENES[scene].title if scene in SCENES else ""
        parts.append(f"<h2>{escape(scene)}: {escape(words)}</h2>")
        parts += [_table(policies), _over_time(policies).svg()]
    return "\n".join([*parts, "</html>\n"])


def _over_time(policies: Mapping[str, Sequence[Run]]) -> Plot:
    """Return what guests held in the first run of each policy."""
    firsts = [min(some, key=lambda run: run.job.seed) for some in policies.values()]
    lines = [
        Line(run.job.policy, colour, run.held) for run, colour in zip(firsts, COLOURS, strict=False)
    ]
    seconds = max((at for run in firsts for at, _ in run.held), default=1.0)
    allowed = float(firsts[0].budget)
    lines.append(Line("budget", "#1d2733", [(0.0, allowed), (seconds, allowed)], dashed=True))
    top = max([1.1 * allowed, *(float(harm.peak_held(run)) for run in firsts)])
    return Plot(f"held, {firsts[0].job.scene} {firsts[0].job.seed}", tuple(lines), seconds, top)


def _table(policies: Mapping[str, Sequence[Run]]) -> str:
    head = "".join(f"<th>{escape(title)}" for title, _, _ in COLUMNS)
    rows = []
    for policy, some in policies.items():
        cells = "".join(
            f"<td>{_figure(median(value(run) for run in some))}{unit}" for _, value, unit in COLUMNS
        )
        kind = " class='nobody'" if policy == NOBODY else ""
        rows.append(f"<tr{kind}><td>{escape(policy)} ({len(some)}){cells}")
    return f"<table><tr><th>policy (runs){head}{''.join(rows)}</table>"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
