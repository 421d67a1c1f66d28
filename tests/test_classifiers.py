"""Classifiers: what scikit-learn would fit, chosen inside the train rows, blind to the test rows."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import SVC, LinearSVC

from featx import metrics
from featx.classifiers import (
    ACCELERATORS,
    CLASSIFIERS,
    SCALES,
    Classifier,
    accelerated,
    fixed_params,
    judge,
    scaled,
)
from featx.errors import SplitError, UnknownName, UsageError
from featx.forest import estimators
from featx.forest.bins import binned

QUICK = {"rf": {"n_estimators": 10}}
LEARNERS = [name for name in CLASSIFIERS if CLASSIFIERS[name].learns]


def blobs(n=60, d=8, classes=2, *, seed=0, gap=0.8):
    """Return features whose class means differ, classes, and groups of two rows."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) // 2 % classes
    means = rng.normal(size=(classes, d)) * gap
    return (rng.normal(size=(n, d)) + means[y]).astype(np.float32), y, [f"g{row // 2}" for row in range(n)]


def verdict(name, X, y, groups, X_test, **kwargs):
    classifier = CLASSIFIERS[name] if isinstance(name, str) else name
    kwargs.setdefault("params", QUICK.get(classifier.name, {}))
    return judge(classifier, X, y=y, groups=groups, X_test=X_test, **kwargs)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", LEARNERS)
def test_each_classifier_scores_every_class(name, classes):
    X, y, groups = blobs(n=90, classes=classes, gap=1.5)
    found = verdict(name, X[:60], y[:60], groups[:60], X[60:])
    assert found.scores.shape == (30, classes) and found.scores.dtype == np.float64
    assert np.isfinite(found.scores).all() and found.converged
    right = (found.scores.argmax(1) == y[60:]).mean()
    assert right > (0.6 if name != "dummy" else 0)


@pytest.mark.parametrize("name", [name for name in LEARNERS if name != "dummy"])
def test_the_higher_score_is_the_class_that_scikit_learn_predicts(name):
    X, y, groups = blobs(n=90, classes=3)
    params = {key: values[1] for key, values in CLASSIFIERS[name].grid.items()} | QUICK.get(name, {})
    found = verdict(name, X[:60], y[:60], groups[:60], X[60:], params=params, scale="none")
    estimator = CLASSIFIERS[name].build(seed=0, **{**CLASSIFIERS[name].defaults, **params})
    assert found.scores.argmax(1).tolist() == estimator.fit(X[:60].astype(float), y[:60]).predict(X[60:]).tolist()


def tight(*, seed, C, **_):
    return OneVsRestClassifier(LinearSVC(C=C, dual=False, class_weight="balanced", tol=1e-10, max_iter=10_000))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_svm_in_the_span_of_its_rows_is_svm_on_all_features(classes, C):
    X, y, groups = blobs(n=80, d=300, classes=classes, gap=0.1)
    found = verdict(replace(CLASSIFIERS["svm"], build=tight), X[:50], y[:50], groups[:50], X[50:], params={"C": C})
    rows = normalize(X.astype(float))
    whole = tight(seed=0, C=C).fit(rows[:50], y[:50]).decision_function(rows[50:])
    assert found.scores[:, -1] == pytest.approx(whole if classes == 2 else whole[:, -1], abs=1e-6)
    assert found.scores.argmax(1).tolist() == ((whole > 0).astype(int) if classes == 2 else whole.argmax(1)).tolist()


def test_svm_is_linearsvc_at_its_usual_tolerance():
    X, y, groups = blobs(n=80, d=300, gap=0.1)
    found = verdict("svm", X[:50], y[:50], groups[:50], X[50:], params={"C": 1.0})
    rows = normalize(X.astype(float))
    whole = LinearSVC(C=1.0, dual=False, class_weight="balanced").fit(rows[:50], y[:50]).decision_function(rows[50:])
    assert found.scores[:, 1] == pytest.approx(whole, abs=1e-2)


