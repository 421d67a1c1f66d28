"""Histogram trees: scikit-learn's trees where every value has a bin of its own, and near them where it has not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from featx.forest import HistogramForestClassifier, HistogramTreeClassifier, estimators
from featx.forest.bins import LEVELS, binned
from featx.forest.growth.drawing import drawn


def made(n=120, d=5, *, levels=9, classes=2, seed=0):
    """Return rows of few values, and classes that the first features tell in part."""
    rng = np.random.default_rng(seed)
    X = rng.integers(levels, size=(n, d)).astype(np.float64)
    y = ((X[:, 0] + X[:, 1] + rng.normal(size=n) * 2) * classes / (2 * levels)).astype(int).clip(0, classes - 1)
    y[:classes] = range(classes)
    return X, y


# ---- bins


def bins_of(column):
    found = binned(np.asarray(column, dtype=np.float32)[:, None])
    return found.codes[0].astype(int), found.lows[0], found.highs[0]


@given(st.integers(1, 2000), st.integers(1, 1000), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_bins_keep_the_order_and_hold_what_they_say(n, distinct, seed):
    values = np.random.default_rng(seed).integers(-distinct, distinct, size=n) / np.float32(3)
    codes, lows, highs = bins_of(values)
    column = values.astype(np.float32)
    assert ((lows[codes] <= column) & (column <= highs[codes])).all()
    used = codes.max() + 1
    assert set(codes) == set(range(used)) and used <= LEVELS
    assert (highs[: used - 1] < lows[1:used]).all() and np.isinf(lows[used:]).all()
    if len(np.unique(column)) <= LEVELS:
        assert used == len(np.unique(column)) and (lows[:used] == highs[:used]).all()


def test_bins_of_many_values_hold_about_as_many_rows_each():
    codes, *_ = bins_of(np.random.default_rng(0).normal(size=25_600))
    counts = np.bincount(codes)
    assert len(counts) == LEVELS and counts.min() == counts.max() == 100


def test_a_value_that_most_rows_share_leaves_the_other_bins_to_the_rest():
    rng = np.random.default_rng(0)
    values = np.maximum(rng.normal(size=20_000) - 0.5, 0)  # about 70 % are 0, as behind a rectifier
    codes, _, highs = bins_of(values)
    counts = np.bincount(codes)
    assert highs[0] == 0 and counts[0] == (values == 0).sum()
    assert len(counts) == LEVELS and counts[1:].max() <= counts[1:].min() + 1
    rare = np.concatenate([rng.normal(size=2000), np.full(6000, 0.25)])
    codes, lows, highs = bins_of(rare)
    assert lows[codes[-1]] == highs[codes[-1]] == np.float32(0.25)


def test_minus_zero_is_zero():
    codes, *_ = bins_of([-0.0, 0.0, 1.0])
    assert codes.tolist() == [0, 0, 1]


def test_bins_go_by_order_alone():
    values = np.random.default_rng(0).normal(size=3000)
    assert np.array_equal(bins_of(values)[0], bins_of(np.exp(values) * 1e-12)[0])


def test_draws_are_even_and_below_their_bound():
    state = np.array([7], dtype=np.uint64)
    found = np.bincount([drawn(state, 10) for _ in range(20_000)], minlength=10)
    assert len(found) == 10 and abs(found - 2000).max() < 200


# ---- scikit-learn's trees


def unique(X, y, tree, *, least=1):
    """Whether at each node of a tree of scikit-learn's one split alone is the best."""
    paths = tree.decision_path(X).toarray().astype(bool)
    inner = np.flatnonzero(tree.tree_.children_left >= 0)
    return all(_one_best(X[paths[:, node]], y[paths[:, node]], least) for node in inner)


