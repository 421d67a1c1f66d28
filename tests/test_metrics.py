"""Metrics agree with those of scikit-learn, to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from featx import metrics

TIGHT = {"rel": 1e-12, "abs": 1e-12}


@st.composite
def verdicts(draw, classes=None):
    """Draw classes, true codes (each present) and scores, with ties as often as not."""
    c = classes or draw(st.integers(2, 4))
    y = np.array(draw(st.permutations([*range(c), *draw(st.lists(st.integers(0, c - 1), max_size=40))])))
    seed, levels = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([2, 4, 1000]))
    scores = np.random.default_rng(seed).integers(1, levels + 1, size=(len(y), c)) / levels
    return y, scores


@settings(max_examples=100, deadline=None)
@given(verdicts(classes=2))
def test_auc_is_that_of_scikit_learn_with_ties(verdict):
    y, scores = verdict
    assert metrics.auc(y == 1, scores[:, 1]) == pytest.approx(sk.roc_auc_score(y, scores[:, 1]), **TIGHT)


@settings(max_examples=100, deadline=None)
@given(verdicts(classes=2))
def test_average_precision_is_that_of_scikit_learn_with_ties(verdict):
    y, scores = verdict
    expected = sk.average_precision_score(y, scores[:, 1])
    assert metrics.average_precision(y == 1, scores[:, 1]) == pytest.approx(expected, **TIGHT)


@settings(max_examples=100, deadline=None)
@given(verdicts(classes=3) | verdicts(classes=4))
def test_the_two_averages_of_auc_are_those_of_scikit_learn(verdict):
    y, scores = verdict
    scores = scores / scores.sum(1, keepdims=True)  # scikit-learn takes nothing else
    ovo = sk.roc_auc_score(y, scores, multi_class="ovo", average="macro")
    ovr = sk.roc_auc_score(y, scores, multi_class="ovr", average="macro")
    assert metrics.auc_ovo(y, scores) == pytest.approx(ovo, **TIGHT)
    assert metrics.auc_ovr(y, scores) == pytest.approx(ovr, **TIGHT)


@settings(max_examples=100, deadline=None)
@given(verdicts())
def test_every_metric_is_that_of_scikit_learn(verdict):
    y, scores = verdict
    classes = [f"c{code}" for code in range(scores.shape[1])]
    predicted = scores.argmax(1)
    found = metrics.evaluate(y, predicted, scores=scores, classes=classes)
    expected = {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        **{f"f1_{kind}": sk.f1_score(y, predicted, average=kind) for kind in ("micro", "macro", "weighted")},
    }
    for name, function in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        more = {} if name == "recall" else {"zero_division": 0}
        values = function(y, predicted, average=None, labels=range(len(classes)), **more)
        expected |= {f"{name}_{c}": value for c, value in zip(classes, values, strict=True)}
    onehot = y[:, None] == range(len(classes))
    if len(classes) == 2:
        expected |= {"sensitivity": sk.recall_score(y, predicted), "auc": sk.roc_auc_score(y, scores[:, 1])}
        expected |= {"specificity": sk.recall_score(1 - y, 1 - predicted)}
        expected |= {"average_precision": sk.average_precision_score(y, scores[:, 1])}
    else:
        expected |= {"average_precision": sk.average_precision_score(onehot, scores, average="macro")}
        expected |= {"auc_ovr": sk.roc_auc_score(onehot, scores, average="macro")}
        expected |= {"auc_ovo": metrics.auc_ovo(y, scores)}
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, **TIGHT)


def test_names_are_those_promised():
    y, scores = np.array([0, 1, 0, 1]), np.array([[1.0, 0], [0, 1], [0, 1], [0, 1]])
    found = metrics.evaluate(y, scores.argmax(1), scores=scores, classes=["benign", "melanoma"])
    assert set(found) == {
        *("auc", "average_precision", "accuracy", "balanced_accuracy", "f1_micro", "f1_macro", "f1_weighted"),
        *("precision_benign", "recall_benign", "f1_benign", "precision_melanoma", "recall_melanoma", "f1_melanoma"),
        *("sensitivity", "specificity"),
    }
    assert found["sensitivity"] == 1.0 and found["specificity"] == 0.5
    assert all(type(value) is float for value in found.values())


@settings(max_examples=50, deadline=None)
@given(verdicts(), st.floats(0.1, 10), st.floats(-5, 5))
def test_ranking_metrics_do_not_change_with_the_scale_of_scores(verdict, factor, shift):
    y, scores = verdict
    moved = np.round(scores * 1000) * factor + shift
    assert metrics.ranking_score(y, moved) == pytest.approx(metrics.ranking_score(y, scores), **TIGHT)


@settings(max_examples=50, deadline=None)
@given(verdicts(classes=2))
def test_auc_of_reversed_scores_is_the_rest_to_one(verdict):
    y, scores = verdict
    total = metrics.auc(y == 1, scores[:, 1]) + metrics.auc(y == 1, -scores[:, 1])
    assert total == pytest.approx(1.0, **TIGHT)


def test_equal_scores_are_chance_and_not_luck_of_the_order():
    y = np.array([1, 1, 0, 0, 0])
    assert metrics.auc(y == 1, np.zeros(5)) == 0.5
    assert metrics.average_precision(y == 1, np.zeros(5)) == pytest.approx(0.4)


def test_margins_that_do_not_sum_to_one_are_taken():
    y = np.array([0, 0, 1, 1, 2, 2])
    scores = np.array([[5.0, -9, 0], [4, 1, 1], [0, 3, 3], [-3, 8, 0], [1, 1, 7], [0, 0, 100]])
    assert metrics.auc_ovo(y, scores) == 1.0


def test_hand_and_till_differs_from_one_against_the_rest():
    y = np.array([0, 0, 1, 1, 1, 1, 2])
    scores = np.random.default_rng(0).random((7, 3))
    assert metrics.auc_ovo(y, scores) != pytest.approx(metrics.auc_ovr(y, scores), abs=1e-3)


@pytest.mark.parametrize("side", [True, False])
def test_auc_of_one_class_is_refused(side):
    with pytest.raises(ValueError, match="both classes"):
        metrics.auc(np.array([side] * 3), np.arange(3.0))


def test_the_leading_metric_is_the_one_that_chooses():
    y, scores = np.array([0, 1, 2, 1]), np.random.default_rng(1).random((4, 3))
    assert metrics.main_metric(2) == "auc" and metrics.main_metric(3) == "auc_ovo"
    assert metrics.ranking_score(y, scores) == metrics.auc_ovo(y, scores)


def test_confusion_counts_true_by_predicted():
    table = metrics.confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), classes=3)
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(("classes", "sorts"), [(2, 1), (3, 3), (5, 5)])
def test_every_metric_follows_from_one_sort_of_each_score(classes, sorts, monkeypatch):
    y = np.arange(40) % classes
    scores = np.random.default_rng(0).random((40, classes))
    done, argsort = [], np.argsort
    monkeypatch.setattr(metrics.np, "argsort", lambda *given, **more: done.append(1) or argsort(*given, **more))
    metrics.evaluate(y, scores.argmax(1), scores=scores, classes=list("abcde"[:classes]))
    assert len(done) == sorts


def test_a_score_that_is_no_number_leaves_no_number():
    y, score = np.array([True, False, True, False]), np.array([0.1, np.nan, 0.3, 0.2])
    assert np.isnan(metrics.auc(y, score)) and np.isnan(metrics.average_precision(y, score))


def test_scores_without_bound_are_ties_among_themselves():
    y, score = np.array([True, False, True, False]), np.array([np.inf, np.inf, 0.3, -np.inf])
    assert metrics.auc(y, score) == 0.625
    assert metrics.average_precision(y, score) == pytest.approx(0.5 * 0.5 + 0.5 * 2 / 3)


def test_the_order_of_the_rows_changes_no_bit():
    rng = np.random.default_rng(3)
    y, scores = np.arange(300) % 3, rng.integers(0, 40, (300, 3)) / 40
    names, shuffled = ["a", "b", "c"], rng.permutation(300)
    straight = metrics.evaluate(y, scores.argmax(1), scores=scores, classes=names)
    y, scores = y[shuffled], scores[shuffled]
    assert metrics.evaluate(y, scores.argmax(1), scores=scores, classes=names) == straight
