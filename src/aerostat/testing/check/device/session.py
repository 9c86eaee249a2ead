"""All checks of one device: on split rings and, where it offers them, once more on packed ones."""

from collections.abc import Iterator
from typing import Protocol

from aerostat.errors import UsageError
from aerostat.testing.check.checks import Choice, Registry
from aerostat.testing.check.device.all_checks import CHECKS, PACKED
from aerostat.testing.check.device.machine import Machine
from aerostat.testing.check.device.options import Options
from aerostat.testing.check.running import Progress, Stage, play_chosen, run
from aerostat.testing.check.verdicts import Known, Verdict
from aerostat.virtio.features import RING_PACKED, has


class DeviceStage(Stage[Machine], Protocol):
    """A device that has been met; with `packed`, drivers take packed rings, where it has them."""

    offered: int
    packed: bool
    options: Options


def session(
    stage: DeviceStage,
    ring: str = "both",
    choice: Choice | None = None,
    known: Known | None = None,
    progress: Progress | None = None,
    *,
    checks: tuple[Registry[Machine], Registry[Machine]] = (CHECKS, PACKED),
) -> Iterator[Verdict]:
    """Play the checks on rings that are ``split``, ``packed`` or ``both``; yield their verdicts.

    The device has been met. Raises `UsageError` where packed rings are all that is wanted, and not
    offered, and where nothing is what was chosen. `checks` are those of all rings, and of packed
    ones.
    """
    of_all, of_packed = checks
    choice, known = choice or Choice(), known or Known()
    packed = has(stage.offered & stage.options.features, RING_PACKED)
    if ring == "packed" and not packed:
        raise UsageError("the device offers no packed rings (RING_PACKED)")
    if ring != "packed":
        stage.packed = False
        yield from run(stage, of_all, choice=choice, known=known, progress=progress)
    if ring != "split" and packed:
        stage.packed = True
        choice.check(of_all)
        known.check()
        yield from play_chosen(stage, of_packed, choice, known, progress)