@pytest.mark.parametrize("classes", [2, 3])
def test_svc_linear_is_one_hinge_against_the_rest(classes):
    X, y, groups = blobs(n=80, d=300, classes=classes, gap=0.1)
    found = verdict("svc-linear", X[:50], y[:50], groups[:50], X[50:], params={"C": 1.0})
    rows = normalize(X.astype(float))
    whole = OneVsRestClassifier(SVC(kernel="linear", class_weight="balanced")).fit(rows[:50], y[:50])
    margin = whole.decision_function(rows[50:])
    assert found.scores[:, -1] == pytest.approx(margin if classes == 2 else margin[:, -1], abs=5e-3)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["svm", "svc-linear", "svm-rbf", "rf", "tree", "logreg", "knn"])
def test_test_rows_change_nothing_that_is_learned(name, scale):
    X, y, groups = blobs(n=70, d=40, gap=0.4)
    other = X[50:].copy()
    other[10:] = 1e6 * (1 + np.arange(10))[:, None]  # wild rows, of which nothing may be learned
    found = [verdict(name, X[:50], y[:50], groups[:50], rows, scale=scale) for rows in (X[50:], other)]
    assert found[0].chosen == found[1].chosen and found[0].at_edge == found[1].at_edge
    assert np.array_equal(found[0].scores[:10], found[1].scores[:10])


@pytest.mark.parametrize("name", ["svm", "rf", "tree"])
def test_a_signal_that_only_test_rows_carry_is_not_found(name):
    X, y, groups = blobs(n=240, d=6, gap=0.0)
    X[120:, 0] += 20 * (y[120:] == 1)
    X[:120, 0] = 0.0
    found = verdict(name, X[:120], y[:120], groups[:120], X[120:])
    assert 0.3 < roc_auc_score(y[120:], found.scores[:, 1]) < 0.7
    planted = verdict(name, X[120:], y[120:], groups[120:], X[120:])  # the signal is there to be found
    assert roc_auc_score(y[120:], planted.scores[:, 1]) > 0.95


class Counting:
    """A classifier that remembers what it was fitted on."""

    def __init__(self, fits, *, value, quality):
        self.fits, self.value, self.quality = fits, value, quality

    def fit(self, X, y):
        self.fits.append((self.value, X.copy(), y.copy()))
        return self

    def predict_proba(self, X):
        truth = X[:, 1] * self.quality(self.value)
        return np.column_stack([-truth, truth])


def counting(values, quality, **kwargs):
    fits = []
    made = Classifier("counting", "", lambda *, seed, v: Counting(fits, value=v, quality=quality), {"v": 1}, {"v": values}, **kwargs)  # fmt: skip  # noqa: E501
    return made, fits


def numbered(n=24):
    """Return rows that carry their number and class, classes, and groups of two."""
    y = np.arange(n) // 2 % 2
    return np.column_stack([np.arange(n), y]).astype(np.float32), y, [f"g{row // 2}" for row in range(n)]


def test_ties_go_to_the_simplest():
    X, y, groups = numbered()
    made, _ = counting((5, 4, 3), lambda value: 1)
    found = judge(made, X, y=y, groups=groups, X_test=X[:2])
    assert found.chosen == {"v": 5} and not found.at_edge


def test_the_best_inner_score_is_chosen_and_an_edge_is_told():
    X, y, groups = numbered()
    made, _ = counting((5, 4, 3), lambda value: 1 if value == 3 else -1)
    found = judge(made, X, y=y, groups=groups, X_test=X[:2])
    assert found.chosen == {"v": 3} and found.at_edge


def test_every_fit_sees_train_rows_only_and_inner_fits_divide_no_group():
    X, y, groups = numbered(36)
    made, fits = counting((2, 1), lambda value: 1)
    judge(made, X[:24], y=y[:24], groups=groups[:24], X_test=X[24:])
    assert [len(rows) for _, rows, _ in fits] == [16] * 6 + [24]
    for _, rows, classes in fits:
        seen = rows[:, 0].astype(int).tolist()
        assert max(seen) < 24 and classes.tolist() == y[seen].tolist()
        inside = {groups[row] for row in seen}
        assert len(seen) == 2 * len(inside)
    held = [set(range(24)) - set(rows[:, 0].astype(int)) for _, rows, _ in fits[:6:2]]  # both values, part by part
    assert sorted(row for part in held for row in part) == list(range(24))


