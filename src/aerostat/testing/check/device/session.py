"""All checks of one device: on split rings and, where it offers them, once more on packed ones."""

from collections.abc import Iterator

from aerostat.errors import UsageError
from aerostat.testing.check.checks import Choice
from aerostat.testing.check.device.all_checks import CHECKS, PACKED
from aerostat.testing.check.device.stage import SocketStage
from aerostat.testing.check.running import Progress, play_chosen, run
from aerostat.testing.check.verdicts import Known, Verdict
from aerostat.virtio.features import RING_PACKED, has


def session(
    stage: SocketStage,
    ring: str = "both",
    choice: Choice | None = None,
    known: Known | None = None,
    progress: Progress | None = None,
) -> Iterator[Verdict]:
    """Play the checks on rings that are ``split``, ``packed`` or ``both``; yield their verdicts.

    The device has been met. Raises `UsageError` where packed rings are all that is wanted, and not
    offered, and where nothing is what was chosen.
    """
    choice, known = choice or Choice(), known or Known()
    packed = has(stage.offered & stage.options.features, RING_PACKED)
    if ring == "packed" and not packed:
        raise UsageError("the device offers no packed rings (RING_PACKED)")
    if ring != "packed":
        stage.packed = False
        yield from run(stage, CHECKS, choice=choice, known=known, progress=progress)
    if ring != "split" and packed:
        stage.packed = True
        choice.check(CHECKS)
        known.check()
        yield from play_chosen(stage, PACKED, choice, known, progress)
