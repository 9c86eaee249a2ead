"""What can be fuzzed: a target, and what a case of it came to. Declarations, no more."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from aerostat.errors import PeerError


def _no_seeds() -> Iterable[bytes]:
    return ()


class Target(NamedTuple):
    """Something that takes what others send.

    `run` plays one case; what it raises must be one of `allowed`, and anything else is a fault of
    ours. It must do the same for the same bytes, and leave nothing behind. `seeds` are cases that
    go deep, `words` what texts are made of. A case is at most `longest` bytes. `text` says that
    cases are what is sent, as it is, and not decisions.
    """

    name: str
    about: str
    run: Callable[[bytes], None]
    allowed: tuple[type[Exception], ...] = (PeerError,)
    seeds: Callable[[], Iterable[bytes]] = _no_seeds
    words: tuple[bytes, ...] = ()
    longest: int = 1024
    text: bool = False


class Finding(NamedTuple):
    """A case in which a promise was broken: which, and where.

    `identity` is the same for all cases that are the same fault, as far as that can be told.
    """

    target: str
    case: bytes
    identity: str
    trace: str
