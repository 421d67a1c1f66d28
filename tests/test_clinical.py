"""Clinical numbers against scikit-learn, statsmodels and hands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from featx import clinical
from featx.errors import UsageError
from featx.metrics import auc


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 60), st.integers(1, 6), st.sampled_from([2, 5, 10_000]), st.integers(0, 2**32 - 1))
def test_auc_of_many_problems_is_that_of_each(n, p, levels, seed):
    rng = np.random.default_rng(seed)
    positive = rng.random((n, p)) < 0.5
    positive[0], positive[1] = True, False
    scores = rng.integers(0, levels, (n, p)) / levels
    expected = [auc(positive[:, j], scores[:, j]) for j in range(p)]
    assert clinical.auc_many(positive, scores) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    shared = [auc(positive[:, 0], scores[:, j]) for j in range(p)]
    assert clinical.auc_many(positive[:, 0], scores) == pytest.approx(shared, rel=1e-12, abs=1e-12)


def test_a_problem_of_one_class_is_named():
    with pytest.raises(ValueError, match="problem 1 has 3 positive and 0 negative"):
        clinical.auc_many(np.array([[1, 1], [0, 1], [0, 1]], dtype=bool), np.zeros((3, 2)))


def wanted_everywhere(positive, score, *, share, of):
    """Return the best of the other share that any threshold has at which this one is reached."""
    reached = [clinical.at_threshold(positive, score, threshold=t) for t in [-np.inf, np.inf, *score, *(score + 1e-9)]]
    other = {"sensitivity": "specificity", "specificity": "sensitivity"}[of]
    return max(getattr(found, other) for found in reached if getattr(found, of) >= share - 1e-12)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(4, 60),
    st.sampled_from([3, 8, 10_000]),
    st.sampled_from([0.9, 0.95, 0.5, 1.0]),
    st.sampled_from(["sensitivity", "specificity"]),
    st.integers(0, 2**32 - 1),
)
def test_a_threshold_reaches_its_share_and_gives_up_least(n, levels, share, of, seed):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.5
    positive[:2] = [True, False]
    score = rng.integers(0, levels, n) / levels
    threshold = clinical.threshold_at(positive, score, **{of: share})
    found = clinical.at_threshold(positive, score, threshold=threshold)
    other = {"sensitivity": "specificity", "specificity": "sensitivity"}[of]
    assert np.isfinite(threshold) and getattr(found, of) >= share - 1e-12
    assert getattr(found, other) == wanted_everywhere(positive, score, share=share, of=of)


def test_a_threshold_is_worked_by_hand():
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0.75, 0.95, 0.2, 0.97])
    positive = np.array([False] * 10 + [True] * 4)
    # nine of ten negatives (all but 1.0) must be below: between 0.9 and the next score, 0.95
    assert clinical.threshold_at(positive, score, specificity=0.9) == pytest.approx(0.925)
    # three of four positives must be called: 0.75 and above; the next score below is 0.7
    assert clinical.threshold_at(positive, score, sensitivity=0.75) == pytest.approx(0.725)
    found = clinical.at_threshold(positive, score, threshold=0.925)
    assert found.specificity == 0.9 and found.sensitivity == 0.5
    assert found.called_positive.tolist() == [False, True, False, True] and found.called_negative.sum() == 9


def test_thresholds_at_the_ends_and_between_neighbours():
    positive = np.array([True, False])
    equal = np.array([0.5, 0.5])
    nothing = clinical.threshold_at(positive, equal, specificity=1.0)
    assert clinical.at_threshold(positive, equal, threshold=nothing).specificity == 1.0
    everything = clinical.threshold_at(positive, equal, sensitivity=1.0)
    assert clinical.at_threshold(positive, equal, threshold=everything).sensitivity == 1.0
    near = np.array([np.nextafter(1.0, 2.0), 1.0])  # no number lies between
    threshold = clinical.threshold_at(positive, near, specificity=1.0)
    found = clinical.at_threshold(positive, near, threshold=threshold)
    assert found.sensitivity == found.specificity == 1.0


@pytest.mark.parametrize(
    "shares", [{}, {"specificity": 0.9, "sensitivity": 0.9}, {"specificity": 0.0}, {"sensitivity": 1.1}]
)
def test_one_share_is_wanted(shares):
    with pytest.raises(UsageError, match="one share"):
        clinical.threshold_at(np.array([True, False]), np.zeros(2), **shares)


def test_shares_of_nobody_are_refused():
    with pytest.raises(ValueError, match="none came"):
        clinical.threshold_at(np.array([True]), np.zeros(1), specificity=0.9)
    with pytest.raises(ValueError, match="both classes"):
        clinical.at_threshold(np.array([True]), np.zeros(1), threshold=0.5)


def test_predictive_values_are_counted_on_ten_thousand():
    # prevalence 2 %: 200 sick, 180 found; 9,800 healthy, 490 called sick
    ppv, npv = clinical.predictive_values(0.9, 0.95, prevalence=0.02)
    assert ppv == pytest.approx(180 / 670) and npv == pytest.approx(9310 / 9330)
    assert clinical.predictive_values(0.0, 1.0, prevalence=0.1) == (None, pytest.approx(0.9))
    assert clinical.predictive_values(1.0, 0.0, prevalence=0.1) == (pytest.approx(0.1), None)
    for bad in (0, 1, -1, 2, float("nan")):
        with pytest.raises(UsageError, match="prevalence"):
            clinical.predictive_values(0.9, 0.9, prevalence=bad)


def test_brier_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    positive, probability = rng.random(50) < 0.3, rng.random(50)
    assert clinical.brier(positive, probability) == pytest.approx(brier_score_loss(positive, probability), abs=1e-12)
    for bad in (np.nan, 1.1, -0.1):
        with pytest.raises(ValueError, match="from 0 to 1"):
            clinical.brier(np.array([True]), np.array([bad]))


@pytest.mark.parametrize("seed", range(8))
def test_recalibration_is_that_of_statsmodels(seed):
    import statsmodels.api as sm

    rng = np.random.default_rng(seed)
    logit = rng.normal(-2, 2, 150)
    positive = rng.random(150) < 1 / (1 + np.exp(-(0.5 + 0.6 * logit)))
    found = clinical.calibration(positive, 1 / (1 + np.exp(-logit)))
    fitted = sm.Logit(positive.astype(float), sm.add_constant(logit)).fit(
        disp=0, method="newton", tol=1e-14, maxiter=100
    )
    assert (found.intercept, found.slope) == pytest.approx(tuple(fitted.params), abs=1e-9)
    held = sm.GLM(positive.astype(float), np.ones((150, 1)), family=sm.families.Binomial(), offset=logit).fit(tol=1e-14)
    assert found.in_the_large == pytest.approx(held.params[0], abs=1e-9)
    assert found.note == ""


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 3), st.floats(-1, 1))
def test_a_change_of_the_logit_changes_slope_and_intercept_so(seed, factor, shift):
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 1, 80)
    positive = rng.random(80) < 1 / (1 + np.exp(-logit))
    one = clinical.calibration(positive, 1 / (1 + np.exp(-logit)))
    other = clinical.calibration(positive, 1 / (1 + np.exp(-(factor * logit + shift))))
    assert other.slope == pytest.approx(one.slope / factor, rel=1e-6)
    assert other.intercept == pytest.approx(one.intercept - one.slope / factor * shift, rel=1e-6, abs=1e-6)


def test_what_has_no_slope_says_why():
    positive = np.array([False, False, True, True])
    divided = clinical.calibration(positive, np.array([0.1, 0.2, 0.8, 0.9]))
    assert divided.slope is None and "divide" in divided.note and divided.in_the_large == pytest.approx(0, abs=1e-9)
    flat = clinical.calibration(positive, np.full(4, 0.3))
    assert flat.slope is None and "one probability" in flat.note
    assert flat.in_the_large == pytest.approx(np.log(0.7 / 0.3))
    assert clinical.calibration(np.ones(3, dtype=bool), np.full(3, 0.5)).in_the_large is None
    certain = clinical.calibration(positive, np.array([0.0, 0.6, 0.4, 1.0]))
    assert certain.slope is not None and "2 probabilities of 0 or 1" in certain.note
