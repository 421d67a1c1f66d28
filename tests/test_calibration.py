"""From scores to probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.calibration import platt, probabilities


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 80), st.floats(0, 3), st.floats(-50, 50), st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_the_map_to_probabilities_is_a_logistic_fit_to_drawn_in_targets(n, gap, shift, scale, seed):
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    raw = rng.normal(size=n) + gap * positive
    slope, intercept = platt(positive, shift + scale * raw)
    target = np.where(positive, (positive.sum() + 1) / (positive.sum() + 2), 1 / ((~positive).sum() + 2))

    def lost(beta):
        eta = beta[0] + beta[1] * raw
        return np.logaddexp(0, eta).sum() - target @ eta

    expected = minimize(lost, np.zeros(2), method="BFGS", options={"gtol": 1e-9})
    assert lost([intercept + slope * shift, slope * scale]) <= expected.fun + 1e-9 * n


def test_the_map_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    positive = rng.random(200) < 0.3
    score = rng.normal(size=200) + 1.2 * positive
    m = positive.sum()
    target = np.where(positive, (m + 1) / (m + 2), 1 / (200 - m + 2))
    fit = LogisticRegression(C=1e12, tol=1e-12, max_iter=1000)
    twice = np.concatenate([score, score])[:, None]
    fit.fit(twice, np.repeat([1, 0], 200), sample_weight=np.concatenate([target, 1 - target]))
    assert platt(positive, score) == pytest.approx((fit.coef_[0, 0], fit.intercept_[0]), rel=1e-5)


def test_scores_that_divide_the_classes_or_say_nothing_have_a_map():
    positive = np.arange(20) < 5
    slope, intercept = platt(positive, np.where(positive, 1.0, -1.0))
    p = 1 / (1 + np.exp(-(intercept + slope * np.array([1.0, -1.0]))))
    assert p == pytest.approx([6 / 7, 1 / 17], abs=1e-9)  # the targets themselves
    slope, intercept = platt(positive, np.full(20, 3.0))
    assert slope == 0 and 0 < 1 / (1 + np.exp(-intercept)) < 0.5


def made(classes, n=120, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    scores = rng.normal(size=(n, classes))
    scores[np.arange(n), y] += 1.5
    return (np.column_stack([-scores[:, 1], scores[:, 1]]) if classes == 2 else scores), y


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_those_of_scikit_learns_sigmoids(classes):
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Told(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def decision_function(self, X):
            return X[:, 1] if classes == 2 else X

        def predict(self, X):
            return X.argmax(1)

    scores, y = made(classes)
    theirs = CalibratedClassifierCV(FrozenEstimator(Told().fit(scores, y)), method="sigmoid").fit(scores, y)
    ours = probabilities(scores, y, scores)
    np.testing.assert_allclose(ours, theirs.predict_proba(scores), atol=2e-3)
    np.testing.assert_allclose(ours.sum(1), 1)


def test_rows_that_were_never_held_back_do_not_count():
    scores, y = made(2)
    inner = scores.copy()
    inner[::3] = np.nan
    kept = np.arange(len(y)) % 3 > 0
    np.testing.assert_array_equal(probabilities(inner, y, scores), probabilities(inner[kept], y[kept], scores))


def test_without_a_class_among_them_there_are_none():
    scores, y = made(3)
    inner = np.where((y == 2)[:, None], np.nan, scores)
    assert probabilities(inner, y, scores) is None
