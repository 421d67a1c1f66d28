"""A dataset by columns: what it says of its samples beside the picture, counted. Never knows how a page looks.

A value counts as missing where it is empty or one of a few words (``UNKNOWN``); nothing is filled or corrected.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from featx.datasets import Dataset
from featx.fingerprints import Fingerprint, Fingerprints
from featx.folds import join_groups
from featx.shortcuts import AGE, SEX, SITE, SOURCE, UNKNOWN

CONFIRMED = ("dx_type", "diagnosis_confirm_type", "diagnosis_confirmed_by", "diagnosis_method")
MOST_VALUES = 20  # of an attribute that is shown value by value
MOST_DIAGNOSES = 12  # that are shown one by one, where each takes a panel or a column
MISSING, OTHERS = "(missing)", "(all others)"


class Cross(NamedTuple):
    """Two-way counts.

    Attributes
    ----------
    rows, columns : tuple of str
        Values of the one and of the other.
    counts : numpy.ndarray of int64, shape (r, c)
        Samples that have both.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Each count as a share of its column, 0 where the column is empty."""
        return self.counts / np.maximum(self.counts.sum(axis=0), 1)


class Numbers(NamedTuple):
    """A column read as numbers.

    Attributes
    ----------
    values : numpy.ndarray of float64, shape (n,)
        NaN where the value is missing or no number.
    strange : tuple of str
        Values that are neither missing nor finite numbers, each once.
    """

    values: np.ndarray
    strange: tuple[str, ...]

    @property
    def known(self) -> np.ndarray:
        """Return those that are numbers."""
        return self.values[~np.isnan(self.values)]


@dataclass(frozen=True)
class View:
    """A dataset, seen by columns.

    Attributes
    ----------
    dataset : Dataset
        The samples.
    fingerprints : Fingerprints or None
        Of their files; None where none were taken.
    """

    dataset: Dataset
    fingerprints: Fingerprints | None = None

    @cached_property
    def diagnoses(self) -> list[str]:
        """Diagnosis of each sample."""
        return [sample.diagnosis for sample in self.dataset.samples]

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The diagnoses, grades by their number, others the most frequent first."""
        return ordered(Counter(self.diagnoses))

    @cached_property
    def digests(self) -> list[str]:
        """The sha256 of each sample's file; empty where it could not be read, or was not."""
        held = self.files
        return [held[s.id].sha256 if s.id in held else "" for s in self.dataset.samples]

    @cached_property
    def groups(self) -> list[str]:
        """Group of each sample, byte-identical images joined."""
        return join_groups([sample.group for sample in self.dataset.samples], self.digests)

    @cached_property
    def files(self) -> Mapping[str, Fingerprint]:
        """Fingerprints by sample id."""
        return self.fingerprints.of if self.fingerprints else {}

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Names of all attributes, in the order in which they come."""
        return tuple(dict.fromkeys(name for sample in self.dataset.samples for name in sample.attributes))

    @property
    def group_word(self) -> str:
        """What a group is called."""
        return self.dataset.group_kind or "group"

    @cached_property
    def age(self) -> str | None:
        """The attribute that holds ages, as those below, or None."""
        return self._find(AGE)

    @cached_property
    def sex(self) -> str | None:
        """The attribute that holds the sex."""
        return self._find(SEX)

    @cached_property
    def site(self) -> str | None:
        """The attribute that holds the place on the body."""
        return self._find(SITE)

    @cached_property
    def confirmed(self) -> str | None:
        """The attribute that says how the diagnosis was confirmed."""
        return self._find(CONFIRMED)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The attributes that say where a sample comes from, and its official split."""
        wanted = {*SOURCE, "split"}
        return tuple(name for name in self.attributes if name.lower() in wanted)

    def column(self, name: str) -> list[str]:
        """Return an attribute of each sample as it is written, empty where it has none."""
        return [sample.attributes.get(name, "") for sample in self.dataset.samples]

    def values(self, name: str) -> list[str]:
        """Return an attribute of each sample, all that is missing under one name."""
        return [MISSING if is_missing(word) else word for word in self.column(name)]

    def numbers(self, name: str) -> Numbers:
        """Return an attribute of each sample as a number."""
        words = self.column(name)
        read = [math.nan if is_missing(word) else _number(word) for word in words]
        strange = (word for word, number in zip(words, read, strict=True) if number is None)
        values = np.array([math.nan if number is None else number for number in read], dtype=float)
        return Numbers(values, tuple(dict.fromkeys(strange)))

    def by_diagnosis(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return numbers of the samples by diagnosis without NaN, the rarest diagnoses under one name."""
        shown = np.array(lumped(self.diagnoses, self.order, most=MOST_DIAGNOSES))
        parts = {name: values[(shown == name) & ~np.isnan(values)] for name in (*self.order, OTHERS)}
        return {name: part for name, part in parts.items() if len(part)}

    def _find(self, names: Sequence[str]) -> str | None:
        """Return the first of some names, in any case, that the samples have an attribute of with a known value."""
        lower = {name.lower(): name for name in reversed(self.attributes)}
        found = (lower[name] for name in names if name in lower)
        return next((name for name in found if any(word != MISSING for word in self.values(name))), None)


def is_missing(word: str) -> bool:
    """Return whether a value says nothing."""
    return word.strip().lower() in UNKNOWN


def ordered(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return values in the order in which they are shown: by number or by count, what is missing last."""
    known = [value for value in counts if value not in (MISSING, OTHERS)]
    read = {value: _number(value) for value in known}
    numbers = {value: number for value, number in read.items() if number is not None}
    if len(numbers) == len(known):
        first = sorted(known, key=lambda value: (numbers[value], value))
    else:
        first = sorted(known, key=lambda value: (-counts[value], value))
    return (*first, *(name for name in (OTHERS, MISSING) if name in counts))


def lumped(values: Iterable[str], order: Sequence[str], *, most: int) -> list[str]:
    """Return values with the rarest under one name, where there are more than ``most``."""
    values = list(values)
    if len(order) <= most:
        return values
    kept = {value for value, _ in Counter(values).most_common(most - 1)} | {MISSING}
    return [value if value in kept else OTHERS for value in values]


def crossed(rows: Sequence[str], columns: Sequence[str]) -> Cross:
    """Return the two-way counts of two columns; beyond 20 and 12 values the rarest are counted together."""
    rows = lumped(rows, tuple(Counter(rows)), most=MOST_VALUES)
    columns = lumped(columns, tuple(Counter(columns)), most=MOST_DIAGNOSES)
    row_names, column_names = ordered(Counter(rows)), ordered(Counter(columns))
    pairs = Counter(zip(rows, columns, strict=True))
    counts = np.array([[pairs[row, column] for column in column_names] for row in row_names], dtype=np.int64)
    return Cross(row_names, column_names, counts)


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
