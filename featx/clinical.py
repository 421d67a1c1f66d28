"""Clinical numbers of a classifier's verdict: at a threshold chosen elsewhere, as probabilities, at a prevalence.

A threshold chosen on the rows that it is judged on flatters. So nothing here chooses and judges in one call: thresholds
come from ``threshold_at`` on scores of the train half (inner, out of fold) and go into ``at_threshold`` with the test
rows. This file knows numbers only: no folds, no classifiers' names.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from featx.errors import UsageError

CLIP = 1e-9  # probabilities nearer to 0 or 1 than this have no usable logit
STEPS = 50


class Operating(NamedTuple):
    """What a threshold does to test rows.

    Attributes
    ----------
    sensitivity, specificity : float
        Shares of the positive rows that are called positive, and of the negative rows that are not.
    called_positive, called_negative : numpy.ndarray of bool
        The rows behind the two shares (true positives among positives, true negatives among negatives), for intervals.
    """

    sensitivity: float
    specificity: float
    called_positive: np.ndarray
    called_negative: np.ndarray


class Calibration(NamedTuple):
    """How far stated probabilities are those that occur.

    Attributes
    ----------
    slope : float or None
        1 where right, below 1 where the probabilities are too extreme. None where it cannot be had; see ``note``.
    intercept : float or None
        Of the same fit; 0 where right.
    in_the_large : float or None
        Intercept with the slope held at 1: above 0 where the probabilities are too low on the whole.
    note : str
        What was unusual, or nothing.
    """

    slope: float | None
    intercept: float | None
    in_the_large: float | None
    note: str = ""


def auc_many(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the AUC of many problems at once, by mid-ranks (Mann-Whitney), ties counted half.

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n, p) or (n,)
        Which rows are positive, in each problem or in all.
    scores : numpy.ndarray of float, shape (n, p)
        Higher means more positive.

    Returns
    -------
    numpy.ndarray of float64, shape (p,)

    Raises
    ------
    ValueError
        Where a problem has rows of one class only.
    """
    from scipy.stats import rankdata

    scores = np.asarray(scores)
    positive = np.asarray(positive, dtype=bool)
    positive = np.broadcast_to(positive if positive.ndim == 2 else positive[:, None], scores.shape)
    m = positive.sum(0)
    n = len(scores) - m
    if not (m * n).all():
        at = int(np.flatnonzero(m * n == 0)[0])
        raise ValueError(f"AUC needs rows of both classes; problem {at} has {m[at]} positive and {n[at]} negative rows")
    return (np.where(positive, rankdata(scores, axis=0), 0.0).sum(0) - m * (m + 1) / 2) / (m * n)


def threshold_at(
    positive: np.ndarray, score: np.ndarray, *, specificity: float | None = None, sensitivity: float | None = None
) -> float:
    """Return the threshold that reaches one wanted share on these rows and gives up least of the other.

    A row is called positive where its score is at or above the threshold. It lies half way between the score that it
    must leave out (or take in) and the next one, so that it favours neither side.

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive.
    score : numpy.ndarray of float, shape (n,)
        Higher means more positive. Of rows that are not judged with this threshold.
    specificity, sensitivity : float
        The share that is wanted, above 0 and at most 1; one of the two.

    Raises
    ------
    UsageError
        Where not exactly one share is given, or it is none.
    ValueError
        Where the class that the share is of has no rows.
    """
    wanted = [share for share in (specificity, sensitivity) if share is not None]
    if len(wanted) != 1 or not 0 < wanted[0] <= 1:
        raise UsageError(f"one share above 0 and at most 1 is wanted, specificity or sensitivity; {wanted} came")
    positive, score = np.asarray(positive, dtype=bool), np.asarray(score, dtype=np.float64)
    own = np.sort(score[positive if specificity is None else ~positive])
    if not len(own):
        raise ValueError("a threshold needs rows of the class whose share is wanted; none came")
    needed = int(np.ceil(wanted[0] * len(own) - 1e-9))  # 0.9 x 10 rows are 9, whatever the rounding
    distinct = np.unique(score)
    if sensitivity is not None:
        return _between(distinct, int(np.searchsorted(distinct, own[len(own) - needed])) - 1)
    return _between(distinct, int(np.searchsorted(distinct, own[needed - 1])))


def _between(distinct: np.ndarray, below: int) -> float:
    """Return a number above the value at ``below`` and at most the next; beyond the ends, the nearest number there."""
    if below < 0:
        return float(distinct[0])
    if below == len(distinct) - 1:
        return float(np.nextafter(distinct[-1], np.inf))
    low, high = distinct[below], distinct[below + 1]
    middle = low + (high - low) / 2
    return float(middle if middle > low else high)


def at_threshold(positive: np.ndarray, score: np.ndarray, *, threshold: float) -> Operating:
    """Return what a threshold, chosen on other rows, does to these.

    Raises
    ------
    ValueError
        Where a class has no rows.
    """
    positive, called = np.asarray(positive, dtype=bool), np.asarray(score) >= threshold
    hits, rejections = called[positive], ~called[~positive]
    if not len(hits) or not len(rejections):
        raise ValueError(
            f"sensitivity and specificity need rows of both classes; {len(hits)} positive and {len(rejections)} "
            "negative came"
        )
    return Operating(float(hits.mean()), float(rejections.mean()), hits, rejections)


