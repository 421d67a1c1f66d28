"""Families: what is solved together has the verdicts of fits one by one, and nothing of a test row reaches a fit."""

from __future__ import annotations

import numpy as np
import pytest

from featx import classifiers, families
from featx.classifiers import CLASSIFIERS
from featx.families import Shared, Task
from featx.metrics import auc_ovo

N = 160


def made(seed=0, d=60, classes=3, strength=0.5):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, N // 2).repeat(2)
    X = np.maximum(rng.normal(size=(N, d)), 0)
    X[np.arange(N), y] += strength
    return X.astype(np.float32), y, [f"g{row // 2}" for row in range(N)]


def tasks_of(y, groups, *, binary=False):
    half = np.arange(N) // 2 % 2 == 0
    keep = np.flatnonzero(half & (y < 2)) if binary else np.flatnonzero(half)
    return Task(keep, np.flatnonzero(~half), y[keep], [groups[row] for row in keep])


def alone(name, X, task, **settings):
    return classifiers.judge(
        CLASSIFIERS[name], X[task.train], y=task.y, groups=task.groups, X_test=X[task.test], **settings
    )


@pytest.mark.parametrize("name", ["svm", "svc-linear", "svm-rbf"])
@pytest.mark.parametrize("scale", ["l2", "none"])
def test_verdicts_are_those_of_fits_one_by_one(name, scale):
    X, y, groups = made()
    tasks = [tasks_of(y, groups), tasks_of(y, groups, binary=True)]
    together = families.judge(CLASSIFIERS[name], Shared(X, scale=scale), tasks, params={}, seed=3)
    for task, verdict in zip(tasks, together, strict=True):
        expected = alone(name, X, task, scale=scale, seed=3)
        assert verdict.chosen == expected.chosen
        assert (verdict.at_edge, verdict.converged) == (expected.at_edge, True)
        told, wanted = (free_of_intercept(name, one.scores) for one in (verdict, expected))
        np.testing.assert_allclose(told, wanted, atol=2e-3 * np.abs(expected.scores).max())


def free_of_intercept(name, scores):
    """Where every row is at its bound, a range of intercepts serves the hinge, and libsvm's is left to rounding."""
    return scores - scores.mean(0) if name == "svc-linear" else scores


@pytest.mark.parametrize("name", ["svm", "svc-linear", "svm-rbf"])
def test_a_fixed_c_is_fitted_and_nothing_is_chosen(name):
    X, y, groups = made()
    task = tasks_of(y, groups, binary=True)
    (verdict,) = families.judge(CLASSIFIERS[name], Shared(X, scale="l2"), [task], params={"C": 0.37}, seed=0)
    expected = alone(name, X, task, params={"C": 0.37})
    assert verdict.chosen["C"] == 0.37 and not verdict.at_edge
    np.testing.assert_allclose(verdict.scores, expected.scores, atol=2e-3 * np.abs(expected.scores).max())


@pytest.mark.parametrize("name", ["svm", "svc-linear", "svm-rbf"])
def test_a_signal_that_only_test_rows_have_is_not_learned(name):
    X, y, groups = made(strength=0.0)
    task = tasks_of(y, groups)
    whole = families.judge(CLASSIFIERS[name], Shared(X, scale="l2"), [task], params={}, seed=0)[0]
    planted = X.copy()
    codes = np.random.default_rng(1).integers(0, 3, len(task.test))
    planted[task.test, 10 + codes] += 9.0
    again = families.judge(CLASSIFIERS[name], Shared(planted, scale="l2"), [task], params={}, seed=0)[0]
    assert again.chosen == whole.chosen
    truth = np.random.default_rng(2).integers(0, 3, len(task.test))
    assert abs(auc_ovo(truth, again.scores) - 0.5) < 0.2


@pytest.mark.parametrize("doubled", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_margins_of_other_rows_are_in_double_precision(monkeypatch, doubled, kept):
    X, _, _ = made()
    monkeypatch.setattr(families, "DOUBLE_ROWS", N if doubled else 10)
    monkeypatch.setattr(families, "MOST_ROWS", N if kept else 10)
    shared = Shared(X, scale="l2")
    assert (shared.X.dtype == np.float64) == doubled and (shared.matrix is not None) == kept
    coef = np.random.default_rng(0).normal(size=(4, 100, 3))
    asked, rows = np.arange(100, 160), np.arange(100)
    wanted = shared.X[asked].astype(np.float64) @ shared.X[rows].astype(np.float64).T @ coef
    found = shared.margins(asked, rows, coef)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    assert shared.margins(asked[:0], rows, coef).shape == (4, 0, 3)


def test_rows_beyond_a_matrix_are_served_too(monkeypatch):
    from featx import linear_svm

    X, y, groups = made()
    task = tasks_of(y, groups)
    expected = families.judge(CLASSIFIERS["svm"], Shared(X, scale="l2"), [task], params={}, seed=0)[0]
    for module in (families, linear_svm):
        monkeypatch.setattr(module, "MOST_ROWS", 10)
    shared = Shared(X, scale="l2")
    assert shared.matrix is None
    found = families.judge(CLASSIFIERS["svm"], shared, [task], params={}, seed=0)[0]
    assert found.chosen == expected.chosen
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)


def test_a_class_of_too_few_groups_names_the_task():
    X, y, groups = made()
    good, bad = tasks_of(y, groups), tasks_of(y, groups)
    bad = bad._replace(groups=["g" if code == 1 else group for code, group in zip(bad.y, bad.groups, strict=True)])
    with pytest.raises(families.TaskError, match="class number 1 has 1 group") as caught:
        families.judge(CLASSIFIERS["svm"], Shared(X, scale="l2"), [good, bad], params={}, seed=0)
    assert caught.value.task == 1


def test_a_scaler_that_learns_is_not_shared():
    assert families.serves(CLASSIFIERS["svm"], scale="l2")
    assert not families.serves(CLASSIFIERS["svm"], scale="standard")
    assert not families.serves(CLASSIFIERS["rf"], scale="l2")


@pytest.mark.parametrize("name", ["svm", "svc-linear", "svm-rbf"])
@pytest.mark.parametrize("params", [{"multiclass": "ovo"}, {"class_weight": "none"}])
def test_pairs_of_classes_and_plain_weights_are_those_of_fits_one_by_one(name, params):
    X, y, groups = made()
    task = tasks_of(y, groups)
    given = {"params": {"C": 3.0, **params}, "seed": 0}
    (verdict,) = families.judge(CLASSIFIERS[name], Shared(X, scale="l2"), [task], **given)
    expected = alone(name, X, task, **given)
    assert verdict.chosen == expected.chosen and verdict.scores.shape == expected.scores.shape == (len(task.test), 3)
    np.testing.assert_allclose(verdict.scores, expected.scores, atol=5e-3 * np.abs(expected.scores).max())
