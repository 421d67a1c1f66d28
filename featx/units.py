"""From images to what scores are of: a lesion's score is the mean of its images'. Knows no classifiers and no files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from featx.datasets import Dataset, Sample
from featx.errors import DataError, UsageError


class ByUnit(NamedTuple):
    """The units of some rows.

    Attributes
    ----------
    y : numpy.ndarray of int64, shape (n,)
        Class code of each unit.
    scores : numpy.ndarray of float64, shape (n, c)
        Mean score of its images.
    groups : numpy.ndarray of str, shape (n,)
        The group that it is in.
    """

    y: np.ndarray
    scores: np.ndarray
    groups: np.ndarray


def units_of(dataset: Dataset, samples: Sequence[Sample], *, unit: str, y: np.ndarray) -> list[str]:
    """Return the unit of each sample.

    Parameters
    ----------
    dataset : Dataset
        Where they come from.
    samples : sequence of Sample, length n
        The samples that have a class.
    unit : str
        ``image``, or what the dataset calls its unit or group.
    y : numpy.ndarray of int64, shape (n,)
        Their class codes.

    Raises
    ------
    UsageError
        Where the dataset knows no such unit.
    DataError
        Where a unit has samples of two classes or of two groups.
    """
    if unit == "image":
        return [sample.id for sample in samples]
    known = {"image", dataset.unit_kind, dataset.group_kind} - {None}
    if unit not in known:
        raise UsageError(f"--unit {unit}: {dataset.name} knows {', '.join(sorted(map(str, known)))}")
    by_unit = unit == dataset.unit_kind
    names = [sample.unit if by_unit else sample.group for sample in samples]
    first: dict[str, tuple[int, str]] = {}
    for name, code, sample in zip(names, y.tolist(), samples, strict=True):
        known_code, known_group = first.setdefault(name, (code, sample.group))
        if known_code != code:
            raise DataError(f"{unit} {name!r} has images of two classes, so that nothing can be reported for it as one")
        if known_group != sample.group:
            raise DataError(f"{unit} {name!r} has images of two groups, so that folds may divide it; group by {unit}")
    return names


def mean_scores(units: Sequence[str], scores: np.ndarray, *, y: np.ndarray, groups: Sequence[str]) -> ByUnit:
    """Return rows by unit: a unit's score is the mean of its images', its class and group those of the first.

    Parameters
    ----------
    units, groups : sequences of str, length n
        Unit and group of each row.
    scores : numpy.ndarray of float64, shape (n, c)
        Scores of the rows.
    y : numpy.ndarray of int64, shape (n,)
        Their class codes.
    """
    _, at, member = np.unique(units, return_index=True, return_inverse=True)
    first = scores[at]
    beyond = np.zeros_like(first)  # a mean of equal scores must be that very score, or ties would be broken by rounding
    np.add.at(beyond, member, scores - first[member])
    return ByUnit(y[at], first + beyond / np.bincount(member)[:, None], np.asarray(groups)[at])
