"""Feature bits."""

from aerostat.virtio import features
from aerostat.virtio.features import bit, has


def test_bit_and_has_agree() -> None:
    both = bit(features.VERSION_1) | bit(features.RING_INDIRECT_DESC)
    assert has(both, features.VERSION_1)
    assert has(both, features.RING_INDIRECT_DESC)
    assert not has(both, features.RING_EVENT_IDX)


def test_the_numbers_are_the_specifications() -> None:
    numbers = (
        features.RING_INDIRECT_DESC,
        features.RING_EVENT_IDX,
        features.VERSION_1,
        features.ACCESS_PLATFORM,
        features.RING_PACKED,
        features.IN_ORDER,
    )
    assert numbers == (28, 29, 32, 33, 34, 35)
