"""Drawing splits by chance: whole groups are dealt onto parts, stratified. Knows no features and no classifiers.

The 5x2 plan is Dietterich's (1998): five random halvings, each used both ways. His halvings are neither stratified
nor grouped; these are both, which is a stated variation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from featx.errors import SplitError, UsageError
from featx.folds.plan import Split, canonical

ATTEMPTS = 100
TENTHS = 10  # inner draws of Menegola et al. (2017)


def deal(
    groups: Sequence[str], strata: Sequence[str], *, shares: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Deal whole groups onto parts so that each part gets its share of every stratum.

    Big groups first, in random order among equals; each goes where the strata that it holds are furthest below their
    share, or else where nothing is yet, ties by chance.

    Parameters
    ----------
    groups, strata : sequences of str, length n
        Group and stratum of each row.
    shares : sequence of float
        Wanted share of each part; they sum to 1.
    rng : numpy.random.Generator
        The source of chance.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        The part of each row.
    """
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    kinds, stratum = np.unique(np.asarray(strata, dtype=str), return_inverse=True)
    counts = np.zeros((len(names), len(kinds)))
    np.add.at(counts, (member, stratum), 1)
    order = rng.permutation(len(names))
    order = order[np.argsort(-counts.sum(1)[order], kind="stable")]
    wanted = np.outer(shares, counts.sum(0))
    missing = wanted.copy()
    weight = counts / counts.sum(0)
    part = np.empty(len(names), dtype=np.int64)
    ties = rng.random((len(names), len(shares)))
    empty = np.ones(len(shares), dtype=bool)
    for group in order:
        need = np.round((missing / wanted) @ weight[group], 12)
        part[group] = np.lexsort((ties[group], empty, need))[-1]
        empty[part[group]] = False
        missing[part[group]] -= counts[group]
    return part[member]


def inner_parts(y: np.ndarray, groups: Sequence[str], *, k: int, seed: int) -> np.ndarray:
    """Deal the rows of a train side onto ``k`` grouped, stratified parts, every class in each.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        The inner part of each row.

    Raises
    ------
    SplitError
        Where a class has too few groups to be on both sides of two inner parts.
    """
    y = np.asarray(y)
    fewest = min((len({groups[row] for row in np.flatnonzero(y == code).tolist()}), code) for code in np.unique(y))
    if fewest[0] < 2:
        raise SplitError(
            f"class number {fewest[1]} has {fewest[0]} group inside a train half, so that nothing can be chosen there; "
            "fix the hyperparameter with --param (C=1, for a tree min_samples_leaf=5)"
        )
    k = min(k, fewest[0])
    rng = np.random.default_rng(seed)
    words = y.astype(str).tolist()
    for _ in range(ATTEMPTS):
        parts = deal(groups, words, shares=[1 / k] * k, rng=rng)
        if all(set(y[parts != part]) == set(y[parts == part]) == set(y) for part in range(k)):
            return parts
    raise SplitError("no inner split has every class on both sides; fix the hyperparameter with --param (C=1)")


class Inner(NamedTuple):
    """How hyperparameters are chosen inside a train half.

    Attributes
    ----------
    held : list of numpy.ndarray of bool, shape (n,)
        The rows that each inner split holds back.
    scheme : str
        What was drawn: ``kfold`` or ``shuffle10``; another than was asked for where that was not possible.
    """

    held: list[np.ndarray]
    scheme: str


def inner_splits(y: np.ndarray, groups: Sequence[str], *, scheme: str, k: int, seed: int) -> Inner:
    """Return the inner splits of a train half: grouped parts, or ten draws of a tenth as in Menegola et al. (2017).

    Their draws hold back a tenth of the images; these hold back whole groups. Where ten draws with at least two rows of
    each class on both sides cannot be had, the grouped parts are taken instead, and ``scheme`` says so.

    Parameters
    ----------
    y : numpy.ndarray of int, shape (n,)
        Class codes.
    groups : sequence of str, length n
        What may not be divided.
    scheme : {"kfold", "shuffle10"}
        Grouped parts, or ten draws.
    k : int
        How many parts.
    seed : int
        Same input, same seed, same splits.

    Raises
    ------
    SplitError
        As :func:`inner_parts`.
    """
    if scheme == "shuffle10" and (drawn := _tenths(np.asarray(y), groups, seed=seed)):
        return Inner(drawn, "shuffle10")
    parts = inner_parts(y, groups, k=k, seed=seed)
    return Inner([parts == part for part in range(parts.max() + 1)], "kfold")


