"""One fit on all rows, and what it learned as plain arrays.

Hyperparameters are chosen over grouped inner splits of the same rows, as inside a train half. Never knows folds, test
rows or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from featx import families
from featx.classifiers import Classifier, Verdict, judge, scale_of, scaled, standard
from featx.errors import ComputeError, UsageError
from featx.linear_svm import solve
from featx.predictor import scorers

Arrays = dict[str, np.ndarray]


class Refit(NamedTuple):
    """What was fitted on all rows.

    Attributes
    ----------
    kind, scale : str
        The classifier, and how rows are scaled.
    settings : dict
        What its scorer needs beside arrays.
    fitted, scaler : dict of str to numpy.ndarray
        The classifier's arrays, and mean and deviation of columns.
    verdict : Verdict
        Scores of the rows by this fit and by inner fits that did not see them, and what was chosen.
    """

    kind: str
    scale: str
    settings: dict[str, Any]
    fitted: Arrays
    scaler: Arrays
    verdict: Verdict


def refit(
    classifier: Classifier,
    X: np.ndarray,
    *,
    y: np.ndarray,
    groups: Sequence[str],
    params: Mapping[str, Any],
    scale: str | None = None,
    seed: int = 0,
    inner: str = "kfold",
    solver: str = "auto",
) -> Refit:
    """Choose hyperparameters inside the rows, and fit on all of them.

    Parameters
    ----------
    classifier : Classifier
        What is fitted.
    X : numpy.ndarray of float, shape (n, d)
        Rows of features.
    y : numpy.ndarray of int64, shape (n,)
        Their class codes, 0 to c - 1, each present.
    groups : sequence of str, length n
        What inner splits may not divide.
    params : mapping
        Hyperparameters that are fixed.
    scale, seed, inner
        As of :func:`featx.classifiers.judge`.
    solver : {"auto", "sklearn"}
        As of :func:`featx.comparison.compare`.

    Raises
    ------
    SplitError
        Where a class has too few groups for inner splits.
    ComputeError
        Where the arrays taken from a fit do not say what the fit says.
    """
    scale, classes = scale_of(classifier, scale, X), int(y.max()) + 1
    params = dict(params)
    if classes == 2 and "multiclass" in classifier.defaults:
        params["multiclass"] = "ovr"  # of two classes there is one problem either way, and its margin is the score
    given: dict[str, Any] = {"y": y, "groups": groups, "params": params, "seed": seed, "inner": inner}
    if solver == "auto" and families.serves(classifier, scale=scale):
        verdict, fitted = _together(classifier, X, scale=scale, **given)
    else:
        verdict, fitted = _alone(classifier, X, scale=scale, **given)
    scaler = dict(zip(("mean", "std"), standard(X.astype(np.float64)), strict=True)) if scale == "standard" else {}
    kept = ["multiclass", "n_neighbors"]
    settings = {name: verdict.chosen[name] for name in kept if name in verdict.chosen}
    found = Refit(classifier.name, scale, settings, fitted, scaler, verdict)
    _check(found, scaled(X.astype(np.float64), X[:0], scale=scale)[0], classes)
    return found


def _check(found: Refit, X: np.ndarray, classes: int) -> None:
    """Raise where arrays do not score the rows as the fit that they were taken from does.

    Neighbours are let pass: of training rows that are as far, which come first is for each program to say.
    """
    own = scorers.scores(found.kind, X, arrays=found.fitted, settings=found.settings, classes=classes)
    allowed = 1e-3 if len(X) > 2 * families.DOUBLE_ROWS else 1e-6  # beyond so many rows products are single precision
    worst = np.abs(own - found.verdict.scores).max() / max(1.0, np.abs(own).max())
    if found.kind != "knn" and not worst <= allowed:
        raise ComputeError(
            f"the {found.kind} taken from its fit scores the rows otherwise than the fit does (by {worst:.1e} of the "
            "largest score); nothing was written; take --solver sklearn"
        )


def _together(
    classifier: Classifier,
    X: np.ndarray,
    *,
    y: np.ndarray,
    groups: Sequence[str],
    params: Mapping[str, Any],
    scale: str,
    seed: int,
    inner: str,
) -> tuple[Verdict, Arrays]:
    """Choose and fit an SVM as comparisons do."""
    shared, rows = families.Shared(X, scale=scale), np.arange(len(X))
    task = families.Task(rows, rows, y, groups)
    try:
        verdict = families.judge(classifier, shared, [task], params=params, seed=seed, inner=inner, hold_back=True)[0]
    except families.TaskError as error:
        raise error.cause from None
    way = [C for C in classifier.grid["C"] if "C" not in params and verdict.chosen["C"] >= C]
    take = _kernel if families.LOSSES[classifier.name] == "rbf" else _weights
    return verdict, take(classifier.name, shared, y, verdict.chosen, way or [float(verdict.chosen["C"])])


def _weights(
    name: str, shared: families.Shared, y: np.ndarray, settings: Mapping[str, Any], way: Sequence[float]
) -> Arrays:
    """Return primal weights, by the same way along C that scored the rows."""
    loss = families.LOSSES[name]
    columns = families.columns_of(y, settings)
    products = shared.among(np.arange(len(y)), extra=1.0 if loss == "squared_hinge" else 0.0)
    found = solve(products, columns.labels, weights=columns.weights, Cs=way, loss=loss)
    return {"coef": found.coef[-1].T @ shared.X.astype(np.float64), "intercept": found.intercept[-1]}


def _kernel(
    name: str, shared: families.Shared, y: np.ndarray, settings: Mapping[str, Any], way: Sequence[float]
) -> Arrays:
    from sklearn.svm import SVC

    gamma = families.gamma_of(settings["gamma"], shared.X)
    every = np.arange(len(y))
    kernel = np.exp(-gamma * shared.distances(every, every))
    columns = families.columns_of(y, settings)
    machines = []
    for label, used, weight in zip(columns.labels.T, columns.used.T, columns.weights.T, strict=True):
        rows = np.flatnonzero(used)
        machine = SVC(kernel="precomputed", C=way[-1], cache_size=500)
        machine.fit(kernel[np.ix_(rows, rows)], label[rows], sample_weight=weight[rows])
        machines.append((rows[machine.support_], machine.dual_coef_[0], machine.intercept_[0], gamma))
    return _vectors(shared.X, machines)


def _vectors(X: np.ndarray, machines: Sequence[tuple[np.ndarray, np.ndarray, float, float]]) -> Arrays:
    """Return the support vectors of several machines once each, with the coefficients that each gives them."""
    used = np.unique(np.concatenate([rows for rows, *_ in machines]))
    coef = np.zeros((len(used), len(machines)))
    for column, (rows, own, _, _) in enumerate(machines):
        coef[np.searchsorted(used, rows), column] = own
    return {
        "vectors": X[used].astype(np.float64),
        "coef": coef,
        "intercept": np.array([intercept for _, _, intercept, _ in machines]),
        "gamma": np.array([gamma for *_, gamma in machines]),
    }


def _alone(
    classifier: Classifier,
    X: np.ndarray,
    *,
    y: np.ndarray,
    groups: Sequence[str],
    params: Mapping[str, Any],
    scale: str,
    seed: int,
    inner: str,
) -> tuple[Verdict, Arrays]:
    """Choose as comparisons do, and fit scikit-learn's estimator (or what stands in for it) once more on all rows."""
    given: dict[str, Any] = {"params": params, "scale": scale, "seed": seed, "inner": inner}
    verdict = judge(classifier, X, y=y, groups=groups, X_test=X, hold_back=True, **given)
    if classifier.linear or scale != "none":
        X = X.astype(np.float64)
    X = scaled(X, X[:0], scale=scale)[0]
    basis = None
    if classifier.linear and scale != "standard" and len(X) < X.shape[1]:  # in the span of its rows, as judge fits it
        basis, coordinates = np.linalg.qr(X.T)
        X = coordinates.T
    arrays = _TAKEN[classifier.name](classifier.build(seed=seed, **verdict.chosen).fit(X, y), X, y)
    return verdict, arrays if basis is None else {**arrays, "coef": arrays["coef"] @ basis.T}


