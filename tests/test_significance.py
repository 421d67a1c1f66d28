"""Tests and intervals against other libraries, slow direct forms, and the laws that they must obey."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from featx import significance as sig
from featx.errors import UsageError
from featx.metrics import auc, auc_ovo
from featx.significance import bootstrap, results, splits
from featx.significance.auc import coded

TIGHT = {"rel": 1e-9, "abs": 1e-12}


def some_differences(seed: int, shape: tuple[int, int] = (5, 2)) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.01, 0.03, shape)


def some_sides(seed: int, *, repeats=5, folds=2, k=2, groups=40, levels=None) -> list[sig.Side]:
    """Draw groups of one to four rows and deal them onto folds; scores that know the class, with ties where asked."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, groups)
    group = np.repeat(np.arange(groups), sizes)
    of_group = np.arange(groups) % 3 == 0
    positive = of_group[group]
    base = rng.normal(size=(len(group), k)) + positive[:, None] + rng.normal(size=(groups, k))[group]
    sides = []
    for repeat in range(repeats):
        part = np.empty(groups, dtype=int)
        for own in (np.flatnonzero(of_group), np.flatnonzero(~of_group)):
            part[own] = rng.permutation(len(own)) % folds
        for fold in range(folds):
            rows = part[group] == fold
            scores = base[rows] + 0.3 * rng.normal(size=(rows.sum(), k))
            if levels:
                scores = np.round(scores * levels) / levels
            sides.append(sig.Side(repeat, positive[rows], scores, group[rows]))
    return sides


@st.composite
def one_side(draw, *, mixed=True):
    """Draw positive, two scores and groups (each class in two groups at least), with ties as often as not."""
    n, seed = draw(st.integers(8, 40)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    group = np.concatenate([np.arange(4), rng.integers(0, max(4, n // 2), n - 4)])
    positive = rng.random(n) < 0.4 if mixed else group % 2 == 0
    positive[:4] = [True, False, True, False]
    levels = draw(st.sampled_from([2, 5, 10_000]))
    scores = np.floor((rng.random((n, 2)) + 0.3 * positive[:, None]) * levels) / levels
    return positive, scores, group


# ---- 5x2 and resampled t tests


class Silent:
    """An estimator that learns nothing; its scores are read off a list."""

    def __init__(self, scores):
        self.scores = iter(scores)

    def fit(self, X, y):
        return self


def mlxtend_of(test, d: np.ndarray) -> tuple[float, float]:
    X, y = np.zeros((8, 1)), np.array([0, 1] * 4)
    first, second = Silent(d.ravel().tolist()), Silent(itertools.repeat(0.0))
    return test(first, second, X, y, scoring=lambda estimator, X, y: next(estimator.scores), random_seed=0)


@pytest.mark.parametrize("seed", range(10))
def test_the_5x2_tests_are_those_of_mlxtend(seed):
    from mlxtend.evaluate import combined_ftest_5x2cv, paired_ttest_5x2cv

    d = some_differences(seed)
    t, f = sig.dietterich_t(d), sig.alpaydin_f(d)
    assert (t.statistic, t.p) == pytest.approx(mlxtend_of(paired_ttest_5x2cv, d), **TIGHT)
    assert (f.statistic, f.p) == pytest.approx(mlxtend_of(combined_ftest_5x2cv, d), **TIGHT)
    assert t.df == (5.0,) and f.df == (10.0, 5.0)
    assert t.difference == f.difference == pytest.approx(d.mean())


def test_the_corrected_t_is_that_worked_by_hand():
    d = np.array([[0.02, 0.04, 0.03, 0.01, 0.05]])
    found = sig.corrected_t(d, ratio=0.25)
    variance = sum((x - 0.03) ** 2 for x in d[0]) / 4  # 0.00025
    assert found.statistic == pytest.approx(0.03 / (0.45 * variance) ** 0.5, **TIGHT)
    assert found.p == pytest.approx(2 * stats.t.sf(found.statistic, 4), **TIGHT)
    reach = stats.t.ppf(0.975, 4) * (0.45 * variance) ** 0.5
    assert (found.low, found.high) == pytest.approx((0.03 - reach, 0.03 + reach), **TIGHT)


def test_without_correction_it_is_the_paired_t_test_of_scipy():
    a, b = some_differences(1), some_differences(2)
    found, expected = sig.corrected_t(a - b, ratio=0.0), stats.ttest_rel(a.ravel(), b.ravel())
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue), **TIGHT)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), **TIGHT)


TESTS_OF_SPLITS = [sig.dietterich_t, sig.alpaydin_f, lambda d: sig.corrected_t(d, ratio=1.0)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.sampled_from(TESTS_OF_SPLITS))
def test_swapping_the_two_mirrors_everything_and_a_scale_changes_no_p(seed, factor, test):
    d = some_differences(seed)
    one, other, scaled = test(d), test(-d), test(d * factor)
    assert other.p == pytest.approx(one.p, **TIGHT) and scaled.p == pytest.approx(one.p, **TIGHT)
    assert other.difference == -one.difference and other.smallest == pytest.approx(one.smallest, **TIGHT)
    assert scaled.smallest == pytest.approx(one.smallest * factor, **TIGHT)
    if one.low is not None:
        assert (other.low, other.high) == pytest.approx((-one.high, -one.low), **TIGHT)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(5)), st.sampled_from([1, 2]))