def _tenths(y: np.ndarray, groups: Sequence[str], *, seed: int) -> list[np.ndarray]:
    """Return ten masks of a tenth of the rows, or none where one of them cannot be had."""
    rng = np.random.default_rng(seed)
    words = y.astype(str).tolist()
    drawn: list[np.ndarray] = []
    for _ in range(ATTEMPTS):
        held = deal(groups, words, shares=[0.9, 0.1], rng=rng) == 1
        sides = [np.bincount(y[side], minlength=y.max() + 1) for side in (held, ~held)]
        if min(counts.min() for counts in sides) >= 2:
            drawn.append(held)
        if len(drawn) == TENTHS:
            return drawn
    return []


def halvings(groups: Sequence[str], strata: Sequence[str], *, repeats: int, seed: int) -> list[Split]:
    """Return the splits of distinct halvings, each used both ways."""
    rng = np.random.default_rng(seed)
    splits: list[Split] = []
    seen: set[bytes] = set()
    for repeat in range(repeats):
        for _ in range(ATTEMPTS):
            part = _dealt(groups, strata, shares=[0.5, 0.5], rng=rng)
            if canonical(part == 1) not in seen:
                break
        else:
            raise SplitError(
                f"only {repeat} distinct halvings of {len(set(groups))} groups were found where {repeats} are needed; "
                "there are too few groups for 5x2 folds"
            )
        seen.add(canonical(part == 1))
        splits += [_split(repeat, half, part, test=half) for half in (0, 1)]
    return splits


def _dealt(
    groups: Sequence[str], strata: Sequence[str], *, shares: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Deal until every part has a row of each stratum that has groups enough; the last try where none has."""
    kinds = np.asarray(strata, dtype=str)
    enough = [kind for kind, count in _groups_per(groups, strata).items() if count >= len(shares)]
    for _ in range(ATTEMPTS):
        part = deal(groups, strata, shares=shares, rng=rng)
        whole = len(set(part)) == len(shares)
        if whole and all(len(set(part[kinds == kind])) == len(shares) for kind in enough):
            break
    if not whole:
        raise SplitError(_too_few(groups, parts=len(shares)))
    return part


def _too_few(groups: Sequence[str], *, parts: int) -> str:
    count = len(set(groups))
    return f"{count} group{'s' * (count != 1)} cannot be divided into {parts} parts; a group may not be divided"


def _groups_per(groups: Sequence[str], strata: Sequence[str]) -> Counter[str]:
    return Counter(kind for _, kind in {(group, str(kind)) for group, kind in zip(groups, strata, strict=True)})


def kfold(groups: Sequence[str], strata: Sequence[str], *, k: int, seed: int) -> list[Split]:
    """Return one split for each of ``k`` parts, which it tests."""
    if k < 2:
        raise UsageError(f"kfold needs at least 2 parts, {k} came")
    if k > len(set(groups)):
        raise SplitError(_too_few(groups, parts=k))
    part = _dealt(groups, strata, shares=[1 / k] * k, rng=np.random.default_rng(seed))
    return [_split(0, fold, part, test=fold) for fold in range(k)]


def holdout(groups: Sequence[str], strata: Sequence[str], *, shares: Sequence[float], seed: int) -> Split:
    """Return one split into train and test, or train, validation and test."""
    part = _dealt(groups, strata, shares=shares, rng=np.random.default_rng(seed))
    if len(shares) == 2:
        return _split(0, 0, part, test=1)
    return _split(0, 0, part, test=2, validation=1)


def _split(repeat: int, half: int, part: np.ndarray, *, test: int, validation: int | None = None) -> Split:
    middle = part == validation if validation is not None else np.zeros(len(part), dtype=bool)
    tested = part == test
    return Split(repeat, half, np.flatnonzero(~tested & ~middle), np.flatnonzero(tested), np.flatnonzero(middle))