def predictive_values(
    sensitivity: float, specificity: float, *, prevalence: float
) -> tuple[float | None, float | None]:
    """Return PPV and NPV at a prevalence, by Bayes' rule.

    Parameters
    ----------
    sensitivity, specificity : float
        From 0 to 1.
    prevalence : float
        Share of the positive among those who will be judged, above 0 and below 1.

    Returns
    -------
    ppv, npv : float or None
        None where nobody is called positive (negative), so that there is no such share.

    Raises
    ------
    UsageError
        A prevalence that is none.
    """
    if not 0 < prevalence < 1:
        raise UsageError(f"prevalence {prevalence:g}: expected a share above 0 and below 1, such as 0.02")
    true_positive, false_positive = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    true_negative, false_negative = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return _share(true_positive, false_positive), _share(true_negative, false_negative)


def _share(right: float, wrong: float) -> float | None:
    return right / (right + wrong) if right + wrong > 0 else None


def brier(positive: np.ndarray, probability: np.ndarray) -> float:
    """Return the mean squared distance of the stated probability from what came (Brier 1950): 0 is best.

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive.
    probability : numpy.ndarray of float, shape (n,)
        Of being positive, from 0 to 1.

    Raises
    ------
    ValueError
        Where a probability is none.
    """
    probability = _probabilities(probability)
    return float(np.mean((probability - np.asarray(positive, dtype=bool)) ** 2))


def calibration(positive: np.ndarray, probability: np.ndarray) -> Calibration:
    """Return slope and intercept of the logistic recalibration logit P(positive) = intercept + slope x logit(stated).

    The fit of Cox (1958, Biometrika 45:562) by maximum likelihood, and the intercept alone with the slope held at 1
    ("calibration in the large"; Van Calster et al. 2019, BMC Medicine 17:230).

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive.
    probability : numpy.ndarray of float, shape (n,)
        Of being positive. Nearer to 0 or 1 than 1e-9 they are taken for that, and the note says so.

    Raises
    ------
    ValueError
        Where a probability is none.
    """
    y, probability = np.asarray(positive, dtype=bool), _probabilities(probability)
    if y.all() or not y.any():
        return Calibration(None, None, None, "rows of one class only: there is nothing to calibrate on")
    clipped = np.clip(probability, CLIP, 1 - CLIP)
    logit = np.log(clipped / (1 - clipped))
    told = int((clipped != probability).sum())
    notes = [f"{told} probabilities of 0 or 1 were taken for {CLIP:g} from it"] if told else []
    large = _offset_intercept(y, logit)
    if (why := _no_slope(y, logit)) or (fit := _recalibrated(y, logit)) is None:
        return Calibration(None, None, large, "; ".join([*notes, why or "the fit did not converge"]))
    return Calibration(fit[1], fit[0], large, "; ".join(notes))


def _probabilities(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        raise ValueError(f"probabilities lie from 0 to 1; {values[wrong][0]} came")
    return values


def _no_slope(y: np.ndarray, logit: np.ndarray) -> str:
    if np.ptp(logit) == 0:
        return "one probability for all rows has no slope"
    if logit[y].min() >= logit[~y].max() or logit[y].max() <= logit[~y].min():
        return "the probabilities divide the two classes, so that the slope has no end"
    return ""


def _recalibrated(y: np.ndarray, logit: np.ndarray) -> tuple[float, float] | None:
    """Return intercept and slope by Newton's method on the standardised logit, each step halved until it gains."""
    centre, spread = float(logit.mean()), float(logit.std())
    design = np.column_stack([np.ones(len(y)), (logit - centre) / spread])
    beta = np.zeros(2)
    for _ in range(STEPS):
        expected = _expit(design @ beta)
        gradient = design.T @ (y - expected)
        step = np.linalg.lstsq(design.T @ (design * (expected * (1 - expected))[:, None]), gradient)[0]
        while _likelihood(y, design @ (beta + step)) < _likelihood(y, design @ beta) and np.abs(step).max() > 1e-15:
            step /= 2
        beta = beta + step
        if np.abs(step).max() <= 1e-12 * (1 + np.abs(beta).max()):
            return float(beta[0] - beta[1] * centre / spread), float(beta[1] / spread)
    return None


def _offset_intercept(y: np.ndarray, logit: np.ndarray) -> float:
    """Return the intercept at which as many positives are expected as came; one root, for the sum is monotone."""
    from scipy.optimize import brentq

    reach = float(np.abs(logit).max()) + np.log(len(y)) + 1
    return float(brentq(lambda shift: (_expit(logit + shift) - y).sum(), -reach, reach, xtol=1e-13, rtol=1e-14))


def _likelihood(y: np.ndarray, eta: np.ndarray) -> float:
    return float((y * eta - np.logaddexp(0, eta)).sum())


def _expit(eta: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.asarray(expit(eta))
