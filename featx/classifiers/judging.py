"""One classifier on one train side: hyperparameters chosen inside it, a fit on all of it, and scores of the test rows.

Whatever learns (scaler, projection, C) learns from the rows that a fit is given; inner parts divide no group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from featx.classifiers.kind import Classifier, Verdict
from featx.classifiers.scaling import in_span, scale_of, scaled
from featx.errors import SplitError, UsageError
from featx.folds import Inner, inner_splits
from featx.metrics import ranking_score

INNER_PARTS = 3


def judge(
    classifier: Classifier,
    X: np.ndarray,
    *,
    y: np.ndarray,
    groups: Sequence[str],
    X_test: np.ndarray,
    params: Mapping[str, Any] | None = None,
    scale: str | None = None,
    seed: int = 0,
    inner: str = "kfold",
    hold_back: bool = False,
) -> Verdict:
    """Choose hyperparameters inside the train rows, fit on all of them, and score the test rows.

    Parameters
    ----------
    classifier : Classifier
        What is fitted.
    X : numpy.ndarray of float, shape (n, d)
        Train rows.
    y : numpy.ndarray of int64, shape (n,)
        Their class codes, 0 to c - 1, each present.
    groups : sequence of str, length n
        What inner parts may not divide.
    X_test : numpy.ndarray of float, shape (m, d)
        Test rows; nothing is learned from them.
    params : mapping, optional
        Hyperparameters that are fixed; what is fixed is not searched.
    scale : {"l2", "standard", "none"}, optional
        The classifier's own by default; see :func:`scale_of`.
    seed : int
        Seed of the inner parts and of the estimator.
    inner : {"kfold", "shuffle10"}
        The inner splits.
    hold_back : bool
        Whether to score the train rows by inner fits too where nothing has to be chosen, if there are groups enough.

    Raises
    ------
    SplitError
        Where a search is due but a class has too few groups for inner parts.
    """
    params = dict(params or {})
    scale = scale_of(classifier, scale, X)
    if classifier.linear or scale != "none":
        X, X_test = X.astype(np.float64), X_test.astype(np.float64)
    if scale != "standard":  # what a row does to itself needs no fit: once is enough
        X, X_test = scaled(X, X_test, scale=scale)
        scale = "none"
        X, X_test = in_span(X, X_test) if classifier.linear else (X, X_test)
    choice = _choose(classifier, X, y, groups, params=params, scale=scale, seed=seed, inner=inner,
                     hold_back=hold_back)  # fmt: skip
    about: dict[str, Any] = {"candidates": [choice.params], "scale": scale, "seed": seed}
    ((scores, converged),) = fit_and_score(classifier, X, y, X_test, **about)
    return Verdict(scores, choice.params, choice.at_edge, converged, choice.inner, choice.score, choice.scheme)


class _Choice(NamedTuple):
    params: dict[str, Any]
    at_edge: bool
    inner: np.ndarray | None
    score: float | None
    scheme: str


def _choose(
    classifier: Classifier,
    X: np.ndarray,
    y: np.ndarray,
    groups: Sequence[str],
    *,
    params: dict[str, Any],
    scale: str,
    seed: int,
    inner: str,
    hold_back: bool,
) -> _Choice:
    """Return the hyperparameters with the best mean inner AUC, ties to the simplest, and what the inner splits say."""
    grid = [(name, values) for name, values in classifier.grid.items() if name not in params]
    base = {**classifier.defaults, **params}
    _refuse_more_than_rows(classifier, params, rows=len(X))
    if len(grid) > 1:
        raise UsageError(f"{classifier.name} searches more than one hyperparameter at once")
    splits = None
    if grid or (hold_back and classifier.learns):
        splits = inner_splits_if(y, groups, needed=bool(grid), scheme=inner, seed=seed)
    if splits is None:
        return _Choice(base, False, None, None, "")
    candidates = [base]
    if grid:
        ((name, values),) = grid
        fewest = len(y) - max(int(held.sum()) for held in splits.held)
        usable = [value for value in values if name not in classifier.counts_rows or value <= fewest]
        candidates = [{**base, name: value} for value in usable]
    told = _inner(classifier, X, y, splits, candidates=candidates, scale=scale, seed=seed)
    best = int(np.argmax(np.round([score for _, score in told], 9)))
    return _Choice(candidates[best], bool(grid) and best == len(candidates) - 1, *told[best], splits.scheme)


def inner_splits_if(y: np.ndarray, groups: Sequence[str], *, needed: bool, scheme: str, seed: int) -> Inner | None:
    """Return the inner splits; None where a class has too few groups and nothing has to be chosen.

    Raises
    ------
    SplitError
        Where a class has too few groups, and they are needed.
    """
    try:
        return inner_splits(y, groups, scheme=scheme, k=INNER_PARTS, seed=seed)
    except SplitError:
        if needed:
            raise
        return None


def _inner(
    classifier: Classifier, X: np.ndarray, y: np.ndarray, splits: Inner, **about: Any
) -> list[tuple[np.ndarray, float]]:
    """Return of each candidate the scores of the rows by fits that did not see them, and the mean inner AUC."""
    each = [fit_and_score(classifier, X[~held], y[~held], X[held], **about) for held in splits.held]
    told = []
    for own in zip(*each, strict=True):
        scores = [found for found, _ in own]
        values = [ranking_score(y[held], found) for held, found in zip(splits.held, scores, strict=True)]
        told.append((out_of_fold(splits, scores), float(np.mean(values))))
    return told


def out_of_fold(splits: Inner, scores: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean score of each row over the inner splits that held it back, float64 (n, c); NaN where none did."""
    total = np.zeros((len(splits.held[0]), scores[0].shape[1]))
    count = np.zeros(len(total))
    for held, own in zip(splits.held, scores, strict=True):
        total[held] += own
        count[held] += 1
    with np.errstate(invalid="ignore"):
        return total / count[:, None]