def test_the_order_of_repeats_counts_for_dietterichs_t_alone(seed, order, which):
    d = some_differences(seed)
    test = TESTS_OF_SPLITS[which]
    assert test(d[list(order)]).p == pytest.approx(test(d).p, **TIGHT)
    assert sig.dietterich_t(d[::-1]).statistic != sig.dietterich_t(d).statistic


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_p_is_below_5_percent_where_the_interval_leaves_zero_out(seed):
    rng = np.random.default_rng(seed)
    d = rng.normal(rng.choice([0, 0.02]), 0.02, (5, 2))
    for found in (sig.dietterich_t(d), sig.corrected_t(d, ratio=1.0)):
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


@pytest.mark.parametrize("test", TESTS_OF_SPLITS)
def test_identical_classifiers_give_p_1_with_a_note(test):
    found = test(np.zeros((5, 2)))
    assert found.p == 1.0 and found.difference == 0.0 and "same scores" in found.note
    assert found.low is None and found.high is None and found.smallest is None


@pytest.mark.parametrize("test", TESTS_OF_SPLITS)
def test_a_constant_difference_claims_nothing_and_says_why(test):
    found = test(np.full((5, 2), 0.1))  # its variance is 2e-34 in floating point
    assert found.p == 1.0 and found.difference == pytest.approx(0.1)
    assert "0.1 in every split" in found.note and found.low is None


def test_halves_that_agree_leave_the_5x2_tests_without_an_error():
    d = np.repeat(np.array([[0.01], [0.02], [0.03], [0.02], [0.01]]), 2, axis=1)
    for test in (sig.dietterich_t, sig.alpaydin_f):
        assert test(d).p == 1.0 and "halves" in test(d).note
    assert sig.corrected_t(d, ratio=1.0).p < 1.0


@pytest.mark.parametrize("shape", [(1, 5), (1, 1), (10, 10), (2, 5), (4, 2)])
@pytest.mark.parametrize("test", [sig.dietterich_t, sig.alpaydin_f])
def test_other_plans_than_5x2_are_refused_by_the_5x2_tests(test, shape):
    with pytest.raises(UsageError, match=r"5x2" if np.prod(shape) > 1 else "two splits"):
        test(some_differences(0, shape))


