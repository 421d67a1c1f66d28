"""Curves and counts of test sides: ROC, precision-recall, reliability, confusion. Knows arrays only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

GRID = np.linspace(0.0, 1.0, 101)
BINS = 10


class Band(NamedTuple):
    """Curves of several test sides, averaged upright over a common grid.

    Attributes
    ----------
    x, mean, low, high : numpy.ndarray of float, shape (n,)
        Grid, mean, lowest and highest side.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Reliability(NamedTuple):
    """Probabilities by bins of equally many rows.

    Attributes
    ----------
    told, came : numpy.ndarray of float, shape (b,)
        The mean probability of a bin's rows, and the share of them that are positive.
    rows : numpy.ndarray of int, shape (b,)
        How many they are.
    """

    told: np.ndarray
    came: np.ndarray
    rows: np.ndarray


def band(grid: np.ndarray, curves: Sequence[np.ndarray]) -> Band:
    """Average curves over a grid, as Fawcett (2006, Pattern Recognition Letters 27:861) does upright."""
    held = np.stack(curves)
    return Band(grid, held.mean(0), held.min(0), held.max(0))


def _counts(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return true and false positives at each distinct score from the highest down; ties are one threshold."""
    order = np.argsort(-score, kind="stable")
    ranked, hits = score[order], positive[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true = np.cumsum(hits)[ends]
    return true, ends + 1 - true


def roc(positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return sensitivity at each false positive rate of the grid; where the curve is upright, its upper end.

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Both kinds occur.
    score : numpy.ndarray of float, shape (n,)
        Higher means more positive.
    """
    true, false = (np.concatenate([[0], counts]) for counts in _counts(positive, score))
    return np.asarray(np.interp(GRID, false / false[-1], true / true[-1]))


def precision_recall(positive: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Return the precision at each recall of the grid but 0, at the highest threshold that reaches it."""
    true, false = _counts(positive, score)
    reached = np.searchsorted(true / true[-1], GRID[1:] - 1e-12)
    return np.asarray((true / (true + false))[reached])


def reliability(positive: np.ndarray, probability: np.ndarray, *, bins: int = BINS) -> Reliability:
    """Return how often what was told came, in bins of equally many rows; equal probabilities share a bin."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1]))
    bin_of = np.searchsorted(edges, probability, side="left")
    rows = np.bincount(bin_of)
    there = rows > 0
    told, came = (np.bincount(bin_of, values)[there] / rows[there] for values in (probability, positive))
    return Reliability(told, came, rows[there])


def confusion(sides: Sequence[tuple[np.ndarray, np.ndarray]], *, classes: int) -> np.ndarray:
    """Return counts of (true, called) class codes summed over sides, int of shape (c, c)."""
    y, called = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    return np.bincount(y * classes + called, minlength=classes**2).reshape(classes, classes)
