"""Many tests at once, and many datasets: what p values and ranks are worth then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from featx.errors import UsageError
from featx.significance.results import LEVEL

FEWEST_DATASETS = 5


def holm(p: Sequence[float]) -> np.ndarray:
    """Return p values adjusted for being many (Holm 1979, Scandinavian Journal of Statistics 6:65), in their order.

    Raises
    ------
    ValueError
        Where one is no probability.
    """
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p values lie from 0 to 1; {values[~((values >= 0) & (values <= 1))][0]} came")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)) if len(values) else values
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


class Ranks(NamedTuple):
    """Friedman's test over datasets, and Nemenyi's comparison of every pair.

    Attributes
    ----------
    mean_ranks : numpy.ndarray of float64, shape (k,)
        1 is best.
    statistic, df, p : float
        Friedman's chi-square (ties corrected).
    critical : float
        Mean ranks further apart than this differ at 5 % (Nemenyi).
    pairs : numpy.ndarray of float64, shape (k, k)
        Nemenyi's p of each pair.
    note : str
        What a reader must know, or nothing.
    """

    mean_ranks: np.ndarray
    statistic: float
    df: float
    p: float
    critical: float
    pairs: np.ndarray
    note: str = ""


def friedman_nemenyi(scores: np.ndarray) -> Ranks:
    """Return Friedman's and Nemenyi's tests (Demsar 2006, Journal of Machine Learning Research 7:1).

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (datasets, k)
        One mean score a dataset and classifier; higher is better. Splits of one dataset are no datasets.

    Raises
    ------
    UsageError
        Fewer than five datasets or fewer than three classifiers.
    """
    from scipy.stats import chi2, rankdata, studentized_range

    scores = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    n, k = scores.shape
    if n < FEWEST_DATASETS or k < 3:
        raise UsageError(
            f"Friedman's test ranks at least 3 classifiers over at least {FEWEST_DATASETS} independent datasets; "
            f"{k} over {n} came; splits of one dataset do not count as datasets"
        )
    ranks = rankdata(-scores, axis=1)
    mean, unit = ranks.mean(0), float(np.sqrt(k * (k + 1) / (6 * n)))
    spread = float(((ranks - (k + 1) / 2) ** 2).sum())
    critical = float(studentized_range.isf(LEVEL, k, np.inf)) / np.sqrt(2) * unit
    if spread == 0:
        note = "every classifier ties with every other on every dataset"
        return Ranks(mean, 0.0, k - 1.0, 1.0, critical, np.ones((k, k)), note)
    statistic = n**2 * (k - 1) * float(((mean - (k + 1) / 2) ** 2).sum()) / spread
    apart = np.abs(mean[:, None] - mean) / unit * np.sqrt(2)
    pairs = np.minimum(studentized_range.sf(apart, k, np.inf), 1.0)
    return Ranks(mean, statistic, k - 1.0, float(chi2.sf(statistic, k - 1)), critical, pairs)