def test_one_split_has_no_test_over_splits():
    with pytest.raises(UsageError, match="DeLong"):
        sig.corrected_t(np.array([[0.1]]), ratio=0.25)
    with pytest.raises(UsageError, match="at least two splits"):
        sig.corrected_interval(np.array([[0.1]]), ratio=0.25)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused_with_its_place(bad):
    d = some_differences(0)
    d[3, 1] = bad
    with pytest.raises(ValueError, match="repeat 3, fold 1"):
        sig.corrected_t(d, ratio=1.0)


def test_each_plan_has_its_tests():
    assert sig.valid_tests(5, 2) == ("group_t", "corrected_t", "alpaydin_f", "dietterich_t", "paired_auc")
    assert sig.valid_tests(1, 5) == ("corrected_t", "paired_auc")
    assert sig.valid_tests(1, 1) == ("paired_auc",)
    assert sig.valid_tests(3, 2) == ("group_t", "corrected_t", "paired_auc")
    assert sig.valid_tests(10, 10) == ("corrected_t", "paired_auc")
    for name in sig.valid_tests(5, 2):
        assert callable(getattr(sig, name))


def test_the_smallest_difference_is_shown_in_80_of_100_studies():
    rng = np.random.default_rng(0)
    error, df = 0.02, 9
    found = results.student("t", 0.0, error=error, df=df)
    draws = rng.normal(found.smallest, error, 20_000) / (error * np.sqrt(rng.chisquare(df, 20_000) / df))
    assert np.mean(np.abs(draws) > stats.t.ppf(0.975, df)) == pytest.approx(0.8, abs=0.02)
    shift = splits._f_shift()
    assert stats.ncf.sf(stats.f.isf(0.05, 10, 5), 10, 5, shift) == pytest.approx(0.8, abs=1e-9)


def test_the_corrected_interval_is_worked_by_hand_and_stays_inside():
    values = np.array([[0.7, 0.8], [0.75, 0.85], [0.9, 0.8]])
    plain = sig.corrected_interval(values, ratio=1.0, bounded=False)
    reach = stats.t.ppf(0.975, 5) * np.sqrt((1 / 6 + 1) * values.var(ddof=1))
    assert (plain.low, plain.high) == pytest.approx((0.8 - reach, 0.8 + reach), **TIGHT)
    assert plain.estimates == "models trained on half of this source"
    bounded = sig.corrected_interval(np.array([[0.999, 0.97], [0.98, 0.995]]), ratio=1.0)
    assert 0 < bounded.low < bounded.value < bounded.high < 1
    mean, error = 0.986, np.sqrt((1 / 4 + 1) * np.array([0.999, 0.97, 0.98, 0.995]).var(ddof=1))
    reach = stats.t.ppf(0.975, 3) * error / (mean * (1 - mean))
    at = np.log(mean / (1 - mean))
    assert (bounded.low, bounded.high) == pytest.approx(tuple(1 / (1 + np.exp(-at + np.array([1, -1]) * reach))))
    assert "four fifths" in sig.corrected_interval(values, ratio=0.25).estimates


def test_equal_scores_in_every_split_have_no_interval():
    found = sig.corrected_interval(np.full((5, 2), 1.0), ratio=1.0)
    assert found.value == 1.0 and found.low is None and "every split" in found.note


# ---- DeLong, Obuchowski


def direct_covariance(positive, scores, group) -> np.ndarray:
    """Obuchowski's covariance from its definition: every pair compared, every group summed in loops."""
    up, down = np.flatnonzero(positive), np.flatnonzero(~positive)
    k = scores.shape[1]
    wins = np.array([[[(x > y) + 0.5 * (x == y) for y in scores[down, c]] for x in scores[up, c]] for c in range(k)])
    theta = wins.mean((1, 2))
    names = sorted(set(group.tolist()))
    X, Y = np.zeros((len(names), k)), np.zeros((len(names), k))
    for at, name in enumerate(names):
        for c in range(k):
            X[at, c] = sum(wins[c, i].mean() - theta[c] for i, row in enumerate(up) if group[row] == name)
            Y[at, c] = sum(wins[c, :, j].mean() - theta[c] for j, row in enumerate(down) if group[row] == name)
    m, n, count = len(up), len(down), len(names)
    with_up, with_down = len(set(group[up].tolist())), len(set(group[down].tolist()))
    S10 = with_up / ((with_up - 1) * m) * X.T @ X
    S01 = with_down / ((with_down - 1) * n) * Y.T @ Y
    S11 = count / (count - 1) * X.T @ Y
    return S10 / m + S01 / n + (S11 + S11.T) / (m * n)