def _one_best(X, y, least):
    worths = []
    for column in X.T:
        order = np.argsort(column, kind="stable")
        ones, values = np.cumsum(y[order]), column[order]
        for at in range(least, len(y) - least + 1):
            if at < len(y) and values[at] > values[at - 1]:
                left, right = ones[at - 1], ones[-1] - ones[at - 1]
                worths.append(sum((a * a + (b - a) ** 2) / b for a, b in ((left, at), (right, len(y) - at))))
    best = np.sort(worths)[::-1]
    return len(best) < 2 or best[0] - best[1] > 1e-9


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 5]), st.sampled_from([2, 4]))
@settings(max_examples=60, deadline=None)
def test_the_tree_is_that_of_scikit_learn_where_the_best_split_is_unique(seed, least, depth):
    rng = np.random.default_rng(seed)
    X = np.round(rng.normal(size=(60, 4)), 1).astype(np.float32)
    y = (X[:, 0] + X[:, 1] ** 2 + rng.normal(size=60) > 0.7).astype(int)
    assume(0 < y.sum() < 60)
    limits = {"min_samples_leaf": least, "max_depth": depth}
    theirs = DecisionTreeClassifier(**limits, random_state=0).fit(X, y)
    assume(unique(X, y, theirs, least=least))
    new = rng.normal(size=(200, 4)).astype(np.float32)
    ours = HistogramTreeClassifier(**limits, random_state=1).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(new), theirs.predict_proba(new), atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_the_first_split_is_that_of_scikit_learn_for_any_number_of_classes(classes, class_weight):
    rng = np.random.default_rng(classes)
    X = np.round(rng.normal(size=(250, 6)), 2).astype(np.float32)
    y = np.digitize(X[:, 2] + 0.5 * rng.normal(size=250), np.linspace(-1, 1, classes - 1))
    options = {"max_depth": 1, "class_weight": class_weight, "random_state": 0}
    ours, theirs = (kind(**options).fit(X, y) for kind in (HistogramTreeClassifier, DecisionTreeClassifier))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_forest_tells_classes_apart_as_well_as_scikit_learns(classes):
    X, y = make_classification(
        700, 30, n_informative=8, n_classes=classes, weights=[0.7] + [0.3 / (classes - 1)] * (classes - 1), flip_y=0.1,
        random_state=0,
    )  # fmt: skip
    train, test = slice(0, 350), slice(350, 700)

    def auc(kind, seed):
        forest = kind(60, class_weight="balanced", min_samples_leaf=2, random_state=seed).fit(X[train], y[train])
        told = forest.predict_proba(X[test])
        return roc_auc_score(y[test], told[:, 1] if classes == 2 else told, multi_class="ovo")

    ours, theirs = (
        np.array([auc(kind, seed) for seed in range(8)]) for kind in (HistogramForestClassifier, RandomForestClassifier)
    )
    spread = np.sqrt(theirs.var(ddof=1) / 8 + ours.var(ddof=1) / 8)
    assert abs(ours.mean() - theirs.mean()) < max(3 * spread, 0.004)
    assert theirs.min() > 0.75


def test_features_that_are_constant_in_a_node_do_not_end_it():
    X = np.zeros((40, 30))
    X[:, 29] = np.arange(40)
    y = (np.arange(40) >= 17).astype(int)
    forest = HistogramForestClassifier(10, max_features=1, bootstrap=False, random_state=0).fit(X, y)
    assert (forest.predict(X) == y).all()


# ---- rows of bytes


def arrays_of(estimator):
    return estimator._trees._asdict()