def _refuse_more_than_rows(classifier: Classifier, params: Mapping[str, Any], *, rows: int) -> None:
    for name in classifier.counts_rows:
        if params.get(name, 0) > rows:
            raise UsageError(f"--param {name}={params[name]}: a train side has {rows} rows only; take fewer")


def fit_and_score(
    classifier: Classifier,
    X: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray,
    *,
    candidates: Sequence[dict[str, Any]],
    scale: str,
    seed: int,
) -> list[tuple[np.ndarray, bool]]:
    """Fit each of some settings on the same rows; return its scores of other rows, and whether it converged."""
    X, X_test = scaled(X, X_test, scale=scale)
    try:
        estimators = _fitted(classifier, X, y, candidates, seed=seed)
    except ValueError as error:
        told = " ".join(str(error).split())
        raise UsageError(f"{classifier.name} cannot be fitted with {candidates[0]}: {told}") from error
    return [(_scores(estimator, X_test), _converged(estimator)) for estimator in estimators]


def _fitted(
    classifier: Classifier, X: np.ndarray, y: np.ndarray, candidates: Sequence[dict[str, Any]], *, seed: int
) -> list[Any]:
    at_once = classifier.at_once.get(classifier.accelerator)
    if at_once is not None and len(candidates) > 1:
        estimators: list[Any] = at_once(X, y, candidates=candidates, seed=seed)
        return estimators
    return [classifier.build(seed=seed, **params).fit(X, y) for params in candidates]


def _scores(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Return one score a class, shape (n, c): margins, or probabilities where there are no margins to rank by.

    Margins of a multinomial model rank rows only beside those of the other classes, so that its probabilities count.
    """
    margin = np.asarray(estimator.decision_function(X)) if hasattr(estimator, "decision_function") else None
    if margin is not None and margin.ndim == 1:
        return np.column_stack([-margin, margin]).astype(np.float64)
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X), dtype=np.float64)
    return np.asarray(margin, dtype=np.float64)


def _converged(estimator: Any) -> bool:
    parts = getattr(estimator, "estimators_", None) or [estimator]
    limits = [(getattr(part, "n_iter_", None), getattr(part, "max_iter", -1)) for part in parts]
    return not any(done is not None and limit > 0 and np.max(done) >= limit for done, limit in limits)