def direct_delong(positive, scores) -> np.ndarray:
    """DeLong's covariance: sample covariances of the two structural components."""
    up, down = scores[positive], scores[~positive]
    wins = (up[:, None] > down[None]) + 0.5 * (up[:, None] == down[None])
    return np.cov(wins.mean(1).T) / len(up) + np.cov(wins.mean(0).T) / len(down)


@settings(max_examples=60, deadline=None)
@given(one_side())
def test_the_clustered_covariance_is_its_slow_definition(side):
    positive, scores, group = side
    theta, covariance, note = sig.auc_covariance(positive, scores, groups=group)
    assert not note
    assert covariance == pytest.approx(direct_covariance(positive, scores, group), abs=1e-12)
    assert theta == pytest.approx([auc(positive, scores[:, k]) for k in (0, 1)], abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(one_side())
def test_with_one_row_a_group_obuchowski_is_delong(side):
    positive, scores, _ = side
    plain = sig.auc_covariance(positive, scores)[1]
    assert plain == pytest.approx(direct_delong(positive, scores), abs=1e-12)
    shuffled = np.random.default_rng(0).permutation(len(positive))
    assert sig.auc_covariance(positive, scores, groups=shuffled)[1] == pytest.approx(plain, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(one_side(), st.booleans())
def test_the_paired_test_is_mirrored_and_blind_to_monotone_changes(side, clustered):
    positive, scores, group = side
    groups = group if clustered else None
    one = sig.paired_auc(positive, scores[:, 0], scores[:, 1], groups=groups)
    other = sig.paired_auc(positive, scores[:, 1], scores[:, 0], groups=groups)
    moved = sig.paired_auc(positive, np.exp(scores[:, 0]), 3 * scores[:, 1] - 7, groups=groups)
    assert other.p == pytest.approx(one.p, abs=1e-9) and moved.p == pytest.approx(one.p, abs=1e-9)
    assert other.difference == pytest.approx(-one.difference, abs=1e-12)
    assert one.test == ("Obuchowski" if clustered else "DeLong")
    assert all(value is None or np.isfinite(value) for value in (one.low, one.high, one.p, one.smallest))
    if one.low is not None:
        assert (one.p < 0.05) == (one.low > 0 or one.high < 0)


def test_delongs_p_is_that_of_z():
    rng = np.random.default_rng(3)
    positive = rng.random(200) < 0.3
    scores = rng.normal(size=(200, 2)) + positive[:, None] * [1.0, 0.5]
    found = sig.paired_auc(positive, *scores.T)
    gap, covariance = found.difference, direct_delong(positive, scores)
    z = gap / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.statistic == pytest.approx(z, **TIGHT)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(z)), **TIGHT) and found.df == ()


def test_rows_copied_within_their_group_add_nothing_to_what_is_known():
    rng = np.random.default_rng(4)
    positive, scores = rng.random(60) < 0.4, rng.normal(size=(60, 2))
    once = sig.auc_covariance(positive, scores, groups=np.arange(60))[1]
    copied = [np.repeat(values, 3, axis=0) for values in (positive, scores, np.arange(60))]
    thrice = sig.auc_covariance(copied[0], copied[1], groups=copied[2])[1]
    assert thrice == pytest.approx(once, **TIGHT)
    assert sig.auc_covariance(copied[0], copied[1])[1][0, 0] < once[0, 0] / 2


