"""The calibration as a table in Markdown and as JSON. Writes into the directory it is given."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aerostat.testing.trials.calibration import agreement
from aerostat.testing.trials.calibration.agreement import Pair, Summary
from aerostat.testing.trials.calibration.counts import EVENTS
from aerostat.testing.trials.calibration.exercises import EXERCISES
from aerostat.testing.trials.calibration.runs import Run
from aerostat.units import MIB

_HEADINGS = {
    "read": "read by programs",
    "held": "held by programs, most",
    "looked_at": "looked at again",
    "minor_faults": "faults, all",
    "major_faults": "major faults",
    "async_scans": "scanned in the background",
    "async_reclaims": "reclaimed in the background",
    "direct_scans": "scanned directly",
    "direct_reclaims": "reclaimed directly",
    "scans": "scanned, both",
    "reclaims": "reclaimed, both",
    "alloc_stalls": "allocation stalls",
    "swap_out": "swapped out",
    "swap_in": "swapped in",
    "refaults": "files read again",
    "disk_reads": "read from disks",
    "oom_kills": "OOM kills",
    "free_at_start": "free at the start",
    "available_at_start": "available at the start",
    "free_at_end": "free at the end",
    "available_at_end": "available at the end",
    "caches_at_end": "caches at the end",
    "balloon_at_half": "balloon at half time",
    "balloon_at_most": "balloon, most",
    "balloon_at_end": "balloon at the end",
}

_SHORT = {
    "minor_faults": "faults",
    "major_faults": "major",
    "scans": "scanned",
    "reclaims": "reclaimed",
    "direct_reclaims": "directly",
    "alloc_stalls": "stalls",
    "swap_out": "swap out",
    "swap_in": "swap in",
    "refaults": "read again",
    "disk_reads": "disk",
    "caches_at_end": "caches",
    "available_at_end": "available",
    "balloon_at_most": "balloon",
}


def write(found: Sequence[Pair], made: Sequence[Run], directory: Path) -> Path:
    """Write ``calibration.json`` and ``calibration.md``; return the latter's path."""
    directory.mkdir(parents=True, exist_ok=True)
    figures = to_dict(found, made)
    (directory / "calibration.json").write_text(json.dumps(figures, indent=2) + "\n")
    page = directory / "calibration.md"
    page.write_text("\n".join(lines(found, made)) + "\n", encoding="utf-8")
    return page


def to_dict(found: Sequence[Pair], made: Sequence[Run]) -> dict[str, Any]:
    """Return all figures: bytes and events."""
    exercises: dict[str, dict[str, Any]] = {}
    for pair in found:
        exercises.setdefault(pair.exercise, {})[pair.name] = {
            "real": pair.real,
            "least": pair.least,
            "most": pair.most,
            "model": pair.modelled,
            "ratio": pair.ratio if pair.says_something else None,
        }
    total = agreement.summary(found)
    return {
        "kernels": _releases(made),
        "runs": len(made),
        "summary": total._asdict() | {"worst": total.worst._asdict() if total.worst else None},
        "exercises": exercises,
    }


def lines(found: Sequence[Pair], made: Sequence[Run]) -> Iterator[str]:
    """Give the page: how far apart counts are in all, by kind, and one by one."""
    yield f"User-mode Linux {', '.join(_releases(made))}, {len(made)} runs. {said(found)}"
    yield from _in_short(found)
    yield from _by_count(found)
    yield from _one_by_one(found)


def _releases(made: Sequence[Run]) -> list[str]:
    return sorted({run.release for run in made})


def said(found: Sequence[Pair]) -> str:
    """Return the summary in a sentence or two."""
    total: Summary = agreement.summary(found)
    if total.worst is None:
        return "Nothing happened that could be compared."
    worst = total.worst
    return (
        f"Of {total.pairs} counts that say something, half are within a factor of"
        f" {total.median:.2f}; {total.within_a_quarter:.0%} are within 1.25 and"
        f" {total.within_two:.0%} within 2. The worst is {_HEADINGS[worst.name]!r} in"
        f" {worst.exercise}: {worst.factor:.1f} times apart."
    )


def _in_short(found: Sequence[Pair]) -> Iterator[str]:
    """Give a row an exercise: what the guest came to, and the model."""
    yield ""
    yield f"| real, model; MiB or events | {' | '.join(_SHORT.values())} |"
    yield "|---" * (1 + len(_SHORT)) + "|"
    pairs = {(pair.exercise, pair.name): pair for pair in found}
    for exercise in dict.fromkeys(pair.exercise for pair in found):
        cells = [_cell(pairs[exercise, name]) for name in _SHORT]
        yield f"| {exercise} | {' | '.join(cells)} |"


def _cell(pair: Pair) -> str:
    if not pair.says_something:
        return ""
    scale = 1 if pair.name in EVENTS else MIB
    return f"{pair.real / scale:.0f}, {pair.modelled / scale:.0f}"


def _by_count(found: Sequence[Pair]) -> Iterator[str]:
    yield ""
    yield "| count | exercises | median factor | worst factor | in |"
    yield "|---|--:|--:|--:|---|"
    for name, pairs in agreement.by_name(found).items():
        total = agreement.summary(pairs)
        if total.worst is not None:
            yield (
                f"| {_HEADINGS[name]} | {total.pairs} | {total.median:.2f}"
                f" | {total.worst.factor:.2f} | {total.worst.exercise} |"
            )


def _one_by_one(found: Sequence[Pair]) -> Iterator[str]:
    words: Mapping[str, str] = {exercise.name: exercise.words for exercise in EXERCISES}
    yield ""
    yield "| exercise | count | real | of all runs | model | model / real |"
    yield "|---|---|--:|--:|--:|--:|"
    named = ""
    for pair in found:
        if not pair.says_something:
            continue
        first = f"**{pair.exercise}**: {words[pair.exercise]}" if pair.exercise != named else ""
        named = pair.exercise
        spread = f"{_amount(pair.name, pair.least)} to {_amount(pair.name, pair.most)}"
        yield (
            f"| {first} | {_HEADINGS[pair.name]} | {_amount(pair.name, pair.real)} | {spread}"
            f" | {_amount(pair.name, pair.modelled)} | {pair.ratio:.2f} |"
        )


def _amount(name: str, value: float) -> str:
    return f"{value:.0f}" if name in EVENTS else f"{value / MIB:.0f} MiB"
