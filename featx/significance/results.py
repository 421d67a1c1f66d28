"""What tests and intervals say, and the shapes that most of them take: Student's t, and an estimate with its error.

Whatever has no error to measure gives p = 1 and a note that says why. NaN never leaves. Knows no scores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEVEL = 0.05
POWER = 0.8
FLAT = 1e-12  # spread, against the size of the values, that is rounding
IDENTICAL = "the two give the same scores everywhere: there is no difference to test"
CONSTANT = (
    "the difference is {:.4g} in every split, without spread: its error cannot be measured from these splits, so that "
    "nothing is claimed (p = 1)"
)
FEW_GROUPS = "a class has rows of fewer than two groups in a test side: no error can be measured there (p = 1)"


class Difference(NamedTuple):
    """What a test says of the difference between two classifiers, the first less the second.

    Attributes
    ----------
    test : str
        The test's name.
    difference : float
        The mean difference.
    low, high : float or None
        95 % interval of the difference; None where the method gives none.
    statistic : float
        Of the test: t, F or z.
    df : tuple of float
        Degrees of freedom: one for t, two for F, none for z.
    p : float
        Two-sided.
    smallest : float or None
        The smallest true difference that a study like this one shows (p < .05) in 80 of 100 repetitions.
    note : str
        What a reader must know, or nothing.
    """

    test: str
    difference: float
    low: float | None
    high: float | None
    statistic: float
    df: tuple[float, ...]
    p: float
    smallest: float | None
    note: str = ""


class Interval(NamedTuple):
    """A value with its 95 % interval.

    Attributes
    ----------
    value : float
        The estimate.
    low, high : float or None
        None where no error can be measured; ``note`` says why.
    estimates : str
        What it is an estimate of.
    note : str
        What a reader must know, or nothing.
    """

    value: float
    low: float | None
    high: float | None
    estimates: str
    note: str = ""


def models_trained_on(share: float) -> str:
    """Return what a score over splits estimates, in words."""
    words = {0.5: "half", 0.8: "four fifths", 0.9: "nine tenths"}
    return f"models trained on {words.get(round(share, 6), f'{share:.0%}')} of this source"


def flat(error: float, values: np.ndarray) -> bool:
    """Whether an error is no more than rounding of these values."""
    return bool(error <= FLAT * max(float(np.abs(values).max()), FLAT))


def no_spread(test: str, d: np.ndarray) -> Difference:
    """Return a test that has no error to measure: p = 1, and why."""
    mean = float(d.mean())
    if flat(float(np.abs(d).max()), np.ones(1)):
        return Difference(test, 0.0, None, None, 0.0, (), 1.0, None, IDENTICAL)
    note = CONSTANT.format(mean)
    if not flat(float(np.ptp(d)), d):
        note = "both halves of every halving agree to rounding: the test has no error to divide by (p = 1)"
    return Difference(test, mean, None, None, 0.0, (), 1.0, None, note)


def student(test: str, difference: float, *, error: float, df: float, note: str = "") -> Difference:
    """Return a t test (z where ``df`` is infinite).

    The smallest difference is that of Bloom (1995, Evaluation Review 19:547): the two quantiles' sum times the error.
    """
    from scipy.special import stdtr

    reach = quantile(1 - LEVEL / 2, df) * error
    statistic = difference / error
    smallest = reach + quantile(POWER, df) * error
    p = float(2 * stdtr(df, -abs(statistic)))
    free = (float(df),) if np.isfinite(df) else ()
    return Difference(test, difference, difference - reach, difference + reach, statistic, free, p, smallest, note)


def quantile(share: float, df: float) -> float:
    """Return the quantile of Student's t, the normal one where ``df`` is infinite."""
    from scipy.special import ndtri, stdtrit

    return float(stdtrit(df, share) if np.isfinite(df) else ndtri(share))


def around(value: float, *, error: float, df: float, bounded: bool, estimates: str, note: str = "") -> Interval:
    """Return an estimate with its interval, on the logit scale where it is bounded by 0 and 1."""
    from scipy.special import expit, logit

    reach = quantile(1 - LEVEL / 2, df) * error
    if not bounded:
        return Interval(value, value - reach, value + reach, estimates, note)
    if not 0 < value < 1:
        return Interval(value, None, None, estimates, f"the score is {value:.4g} everywhere: no error can be measured")
    at, reach = float(logit(value)), reach / (value * (1 - value))
    return Interval(value, float(expit(at - reach)), float(expit(at + reach)), estimates, note)