def test_the_scaler_learns_from_the_inner_train_rows_alone():
    X, y, groups = numbered(24)
    made, fits = counting((2, 1), lambda value: 1, scale="standard")
    judge(made, X, y=y, groups=groups, X_test=X[:2])
    for _, rows, _ in fits:
        assert rows.mean(0) == pytest.approx(0, abs=1e-12) and rows.std(0) == pytest.approx(1)


def test_what_is_fixed_is_not_searched():
    X, y, groups = numbered()
    made, fits = counting((2, 1), lambda value: 1)
    found = judge(made, X, y=y, groups=groups, X_test=X[:2], params={"v": 7})
    assert found.chosen == {"v": 7} and len(fits) == 1


def test_a_class_with_one_group_cannot_be_searched_but_can_be_fixed():
    X, y, groups = blobs(n=40)
    y = (np.arange(40) < 2).astype(np.int64)
    with pytest.raises(SplitError, match=r"class number 1 has 1 group.*--param .C=1"):
        verdict("svm", X, y, groups, X)
    assert verdict("svm", X, y, groups, X, params={"C": 1.0}).chosen["C"] == 1.0


def test_a_search_repeats_itself():
    X, y, groups = blobs(n=60, gap=0.3)
    for name in ("rf", "tree", "svm"):
        first, second = (verdict(name, X[:40], y[:40], groups[:40], X[40:], seed=3) for _ in range(2))
        assert first.chosen == second.chosen and np.array_equal(first.scores, second.scores)


def test_an_svm_that_stopped_early_says_so():
    X, y, groups = blobs(n=60, d=30, gap=0.1)
    with pytest.warns(UserWarning, match="failed to converge"):
        found = verdict("svm", X[:40], y[:40], groups[:40], X[40:], params={"C": 1e4, "max_iter": 1})
    assert not found.converged


def test_few_rows_leave_out_the_neighbours_that_they_do_not_have():
    X, y, groups = blobs(n=24, gap=1.0)
    assert verdict("knn", X[:12], y[:12], groups[:12], X[12:]).chosen["n_neighbors"] <= 8
    with pytest.raises(UsageError, match="n_neighbors=13: a train side has 12 rows only"):
        verdict("knn", X[:12], y[:12], groups[:12], X[12:], params={"n_neighbors": 13})


def test_knn_is_that_of_scikit_learn_on_unit_rows():
    X, y, groups = blobs(n=60)
    found = verdict("knn", X[:40], y[:40], groups[:40], X[40:], params={"n_neighbors": 5})
    rows = normalize(X.astype(float))
    assert np.array_equal(found.scores, KNeighborsClassifier(5).fit(rows[:40], y[:40]).predict_proba(rows[40:]))


def test_three_classes_of_a_multinomial_model_are_ranked_by_probability_as_by_scikit_learn():
    X, y, groups = blobs(n=120, classes=3, gap=0.4)
    found = verdict("logreg", X[:60], y[:60], groups[:60], X[60:], params={"C": 1.0})
    rows = normalize(X.astype(float))
    model = LogisticRegression(class_weight="balanced", max_iter=2000).fit(rows[:60], y[:60])
    expected = roc_auc_score(y[60:], model.predict_proba(rows[60:]), multi_class="ovo")
    assert metrics.auc_ovo(y[60:], found.scores) == pytest.approx(expected, abs=2e-3)
    assert found.scores.sum(1) == pytest.approx(1.0)


def test_rows_are_scaled_as_by_scikit_learn():
    X = np.random.default_rng(0).normal(3, 5, size=(30, 4))
    X[:, 2] = 0.1  # its mean over the rows is not quite 0.1
    X[25:, 2] = 0.3
    X[3] = 0.0
    train, test = X[:20], X[20:]
    scaler = StandardScaler().fit(train)
    for ours, theirs in zip(scaled(train, test, scale="standard"), map(scaler.transform, (train, test)), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-12)
    for ours, theirs in zip(scaled(train, test, scale="l2"), map(normalize, (train, test)), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-12)
    assert scaled(train, test, scale="none")[0] is train


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e8 + 0.1, 0.0])
@pytest.mark.parametrize("n", [3, 7, 100, 1001])
def test_a_column_that_is_constant_in_the_train_rows_is_not_blown_up(value, n):
    train, test = scaled(np.full((n, 1), value), np.array([[value + 0.5]]), scale="standard")
    assert abs(train).max() < 1e-6 and test[0, 0] == pytest.approx(0.5)


