"""The bootstrap of whole groups: intervals of models as they are, and what a winner is worth that was picked.

Its intervals cover less than they promise for "models trained on half of this source" (``benchmarks/truth.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from featx.errors import UsageError
from featx.significance.auc import Side, by_class, coded, placements
from featx.significance.results import LEVEL, Difference, Interval, flat, no_spread, student

DRAWS = 2000
CHUNK = 4_000_000  # numbers of bootstrap weights at once: 32 MB


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
    names, codes = coded(sides)
    drawn = (_mean_auc(sides, codes, counts) for counts in _drawn(sides, names, codes, draws=draws, seed=seed))
    values = np.concatenate(list(drawn))
    return values[np.isfinite(values).all(1)]


def bootstrap_interval(sides: Sequence[Side], at: int = 0, *, draws: int = DRAWS, seed: int) -> Interval:
    """Return a classifier's mean AUC with its percentile interval over draws of groups; see :func:`bootstrap_auc`."""
    value = float(np.mean([placements(side.positive, side.scores[:, [at]])[1][0] for side in sides]))
    only = [side._replace(scores=side.scores[:, [at]]) for side in sides]
    low, high = np.quantile(bootstrap_auc(only, draws=draws, seed=seed)[:, 0], [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(value, float(low), float(high), "these very models")


def bootstrap_difference(
    sides: Sequence[Side], first: int = 0, second: int = 1, *, draws: int = DRAWS, seed: int
) -> Difference:
    """Return the difference of two mean AUCs with its percentile interval; p is the level at which zero leaves it."""
    both = [side._replace(scores=side.scores[:, [first, second]]) for side in sides]
    theta = np.mean([placements(side.positive, side.scores)[1] for side in both], axis=0)
    drawn = bootstrap_auc(both, draws=draws, seed=seed) @ np.array([1.0, -1.0])
    gap, error = float(theta[0] - theta[1]), float(drawn.std(ddof=1))
    if flat(error, np.ones(1)):
        return no_spread("group bootstrap", np.full(2, gap))
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    beyond = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p = float(min(1.0, 2 * (beyond + 1) / (len(drawn) + 1)))
    known = student("group bootstrap", gap, error=error, df=np.inf, note="of these very models")
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
    names, codes = coded(sides)
    told = np.mean([placements(side.positive, side.scores)[1] for side in sides], axis=0)
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
        positive, negative = by_class(side.positive)
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