def _linear(estimator: Any, X: np.ndarray, y: np.ndarray) -> Arrays:
    parts = getattr(estimator, "estimators_", [estimator])
    return {
        "coef": np.concatenate([np.asarray(part.coef_, dtype=np.float64) for part in parts]),
        "intercept": np.concatenate([np.atleast_1d(part.intercept_).astype(np.float64) for part in parts]),
    }


def _gaussian(estimator: Any, X: np.ndarray, y: np.ndarray) -> Arrays:
    machines = estimator.estimators_
    every = [np.arange(len(y))] * len(machines)
    if len(machines) == len(pairs := list(combinations(range(int(y.max()) + 1), 2))) and _is_of_pairs(estimator):
        every = [np.flatnonzero((y == first) | (y == second)) for first, second in pairs]
    told = [
        (rows[machine.support_], machine.dual_coef_[0], float(np.ravel(machine.intercept_)[0]), float(machine._gamma))
        for rows, machine in zip(every, machines, strict=True)
    ]
    return _vectors(X, told)


def _is_of_pairs(estimator: Any) -> bool:
    from sklearn.multiclass import OneVsOneClassifier

    return isinstance(estimator, OneVsOneClassifier)


def _trees(estimator: Any, X: np.ndarray, y: np.ndarray) -> Arrays:
    if hasattr(estimator, "_trees"):
        return _compiled(estimator._trees)
    parts = [part.tree_ for part in getattr(estimator, "estimators_", [estimator])]
    starts = np.cumsum([0, *(tree.node_count for tree in parts[:-1])])
    left, right = (
        np.concatenate([np.where(side >= 0, side + start, -1) for start, side in zip(starts, sides, strict=True)])
        for sides in ([tree.children_left for tree in parts], [tree.children_right for tree in parts])
    )
    feature, threshold = (np.concatenate(told) for told in zip(*((t.feature, t.threshold) for t in parts), strict=True))
    share = np.concatenate([tree.value[:, 0, :] for tree in parts])
    return _flat(starts, feature=feature, left=left, right=right, threshold=threshold, share=share)


