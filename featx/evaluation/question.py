"""What is asked: a design on a train file and a test file, its classes the same on both.

Knows no classifiers and computes no score.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from featx import designs
from featx.designs import Design
from featx.errors import DataError, UsageError
from featx.matrix import Features
from featx.units import units_of


class Side(NamedTuple):
    """The rows of one file that a design keeps.

    Attributes
    ----------
    rows : numpy.ndarray of int64, shape (n,)
        Rows of the file.
    y : numpy.ndarray of int64, shape (n,)
        Their class codes.
    ids, groups, units : list of str
        Of those rows.
    counts : dict of str to int
        Rows of each class.
    dropped : dict of str to int
        Rows with features that the design leaves out, by reason.
    """

    rows: np.ndarray
    y: np.ndarray
    ids: list[str]
    groups: list[str]
    units: list[str]
    counts: dict[str, int]
    dropped: dict[str, int]


class Question(NamedTuple):
    """A design, and who is learned from and who is tested.

    Attributes
    ----------
    design : Design
        The design.
    classes : tuple of str
        Class names in the order of the codes; of two the second is the positive one.
    train, test : Side
        The two sides.
    """

    design: Design
    classes: tuple[str, ...]
    train: Side
    test: Side


def question_of(design: Design, train: Features, test: Features, *, unit: str) -> Question:
    """Put a design to both files.

    Raises
    ------
    UsageError
        Where a dataset's labels cannot answer it, or the classes of the two are not the same.
    DataError
        Where a diagnosis has no place in it, a class has no row, or a unit has rows of two classes.
    """
    own, classes = _side(design, train, word="train", unit="image")
    other, asked = _side(design, test, word="test", unit=unit)
    if classes != asked:
        raise UsageError(
            f"design {design.name!r} has the classes {', '.join(classes)} in {train.path} and {', '.join(asked)} in "
            f"{test.path}; take a design that names its classes (a YAML file), so that both have the same"
        )
    return Question(design, classes, own, other)


def _side(design: Design, table: Features, *, word: str, unit: str) -> tuple[Side, tuple[str, ...]]:
    dataset = table.dataset
    if design.name in designs.DESIGNS and (reason := dataset.refusal(design.name)):
        raise UsageError(
            f"design {design.name!r} cannot be asked of the {word} dataset {dataset.name} ({dataset.adapter}): "
            f"{reason}; it supports {', '.join(dataset.designs)}"
        )
    usable = np.flatnonzero(table.usable)
    try:
        assignment = design.assign([dataset.samples[row].diagnosis for row in usable.tolist()])
    except DataError as error:
        raise DataError(f"{word} features {table.path}: {error}") from None
    rows, y = usable[assignment.y >= 0], assignment.y[assignment.y >= 0]
    ids = [dataset.samples[row].id for row in rows.tolist()]
    groups = [table.groups[row] for row in rows.tolist()]
    units = units_of(table.dataset, [table.dataset.samples[row] for row in rows.tolist()], unit=unit, y=y)
    return Side(rows, y, ids, groups, units, assignment.counts, assignment.dropped), assignment.classes
