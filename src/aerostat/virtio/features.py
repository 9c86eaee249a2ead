"""Feature bit numbers that do not belong to one device type (virtio 1.2, section 6).

Pure. A feature set is an int; a feature is its bit number.
"""

RING_INDIRECT_DESC = 28
RING_EVENT_IDX = 29
VERSION_1 = 32
ACCESS_PLATFORM = 33
RING_PACKED = 34
IN_ORDER = 35


def bit(number: int) -> int:
    """Return the feature set that holds feature `number` alone."""
    return 1 << number


def has(features: int, number: int) -> bool:
    """Return whether feature `number` is in `features`."""
    return bool(features >> number & 1)