def test_no_variance_is_no_claim():
    positive = np.array([True, True, False, False])
    same = sig.paired_auc(positive, np.arange(4.0), np.arange(4.0))
    assert same.p == 1.0 and same.difference == 0.0 and "same scores" in same.note
    perfect = sig.paired_auc(positive, np.array([3.0, 2, 1, 0]), np.array([0.0, 1, 2, 3]))
    assert perfect.p == 1.0 and perfect.difference == 1.0 and "no variance" in perfect.note
    lone = sig.paired_auc(positive, np.arange(4.0), np.ones(4), groups=np.array([0, 0, 1, 2]))
    assert lone.p == 1.0 and "fewer than two groups" in lone.note
    assert sig.auc_interval(positive, np.array([3.0, 2, 1, 0])).low is None
    assert "(p = 1)" not in sig.auc_interval(positive, np.arange(4.0), groups=np.array([0, 0, 1, 2])).note


def test_an_auc_interval_stays_inside_and_is_wider_by_group():
    side = some_sides(0, groups=60)[0]
    score = side.scores[:, 0] + 2 * side.positive
    plain = sig.auc_interval(side.positive, score)
    grouped = sig.auc_interval(side.positive, score, groups=side.groups)
    assert 0 < grouped.low < plain.low < plain.value < plain.high < grouped.high < 1
    assert plain.estimates == "this very model"


def test_one_class_or_a_missing_score_is_refused():
    with pytest.raises(ValueError, match="both classes"):
        sig.auc_covariance(np.ones(3, dtype=bool), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="1 rows have none"):
        sig.auc_covariance(np.array([True, False]), np.array([[np.nan], [1.0]]))


# ---- group t


def test_the_influences_are_obuchowskis_on_one_side_and_none_is_left():
    side = some_sides(1, repeats=1, folds=1)[0]
    found = sig.influences([side])
    covariance = sig.auc_covariance(side.positive, side.scores, groups=side.groups)[1]
    assert found.of_positives.T @ found.of_positives + found.of_negatives.T @ found.of_negatives == pytest.approx(
        covariance, abs=1e-12
    )
    assert found.of_positives.sum(0) == pytest.approx(0, abs=1e-12)


def test_the_group_t_is_worked_by_hand():
    sides = some_sides(2)
    found = sig.group_t(sig.influences(sides), 0, 1)
    gaps = np.array([[auc(s.positive, s.scores[:, 0]) - auc(s.positive, s.scores[:, 1])] for s in sides]).reshape(5, 2)
    of_group = {True: {}, False: {}}
    for side in sides:
        for kind in (True, False):
            rows, others = np.flatnonzero(side.positive == kind), side.scores[side.positive != kind]
            many = len(set(side.groups[rows].tolist()))
            mean = [auc(side.positive, side.scores[:, k]) for k in (0, 1)]
            for row in rows:
                sign = 1 if kind else -1
                placed = [
                    np.mean(
                        [
                            (sign * (side.scores[row, k] - o[k]) > 0) + 0.5 * (side.scores[row, k] == o[k])
                            for o in others
                        ]
                    )
                    for k in (0, 1)
                ]
                gap = (placed[0] - mean[0]) - (placed[1] - mean[1])
                name = side.groups[row]
                own = of_group[kind]
                own[name] = own.get(name, 0.0) + gap / len(rows) * np.sqrt(many / (many - 1)) / 10
    parts = [sum(v**2 for v in of_group[kind].values()) for kind in (True, False)] + [gaps.mean(1).var(ddof=1)]
    free = [len(of_group[True]) - 2, len(of_group[False]) - 2, 4]
    df = sum(parts) ** 2 / sum(part**2 / f for part, f in zip(parts, free, strict=True))
    assert found.difference == pytest.approx(gaps.mean(), **TIGHT)
    assert found.statistic == pytest.approx(gaps.mean() / np.sqrt(sum(parts)), **TIGHT)
    assert found.df == pytest.approx((df,), **TIGHT)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.statistic), df), **TIGHT)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 2]))
