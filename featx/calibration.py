"""From scores to probabilities, by scores of rows that a classifier was not fitted on.

Knows arrays only: no folds, no classifiers.
"""

from __future__ import annotations

import numpy as np

STEPS = 100


def platt(positive: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of Platt's map: P(positive) = 1 / (1 + exp(-(intercept + slope x score))).

    Platt (1999, Advances in Large Margin Classifiers, 61): maximum likelihood on targets that are drawn in from 0 and 1
    by one row, so that the map is finite where scores divide the classes. By Newton's method, each step halved until it
    gains (Lin, Lin & Weng 2007, Machine Learning 68:267).

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive; both classes occur.
    score : numpy.ndarray of float, shape (n,)
        Of rows that the classifier was not fitted on.
    """
    positive, score = np.asarray(positive, dtype=bool), np.asarray(score, dtype=np.float64)
    many, few = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (many + 1) / (many + 2), 1 / (few + 2))
    centre, spread = float(score.mean()), float(score.std())
    beta = np.array([np.log(target.mean() / (1 - target.mean())), 0.0])
    if np.ptp(score) == 0 or spread == 0:
        return 0.0, float(beta[0])
    X = np.column_stack([np.ones(len(score)), (score - centre) / spread])
    for _ in range(STEPS):
        expected = logistic(X @ beta)
        step = np.linalg.lstsq(X.T @ (X * (expected * (1 - expected))[:, None]), X.T @ (target - expected))[0]
        while _likelihood(target, X @ (beta + step)) < _likelihood(target, X @ beta) and np.abs(step).max() > 1e-15:
            step /= 2
        beta = beta + step
        if np.abs(step).max() <= 1e-12 * (1 + np.abs(beta).max()):
            break
    return float(beta[1] / spread), float(beta[0] - beta[1] * centre / spread)


def probabilities(inner: np.ndarray, y: np.ndarray, scores: np.ndarray) -> np.ndarray | None:
    """Return the probability of each class of new rows, by Platt's map of each class against the rest.

    More than two are scaled to a total of one (Zadrozny & Elkan 2002, KDD, 694).

    Parameters
    ----------
    inner : numpy.ndarray of float, shape (n, c)
        Scores of train rows by fits that did not see them; rows of NaN were never held back.
    y : numpy.ndarray of int64, shape (n,)
        Class codes of these rows.
    scores : numpy.ndarray of float, shape (m, c)
        Of the new rows.

    Returns
    -------
    numpy.ndarray of float64, shape (m, c), or None
        None where the rows that were held back lack a class.
    """
    known = ~np.isnan(inner).any(1)
    inner, y = inner[known], y[known]
    classes = range(inner.shape[1])
    if any(not (y == code).any() for code in classes):
        return None
    columns = [1] if len(classes) == 2 else classes
    maps = [platt(y == code, inner[:, code]) for code in columns]
    told = np.column_stack(
        [logistic(offset + slope * scores[:, code]) for code, (slope, offset) in zip(columns, maps, strict=True)]
    )
    return np.column_stack([1 - told, told]) if len(classes) == 2 else told / told.sum(1, keepdims=True)


def _likelihood(target: np.ndarray, eta: np.ndarray) -> float:
    return float((target * eta - np.logaddexp(0, eta)).sum())


def logistic(eta: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-eta))."""
    from scipy.special import expit

    return np.asarray(expit(eta))
