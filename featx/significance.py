"""How sure a difference is: tests, intervals and corrections, from plain arrays of scores.

What splits of one source estimate is the mean score of *models trained on so much of this source*: not of a model that
is at hand, and not of another source. Two ways lead there.

``group_t`` and ``group_interval``, the default for AUC over repeated halvings. From one sample of patients to the next
the mean AUC varies because other groups are tested and because other groups train. The first is counted by group: the
sum of squares of each group's mean influence over the repeats (on one test side that is Obuchowski 1997; for one
cross-validation LeDell et al. 2015, Electronic Journal of Statistics 9:1583). The second is taken to be the variance of
the mean between halvings, as random half samples estimate a variance (McCarthy 1969, Review of the International
Statistical Institute 37:239). Their sum has degrees of freedom by Satterthwaite (1946, Biometrics Bulletin 2:110).

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

``corrected_t`` and ``corrected_interval``, for any metric and any number of folds: the scores of the splits are enough.

Whatever has no error to measure (identical classifiers, a difference that is the same in every split) gives p = 1 and a
note that says why. NaN never leaves. This file must never know what was compared: no folds, no classifiers, no names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from featx.errors import UsageError

LEVEL = 0.05
POWER = 0.8
DRAWS = 2000
FEWEST_DATASETS = 5
CHUNK = 4_000_000  # numbers of bootstrap weights at once: 32 MB
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


# ---- from the scores of splits alone


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
    if _flat(error, d):
        return _no_spread("5x2cv t", d)
    note = "the interval stands about the first of the ten differences"
    return _student("5x2cv t", float(d[0, 0]), error=error, df=5.0)._replace(difference=float(d.mean()), note=note)


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
    if _flat(np.sqrt(variance), d):
        return _no_spread("5x2cv F", d)
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
    if _flat(error, d):
        return _no_spread("corrected t", d)
    return _student("corrected t", float(d.mean()), error=error, df=float(d.size - 1))


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
    estimates = _models_trained_on(1 / (1 + ratio))
    if _flat(error, values):
        note = f"the score is {mean:.4g} in every split: its error cannot be measured from these splits"
        return Interval(mean, None, None, estimates, note)
    return _around(mean, error=error, df=float(values.size - 1), bounded=bounded, estimates=estimates)


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


def _models_trained_on(share: float) -> str:
    words = {0.5: "half", 0.8: "four fifths", 0.9: "nine tenths"}
    return f"models trained on {words.get(round(share, 6), f'{share:.0%}')} of this source"


def _flat(error: float, values: np.ndarray) -> bool:
    """Whether an error is no more than rounding of these values."""
    return bool(error <= FLAT * max(float(np.abs(values).max()), FLAT))


def _no_spread(test: str, d: np.ndarray) -> Difference:
    mean = float(d.mean())
    if _flat(float(np.abs(d).max()), np.ones(1)):
        return Difference(test, 0.0, None, None, 0.0, (), 1.0, None, IDENTICAL)
    note = CONSTANT.format(mean)
    if not _flat(float(np.ptp(d)), d):
        note = "both halves of every halving agree to rounding: the test has no error to divide by (p = 1)"
    return Difference(test, mean, None, None, 0.0, (), 1.0, None, note)


def _student(test: str, difference: float, *, error: float, df: float, note: str = "") -> Difference:
    """Return a t test (z where ``df`` is infinite).

    The smallest difference is that of Bloom (1995, Evaluation Review 19:547): the two quantiles' sum times the error.
    """
    from scipy.special import stdtr

    reach = _quantile(1 - LEVEL / 2, df) * error
    statistic = difference / error
    smallest = reach + _quantile(POWER, df) * error
    p = float(2 * stdtr(df, -abs(statistic)))
    free = (float(df),) if np.isfinite(df) else ()
    return Difference(test, difference, difference - reach, difference + reach, statistic, free, p, smallest, note)


def _quantile(share: float, df: float) -> float:
    from scipy.special import ndtri, stdtrit

    return float(stdtrit(df, share) if np.isfinite(df) else ndtri(share))


def _around(value: float, *, error: float, df: float, bounded: bool, estimates: str, note: str = "") -> Interval:
    from scipy.special import expit, logit

    reach = _quantile(1 - LEVEL / 2, df) * error
    if not bounded:
        return Interval(value, value - reach, value + reach, estimates, note)
    if not 0 < value < 1:
        return Interval(value, None, None, estimates, f"the score is {value:.4g} everywhere: no error can be measured")
    at, reach = float(logit(value)), reach / (value * (1 - value))
    return Interval(value, float(expit(at - reach)), float(expit(at + reach)), estimates, note)


# ---- AUC: from scores and groups


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
    names, codes = _coded(sides)
    labels, repeat_of = np.unique([side.repeat for side in sides], return_inverse=True)
    k, repeats = np.asarray(sides[0].scores).shape[1], len(labels)
    share = np.zeros((2, len(names), k))
    counted, means = np.zeros((2, len(names)), dtype=bool), np.zeros((repeats, k))
    per_repeat = np.bincount(repeat_of)
    fewest = np.inf
    for side, code, repeat in zip(sides, codes, repeat_of.tolist(), strict=True):
        placed, theta = _placements(side.positive, side.scores)
        means[repeat] += theta / per_repeat[repeat]
        for kind, rows in enumerate(_by_class(side.positive)):
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
    if _flat(error, np.append(gap, 1.0)):
        return _no_spread("group t", gap)
    return _student("group t", float(gap.mean()), error=error, df=df)


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
    means, estimates = found.means[:, at], _models_trained_on(share)
    error, df = _group_error(means, found.of_positives[:, at], found.of_negatives[:, at], found.df)
    if not min(found.df):
        return Interval(float(means.mean()), None, None, estimates, FEW_GROUPS.replace(" (p = 1)", ""))
    return _around(float(means.mean()), error=error, df=df, bounded=True, estimates=estimates)


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
    return _student(test, gap, error=error, df=np.inf, note="of these very models")


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
    return _around(value, error=error, df=np.inf, bounded=True, estimates="this very model")


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
    placed, theta = _placements(rows, scores)
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


def _placements(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def _by_class(positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positive = np.asarray(positive, dtype=bool)
    return positive, ~positive


def _coded(sides: Sequence[Side]) -> tuple[np.ndarray, list[np.ndarray]]:
    names, code = np.unique(np.concatenate([np.asarray(side.groups) for side in sides]), return_inverse=True)
    return names, np.split(code, np.cumsum([len(side.groups) for side in sides])[:-1])


# ---- the bootstrap by group


class Winner(NamedTuple):
    """The best of many configurations, and what its score is worth once it is known that it was picked.

    Attributes
    ----------
    best : int
        Column with the highest mean score.
    told : float
        Its score, which flatters: it was picked for being high.
    corrected : float
        The score to expect of what is so picked.
    low, high : float
        95 % interval of the corrected score (percentiles).
    note : str
        What a reader must know, or nothing.
    """

    best: int
    told: float
    corrected: float
    low: float
    high: float
    note: str = ""


def bootstrap_auc(sides: Sequence[Side], *, draws: int = DRAWS, seed: int) -> np.ndarray:
    """Return mean AUCs over the sides in bootstrap draws of whole groups, models as they are.

    Groups are drawn with replacement among those that have the same classes, so that no draw lacks a class. The
    intervals cover less than they promise for "models trained on half of this source"; see ``benchmarks/truth.py``.

    Parameters
    ----------
    sides : sequence of Side
        One test side, or those of all splits.
    draws : int
        How many.
    seed : int
        Same input, same seed, same draws.

    Returns
    -------
    numpy.ndarray of float64, shape (draws, k)
    """
    names, codes = _coded(sides)
    drawn = (_mean_auc(sides, codes, counts) for counts in _drawn(sides, names, codes, draws=draws, seed=seed))
    values = np.concatenate(list(drawn))
    return values[np.isfinite(values).all(1)]


def bootstrap_interval(sides: Sequence[Side], at: int = 0, *, draws: int = DRAWS, seed: int) -> Interval:
    """Return a classifier's mean AUC with its percentile interval over draws of groups; see :func:`bootstrap_auc`."""
    value = float(np.mean([_placements(side.positive, side.scores[:, [at]])[1][0] for side in sides]))
    only = [side._replace(scores=side.scores[:, [at]]) for side in sides]
    low, high = np.quantile(bootstrap_auc(only, draws=draws, seed=seed)[:, 0], [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(value, float(low), float(high), "these very models")


def bootstrap_difference(
    sides: Sequence[Side], first: int = 0, second: int = 1, *, draws: int = DRAWS, seed: int
) -> Difference:
    """Return the difference of two mean AUCs with its percentile interval; p is the level at which zero leaves it."""
    both = [side._replace(scores=side.scores[:, [first, second]]) for side in sides]
    theta = np.mean([_placements(side.positive, side.scores)[1] for side in both], axis=0)
    drawn = bootstrap_auc(both, draws=draws, seed=seed) @ np.array([1.0, -1.0])
    gap, error = float(theta[0] - theta[1]), float(drawn.std(ddof=1))
    if _flat(error, np.ones(1)):
        return _no_spread("group bootstrap", np.full(2, gap))
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    beyond = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p = float(min(1.0, 2 * (beyond + 1) / (len(drawn) + 1)))
    known = _student("group bootstrap", gap, error=error, df=np.inf, note="of these very models")
    return known._replace(low=float(low), high=float(high), p=p)


def corrected_winner(sides: Sequence[Side], *, draws: int = 500, seed: int) -> Winner:
    """Return the winner among configurations picked by their test scores, its score corrected for the picking.

    BBC-CV (Tsamardinos, Greasidou & Borboudakis 2018, Machine Learning 107:1895), by group: in each draw
    the best on the groups drawn is scored on those that were not. Scores of different sides come from different models
    and are not pooled: each side has its AUC, and their mean counts.

    Parameters
    ----------
    sides : sequence of Side
        The test sides of all splits, one column of scores a configuration.
    draws : int
        Bootstrap draws.
    seed : int
        Same input, same seed, same answer.

    Raises
    ------
    UsageError
        Where no draw leaves both classes out of the bag: there are too few groups.
    """
    names, codes = _coded(sides)
    told = np.mean([_placements(side.positive, side.scores)[1] for side in sides], axis=0)
    best = int(told.argmax())
    out: list[float] = []
    for counts in _drawn(sides, names, codes, draws=draws, seed=seed):
        inside, outside = _mean_auc(sides, codes, counts), _mean_auc(sides, codes, (counts == 0).astype(float))
        usable = np.isfinite(inside).all(1) & np.isfinite(outside).all(1)
        picked = inside[usable].argmax(1)
        out += outside[usable][np.arange(len(picked)), picked].tolist()
    if len(out) < draws / 2:
        raise UsageError(
            f"the winner cannot be corrected for having been picked: {len(names)} groups are too few to leave both "
            "classes out of a draw; choose inside the train half instead"
        )
    low, high = np.quantile(out, [LEVEL / 2, 1 - LEVEL / 2])
    note = f"{draws - len(out)} of {draws} draws left a class out and do not count" if len(out) < draws else ""
    return Winner(best, float(told[best]), float(np.mean(out)), float(low), float(high), note)


def _drawn(
    sides: Sequence[Side], names: np.ndarray, codes: Sequence[np.ndarray], *, draws: int, seed: int
) -> Iterator[np.ndarray]:
    """Yield how often each group is drawn, (some draws, groups), as many draws at once as memory allows."""
    rng = np.random.default_rng(seed)
    has = np.zeros((2, len(names)), dtype=np.int64)
    for side, code in zip(sides, codes, strict=True):
        has[np.asarray(side.positive, dtype=np.int64), code] = 1
    kind = has[0] + 2 * has[1]
    at_once = max(1, CHUNK // max(len(names), *(len(code) for code in codes)))
    for begin in range(0, draws, at_once):
        some = min(at_once, draws - begin)
        counts = np.zeros((some, len(names)))
        for own in (np.flatnonzero(kind == word) for word in (1, 2, 3)):
            if len(own):
                counts[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), size=some)
        yield counts


def _mean_auc(sides: Sequence[Side], codes: Sequence[np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Return mean AUCs over the sides that have both classes in a draw, (draws, k); NaN where none has."""
    total = np.zeros((len(counts), np.asarray(sides[0].scores).shape[1]))
    usable = np.zeros((len(counts), 1))
    for side, code in zip(sides, codes, strict=True):
        weights = np.ascontiguousarray(counts[:, code].T)
        positive, negative = _by_class(side.positive)
        both = weights[positive].any(0) & weights[negative].any(0)
        weights = weights if both.all() else weights[:, both]
        usable[both] += 1
        for column, score in enumerate(np.asarray(side.scores, dtype=np.float64).T):
            total[both, column] += _weighted_auc(positive, score, weights)
    return np.divide(total, usable, out=np.full_like(total, np.nan), where=usable > 0)


def _weighted_auc(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the AUC under each column of weights (n, draws): ties count half.

    The weights of the positive rows are added up in the order of their scores, once; each negative row then looks up
    how much of them lies below it.
    """
    order = np.argsort(score[positive], kind="stable")
    up, own = score[positive][order], weights[~positive]
    below = np.zeros((len(up) + 1, weights.shape[1]))
    np.cumsum(weights[positive][order], axis=0, out=below[1:])
    first, last = (np.searchsorted(up, score[~positive], side=side) for side in ("left", "right"))
    lost = np.einsum("nd,nd->d", below[first], own)
    if (first != last).any():
        lost = (lost + np.einsum("nd,nd->d", below[last], own)) / 2
    return np.asarray(1 - lost / (below[-1] * own.sum(0)))


# ---- shares, many tests, many datasets


def share_interval(hits: np.ndarray, *, groups: np.ndarray | None = None, estimates: str = "") -> Interval:
    """Return a share (a sensitivity, say) with Wilson's interval (1927), groups counted as Rao & Scott (1992) do.

    The variance by group, against that of as many independent rows, says how many rows the rows are worth.

    Parameters
    ----------
    hits : numpy.ndarray of bool, shape (n,)
        Rows that count.
    groups : numpy.ndarray, shape (n,), optional
        Group of each row.
    estimates : str
        What it is a share of, for the reader.

    Raises
    ------
    ValueError
        Where there are no rows.
    """
    from scipy.stats import norm

    hits = np.asarray(hits, dtype=bool)
    if not len(hits):
        raise ValueError("a share needs rows; none came")
    share = float(hits.mean())
    worth, note = _worth(hits, groups)
    z = float(norm.isf(LEVEL / 2))
    centre, shrunk = (share + z**2 / (2 * worth)) / (1 + z**2 / worth), 1 + z**2 / worth
    reach = z / shrunk * float(np.sqrt(share * (1 - share) / worth + z**2 / (4 * worth**2)))
    return Interval(share, max(centre - reach, 0.0), min(centre + reach, 1.0), estimates, note)


def _worth(hits: np.ndarray, groups: np.ndarray | None) -> tuple[float, str]:
    """Return how many independent rows these are worth: the groups' number where no variance can be measured."""
    n, share = len(hits), hits.mean()
    if groups is None:
        return float(n), ""
    code = np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(code.max()) + 1
    if share in (0, 1) or count < 2:
        return float(count), ""
    sums = np.bincount(code, hits - share, minlength=count)
    variance = count / (count - 1) * float((sums**2).sum()) / n**2
    return float(np.clip(share * (1 - share) / max(variance, 1e-300), 1, n)), ""


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
