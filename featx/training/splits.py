"""The splits of a training: which rows of each learn, and which of them are held back to watch it.

Builds no network and trains nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from featx import folds
from featx.engine import OnProgress
from featx.errors import SplitError
from featx.folds import Folds, Split, join_groups
from featx.plans import plan_of
from featx.training.pixels import Pixels
from featx.training.request import ALL, Request, pixels_of

ATTEMPTS = 50  # draws of a validation part that has every class


class Sides(NamedTuple):
    """Rows of a dataset that a network learns from, and those that it is watched on.

    Attributes
    ----------
    split : Split or None
        The split; None where everything is learned from.
    train, validation : numpy.ndarray of int64
        Row numbers into the dataset's samples.
    """

    split: Split | None
    train: np.ndarray
    validation: np.ndarray

    @property
    def name(self) -> str:
        """The split as files and people call it."""
        return f"{self.split.repeat}x{self.split.half}" if self.split else ALL


@dataclass(frozen=True)
class Work:
    """All that is to be trained.

    Attributes
    ----------
    request : Request
        What is asked.
    pixels : Pixels
        The decoded images.
    groups : tuple of str
        Group of each sample, byte-identical images joined.
    plan : Folds or None
        The plan of folds; None where everything is learned from.
    sides : tuple of Sides
        One a split.
    notes : tuple of str
        What the user should know.
    """

    request: Request
    pixels: Pixels
    groups: tuple[str, ...]
    plan: Folds | None
    sides: tuple[Sides, ...]
    notes: tuple[str, ...]


def plan_for(request: Request, on_decoded: OnProgress | None = None) -> Work:
    """Decode the images, draw the folds and the validation parts.

    Raises
    ------
    SplitError
        Where a class is missing on a side.
    """
    pixels, dataset, y = pixels_of(request, on_decoded), request.dataset, request.y
    groups = tuple(join_groups([sample.group for sample in dataset.samples], pixels.digests))
    usable = np.array([bool(y[row] >= 0 and s.path not in pixels.failed) for row, s in enumerate(dataset.samples)])
    notes = [f"{len(pixels.failed)} images could not be decoded, and are not learned from"] if pixels.failed else []
    if request.asked.folds == ALL:
        rows = np.flatnonzero(usable)
        return Work(
            request, pixels, groups, None, (_sides(request, groups, None, rows, np.array([], int)),), tuple(notes)
        )
    plan, _ = plan_of(dataset, groups, request.asked.folds, seed=request.settings.seed, folder=request.places.folds)
    rows = np.flatnonzero(usable)
    ids = [dataset.samples[row].id for row in rows]
    checked = folds.check(plan, ids=ids, y=y[rows], classes=request.classes, design=request.design.name)
    sides = [_sides(request, groups, s, rows[s.train], rows[s.validation]) for s in checked]
    return Work(request, pixels, groups, plan, tuple(sides), (*notes, *plan.notes))


def _sides(
    request: Request, groups: tuple[str, ...], split: Split | None, train: np.ndarray, validation: np.ndarray
) -> Sides:
    """Hold back a part of the train rows by group, unless the plan has one, every class on both sides."""
    if validation.size:
        return Sides(split, train, validation)
    y, share = request.y[train], request.settings.validation
    own = [groups[row] for row in train.tolist()]
    classes = set(y.tolist())
    for attempt in range(ATTEMPTS):
        seed = request.settings.seed + 7919 * attempt
        drawn = folds.draw(f"holdout:{100 - round(100 * share)}/{round(100 * share)}", [str(row) for row in train],
                           groups=own, strata=y.astype(str).tolist(), seed=seed).splits[0]  # fmt: skip
        if set(y[drawn.train].tolist()) == set(y[drawn.test].tolist()) == classes:
            return Sides(split, train[drawn.train], train[drawn.test])
    fewest = min(Counter(code for _, code in set(zip(own, y.tolist(), strict=True))).items(), key=lambda item: item[1])
    raise SplitError(
        f"no validation part of {share:.0%} has every class on both sides: class {request.classes[fewest[0]]!r} has "
        f"{fewest[1]} groups among {len(train)} train rows; take a larger --validation"
    )