def test_the_group_t_is_mirrored_and_knows_no_names_orders_or_scales(seed, levels):
    sides = some_sides(seed, levels=levels)
    one = sig.group_t(sig.influences(sides), 0, 1)
    other = sig.group_t(sig.influences(sides), 1, 0)
    renamed = [
        sig.Side(9 - s.repeat, s.positive, 3 * s.scores + 1, np.array([f"lesion {g}" for g in s.groups]))
        for s in sides[::-1]
    ]
    third = sig.group_t(sig.influences(renamed), 0, 1)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), **TIGHT)
    for found in (other, third):
        assert (found.p, *found.df, found.smallest) == pytest.approx((one.p, *one.df, one.smallest), **TIGHT)
    assert third.difference == pytest.approx(one.difference, **TIGHT)
    assert (one.p < 0.05) == (one.low > 0 or one.high < 0)


def test_groups_with_rows_of_both_classes_are_counted_as_one():
    rng = np.random.default_rng(6)
    sides = [
        sig.Side(repeat, np.arange(40) % 2 == 0, rng.normal(size=(40, 2)), np.arange(40) // 2 + 20 * half)
        for repeat in range(5)
        for half in (0, 1)
    ]
    found = sig.influences(sides)
    positives, negatives = (part[:, 0] - part[:, 1] for part in (found.of_positives, found.of_negatives))
    gap = found.means[:, 0] - found.means[:, 1]
    error = np.sqrt(((positives + negatives) ** 2).sum() + gap.var(ddof=1))
    assert sig.group_t(found, 0, 1).statistic == pytest.approx(gap.mean() / error, **TIGHT)


def test_the_group_interval_names_what_it_estimates_and_stays_inside():
    found = sig.influences([side._replace(scores=side.scores + 3 * side.positive[:, None]) for side in some_sides(7)])
    interval = sig.group_interval(found, 0)
    assert 0 < interval.low < interval.value < interval.high < 1
    assert interval.estimates == "models trained on half of this source"
    assert interval.value == pytest.approx(found.means[:, 0].mean())


def test_the_group_t_of_equal_or_wholly_divided_classes_claims_nothing():
    sides = some_sides(8)
    same = [side._replace(scores=side.scores[:, [0, 0]]) for side in sides]
    found = sig.group_t(sig.influences(same), 0, 1)
    assert found.p == 1.0 and found.difference == 0.0 and "same scores" in found.note
    divided = [side._replace(scores=np.column_stack([side.positive, np.zeros(len(side.positive))])) for side in sides]
    found = sig.group_t(sig.influences(divided), 0, 1)
    assert found.p == 1.0 and found.difference == 0.5 and "0.5 in every split" in found.note
    assert sig.group_interval(sig.influences(divided), 0).low is None


def test_a_class_in_one_group_has_no_error_and_one_repeat_no_group_t():
    lone = [side._replace(groups=np.where(side.positive, -1, side.groups)) for side in some_sides(9)]
    found = sig.influences(lone)
    assert sig.group_t(found, 0, 1).p == 1.0 and "fewer than two groups" in sig.group_t(found, 0, 1).note
    assert sig.group_interval(found, 0).low is None
    with pytest.raises(UsageError, match="two repeats"):
        sig.group_t(sig.influences(some_sides(9, repeats=1)), 0, 1)


# ---- bootstrap


def test_weighted_auc_is_that_of_rows_repeated():
    rng = np.random.default_rng(10)
    positive, score = rng.random(30) < 0.5, rng.integers(0, 6, 30).astype(float)
    weights = rng.integers(0, 4, (30, 20)).astype(float)
    expected = [auc(np.repeat(positive, w.astype(int)), np.repeat(score, w.astype(int))) for w in weights.T]
    assert bootstrap._weighted_auc(positive, score, weights) == pytest.approx(expected, **TIGHT)
    ends = np.where(score == 5, np.inf, np.where(score == 0, -np.inf, score))
    assert bootstrap._weighted_auc(positive, ends, weights) == pytest.approx(expected, **TIGHT)


def test_the_bootstrap_draws_whole_groups_and_has_both_classes():
    side = some_sides(11)[0]
    names, codes = coded([side])
    counts = np.concatenate(list(bootstrap._drawn([side], names, codes, draws=300, seed=0)))
    of_positive = np.array([side.positive[codes[0] == at].any() for at in range(len(names))])
    assert (counts[:, of_positive].sum(1) == of_positive.sum()).all()
    assert (counts.sum(1) == len(names)).all() and counts.mean(0) == pytest.approx(1, abs=0.3)
    assert np.isfinite(sig.bootstrap_auc([side], draws=300, seed=0)).all()


def test_the_bootstrap_agrees_with_obuchowski_where_groups_are_many():
    side = some_sides(12, groups=300)[0]
    drawn = sig.bootstrap_auc([side], draws=2000, seed=0)
    expected = sig.auc_covariance(side.positive, side.scores, groups=side.groups)[1]
    assert np.cov(drawn.T) == pytest.approx(expected, rel=0.15, abs=0.15 * expected[0, 0])
    interval, known = (
        sig.bootstrap_interval([side], seed=0),
        sig.auc_interval(side.positive, side.scores[:, 0], groups=side.groups),
    )
    assert (interval.low, interval.high) == pytest.approx((known.low, known.high), abs=0.01)


def test_the_bootstrap_is_the_same_for_the_same_seed_and_mirrored(monkeypatch):
    sides = some_sides(13)
    one, other = (sig.bootstrap_difference(sides, *pair, draws=300, seed=5) for pair in ((0, 1), (1, 0)))
    assert (other.low, other.high, other.p) == pytest.approx((-one.high, -one.low, one.p), **TIGHT)
    assert sig.bootstrap_difference(sides, draws=300, seed=5) == one
    monkeypatch.setattr(bootstrap, "CHUNK", 1000)  # a few draws at once
    small = sig.bootstrap_difference(sides, draws=300, seed=5)
    assert (small.low, small.high) == pytest.approx((one.low, one.high), abs=0.05)
    same = sig.bootstrap_difference(sides, 0, 0, draws=50, seed=5)
    assert same.p == 1.0 and "same scores" in same.note


# ---- the winner's curse


def test_the_winner_among_the_equal_is_corrected_back_to_chance():
    rng = np.random.default_rng(14)
    group = np.repeat(np.arange(120), 2)
    positive = group % 2 == 0
    corrected, told = [], []
    for _ in range(20):
        side = sig.Side(0, positive, rng.normal(size=(240, 30)), group)
        found = sig.corrected_winner([side], draws=60, seed=0)
        corrected.append(found.corrected)
        told.append(found.told)
    assert np.mean(told) > 0.56  # the best of thirty that know nothing
    assert np.mean(corrected) == pytest.approx(0.5, abs=0.015)


def test_a_true_winner_keeps_its_score_and_sides_are_not_pooled():
    sides = [
        s._replace(scores=s.scores + [3, 0] * s.positive[:, None] + 50 * (i % 2)) for i, s in enumerate(some_sides(15))
    ]
    found = sig.corrected_winner(sides, draws=200, seed=0)
    assert found.best == 0 and found.corrected == pytest.approx(found.told, abs=0.01)
    assert found.told == pytest.approx(np.mean([auc(s.positive, s.scores[:, 0]) for s in sides]))
    assert found.low <= found.corrected <= found.high


def test_too_few_groups_for_a_correction_are_told():
    positive = np.array([True, True, False, False])
    side = sig.Side(0, positive, np.arange(8.0).reshape(4, 2), np.array([0, 0, 1, 1]))
    with pytest.raises(UsageError, match="2 groups are too few"):
        sig.corrected_winner([side], draws=50, seed=0)


def test_hand_and_till_is_the_mean_of_its_one_sided_pairs():
    rng = np.random.default_rng(16)
    y, scores = np.arange(60) % 3, rng.normal(size=(60, 3))
    sides = [
        sig.Side(0, y[rows] == i, scores[rows][:, [i]], np.flatnonzero(rows))
        for i, j in itertools.permutations(range(3), 2)
        for rows in [(y == i) | (y == j)]
    ]
    assert sig.influences(sides).means.mean() == pytest.approx(auc_ovo(y, scores), **TIGHT)


# ---- shares, Holm, datasets


def test_wilson_is_that_of_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    for hits, n in ((0, 7), (3, 7), (7, 7), (45, 50)):
        found = sig.share_interval(np.arange(n) < hits)
        assert (found.low, found.high) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-9)


