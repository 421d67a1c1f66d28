"""Sampling: balance is made from train rows alone, and shares are what they are said to be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from featx.training.sampling import BALANCES, class_weights, even_weights, order, shares

CODES = st.lists(st.integers(0, 2), min_size=3, max_size=60).map(lambda own: np.array([0, 1, 2, *own]))


@given(CODES, st.integers(0, 1000))
def test_orders_hold_what_they_promise(y, seed):
    for balance in BALANCES:
        rows = order(y, classes=3, balance=balance, rng=np.random.default_rng(seed))
        counts = np.bincount(y, minlength=3)
        if balance in ("none", "weights"):
            assert sorted(rows) == list(range(len(y)))
        elif balance == "sample":
            assert len(rows) == len(y)
        else:
            assert (np.bincount(y[rows], minlength=3) == counts.max()).all()
            assert set(rows) == set(range(len(y)))
            assert np.ptp(np.bincount(rows)[y == 0]) <= 1  # whole rounds: no row twice as often as another


@given(CODES)
def test_weights_have_mean_one_and_even_classes_out(y):
    weights = class_weights(y, classes=3, balance="weights")
    assert np.isclose(weights[y].mean(), 1)
    totals = np.bincount(y, weights=weights[y])
    assert np.allclose(totals, totals[0])
    assert (class_weights(y, classes=3, balance="none") == 1).all()


def test_draws_are_as_likely_for_each_class_as_the_shares_say():
    y = np.repeat([0, 1], [900, 100])
    rows = order(y, classes=2, balance="sample", rng=np.random.default_rng(0))
    assert abs((y[rows] == 1).mean() - shares(y, classes=2, balance="sample")[1]) < 0.05
    assert np.allclose(shares(y, classes=2, balance="none"), [0.9, 0.1])
    assert np.allclose(even_weights(y, classes=2), [1000 / 1800, 5])
