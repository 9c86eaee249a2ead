"""Water-filling: exact, bounded, fair, and one host independent of the next."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aerostat.engine.fill import share_out, waterfill

amounts = st.floats(0, 1e12)
weights = st.floats(1e-3, 1e6)
vessel = st.tuples(amounts, amounts, weights)


def pour(amount: float, vessels: list[tuple[float, float, float]]) -> np.ndarray:
    low = np.array([min(a, b) for a, b, _ in vessels])
    high = np.array([max(a, b) for a, b, _ in vessels])
    weight = np.array([w for _, _, w in vessels])
    host = np.zeros(len(vessels), dtype=np.int64)
    return waterfill(np.array([amount]), low, high, weight, host)


@given(amounts, st.lists(vessel, min_size=1, max_size=12))
def test_everything_is_poured_and_nothing_more(
    amount: float, vessels: list[tuple[float, float, float]]
) -> None:
    content = pour(amount, vessels)
    low = sum(min(a, b) for a, b, _ in vessels)
    high = sum(max(a, b) for a, b, _ in vessels)

    assert np.isclose(content.sum(), np.clip(amount, low, high), rtol=1e-6, atol=1.0)
    for got, (a, b, _) in zip(content, vessels, strict=True):
        assert min(a, b) <= got <= max(a, b)


@given(amounts, st.lists(vessel, min_size=2, max_size=8))
def test_whoever_could_have_less_and_more_stands_at_the_common_level(
    amount: float, vessels: list[tuple[float, float, float]]
) -> None:
    content = pour(amount, vessels)
    free = [
        got / w
        for got, (a, b, w) in zip(content, vessels, strict=True)
        if min(a, b) * (1 + 1e-9) < got < max(a, b) * (1 - 1e-9)
    ]
    if free:
        assert np.allclose(free, free[0], rtol=1e-6)


@given(st.lists(st.tuples(amounts, st.lists(vessel, max_size=5)), min_size=1, max_size=5))
def test_hosts_are_independent(hosts: list[tuple[float, list[tuple[float, float, float]]]]) -> None:
    together = [(h, v) for h, (_, vessels) in enumerate(hosts) for v in vessels]
    # Interleave the hosts: the order of the rows must not matter either.
    together.sort(key=lambda item: item[1])
    content = waterfill(
        np.array([amount for amount, _ in hosts]),
        np.array([min(v[:2]) for _, v in together]),
        np.array([max(v[:2]) for _, v in together]),
        np.array([v[2] for _, v in together]),
        np.array([h for h, _ in together], dtype=np.int64),
    )
    for number, (amount, vessels) in enumerate(hosts):
        if vessels:
            ours = [got for got, (h, _) in zip(content, together, strict=True) if h == number]
            alone = pour(amount, sorted(vessels))
            assert np.allclose(ours, alone, rtol=1e-5, atol=1.0)


rooms = st.lists(st.tuples(amounts, weights, st.integers(0, 2)), max_size=12)


@given(st.lists(amounts, min_size=3, max_size=3), rooms)
def test_sharing_out_is_filling_from_the_floor(
    poured: list[float], vessels: list[tuple[float, float, int]]
) -> None:
    amount = np.array(poured)
    room = np.array([r for r, _, _ in vessels])
    weight = np.array([w for _, w, _ in vessels])
    host = np.array([h for _, _, h in vessels], dtype=np.int64)
    content = share_out(amount, room, weight, host)
    filled = waterfill(amount, np.zeros_like(room), room, weight, host)

    assert ((content >= 0) & (content <= room)).all()
    assert np.allclose(content, filled, rtol=1e-6, atol=1.0)
    assert (np.bincount(host, content, minlength=3) <= amount * (1 + 1e-12) + 1e-6).all()


def test_weights_divide() -> None:
    content = pour(400.0, [(0, 1000, 1.0), (0, 1000, 3.0)])

    assert np.allclose(content, [100, 300])


def test_no_guests() -> None:
    empty = np.zeros(0)

    assert len(waterfill(np.array([5.0]), empty, empty, empty, empty.astype(np.int64))) == 0
