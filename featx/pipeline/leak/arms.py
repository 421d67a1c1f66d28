"""The arms of a measured leak: the same pictures and classifier, split as published, by image, and by group.

Each arm is a plan of repeated hold-outs over all versions of all pictures, and the groups that a study so made would
hold apart when it chooses hyperparameters. What lies between two neighbouring arms is one leak and no other. This file
must never know features or classifiers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from featx import folds
from featx.folds import Folds, Split
from featx.pipeline.leak.protocols import Protocol, Version

PUBLISHED, ORIGINALS, BY_IMAGE, BY_GROUP = (
    "as published", "as published, tested on originals", "by image, copies of train images only",
    "by group, copies of train images only",
)  # fmt: skip


class Arm(NamedTuple):
    """One way to split.

    Attributes
    ----------
    name : str
        What is told of it.
    plan : Folds
        The splits, over the versions.
    """

    name: str
    plan: Folds

    @property
    def groups(self) -> list[str]:
        """What this arm holds apart, of each version."""
        return list(self.plan.groups)


class Step(NamedTuple):
    """What lies between two arms: a leak, by itself or with all others.

    Attributes
    ----------
    leak : str
        What it is.
    leaky, honest : str
        Names of the two arms.
    """

    leak: str
    leaky: str
    honest: str


STEPS = (
    Step("all of it", PUBLISHED, BY_GROUP),
    Step("copies among what is tested", PUBLISHED, ORIGINALS),
    Step("copies of tested images among what is learned", ORIGINALS, BY_IMAGE),
    Step("other images of tested groups among what is learned", BY_IMAGE, BY_GROUP),
)


def arms_of(
    protocol: Protocol,
    versions: Sequence[Version],
    *,
    names: Sequence[str],
    y: np.ndarray,
    groups: Sequence[str],
    repeats: int,
    seed: int,
) -> tuple[Arm, Arm, Arm]:
    """Draw the three arms: as published, by image, by group.

    Parameters
    ----------
    protocol : Protocol
        Shares, and what is copied.
    versions : sequence of Version, length v
        All pictures and all copies.
    names : sequence of str, length v
        A distinct name of each.
    y : numpy.ndarray of int64, shape (n,)
        Class codes of the pictures.
    groups : sequence of str, length n
        What may not be divided, by picture.
    repeats, seed : int
        How many hold-outs each arm has, and where their chance begins: repeat ``r`` of every arm has one seed.

    Raises
    ------
    SplitError
        Where a part would stay without a class.
    """
    of = np.array([version.of for version in versions])
    original = np.array([version.copy == 0 for version in versions])
    codes = y[of].astype(str).tolist()
    # that every part has its share of originals of each class is this measurement's own: they are tested apart
    kinds = [f"{code} {'itself' if own else 'copy'}" for code, own in zip(codes, original.tolist(), strict=True)]
    seeds = [int(np.random.SeedSequence([seed, r]).generate_state(1)[0]) for r in range(repeats)]
    every = [folds.holdout(names, kinds, shares=protocol.shares, seed=own) for own in seeds]
    arms = [Arm(PUBLISHED, _plan(protocol, "published", names, names, every, seed))]
    for name, word, held in ((BY_IMAGE, "image", _numbers(len(y))), (BY_GROUP, "group", list(groups))):
        drawn = [folds.holdout(held, y.astype(str).tolist(), shares=protocol.shares, seed=own) for own in seeds]
        whole = [_copies_train(split, of) for split in drawn]
        arms.append(Arm(name, _plan(protocol, word, names, [held[row] for row in of.tolist()], whole, seed)))
    for arm in arms:
        folds.refuse_straddling(arm.plan)
    return arms[0], arms[1], arms[2]


def _numbers(count: int) -> list[str]:
    return [f"image {row}" for row in range(count)]


def _copies_train(split: Split, of: np.ndarray) -> Split:
    """Take a split of the pictures to all versions: those of train pictures train, other copies take no part.

    Pictures are the first versions, so that their rows are the same in both.
    """
    return split._replace(train=np.flatnonzero(np.isin(of, split.train)))


def _plan(
    protocol: Protocol, word: str, names: Sequence[str], groups: Sequence[str], splits: Sequence[Split], seed: int
) -> Folds:
    numbered = tuple(split._replace(repeat=repeat) for repeat, split in enumerate(splits))
    return Folds(f"{protocol.name}:{word}", seed, tuple(names), tuple(groups), numbered)