@given(st.integers(0, 10_000), st.integers(2, 256), st.sampled_from([2, 3, 7]), st.sampled_from([None, "balanced"]))
@settings(max_examples=60, deadline=None)
def test_the_tree_on_bytes_is_that_on_the_same_numbers_as_floats(seed, levels, classes, class_weight):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, levels, (70, 6)).astype(np.uint8)
    y = rng.integers(0, classes, 70)
    y[:classes] = range(classes)
    new = rng.integers(0, 256, (50, 6)).astype(np.uint8)
    about = {"class_weight": class_weight, "random_state": seed}
    for kind in (HistogramTreeClassifier(min_samples_leaf=2, **about), HistogramForestClassifier(3, **about)):
        whole = arrays_of(kind.fit(X, y))
        told = kind.predict_proba(new)
        floats = arrays_of(kind.fit(X.astype(np.float32), y))
        assert all(np.array_equal(whole[name], floats[name]) for name in floats)
        assert np.array_equal(kind.predict_proba(new.astype(np.float32)), told)
        shares = arrays_of(kind.fit(X / np.float32(255), y))  # in 0..1 all is the same but for the thresholds' scale
        assert all(np.array_equal(whole[name], shares[name]) for name in ("roots", "feature", "left", "share"))
        np.testing.assert_allclose(shares["threshold"] * 255, whole["threshold"], rtol=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_tree_on_bytes_is_that_of_scikit_learn_where_the_best_split_is_unique(seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 256, (60, 4)).astype(np.uint8)
    y = (X[:, 0] / 2 + X[:, 1] + 60 * rng.normal(size=60) > 190).astype(int)
    assume(0 < y.sum() < 60)
    theirs = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y)
    assume(unique(X, y, theirs))
    new = rng.integers(0, 256, (200, 4)).astype(np.uint8)
    ours = HistogramTreeClassifier(max_depth=3, random_state=1).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(new), theirs.predict_proba(new), atol=1e-12)


# ---- how nodes are laid out


@given(st.integers(0, 10_000), st.sampled_from([2, 3, 7]), st.sampled_from([5, 256]), st.sampled_from([1, 4]))
@settings(max_examples=25, deadline=None)
def test_a_node_holds_the_shares_of_the_rows_that_come_to_it(seed, classes, levels, least):
    """Also far down, where the codes of few rows are laid side by side again and again."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, levels, (700, 5)).astype(np.uint8)
    y = np.where(rng.random(700) < 0.5, rng.integers(0, classes, 700), X[:, 0].astype(int) * classes // levels)
    weight = rng.integers(1, 4, 700) / rng.choice([1, 2])
    tree = HistogramTreeClassifier(min_samples_leaf=least, random_state=seed).fit(X, y, sample_weight=weight)
    grown, reach = tree._trees, {0: np.arange(700)}
    for node in range(len(grown.feature)):
        rows = reach.pop(node)
        held = np.bincount(y[rows], weights=weight[rows], minlength=classes)
        np.testing.assert_allclose(grown.share[node], held / held.sum(), atol=1e-12)
        assert len(rows) >= least
        if grown.feature[node] >= 0:
            left = X[rows, grown.feature[node]] <= grown.threshold[node]
            reach |= {grown.left[node]: rows[left], grown.left[node] + 1: rows[~left]}
    assert not reach


@given(st.integers(0, 10_000), st.sampled_from([3, 7]))
@settings(max_examples=15, deadline=None)
def test_whole_weights_are_summed_as_any_others(seed, classes):
    """Weights of a half are no whole numbers, and give the very same tree as weights of one."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(0, 40, (3000, 4)).astype(np.uint8), rng.integers(0, classes, 3000)
    tree = HistogramTreeClassifier(min_samples_leaf=20, random_state=seed)
    whole, half = (arrays_of(tree.fit(X, y, sample_weight=np.full(3000, weight))) for weight in (1.0, 0.5))
    assert all(np.array_equal(whole[name], half[name]) for name in whole)


def test_bytes_are_their_own_bins():
    X = np.random.default_rng(0).integers(0, 256, (50, 130)).astype(np.uint8)
    found = binned(X)
    assert np.array_equal(found.codes, X.T) and found.codes.flags.c_contiguous
    assert found.lows.shape == (1, LEVELS) and np.array_equal(found.lows, found.highs)


# ---- several leaf sizes at once


def same(one, other):
    return all(np.array_equal(arrays_of(one)[name], arrays_of(other)[name]) for name in arrays_of(one))


