"""The mean AUC over all splits, its variance counted by group and between halvings: the default test and interval.

From one sample of patients to the next the mean AUC varies because other groups are tested and because other groups
train. The first is counted by group: the sum of squares of each group's mean influence over the repeats (on one test
side that is Obuchowski 1997; for one cross-validation LeDell et al. 2015, Electronic Journal of Statistics 9:1583). The
second is taken to be the variance of the mean between halvings, as random half samples estimate a variance (McCarthy
1969, Review of the International Statistical Institute 37:239). Their sum has degrees of freedom by Satterthwaite
(1946, Biometrics Bulletin 2:110).

That the sum is right is no theorem. To the second order, what pairs of groups do shows between halvings in full and in
the influences once, twice or not at all, so that a factor between .2 and 1.2 on the second part could be argued for; 1
was chosen by simulation, and held in others (``benchmarks/truth.py``; 2,000 studies in each of 24 cells of 200 to 2,000
images with 8 to 240 positive lesions, in 16 of them equal classifiers): false alarms at 5 % were 3.0 to 6.9 % (Nadeau &
Bengio 4.0 to 10.2, Alpaydin's F 7.5 to 34, Dietterich's t 7 to 23), 95 % intervals covered 93 to 98 % of the
differences and 93 to 96 % of the AUCs (Nadeau & Bengio 90 to 96 and 87 to 95). From 1,000 images on it is cautious
(3.0 to 4.4 % false alarms). Over the more varied populations that it was chosen on (AUC .53 to .93, some forty rules
tried, 1,000 studies a cell) errors were 1.6 to 8.1 % where 5 are promised: the most with 8 positive lesions, the least
where both classifiers are strong. The 5x2cv tests take the two halves of one halving for independent; in simulated
studies their differences were correlated by .3 to .8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from featx.errors import UsageError
from featx.significance.auc import Side, by_class, coded, placements
from featx.significance.results import (
    FEW_GROUPS,
    Difference,
    Interval,
    around,
    flat,
    models_trained_on,
    no_spread,
    student,
)


class Influences(NamedTuple):
    """What :func:`influences` counts once for all classifiers, so that each pair costs little.

    Attributes
    ----------
    means : numpy.ndarray of float64, shape (repeats, k)
        Mean AUC of the sides of each repeat.
    of_positives, of_negatives : numpy.ndarray of float64, shape (groups, k)
        Influence of each group on the mean over all sides, through its positive and its negative rows.
    df : tuple of float
        Free groups behind each of the two.
    """

    means: np.ndarray
    of_positives: np.ndarray
    of_negatives: np.ndarray
    df: tuple[float, float]


def influences(sides: Sequence[Side]) -> Influences:
    """Return what each group does to the mean AUC over all sides, for every classifier at once.

    The influence of a row on the AUC of a side is what it holds against the rows of the other class (its placement),
    less the AUC, over the rows of its class; a group's is the sum of its rows', made larger by I / (I - 1) in variance
    for the I groups that have that class there, as in Obuchowski (1997).

    Parameters
    ----------
    sides : sequence of Side
        The test sides of all splits.

    Raises
    ------
    ValueError
        Where a side has rows of one class only.
    """
    names, codes = coded(sides)
    labels, repeat_of = np.unique([side.repeat for side in sides], return_inverse=True)
    k, repeats = np.asarray(sides[0].scores).shape[1], len(labels)
    share = np.zeros((2, len(names), k))
    counted, means = np.zeros((2, len(names)), dtype=bool), np.zeros((repeats, k))
    per_repeat = np.bincount(repeat_of)
    fewest = np.inf
    for side, code, repeat in zip(sides, codes, repeat_of.tolist(), strict=True):
        placed, theta = placements(side.positive, side.scores)
        means[repeat] += theta / per_repeat[repeat]
        for kind, rows in enumerate(by_class(side.positive)):
            own = np.unique(code[rows])
            fewest = min(fewest, len(own))
            grown = np.sqrt(len(own) / max(len(own) - 1, 1)) / (rows.sum() * per_repeat[repeat] * repeats)
            np.add.at(share[kind], code[rows], grown * (placed[rows] - theta))
            counted[kind, own] = True
    sides_a_repeat = len(sides) / repeats
    free = [float(max(counted[kind].sum() - sides_a_repeat, 1)) if fewest > 1 else 0.0 for kind in (0, 1)]
    return Influences(means, share[0], share[1], (free[0], free[1]))


def group_t(found: Influences, first: int, second: int) -> Difference:
    """Return the test of two classifiers' mean AUC, its variance counted by group and between halvings.

    See the head of this file. The error is that of a new sample of groups, the models trained anew on a half of it.

    Parameters
    ----------
    found : Influences
        Of all classifiers, from :func:`influences`.
    first, second : int
        Columns of the two.

    Raises
    ------
    UsageError
        Where there is one repeat only, so that nothing is known of the variance between halvings.
    """
    gap = found.means[:, first] - found.means[:, second]
    positives = found.of_positives[:, first] - found.of_positives[:, second]
    negatives = found.of_negatives[:, first] - found.of_negatives[:, second]
    error, df = _group_error(gap, positives, negatives, found.df)
    if not min(found.df):
        return Difference("group t", float(gap.mean()), None, None, 0.0, (), 1.0, None, FEW_GROUPS)
    if flat(error, np.append(gap, 1.0)):
        return no_spread("group t", gap)
    return student("group t", float(gap.mean()), error=error, df=df)


def group_interval(found: Influences, at: int, *, share: float = 0.5) -> Interval:
    """Return a classifier's mean AUC with the interval whose variance is that of :func:`group_t`, on the logit scale.

    Parameters
    ----------
    found : Influences
        From :func:`influences`.
    at : int
        Column of the classifier.
    share : float
        Share of the source that each model was trained on.

    Raises
    ------
    UsageError
        Where there is one repeat only.
    """
    means, estimates = found.means[:, at], models_trained_on(share)
    error, df = _group_error(means, found.of_positives[:, at], found.of_negatives[:, at], found.df)
    if not min(found.df):
        return Interval(float(means.mean()), None, None, estimates, FEW_GROUPS.replace(" (p = 1)", ""))
    return around(float(means.mean()), error=error, df=df, bounded=True, estimates=estimates)


def _group_error(
    means: np.ndarray, positives: np.ndarray, negatives: np.ndarray, free: tuple[float, float]
) -> tuple[float, float]:
    """Return the standard error and Satterthwaite's degrees of freedom."""
    if len(means) < 2:
        raise UsageError(
            "the group t test needs at least two repeats to see the variance between them, one came; take the "
            "corrected resampled t test"
        )
    parts = np.array([(positives**2).sum(), (negatives**2).sum(), means.var(ddof=1)])
    shared = float((positives * negatives).sum())  # groups that have rows of both classes
    total = max(float(parts.sum()) + 2 * shared, 0.0)
    if total == 0 or not min(free):
        return 0.0, 1.0
    df = total**2 / float((parts**2 / np.array([*free, len(means) - 1])).sum())
    return float(np.sqrt(total)), max(df, 1.0)
