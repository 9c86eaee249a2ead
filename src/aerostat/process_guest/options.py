"""The command line of a process guest. Touches the file with a workload."""

import getopt
import json
from pathlib import Path
from typing import NamedTuple, cast

from aerostat.balloon.abi import PAGE_REPORTING
from aerostat.balloon.driver_features import FEATURES_OF_2009
from aerostat.balloon.statistics import Tag
from aerostat.errors import UsageError
from aerostat.model.workload import Workload
from aerostat.process_guest.guest import TODAY, GuestOptions
from aerostat.process_guest.interface import DriverOptions
from aerostat.units import parse_size
from aerostat.virtio.features import bit
from aerostat.virtio.memory import Byteorder

USAGE = """\
Usage: python -m aerostat.process_guest --socket PATH --size SIZE [OPTION]...

Be a guest: a process whose memory is shared with a balloon device, and whose kernel is a model.

  --socket PATH          where the device listens (python -m aerostat.device --socket PATH ...)
  --size SIZE            the guest's RAM, such as 256MiB
  --name NAME            what messages begin with
  --swap SIZE            how much it can swap; default: nothing
  --workload FILE        what its programs do, as JSON; default: nothing
  --console FD           a socket on which it takes orders
  --peer 2009            have a driver of 2009: six statistics, the first of them not yet filled
                         in, nothing that came later, and the legacy interface
  --byteorder ORDER      of a guest of 2009: little or big
  --scattered            give pages in no order, as a guest does that has run for long
  --seed NUMBER          of that order
  --no-free-page-reporting
                         do not tell the device which pages are free
  --reconnect            wait for another device where one is lost, and go on where it was
  --help                 show this

  --nursery FD           be a nursery instead: start guests when told so on this socket
"""

_LONG = [
    *("socket=", "size=", "name=", "swap=", "workload=", "console=", "peer=", "byteorder="),
    *("scattered", "seed=", "no-free-page-reporting", "reconnect", "help", "nursery="),
]

# The statistics of 2009: virtio's first six.
_TAGS_OF_2009 = tuple(tag for tag in Tag if tag <= Tag.TOTAL_MEMORY)


class CommandLine(NamedTuple):
    """What is asked for: a guest with a console or without, a nursery, or neither: help."""

    guest: GuestOptions | None = None
    console: int | None = None
    nursery: int | None = None


def parse(arguments: list[str]) -> CommandLine:
    """Return what a command line asks for. Raises `UsageError`."""
    try:
        pairs, rest = getopt.getopt(arguments, "", _LONG)
    except getopt.GetoptError as error:
        raise UsageError(str(error)) from error
    if rest:
        raise UsageError(f"unexpected: {rest[0]}")
    given = dict(pairs)
    if "--help" in given:
        return CommandLine()
    if "--nursery" in given:
        return CommandLine(nursery=_number(given, "--nursery", 0))
    console = _number(given, "--console", 0) if "--console" in given else None
    return CommandLine(_guest(given), console)


def _guest(given: dict[str, str]) -> GuestOptions:
    for required in ("--socket", "--size"):
        if not given.get(required):
            raise UsageError(f"{required} is required")
    is_old = "--peer" in given
    if is_old and given["--peer"] != "2009":
        raise UsageError("--peer is 2009, or left out")
    return GuestOptions(
        socket=given["--socket"],
        size=parse_size(given["--size"]),
        name=given.get("--name", "guest"),
        swap_size=parse_size(given["--swap"]) if "--swap" in given else 0,
        driver=_driver_of_2009(given) if is_old else _driver_of_today(given),
        tags=_TAGS_OF_2009 if is_old else tuple(Tag),
        scattered="--scattered" in given,
        seed=_number(given, "--seed", 0),
        workload=_workload(given["--workload"]) if "--workload" in given else None,
        reconnects="--reconnect" in given,
    )


def _driver_of_today(given: dict[str, str]) -> DriverOptions:
    if given.get("--byteorder", "little") != "little":
        raise UsageError(
            "--byteorder big is for --peer 2009: since virtio 1.0 all is little-endian"
        )
    if "--no-free-page-reporting" in given:
        return TODAY._replace(features=TODAY.features & ~bit(PAGE_REPORTING))
    return TODAY


def _driver_of_2009(given: dict[str, str]) -> DriverOptions:
    byteorder = given.get("--byteorder", "little")
    if byteorder not in ("little", "big"):
        raise UsageError("--byteorder is little or big")
    return DriverOptions(
        features=FEATURES_OF_2009,
        byteorder=cast("Byteorder", byteorder),
        statistics_first="uninitialised",
    )


def _number(given: dict[str, str], option: str, default: int) -> int:
    text = given.get(option, str(default))
    if not text.isascii() or not text.isdecimal():
        raise UsageError(f"{option} takes a number, not {text!r}")
    return int(text)


def _workload(path: str) -> Workload:
    try:
        return Workload.from_dict(json.loads(Path(path).read_text()))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"--workload {path}: {error}") from error
