"""What the balloon driver negotiates, and how it numbers its queues."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerostat.balloon.abi import (
    DEFLATE_ON_OOM,
    FREE_PAGE_HINT,
    MUST_TELL_HOST,
    PAGE_POISON,
    PAGE_REPORTING,
    STATS_VQ,
    Queue,
    number_queues,
)
from aerostat.balloon.driver_features import (
    DEFAULT_FEATURES,
    FEATURES_OF_2009,
    KNOWN_FEATURES,
    NumberingRule,
    choose_features,
    queue_numbers,
)
from aerostat.errors import UsageError
from aerostat.virtio.features import RING_EVENT_IDX, RING_PACKED, VERSION_1, bit, has

EVERYTHING = (1 << 64) - 1
RULES: list[NumberingRule] = ["offered", "negotiated", "fixed"]


@pytest.mark.statement("DRV-FEAT-1", "DRV-FEAT-2", "ST-DEV-5")
def test_the_default_choice() -> None:
    """MUST_TELL_HOST and VERSION_1 are accepted; PAGE_POISON only by those who ask for it."""
    chosen = choose_features(EVERYTHING)
    assert chosen == bit(0) | bit(1) | bit(2) | bit(32) | bit(34)
    assert has(choose_features(EVERYTHING, KNOWN_FEATURES), PAGE_POISON)


@pytest.mark.statement("ST-DRV-4")
@given(st.integers(0, EVERYTHING), st.integers(0, EVERYTHING), st.booleans())
def test_nothing_is_accepted_that_was_not_offered_asked_for_and_known(
    offered: int, wanted: int, relies: bool
) -> None:
    chosen = choose_features(offered, wanted & KNOWN_FEATURES, relies_on_zeroed=relies)
    assert chosen & ~(offered & wanted & KNOWN_FEATURES) == 0


@pytest.mark.statement("DRV-FEAT-3")
def test_who_relies_on_zeroed_pages_reports_none_to_a_device_that_knows_no_poison() -> None:
    wanted = KNOWN_FEATURES
    without = KNOWN_FEATURES & ~bit(PAGE_POISON)
    assert has(choose_features(without, wanted), PAGE_REPORTING)
    assert not has(choose_features(without, wanted, relies_on_zeroed=True), PAGE_REPORTING)
    assert has(choose_features(KNOWN_FEATURES, wanted, relies_on_zeroed=True), PAGE_REPORTING)


def test_only_a_modern_driver_takes_packed_rings() -> None:
    assert has(choose_features(EVERYTHING), RING_PACKED)
    assert not has(choose_features(EVERYTHING & ~bit(VERSION_1)), RING_PACKED)


def test_the_peer_of_2009() -> None:
    assert choose_features(EVERYTHING, FEATURES_OF_2009) == bit(MUST_TELL_HOST) | bit(STATS_VQ)


@pytest.mark.parametrize("feature", [RING_EVENT_IDX, 6, 7])
def test_what_the_driver_does_not_know_cannot_be_asked_for(feature: int) -> None:
    with pytest.raises(UsageError, match="not known"):
        choose_features(EVERYTHING, DEFAULT_FEATURES | bit(feature))


@pytest.mark.parametrize(("rule", "reporting"), [("offered", 3), ("negotiated", 2), ("fixed", 4)])
def test_a_queue_after_a_declined_one_is_where_the_rule_says(
    rule: NumberingRule, reporting: int
) -> None:
    offered = bit(STATS_VQ) | bit(PAGE_REPORTING)
    assert queue_numbers(offered, bit(PAGE_REPORTING), rule) == {
        Queue.INFLATE: 0,
        Queue.DEFLATE: 1,
        Queue.REPORTING: reporting,
    }


def test_a_declined_queue_at_the_end_moves_no_other() -> None:
    offered = bit(STATS_VQ) | bit(PAGE_REPORTING)
    for rule in RULES:
        assert queue_numbers(offered, bit(STATS_VQ), rule) == {
            Queue.INFLATE: 0,
            Queue.DEFLATE: 1,
            Queue.STATS: 2,
        }


@given(st.integers(0, 63), st.integers(0, 63), st.sampled_from(RULES))
def test_our_device_finds_the_rule_out(offered: int, wanted: int, rule: NumberingRule) -> None:
    accepted = offered & wanted
    numbers = queue_numbers(offered, accepted, rule)
    assert number_queues(offered, accepted, numbers.values()) == {
        number: queue for queue, number in numbers.items()
    }


def test_all_rules_agree_where_nothing_is_declined() -> None:
    features = bit(STATS_VQ) | bit(DEFLATE_ON_OOM) | bit(FREE_PAGE_HINT) | bit(PAGE_REPORTING)
    assert len({tuple(queue_numbers(features, features, rule).items()) for rule in RULES}) == 1