def test_copies_within_a_group_are_worth_one_row():
    hits = np.arange(30) % 3 == 0
    once = sig.share_interval(hits, groups=np.arange(30))
    copied = sig.share_interval(np.repeat(hits, 4), groups=np.repeat(np.arange(30), 4))
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), **TIGHT)
    plain = sig.share_interval(hits)
    assert plain.high - plain.low < once.high - once.low < 1.05 * (plain.high - plain.low)  # by 30 / 29 in variance
    perfect = sig.share_interval(np.ones(12, dtype=bool), groups=np.repeat(np.arange(3), 4))
    assert perfect.low == pytest.approx(sig.share_interval(np.ones(3, dtype=bool)).low)
    with pytest.raises(ValueError, match="none came"):
        sig.share_interval(np.zeros(0, dtype=bool))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_statsmodels(p):
    from statsmodels.stats.multitest import multipletests

    assert sig.holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-9)


def test_holm_takes_nothing_and_refuses_what_is_no_p():
    assert len(sig.holm([])) == 0
    for bad in (np.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match="from 0 to 1"):
            sig.holm([0.1, bad])


@pytest.mark.parametrize("seed", range(5))
def test_friedman_is_that_of_scipy_with_ties(seed):
    scores = np.random.default_rng(seed).integers(0, 6, (8, 4)) / 6
    found = sig.friedman_nemenyi(scores)
    expected = stats.friedmanchisquare(*scores.T)
    assert (found.statistic, found.p) == pytest.approx((expected.statistic, expected.pvalue), **TIGHT)
    assert found.mean_ranks == pytest.approx(stats.rankdata(-scores, axis=1).mean(0))


def test_nemenyi_is_that_of_demsars_tables():
    # Demsar (2006), table 5(a): critical values at 5 % for 3, 4, 5 and 10 classifiers
    for k, q in ((3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)):
        found = sig.friedman_nemenyi(np.random.default_rng(k).random((14, k)))
        assert found.critical == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), abs=1e-3)
        apart = np.abs(found.mean_ranks[:, None] - found.mean_ranks)
        assert ((found.pairs < 0.05) == (apart > found.critical)).all()
        assert np.diag(found.pairs) == pytest.approx(np.ones(k))


def test_fewer_than_five_datasets_are_no_ranking():
    with pytest.raises(UsageError, match="5 independent datasets; 3 over 4 came"):
        sig.friedman_nemenyi(np.random.default_rng(0).random((4, 3)))
    with pytest.raises(UsageError, match="3 classifiers"):
        sig.friedman_nemenyi(np.random.default_rng(0).random((9, 2)))
    tied = sig.friedman_nemenyi(np.full((5, 3), 0.7))
    assert tied.p == 1.0 and tied.statistic == 0.0 and "ties" in tied.note
