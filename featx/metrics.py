"""Metrics of a classifier's verdict on test rows, each under one name.

``auc`` (two classes); ``auc_ovo`` and ``auc_ovr`` (more classes); ``average_precision``; ``accuracy``;
``balanced_accuracy``; ``precision_<class>``, ``recall_<class>``, ``f1_<class>``; ``f1_micro``, ``f1_macro``,
``f1_weighted``; ``sensitivity`` and ``specificity`` (two classes, the second class positive).

This file knows numbers only: no folds, no classifiers' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve: P(score of a positive > of a negative), ties counted half.

    Computed by mid-ranks (Mann-Whitney).

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive.
    score : numpy.ndarray of float, shape (n,)
        Higher means more positive.

    Raises
    ------
    ValueError
        Where one of the two sides is empty.
    """
    from scipy.stats import rankdata

    positive = np.asarray(positive, dtype=bool)
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        raise ValueError(f"AUC needs rows of both classes; {m} positive and {n} negative came")
    return float((rankdata(score)[positive].sum() - m * (m + 1) / 2) / (m * n))


def auc_ovo(y: np.ndarray, scores: np.ndarray) -> float:
    """Return Hand and Till's M (2001): the mean over class pairs of the two one-sided AUCs on that pair's rows.

    Parameters
    ----------
    y : numpy.ndarray of int, shape (n,)
        Class codes.
    scores : numpy.ndarray of float, shape (n, c)
        One score a class; they need not sum to one.
    """
    pairs = []
    for i, j in combinations(range(scores.shape[1]), 2):
        rows = (y == i) | (y == j)
        pairs.append((auc(y[rows] == i, scores[rows, i]) + auc(y[rows] == j, scores[rows, j])) / 2)
    return float(np.mean(pairs))


def auc_ovr(y: np.ndarray, scores: np.ndarray) -> float:
    """Return the unweighted mean over classes of the AUC of that class against the rest."""
    return float(np.mean([auc(y == code, scores[:, code]) for code in range(scores.shape[1])]))


def average_precision(positive: np.ndarray, score: np.ndarray) -> float:
    """Return the sum over thresholds of (gain in recall) x precision, without interpolation; ties are one threshold."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(np.asarray(positive, dtype=bool)[order])
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    precision = hits[ends] / (ends + 1)
    recall = hits[ends] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def confusion(y: np.ndarray, predicted: np.ndarray, *, classes: int) -> np.ndarray:
    """Return counts of (true class, predicted class), int64 of shape (c, c)."""
    return np.bincount(y * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def evaluate(y: np.ndarray, predicted: np.ndarray, *, scores: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Return every metric of one test side.

    Parameters
    ----------
    y, predicted : numpy.ndarray of int, shape (n,)
        True and predicted class codes; every class occurs in ``y``.
    scores : numpy.ndarray of float, shape (n, c)
        One score a class.
    classes : sequence of str
        Names of the classes; with two, the second is the positive one.

    Returns
    -------
    dict of str to float
        Metric names as in this file's head. For more than two classes ``average_precision`` is the unweighted mean
        over classes against the rest. A precision without predictions is 0, as is its F1.
    """
    table = confusion(y, predicted, classes=len(classes))
    right, actual, claimed = np.diag(table), table.sum(1), table.sum(0)
    recall = right / actual
    precision = right / np.maximum(claimed, 1)
    f1 = 2 * right / (actual + claimed)
    ranking = _binary_ranking(y, scores) if len(classes) == 2 else _multiclass_ranking(y, scores)
    result = {
        **ranking,
        "accuracy": right.sum() / len(y),
        "balanced_accuracy": recall.mean(),
        "f1_micro": right.sum() / len(y),
        "f1_macro": f1.mean(),
        "f1_weighted": f1 @ actual / len(y),
    }
    for code, name in enumerate(classes):
        result |= {f"precision_{name}": precision[code], f"recall_{name}": recall[code], f"f1_{name}": f1[code]}
    if len(classes) == 2:
        result |= {"sensitivity": recall[1], "specificity": recall[0]}
    return {name: float(value) for name, value in result.items()}


def main_metric(classes: int) -> str:
    """Return the name of the metric that a table leads with: ``auc``, or Hand and Till's for more classes."""
    return "auc" if classes == 2 else "auc_ovo"


def ranking_score(y: np.ndarray, scores: np.ndarray) -> float:
    """Return the main metric of scores of shape (n, c): what hyperparameters are chosen by."""
    return auc(y == 1, scores[:, 1]) if scores.shape[1] == 2 else auc_ovo(y, scores)


def _binary_ranking(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    return {"auc": auc(y == 1, scores[:, 1]), "average_precision": average_precision(y == 1, scores[:, 1])}


def _multiclass_ranking(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    return {
        "auc_ovo": auc_ovo(y, scores),
        "auc_ovr": auc_ovr(y, scores),
        "average_precision": float(
            np.mean([average_precision(y == code, scores[:, code]) for code in range(scores.shape[1])])
        ),
    }
