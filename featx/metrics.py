"""Metrics of a classifier's verdict on test rows, each under one name.

``auc`` (two classes); ``auc_ovo`` and ``auc_ovr`` (more classes); ``average_precision``; ``accuracy``;
``balanced_accuracy``; ``precision_<class>``, ``recall_<class>``, ``f1_<class>``; ``f1_micro``, ``f1_macro``,
``f1_weighted``; ``sensitivity`` and ``specificity`` (two classes, the second class positive).

This file knows numbers only: no folds, no classifiers' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve: P(score of a positive > of a negative), ties counted half.

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive.
    score : numpy.ndarray of float, shape (n,)
        Higher means more positive. Where one is NaN, so is the result.

    Raises
    ------
    ValueError
        Where one of the two sides is empty.
    """
    positive = np.asarray(positive, dtype=bool)
    return _Ranking.of(positive.astype(np.int64), np.asarray(score), classes=2).auc(1, 0)


def auc_ovo(y: np.ndarray, scores: np.ndarray) -> float:
    """Return Hand and Till's M (2001): the mean over class pairs of the two one-sided AUCs on that pair's rows.

    Parameters
    ----------
    y : numpy.ndarray of int, shape (n,)
        Class codes.
    scores : numpy.ndarray of float, shape (n, c)
        One score a class; they need not sum to one.
    """
    return _auc_ovo(_rankings(y, scores))


def auc_ovr(y: np.ndarray, scores: np.ndarray) -> float:
    """Return the unweighted mean over classes of the AUC of that class against the rest."""
    return _auc_ovr(_rankings(y, scores))


def average_precision(positive: np.ndarray, score: np.ndarray) -> float:
    """Return the sum over thresholds of (gain in recall) x precision, without interpolation; ties are one threshold."""
    y = np.asarray(positive, dtype=bool).astype(np.int64)
    return _Ranking.of(y, np.asarray(score), classes=2).average_precision(1)


class _Ranking(NamedTuple):
    """Rows counted from the highest score down: one sort, from which every ranking metric of that score follows.

    Attributes
    ----------
    above : numpy.ndarray of int64, shape (levels, c)
        Rows of each class at each distinct score or above it.
    at : numpy.ndarray of int64, shape (levels, c)
        Rows of each class at each distinct score.
    known : bool
        False where a score is NaN.
    """

    above: np.ndarray
    at: np.ndarray
    known: bool

    @classmethod
    def of(cls, y: np.ndarray, score: np.ndarray, *, classes: int) -> _Ranking:
        """Rank rows of some class codes by their scores."""
        order = np.argsort(score)[::-1]  # within ties in any order: they are one level
        ordered, codes = score[order], y[order]
        ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)
        above = np.stack([np.cumsum(codes == code)[ends] for code in range(classes)], axis=1)
        return cls(above, np.diff(above, axis=0, prepend=0), not np.isnan(ordered[0]))

    def auc(self, code: int, other: int) -> float:
        """Return how well the score puts one class above another."""
        return self._auc(code, self.above[:, other], self.at[:, other])

    def auc_over_rest(self, code: int) -> float:
        """Return how well the score puts a class above all others."""
        rest = [other for other in range(self.at.shape[1]) if other != code]
        return self._auc(code, self.above[:, rest].sum(1), self.at[:, rest].sum(1))

    def _auc(self, code: int, above: np.ndarray, at: np.ndarray) -> float:
        m, n = int(self.above[-1, code]), int(above[-1])
        if not m or not n:
            raise ValueError(f"AUC needs rows of both classes; {m} positive and {n} negative came")
        doubled = int((self.at[:, code] * (2 * (n - above) + at)).sum())  # whole numbers: nothing is rounded
        return doubled / (2 * m * n) if self.known else float("nan")

    def average_precision(self, code: int) -> float:
        """Return the average precision of a class against all others."""
        hits = self.above[:, code]
        precision, recall = hits / self.above.sum(1), hits / hits[-1]
        return float(np.sum(np.diff(recall, prepend=0.0) * precision)) if self.known else float("nan")


def _rankings(y: np.ndarray, scores: np.ndarray) -> list[_Ranking]:
    """Return the ranking of the rows by each class's score."""
    c = scores.shape[1]
    return [_Ranking.of(y, scores[:, code], classes=c) for code in range(c)]


def _auc_ovo(rankings: Sequence[_Ranking]) -> float:
    pairs = combinations(range(len(rankings)), 2)
    return float(np.mean([(rankings[i].auc(i, j) + rankings[j].auc(j, i)) / 2 for i, j in pairs]))


def _auc_ovr(rankings: Sequence[_Ranking]) -> float:
    return float(np.mean([ranking.auc_over_rest(code) for code, ranking in enumerate(rankings)]))


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
    ranking = _Ranking.of(y, scores[:, 1], classes=2)
    return {"auc": ranking.auc(1, 0), "average_precision": ranking.average_precision(1)}


def _multiclass_ranking(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    rankings = _rankings(y, scores)
    return {
        "auc_ovo": _auc_ovo(rankings),
        "auc_ovr": _auc_ovr(rankings),
        "average_precision": float(np.mean([one.average_precision(code) for code, one in enumerate(rankings)])),
    }
