"""What clinical numbers and subgroups share: rows of a test side, which interval a plan allows, how one is written."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from featx import significance
from featx.comparison.cells import by_unit
from featx.comparison.question import Question
from featx.datasets import Sample
from featx.folds import Folds, Split
from featx.matrix import Features
from featx.significance import Interval

NO_INNER = "the train side has no out-of-fold scores of both classes, so that nothing can be chosen there"
MANY_SOURCES = "the test sides are other sources and no resamples of one: no interval over them is valid"
SOURCES_APART = "by:"  # plans whose test sides are other sources: no resamples of one


class Rows(NamedTuple):
    """Rows with truth, score and group: (n,) each."""

    positive: np.ndarray
    score: np.ndarray
    groups: np.ndarray


class Validity(NamedTuple):
    """Which intervals are valid (the name of a test in ``significance``, or nothing), and the share that trains."""

    valid: str
    share: float
    one_dealing: bool


def rows_of(question: Question, split: Split, scores: np.ndarray) -> Rows:
    """Return one test side by unit."""
    told = by_unit(question, split, scores)
    return Rows(told.y == 1, told.scores[:, 1], told.groups)


def validity_of(question: Question, plan: Folds) -> Validity:
    """Return which intervals the plan of a question allows."""
    splits = question.splits
    repeats = len({split.repeat for split in splits})
    share = float(np.mean([len(split.train) / (len(split.train) + len(split.test)) for split in splits]))
    apart = plan.scheme.startswith(SOURCES_APART) and len(splits) > 1
    valid = "" if apart else significance.valid_tests(repeats, len(splits) // repeats)[0]
    return Validity(valid, float(np.clip(round(share, 2), 0.01, 0.99)), repeats == 1 and len(splits) > 1)


def written(found: Interval) -> tuple[float | None, float | None, float | None]:
    """Return value and ends as a table holds them, None for what there is not."""
    return (None if np.isnan(found.value) else found.value, found.low, found.high)


def note_of(found: Interval, count: int, splits: int, usable: int) -> str:
    """Return what a number is an estimate of, and what is unusual about it."""
    short = f"in {count} of {splits} splits" if 0 < count < splits else ""
    lost = NO_INNER if 0 < usable < splits else ""
    return "; ".join(text for text in (found.estimates, short, lost, found.note) if text)


def samples_of(question: Question, table: Features) -> list[Sample]:
    """Return the samples of a question, in its order."""
    return [table.dataset.samples[row] for row in table.rows_of(question.ids)]
