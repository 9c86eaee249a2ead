"""What the counts of a run cost, and who cost least. Pure.

Times of emulated guests are no times, so harm is reckoned from counts, at the costs in time that
the model states (`aerostat.model.pace`): what was read again from files, or from the swap, at the
pace of the disk; what programs had to reclaim themselves, at the pace of reclaim. And what guests
held beyond the budget, a host of that budget would have in its own swap: so much of what they
touched they would have waited for.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean, median

from aerostat.model.pace import PACE
from aerostat.testing.trials.comparison.drivers import NOBODY
from aerostat.testing.trials.comparison.running import Fared, Run

#: What is shown of a run, and how it is called.
SUMS = {
    "major_faults": "major faults",
    "alloc_stalls": "allocation stalls",
    "disk_reads": "disk reads",
    "refaulted": "read again",
    "swapped_in": "swapped in",
    "swapped_out": "swapped out",
    "oom_kills": "OOM kills",
}

#: A score, lower is better: OOM kills, and the mean slowdown of the guests.
Score = tuple[float, float]
# Runs of the same kind are no more alike than this; what is nearer is a tie.
_ALIKE = 0.1
_LEAST = 0.0005


def lost(fared: Fared) -> float:
    """Return the seconds of work that a guest lost for want of memory, at most all of them."""
    counted = fared.counters
    if not counted:
        return fared.watched  # too far gone to answer
    again = counted["refaulted"] + counted["swapped_in"]
    seconds = again / PACE.disk + counted["direct_reclaimed"] / PACE.reclaim
    return min(seconds, fared.watched)


def slowdowns(run: Run) -> dict[str, float]:
    """Return for each guest the share of its time that it lost."""
    return {name: lost(one) / max(one.watched, 1e-9) for name, one in run.guests.items()}


def total(run: Run, name: str) -> int:
    """Return the sum of a counter over all guests."""
    return sum(one.counters.get(name, 0) for one in run.guests.values())


def worked(run: Run) -> float:
    """Return the share of all work that was done in time, as the guests' clocks saw it."""
    watched = sum(one.watched for one in run.guests.values())
    return sum(one.worked for one in run.guests.values()) / max(watched, 1e-9)


def mean_held(run: Run) -> float:
    """Return the bytes that all guests together held on average."""
    return fmean(size for _, size in run.held) if run.held else 0.0


def peak_held(run: Run) -> int:
    """Return the most that all guests together held."""
    return max((size for _, size in run.held), default=0)


def over_budget(run: Run) -> float:
    """Return the share of the time for which they held more than the budget."""
    return fmean(size > run.budget for _, size in run.held) if run.held else 0.0


def lost_to_host(run: Run) -> float:
    """Return the share of their time that guests would have waited for their host's swap."""
    if not run.held:
        return 0.0
    swapped = fmean(max(size - run.budget, 0) / max(size, 1) for _, size in run.held)
    rate = fmean(one.touched / max(one.watched, 1e-9) for one in run.guests.values())
    return min(swapped * rate / PACE.disk, 1.0)


def score(run: Run) -> Score:
    """Return what a run cost."""
    slowdown = fmean(slowdowns(run).values()) + lost_to_host(run)
    return float(total(run, "oom_kills")), min(slowdown, 1.0)


def grouped(runs: Iterable[Run]) -> dict[str, dict[str, list[Run]]]:
    """Return the runs that came to something, by scene and policy; last those of nobody."""
    groups: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in sorted(runs, key=lambda run: run.job.policy == NOBODY):
        if not run.error:
            groups[run.job.scene][run.job.policy].append(run)
    return {scene: dict(policies) for scene, policies in groups.items()}


def ranked(scores: Mapping[str, Score]) -> list[str]:
    """Return the policies of one scene, the one that cost least first."""
    return sorted(scores, key=lambda policy: scores[policy])


def scores(policies: Mapping[str, Sequence[Run]]) -> dict[str, Score]:
    """Return the median cost of each policy that moved something: one bad run decides nothing."""
    return {
        policy: (
            median(total(run, "oom_kills") for run in runs),
            median(score(run)[1] for run in runs),
        )
        for policy, runs in policies.items()
        if policy != NOBODY
    }


def agreement(real: Mapping[str, Score], modelled: Mapping[str, Score]) -> tuple[int, int]:
    """Return how many pairs of policies both rank alike, and how many both tell apart."""
    alike = apart = 0
    for one, other in combinations(sorted(real.keys() & modelled.keys()), 2):
        here, there = _order(real[one], real[other]), _order(modelled[one], modelled[other])
        if here and there:
            apart += 1
            alike += here == there
    return alike, apart


def _order(one: Score, other: Score) -> int:
    """Return -1 where `one` cost less, 1 where it cost more, 0 where they are too near to say."""
    if one[0] != other[0]:
        return -1 if one[0] < other[0] else 1
    if abs(one[1] - other[1]) <= max(_ALIKE * max(one[1], other[1]), _LEAST):
        return 0
    return -1 if one[1] < other[1] else 1