def params(*texts, names=("svm", "rf", "tree")):
    return fixed_params(texts, [CLASSIFIERS[name] for name in names])


def test_a_parameter_goes_to_every_classifier_that_has_it_or_to_one():
    assert params("C=1", "rf:n_estimators=50") == {"svm": {"C": 1.0}, "rf": {"n_estimators": 50}, "tree": {}}
    assert params("min_samples_leaf=3") == {"svm": {}, "rf": {"min_samples_leaf": 3}, "tree": {"min_samples_leaf": 3}}
    assert params("tree:min_samples_leaf=3")["rf"] == {}
    assert params("C=10", "C=2")["svm"] == {"C": 2.0}
    assert params("gamma=auto", "C=1", names=["svm-rbf"]) == {"svm-rbf": {"gamma": "auto", "C": 1.0}}
    assert params("gamma=0.5", names=["svm-rbf"]) == {"svm-rbf": {"gamma": 0.5}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("C", "expected NAME=VALUE"),
        ("K=1", "expected NAME=VALUE"),
        ("n_estimator=5", "did you mean 'n_estimators'"),
        ("knn:n_neighbors=5", "expected NAME=VALUE"),
        ("C=one", "positive number"),
        ("C=0", "positive number"),
        ("C=-1", "positive number"),
        ("C=NaN", "positive number"),
        ("C=Infinity", "positive number"),
        ("C=true", "positive number"),
        ("C=[1]", "positive number"),
        ("C=", "positive number"),
        ("n_estimators=Infinity", "positive number"),
        ("n_estimators=1.5", "whole number"),
        ("max_features=all", "positive number or sqrt, log2"),
        ("max_features=null", "positive number or sqrt, log2"),
        ("multiclass=1", "takes ovr, ovo here"),
        ("class_weight=heavy", "takes balanced, none here"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(text, told):
    with pytest.raises(UsageError, match=told):
        params(text)


def test_a_mistyped_classifier_gets_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'svm-rbf'"):
        CLASSIFIERS["svm-rfb"]


@pytest.mark.parametrize("name", LEARNERS)
def test_the_shelf_says_what_it_holds(name):
    classifier = CLASSIFIERS[name]
    assert classifier.name == name and classifier.help and classifier.scale in SCALES
    assert set(classifier.grid) | set(classifier.words) | set(classifier.counts_rows) <= set(classifier.defaults)


@pytest.mark.parametrize("factor", [1.0, 1e-20, 1e-30])
def test_rows_of_any_size_get_unit_length(factor):
    rows = np.random.default_rng(0).random((4, 5)) * factor
    for scaled_rows in scaled(rows, rows, scale="l2"):
        assert np.linalg.norm(scaled_rows, axis=1) == pytest.approx(1.0)
    assert not scaled(rows * 0, rows * 0, scale="l2")[0].any()


# ---- accelerated

FASTER = [(name, way) for name in CLASSIFIERS for way in CLASSIFIERS[name].faster]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("name", "way"), FASTER)
def test_what_is_accelerated_scores_about_as_scikit_learn_does(name, way, classes):
    pytest.importorskip(ACCELERATORS[way][0])
    X, y, groups = blobs(n=300, classes=classes, gap=0.9, seed=1)
    params = {"rf": {"n_estimators": 60}, "tree": {"min_samples_leaf": 5}}.get(name, {"C": 1.0})
    (faster,) = accelerated([CLASSIFIERS[name]], way)
    assert faster.accelerator == way and faster.name == name
    fits = [verdict(one, X[:150], y[:150], groups[:150], X[150:], params=params) for one in (CLASSIFIERS[name], faster)]
    ours, theirs = (metrics.ranking_score(y[150:], fit.scores) for fit in fits)
    assert abs(ours - theirs) < (0.05 if name == "tree" else 0.02) and theirs > 0.75
    again = verdict(faster, X[:150], y[:150], groups[:150], X[150:], params=params)
    assert np.array_equal(again.scores, fits[1].scores) and fits[1].converged


def test_what_an_accelerator_does_not_know_stays_as_it_is():
    chosen = [CLASSIFIERS[name] for name in ("svm", "rf", "knn")]
    assert accelerated(chosen, "none") == chosen
    numba = accelerated(chosen, "numba")
    assert [c.accelerator for c in numba] == ["none", "numba", "none"] and numba[::2] == chosen[::2]


def test_trees_on_bins_need_no_scaling():
    X, y, groups = blobs(n=120, gap=0.6)
    (tree,) = accelerated([CLASSIFIERS["tree"]], "numba")
    assert tree.scale == "none"
    found = [verdict(tree, rows[:60], y[:60], groups[:60], rows[60:]) for rows in (X, X * np.float32(2.0**-40))]
    assert np.array_equal(found[0].scores, found[1].scores)


@pytest.mark.parametrize("classes", [2, 3])
def test_leaf_sizes_tried_at_once_have_the_verdict_of_one_after_the_other(classes, monkeypatch):
    X, y, groups = blobs(n=240, d=12, classes=classes, gap=0.4)
    (tree,) = accelerated([CLASSIFIERS["tree"]], "numba")
    learned = []
    monkeypatch.setattr(estimators, "binned", lambda rows: learned.append(len(rows)) or binned(rows))
    at_once, one_by_one = (
        verdict(one, X[:120], y[:120], groups[:120], X[120:]) for one in (tree, replace(tree, at_once={}))
    )
    assert len(learned) == 4 + 16 and learned[3] == 120 and max(learned[:3]) < 120  # once a part, not once a fit
    assert at_once.chosen == one_by_one.chosen and at_once.inner_score == one_by_one.inner_score
    assert np.array_equal(at_once.scores, one_by_one.scores) and np.array_equal(at_once.inner, one_by_one.inner)


@pytest.mark.parametrize(("way", "extra"), [("numba", "fast"), ("intel", "intel")])
def test_an_accelerator_that_is_not_installed_is_named_with_its_extra(way, extra, monkeypatch):
    monkeypatch.setattr("featx.classifiers.accelerators.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=rf"pip install 'featx\[{extra}\]'"):
        accelerated([CLASSIFIERS["rf"]], way)


def test_an_unknown_accelerator_is_refused():
    with pytest.raises(UsageError, match="takes none, numba, intel; 'turbo' came"):
        accelerated([CLASSIFIERS["rf"]], "turbo")


def test_a_place_for_what_is_compiled_is_asked_for_where_there_is_none(tmp_path):
    code = "import numba.core.caching as c\nc.CacheImpl._locator_classes = []\nimport featx.cli\nfeatx.cli.main()"
    command = [sys.executable, "-c", code, "fit", "--features", "f.h5", "--clf", "tree", "--accelerate", "numba"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 2 and "set NUMBA_CACHE_DIR to a folder" in found.stderr
    assert "Traceback" not in found.stderr


def test_argmax_is_the_verdict_of_logits_and_learns_nothing():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 8)
    logits = rng.normal(size=(24, 3)).astype(np.float32)
    groups = [f"g{row}" for row in range(24)]
    given = {"groups": groups, "hold_back": True}
    told = judge(CLASSIFIERS["argmax"], logits, y=y, X_test=logits, **given)
    exact = logits - np.log(np.exp(logits.astype(float)).sum(1, keepdims=True))
    assert np.allclose(told.scores, exact) and told.inner is None and told.chosen == {}
    other = judge(CLASSIFIERS["argmax"], rng.normal(size=(24, 3)), y=y[::-1].copy(), X_test=logits, **given)
    assert np.array_equal(other.scores, told.scores)
    two = judge(CLASSIFIERS["argmax"], logits[:16, :2], y=y[:16], X_test=logits[:, :2], groups=groups[:16])
    assert np.allclose(two.scores[:, 1], logits[:, 1].astype(float) - logits[:, 0])
    with pytest.raises(UsageError, match="3 outputs for 2 classes"):
        judge(CLASSIFIERS["argmax"], logits[:16], y=y[:16], X_test=logits, groups=groups[:16])
