"""Tests and intervals from the scores of splits alone, for any metric: valid for the plans that each names.

Knows no rows and no groups.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from featx.errors import UsageError
from featx.significance.results import (
    LEVEL,
    POWER,
    Difference,
    Interval,
    around,
    flat,
    models_trained_on,
    no_spread,
    student,
)


def valid_tests(repeats: int, folds: int) -> tuple[str, ...]:
    """Return the names of the functions here that are valid for a plan of ``repeats`` times ``folds``, the best first.

    Plans whose test sides are other sources (leave one source out) are no resamples of one population: for those, and
    for one split, only the tests of a single test side are valid.
    """
    if repeats * folds == 1:
        return ("paired_auc",)
    halvings = ("group_t",) if repeats > 1 and folds == 2 else ()  # where it was measured
    five_by_two = ("alpaydin_f", "dietterich_t") if (repeats, folds) == (5, 2) else ()
    return (*halvings, "corrected_t", *five_by_two, "paired_auc")


def dietterich_t(d: np.ndarray) -> Difference:
    """Return the 5x2cv paired t test (Dietterich 1998, Neural Computation 10:1895).

    Parameters
    ----------
    d : numpy.ndarray of float, shape (5, 2)
        Differences of a metric on the same test half, by halving and half.

    Returns
    -------
    Difference
        With 5 degrees of freedom. The numerator is the first difference alone, by the test's definition; the interval
        stands about it and need not hold the mean.

    Raises
    ------
    UsageError
        Where the plan is not 5x2.
    """
    d = _five_by_two(d, "the 5x2cv t test")
    error = float(np.sqrt(_within(d).mean()))
    if flat(error, d):
        return no_spread("5x2cv t", d)
    note = "the interval stands about the first of the ten differences"
    return student("5x2cv t", float(d[0, 0]), error=error, df=5.0)._replace(difference=float(d.mean()), note=note)


def alpaydin_f(d: np.ndarray) -> Difference:
    """Return the combined 5x2cv F test (Alpaydin 1999, Neural Computation 11:1885).

    Parameters
    ----------
    d : numpy.ndarray of float, shape (5, 2)
        Differences of a metric on the same test half, by halving and half.

    Returns
    -------
    Difference
        With 10 and 5 degrees of freedom; the test gives no interval.

    Raises
    ------
    UsageError
        Where the plan is not 5x2.
    """
    from scipy.special import fdtrc

    d = _five_by_two(d, "the combined 5x2cv F test")
    variance = float(_within(d).mean())
    if flat(np.sqrt(variance), d):
        return no_spread("5x2cv F", d)
    statistic = float((d**2).sum() / (10 * variance))
    smallest = float(np.sqrt(_f_shift() * variance / 10))  # taken for ten independent ones, as the test does
    p = float(fdtrc(10, 5, statistic))
    return Difference("5x2cv F", float(d.mean()), None, None, statistic, (10.0, 5.0), p, smallest)


def corrected_t(d: np.ndarray, *, ratio: float) -> Difference:
    """Return the corrected resampled t test (Nadeau & Bengio 2003, Machine Learning 52:239).

    Parameters
    ----------
    d : numpy.ndarray of float, shape (repeats, folds)
        Differences of a metric on the same test side (Bouckaert & Frank 2004 for repeated cross-validation).
    ratio : float
        Rows that test against rows that train: 1 for halves, 1 / (k - 1) for k folds.

    Raises
    ------
    UsageError
        One split only.
    """
    d = _splits(d, "the corrected resampled t test")
    error = _corrected_error(d, ratio)
    if flat(error, d):
        return no_spread("corrected t", d)
    return student("corrected t", float(d.mean()), error=error, df=float(d.size - 1))


def corrected_interval(values: np.ndarray, *, ratio: float, bounded: bool = True) -> Interval:
    """Return the mean score over the splits with its corrected resampled interval (Nadeau & Bengio 2003).

    Parameters
    ----------
    values : numpy.ndarray of float, shape (repeats, folds)
        A metric in each split.
    ratio : float
        As in :func:`corrected_t`.
    bounded : bool
        Whether the metric lies from 0 to 1: the interval is then made on the logit scale and stays inside.

    Raises
    ------
    UsageError
        One split only.
    """
    values = _splits(values, "an interval over splits")
    error, mean = _corrected_error(values, ratio), float(values.mean())
    estimates = models_trained_on(1 / (1 + ratio))
    if flat(error, values):
        note = f"the score is {mean:.4g} in every split: its error cannot be measured from these splits"
        return Interval(mean, None, None, estimates, note)
    return around(mean, error=error, df=float(values.size - 1), bounded=bounded, estimates=estimates)


def _five_by_two(d: np.ndarray, name: str) -> np.ndarray:
    d = _splits(d, name)
    if d.shape != (5, 2):
        raise UsageError(
            f"{name} is made for five halvings used both ways (--folds 5x2); {d.shape[0]} x {d.shape[1]} splits came; "
            "take the corrected resampled t test"
        )
    return d


def _splits(d: np.ndarray, name: str) -> np.ndarray:
    d = np.atleast_2d(np.asarray(d, dtype=np.float64))
    if not np.isfinite(d).all():
        at = np.argwhere(~np.isfinite(d))[0]
        raise ValueError(f"{name} needs a number from every split; repeat {at[0]}, fold {at[1]} has {d[tuple(at)]}")
    if d.size < 2:
        raise UsageError(
            f"{name} needs at least two splits, one came; on a single test side take DeLong's or Obuchowski's test"
        )
    return d


@cache
def _f_shift() -> float:
    """Return the noncentrality at which F with 10 and 5 degrees of freedom passes its critical value in 80 of 100."""
    from scipy.optimize import brentq
    from scipy.stats import f, ncf

    return float(brentq(lambda shift: ncf.sf(f.isf(LEVEL, 10, 5), 10, 5, shift) - POWER, 1, 200))


def _within(d: np.ndarray) -> np.ndarray:
    return np.asarray((d[:, 0] - d[:, 1]) ** 2 / 2)


def _corrected_error(d: np.ndarray, ratio: float) -> float:
    return float(np.sqrt((1 / d.size + ratio) * d.var(ddof=1)))
