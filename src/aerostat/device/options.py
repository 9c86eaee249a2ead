"""The command line of a device process.

Read with `getopt`, since `argparse` weighs a good part of what a device process may weigh.
Touches nothing; standard library only.
"""

import getopt
from typing import NamedTuple, cast, get_args

from aerostat.balloon.abi import (
    DEFLATE_ON_OOM,
    FREE_PAGE_HINT,
    PAGE_POISON,
    PAGE_REPORTING,
    QueueRule,
)
from aerostat.balloon.device_features import DEFAULT_FEATURES
from aerostat.device.block_reads import Counter
from aerostat.errors import UsageError
from aerostat.units import parse_size
from aerostat.virtio.features import RING_PACKED, bit

USAGE = """\
Usage: python -m aerostat.device --socket PATH --control PATH [OPTION]...
       python -m aerostat.device --take-over PATH

Serve one balloon device to a VMM over vhost-user, until SIGTERM.

  --socket PATH          where the VMM's vhost-user front-end connects
  --control PATH         where QMP clients connect
  --size SIZE            the guest's RAM, such as 512MiB; default: what the VMM shares
  --name NAME            what query-name answers, and what messages begin with
  --once                 end when the VMM disconnects, instead of awaiting the next
  --queues RULE          how the driver numbers its queues: dense-negotiated (as Linux),
                         dense-offered or fixed; default: found out by what it sets up
  --no-deflate-on-oom    do not let the guest take pages back to avoid killing a process
  --no-free-page-reporting
                         do not let the guest tell of pages that are free, and take them
  --no-page-poison       do not let the guest say what it fills free pages with
  --free-page-hint       have the guest tell what is free when it is asked (QMP: aerostat-hint);
                         the VMM needs room for five queues
  --discard-hints        also give back what it tells; only for guests that use none of it before
                         the round is over, which Linux under memory pressure does
  --packed-rings         let the driver use packed virtqueues instead of split ones
  --block-reads COUNTER  tell what the guest has read from its disks, as this counter of the VMM's
                         process has it: rchar (read system calls: user-mode Linux) or read_bytes
                         (what storage delivered: VMMs that bypass the host's page cache)
  --descriptor-store     at SIGTERM, leave the guest to the next process of this systemd service,
                         which needs FileDescriptorStoreMax=64
  --take-over PATH       go on in the place of the process whose control socket this is, with its
                         options, sockets and guest; the guest and the VMM do not notice
  --help                 show this
"""


class Options(NamedTuple):
    """What a device process is told.

    `size` is the guest's RAM in bytes; None: what it shares. `queues` is the rule by which its
    driver numbers them; None: found out. For `discards_hints`, see `Guest`. `block_reads` is the
    counter that has what the guest reads; None: nobody knows. With `descriptor_store`,
    SIGTERM leaves the guest to the service's next process.
    """

    socket: str
    control: str
    size: int | None = None
    name: str | None = None
    once: bool = False
    features: int = DEFAULT_FEATURES
    queues: QueueRule | None = None
    discards_hints: bool = False
    descriptor_store: bool = False
    block_reads: Counter | None = None


# Options without a value that each leave a feature out.
_WITHOUT = {
    "no-deflate-on-oom": DEFLATE_ON_OOM,
    "no-free-page-reporting": PAGE_REPORTING,
    "no-page-poison": PAGE_POISON,
}
_LONG = [
    *("socket=", "control=", "size=", "name=", "once", "queues=", "help"),
    *("free-page-hint", "discard-hints", "packed-rings", *_WITHOUT),
    *("block-reads=", "descriptor-store", "take-over="),
]


class TakeOver(NamedTuple):
    """A device process is told to go on in another's place, which it finds at this socket."""

    control: str


def parse(arguments: list[str]) -> Options | TakeOver | None:
    """Return what the command line asks for, None for help; raises `UsageError`."""
    try:
        pairs, rest = getopt.getopt(arguments, "", _LONG)
    except getopt.GetoptError as error:
        raise UsageError(str(error)) from error
    if rest:
        raise UsageError(f"unexpected: {rest[0]}")
    given = dict(pairs)
    if "--help" in given:
        return None
    if "--take-over" in given:
        if len(given) > 1:
            raise UsageError("--take-over goes on with the other's options, and takes no more")
        return TakeOver(given["--take-over"])
    for required in ("--socket", "--control"):
        if not given.get(required):
            raise UsageError(f"{required} PATH is required")
    size = parse_size(given["--size"]) if "--size" in given else None
    if size is not None and size <= 0:
        raise UsageError("--size must be more than nothing")
    rule = _choice(given, "--queues", get_args(QueueRule))
    counter = _choice(given, "--block-reads", get_args(Counter))
    return Options(
        socket=given["--socket"],
        control=given["--control"],
        size=size,
        name=given.get("--name"),
        once="--once" in given,
        features=_features(given),
        queues=cast("QueueRule | None", rule),
        discards_hints="--discard-hints" in given,
        descriptor_store="--descriptor-store" in given,
        block_reads=cast("Counter | None", counter),
    )


def _choice(given: dict[str, str], option: str, choices: tuple[str, ...]) -> str | None:
    """Return the value of an option, None if it is not given; raises `UsageError`."""
    value = given.get(option)
    if value is not None and value not in choices:
        raise UsageError(f"{option} is one of {', '.join(choices)}")
    return value


def _features(given: dict[str, str]) -> int:
    """Return the features to offer."""
    features = DEFAULT_FEATURES
    for option, feature in _WITHOUT.items():
        if f"--{option}" in given:
            features &= ~bit(feature)
    if "--free-page-hint" in given or "--discard-hints" in given:
        features |= bit(FREE_PAGE_HINT)
    if "--packed-rings" in given:
        features |= bit(RING_PACKED)
    return features