@given(
    st.integers(0, 10_000),
    st.sampled_from([2, 3]),
    st.sampled_from([4, 256]),
    st.sampled_from(["ones", "whole", "any"]),
)
@settings(max_examples=40, deadline=None)
def test_trees_grown_together_are_those_grown_one_by_one_to_the_bit(seed, classes, levels, weights):
    """Few levels give many splits that are as good; 700 rows reach far enough down for codes laid side by side."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, levels, (700, 6)).astype(np.float32)
    y = np.where(rng.random(700) < 0.4, rng.integers(0, classes, 700), X[:, 1].astype(int) * classes // levels)
    weight = {"ones": None, "whole": rng.integers(0, 4, 700), "any": rng.random(700)}[weights]
    tree = HistogramTreeClassifier(class_weight="balanced", random_state=seed, max_features=rng.choice([None, "sqrt"]))
    sizes = rng.permutation([1, 2, 7, 30, 200]).tolist()
    together = tree.fit_path(X, y, sizes, sample_weight=weight)
    for size, one in zip(sizes, together, strict=True):
        alone = HistogramTreeClassifier(**{**tree.get_params(), "min_samples_leaf": size})
        alone.fit(X, y, sample_weight=weight)
        assert one.get_params() == alone.get_params() and np.array_equal(one.predict_proba(X), alone.predict_proba(X))
        assert len(arrays_of(one)["feature"]) == len(arrays_of(alone)["feature"])


def test_bins_are_learned_once_for_all_leaf_sizes(monkeypatch):
    X, y = made(200, 12, levels=40)
    calls = []
    monkeypatch.setattr(estimators, "binned", lambda rows: calls.append(len(rows)) or binned(rows))
    found = HistogramTreeClassifier(random_state=0).fit_path(X, y, [40, 20, 10, 5, 1])
    assert calls == [200] and [one.min_samples_leaf for one in found] == [40, 20, 10, 5, 1]
    assert same(found[4], HistogramTreeClassifier(random_state=0).fit(X, y))


def test_of_splits_that_are_as_good_the_feature_drawn_first_has_it():
    X = np.repeat(np.arange(40.0)[:, None], 30, axis=1)
    y = (np.arange(40) >= 17).astype(int)
    roots = {int(arrays_of(HistogramTreeClassifier(random_state=seed).fit(X, y))["feature"][0]) for seed in range(20)}
    assert len(roots) > 8


# ---- laws


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_sum_to_one_and_the_largest_is_predicted(classes):
    X, y = made(classes=classes)
    forest = HistogramForestClassifier(15, random_state=0).fit(X, y + 10)
    told = forest.predict_proba(X + 0.3)
    assert told.shape == (120, classes) and (told >= 0).all()
    assert told.sum(1) == pytest.approx(1.0)
    assert (forest.predict(X + 0.3) == told.argmax(1) + 10).all()


@given(st.integers(0, 1000), st.sampled_from([np.exp, np.cbrt, lambda x: x**3 + x]))
@settings(max_examples=20, deadline=None)
def test_a_rising_function_of_a_feature_changes_no_prediction(seed, rising):
    X = np.random.default_rng(seed).normal(size=(400, 4)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    other = X.copy()
    other[:, 1] = rising(X[:, 1].astype(np.float64))
    assume(all(len(np.unique(other[:, k])) == len(np.unique(X[:, k])) for k in range(4)))
    for made_of in (HistogramTreeClassifier(min_samples_leaf=3, random_state=0),
                    HistogramForestClassifier(4, bootstrap=False, random_state=0)):  # fmt: skip
        assert np.array_equal(made_of.fit(X, y).predict_proba(X), made_of.fit(other, y).predict_proba(other))


@given(st.integers(0, 1000), st.sampled_from([2, 3]))
@settings(max_examples=20, deadline=None)
def test_a_whole_weight_is_so_many_rows(seed, classes):
    X, y = made(80, 4, classes=classes, seed=seed)
    weight = np.random.default_rng(seed).integers(0, 4, size=80)
    assume(len(np.unique(y[weight > 0])) == classes)
    tree = HistogramTreeClassifier(random_state=0)
    weighted = tree.fit(X, y, sample_weight=weight).predict_proba(X)
    repeated = tree.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight)).predict_proba(X)
    np.testing.assert_allclose(weighted, repeated, atol=1e-12)


def test_classes_are_balanced_by_the_weights_of_their_rows():
    X, y = made(80, 4, classes=3)
    weight = np.arange(80) % 4 / 2
    tree = HistogramTreeClassifier(max_depth=1, random_state=0)
    share = weight.sum() / (3 * np.bincount(y, weights=weight))
    expected = tree.fit(X, y, sample_weight=weight * share[y]).predict_proba(X)
    balanced = HistogramTreeClassifier(max_depth=1, class_weight="balanced", random_state=0)
    np.testing.assert_allclose(balanced.fit(X, y, sample_weight=weight).predict_proba(X), expected, atol=1e-12)


def test_rows_without_weight_shape_no_bin():
    X = np.random.default_rng(0).normal(size=(900, 3))
    y = (X[:, 0] > 0).astype(int)
    weight = (np.arange(900) < 600).astype(float)
    far = X.copy()
    far[600:] *= 100
    tree = HistogramTreeClassifier(random_state=0)
    one, other = (tree.fit(rows, y, sample_weight=weight).predict_proba(X) for rows in (X, far))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("bootstrap", [True, False])
def test_the_forest_is_that_of_its_seed_on_any_number_of_threads(bootstrap):
    X, y = made(200, 20, levels=50, classes=3)
    told = [
        HistogramForestClassifier(25, bootstrap=bootstrap, n_jobs=jobs, random_state=seed)
        .fit(X[:150], y[:150])
        .predict_proba(X[150:])
        for jobs, seed in ((1, 0), (3, 0), (1, 1))
    ]
    assert np.array_equal(told[0], told[1]) and not np.array_equal(told[0], told[2])


def leaves(estimator):
    trees = estimator._trees
    return np.split(trees.feature < 0, trees.roots[1:])


def test_leaves_hold_as_many_rows_as_they_should():
    X, y = made(300, 4, levels=40)
    tree = HistogramTreeClassifier(min_samples_leaf=17, random_state=0).fit(X, y)
    _, counts = np.unique(tree.predict_proba(X)[:, 1], return_counts=True)
    assert counts.min() >= 17 and len(counts) > 3
    shallow = HistogramForestClassifier(5, max_depth=2, random_state=0).fit(X, y)
    assert all(leaf.sum() <= 4 for leaf in leaves(shallow))


def test_a_threshold_lies_between_two_values_however_near_they_are():
    low = np.float32(1.0)
    X = np.array([[low], [np.nextafter(low, np.float32(2))]] * 3)
    tree = HistogramTreeClassifier().fit(X, [0, 1] * 3)
    assert tree.predict(X).tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("asked", "count"), [("sqrt", 10), ("log2", 6), (0.5, 50), (7, 7), (None, 100), (1.0, 100), (500, 100)]
)
def test_features_are_counted_as_by_scikit_learn(asked, count):
    assert HistogramTreeClassifier(max_features=asked)._features_a_node(100) == count


@pytest.mark.parametrize(
    "options",
    [{"max_features": "all"}, {"max_features": 0}, {"max_features": 1.5}, {"min_samples_leaf": 0}, {"max_depth": 0}],
)
def test_an_option_that_makes_no_sense_is_refused(options):
    X, y = made()
    (name,) = options
    with pytest.raises(ValueError, match=name):
        HistogramTreeClassifier(**options).fit(X, y)


@parametrize_with_checks(
    [HistogramTreeClassifier(), HistogramForestClassifier(5, min_samples_leaf=2, class_weight="balanced")],
    expected_failed_checks=lambda estimator: (
        {"check_sample_weight_equivalence_on_dense_data": "draws of weighted rows are not those of repeated ones"}
        if isinstance(estimator, HistogramForestClassifier)
        else {"check_class_weight_classifiers": "a leaf of rows of hardly any weight is for min_weight_fraction_leaf"}
    ),
)
def test_it_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)