def _compiled(trees: Any) -> Arrays:
    root = np.repeat(trees.roots, np.diff([*trees.roots, len(trees.feature)]))
    left = np.where(trees.feature >= 0, root + trees.left, -1)
    right = np.where(left >= 0, left + 1, -1)
    told = {"feature": trees.feature, "left": left, "right": right, "threshold": trees.threshold, "share": trees.share}
    return _flat(trees.roots, **told)


def _flat(roots: np.ndarray, **told: np.ndarray) -> Arrays:
    leaf = told["left"] < 0
    return {
        "roots": roots.astype(np.int32),
        "feature": np.where(leaf, -1, told["feature"]).astype(np.int32),
        "left": told["left"].astype(np.int32),
        "right": told["right"].astype(np.int32),
        "threshold": np.where(leaf, 0.0, told["threshold"]).astype(np.float64),
        "share": told["share"].astype(np.float64),
    }


def _neighbours(estimator: Any, X: np.ndarray, y: np.ndarray) -> Arrays:
    return {"rows": X.astype(np.float64), "codes": y.astype(np.int32)}


def _prior(estimator: Any, X: np.ndarray, y: np.ndarray) -> Arrays:
    return {"prior": np.asarray(estimator.class_prior_, dtype=np.float64)}


def _nothing(estimator: Any, X: np.ndarray, y: np.ndarray) -> Arrays:
    return {}


_TAKEN = {
    "svm": _linear,
    "svc-linear": _linear,
    "svm-rbf": _gaussian,
    "rf": _trees,
    "tree": _trees,
    "logreg": _linear,
    "knn": _neighbours,
    "dummy": _prior,
    "argmax": _nothing,
}


def refuse_unknown(classifier: Classifier) -> None:
    """Raise UsageError where a fit cannot be taken apart into arrays."""
    if classifier.name not in _TAKEN or classifier.accelerator == "intel":
        how = f"{classifier.name} --accelerate {classifier.accelerator}"
        raise UsageError(f"--save cannot hold {how}; take another --clf, or leave --accelerate out")
