"""A plan of folds whose train sides have fewer rows: for curves of how much training data is worth.

Whole groups are left out, stratified; test and validation sides stay as they are. Knows no features and no classifiers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from featx.errors import UsageError
from featx.folds.drawing import deal
from featx.folds.plan import Folds, Split


def thinned(folds: Folds, share: float, *, strata: Sequence[str], seed: int) -> Folds:
    """Return a plan with a share of the rows of each train side.

    Parameters
    ----------
    folds : Folds
        The whole plan.
    share : float
        Above 0, to 1; 1 gives the plan as it is.
    strata : sequence of str, length n
        The word of each row to stratify by (the diagnosis).
    seed : int
        Same plan, same share, same seed, same rows.

    Raises
    ------
    UsageError
        Where the share is none.
    """
    if not 0 < share <= 1:
        raise UsageError(f"a share of the train rows is above 0, to 1; {share} came")
    if share == 1:
        return folds
    splits = tuple(_thinned(split, folds.groups, strata, share, seed) for split in folds.splits)
    note = f"{share:.0%} of the rows of each train side are used, drawn by group (seed {seed})"
    return replace(folds, scheme=f"{folds.scheme}, {share:.0%} of train", splits=splits, notes=(*folds.notes, note))


def _thinned(split: Split, groups: Sequence[str], strata: Sequence[str], share: float, seed: int) -> Split:
    rows = split.train.tolist()
    own, words = [groups[row] for row in rows], [strata[row] for row in rows]
    rng = np.random.default_rng([seed, split.repeat, split.half])
    part = deal(own, words, shares=[share, 1 - share], rng=rng)
    return split._replace(train=split.train[part == 0])
