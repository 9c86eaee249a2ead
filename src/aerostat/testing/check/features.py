"""Feature bits by name, as the specification, and `Group.needs` of the statements, name them. Pure.

The balloon's own bits are virtio 1.2, 5.5.3, those of all devices section 6.
"""

from collections.abc import Iterable

from aerostat.balloon import abi
from aerostat.errors import UsageError
from aerostat.virtio import features

#: Each feature's bit number, by its name without the prefix.
FEATURES = {
    "MUST_TELL_HOST": abi.MUST_TELL_HOST,
    "STATS_VQ": abi.STATS_VQ,
    "DEFLATE_ON_OOM": abi.DEFLATE_ON_OOM,
    "FREE_PAGE_HINT": abi.FREE_PAGE_HINT,
    "PAGE_POISON": abi.PAGE_POISON,
    "PAGE_REPORTING": abi.PAGE_REPORTING,
    "INDIRECT_DESC": features.RING_INDIRECT_DESC,
    "EVENT_IDX": features.RING_EVENT_IDX,
    "VERSION_1": features.VERSION_1,
    "ACCESS_PLATFORM": features.ACCESS_PLATFORM,
    "RING_PACKED": features.RING_PACKED,
    "IN_ORDER": features.IN_ORDER,
}
_NAMES = {number: name for name, number in FEATURES.items()}


def feature_set(names: Iterable[str]) -> int:
    """Return the set of these features, named or numbered. Raises `UsageError`."""
    made = 0
    for name in names:
        word = name.strip().upper().removeprefix("VIRTIO_BALLOON_F_").removeprefix("VIRTIO_F_")
        if word in FEATURES:
            made |= 1 << FEATURES[word]
        elif word.isdecimal() and int(word) < 64:
            made |= 1 << int(word)
        else:
            known = ", ".join(FEATURES)
            raise UsageError(f"no feature is called {name}; there are {known}, and bit numbers")
    return made


def feature_names(features: int) -> list[str]:
    """Return the names of the features in a set; those that have none are ``bit 40``."""
    return [_NAMES.get(number, f"bit {number}") for number in range(64) if features >> number & 1]


def missing(names: Iterable[str], features: int) -> list[str]:
    """Return which of these features are not in a set."""
    return [name for name in names if not features >> FEATURES[name] & 1]
