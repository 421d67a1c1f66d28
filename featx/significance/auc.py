"""The AUC of one test side, of models as they are: its variance and covariance, by row or by group.

Knows no splits: what other train rows would have made of the models is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from featx.significance.results import FEW_GROUPS, FLAT, IDENTICAL, Difference, Interval, around, student


class Side(NamedTuple):
    """The test side of one split, scored by one or several classifiers.

    For more than two classes, Hand and Till's M is the mean of one-sided AUCs, each on the rows of two classes: give
    each as a side of its own, with the same ``repeat``.

    Attributes
    ----------
    repeat : int
        Which halving (or dealing onto folds) it belongs to, from 0.
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive.
    scores : numpy.ndarray of float, shape (n, k)
        One column a classifier; higher means more positive.
    groups : numpy.ndarray, shape (n,)
        The group of each row: the same word or number for the same group on every side.
    """

    repeat: int
    positive: np.ndarray
    scores: np.ndarray
    groups: np.ndarray


def paired_auc(
    positive: np.ndarray, first: np.ndarray, second: np.ndarray, *, groups: np.ndarray | None = None
) -> Difference:
    """Return the test of two AUCs on one test side, of models as they are.

    DeLong et al. (1988, Biometrics 44:837) in the mid-rank form of Sun & Xu (2014, IEEE Signal Processing Letters
    21:1389); with groups that have several rows, Obuchowski's clustered form (1997, Biometrics 53:567). What other
    train rows would have made of the models is not in it.

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive.
    first, second : numpy.ndarray of float, shape (n,)
        Scores of the two, of the same rows.
    groups : numpy.ndarray, shape (n,), optional
        Group of each row; each row its own where nothing is given.
    """
    theta, covariance, note = auc_covariance(positive, np.column_stack([first, second]), groups=groups)
    test, gap = _clustered_name(groups), float(theta[0] - theta[1])
    if note:
        return Difference(test, gap, None, None, 0.0, (), 1.0, None, note)
    error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    if error <= 1e-9:  # the root of what rounding leaves of a variance that is zero
        same = abs(gap) <= FLAT
        note = IDENTICAL if same else "both divide or tie the classes wholly: the difference has no variance (p = 1)"
        return Difference(test, 0.0 if same else gap, None, None, 0.0, (), 1.0, None, note)
    return student(test, gap, error=error, df=np.inf, note="of these very models")


def auc_interval(positive: np.ndarray, score: np.ndarray, *, groups: np.ndarray | None = None) -> Interval:
    """Return the AUC on one test side with its DeLong (with groups: Obuchowski) interval on the logit scale.

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive.
    score : numpy.ndarray of float, shape (n,)
        Higher means more positive.
    groups : numpy.ndarray, shape (n,), optional
        Group of each row.
    """
    theta, covariance, note = auc_covariance(positive, np.asarray(score)[:, None], groups=groups)
    value, error = float(theta[0]), float(np.sqrt(max(covariance[0, 0], 0.0)))
    if note or error <= 1e-9:
        why = note.replace(" (p = 1)", "") or "the classes are wholly divided or wholly tied: no error can be measured"
        return Interval(value, None, None, "this very model", why)
    return around(value, error=error, df=np.inf, bounded=True, estimates="this very model")


def auc_covariance(
    positive: np.ndarray, scores: np.ndarray, *, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the AUCs of several classifiers on one test side and their covariance (Obuchowski 1997; DeLong 1988).

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive.
    scores : numpy.ndarray of float, shape (n, k)
        One column a classifier.
    groups : numpy.ndarray, shape (n,), optional
        Group of each row; each row its own where nothing is given, which is DeLong's form.

    Returns
    -------
    theta : numpy.ndarray of float64, shape (k,)
        AUCs.
    covariance : numpy.ndarray of float64, shape (k, k)
        Their covariance; zeros where a class has one group only.
    note : str
        Why there is no covariance, or nothing.
    """
    rows = np.asarray(positive, dtype=bool)
    placed, theta = placements(rows, scores)
    code = np.arange(len(rows)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(code.max()) + 1
    own = [len(np.unique(code[side])) for side in (rows, ~rows)]
    if min(own) < 2:
        return theta, np.zeros((len(theta), len(theta))), FEW_GROUPS
    sums = np.zeros((2, count, len(theta)))
    for kind, side in enumerate((rows, ~rows)):
        np.add.at(sums[kind], code[side], (placed[side] - theta) / side.sum())
    within = sum(own[kind] / (own[kind] - 1) * sums[kind].T @ sums[kind] for kind in (0, 1))
    across = count / (count - 1) * sums[0].T @ sums[1]
    return theta, np.asarray(within + across + across.T), ""


def _clustered_name(groups: np.ndarray | None) -> str:
    return "DeLong" if groups is None else "Obuchowski"


def placements(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's share of the other class that it is on the right side of, (n, k), and the AUCs, (k,)."""
    from scipy.stats import rankdata

    positive, scores = np.asarray(positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    m, n = int(positive.sum()), int((~positive).sum())
    if not m or not n:
        raise ValueError(f"AUC needs rows of both classes; {m} positive and {n} negative came")
    if np.isnan(scores).any():
        raise ValueError(f"AUC needs a score of every row; {int(np.isnan(scores).any(1).sum())} rows have none")
    ranks = rankdata(scores, axis=0)
    placed = np.empty_like(ranks)
    placed[positive] = (ranks[positive] - rankdata(scores[positive], axis=0)) / n
    placed[~positive] = 1 - (ranks[~positive] - rankdata(scores[~positive], axis=0)) / m
    return placed, placed[positive].mean(0)


def by_class(positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows are positive, and which negative."""
    positive = np.asarray(positive, dtype=bool)
    return positive, ~positive


def coded(sides: Sequence[Side]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the groups of all sides, and the number of each row's group among them, side by side."""
    names, code = np.unique(np.concatenate([np.asarray(side.groups) for side in sides]), return_inverse=True)
    return names, np.split(code, np.cumsum([len(side.groups) for side in sides])[:-1])
