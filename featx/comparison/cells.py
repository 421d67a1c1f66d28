"""Answering: every classifier fitted on every train side and judged on the test side, on all cores.

A classifier is handed the train rows with their groups, and the test rows without their classes. Knows no files.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from featx import engine, folds
from featx.classifiers import Classifier, Verdict, judge
from featx.comparison.question import Question
from featx.engine import OnProgress
from featx.errors import SplitError
from featx.matrix import Features
from featx.metrics import evaluate


class Cell(NamedTuple):
    """One classifier on one feature file under one design: the scores and verdicts of all its splits.

    Attributes
    ----------
    design, classifier, features : str
        What was fitted on what.
    scores : list of dict
        The metrics of each split, in order.
    verdicts : list of Verdict
        The classifier's scores of the test rows of each split.
    """

    design: str
    classifier: str
    features: str
    scores: list[dict[str, float]]
    verdicts: list[Verdict]

    def values(self, metric: str) -> np.ndarray:
        """Return a metric's value in each split."""
        return np.array([score[metric] for score in self.scores])


def fit(
    tables: Sequence[Features],
    common: Sequence[str],
    questions: Sequence[Question],
    chosen: Sequence[Classifier],
    *,
    fixed: Mapping[str, Mapping[str, Any]],
    scale: str | None,
    unit: str,
    seed: int,
    jobs: int | None,
    on_progress: OnProgress | None,
) -> list[Cell]:
    """Fit every classifier on every train side, on all cores, and put the verdicts together by cell."""
    from sklearn.exceptions import ConvergenceWarning

    matrices = [table.X[table.rows_of(common)] for table in tables]
    triples = list(product(range(len(tables)), questions, chosen))
    calls = [
        (classifier, matrices[t], question, split, {"params": fixed[classifier.name], "scale": scale, "seed": seed})
        for t, question, classifier in triples
        for split in question.splits
    ]
    with warnings.catch_warnings():
        # what did not converge is in the verdict, by name; a warning from a thread names nothing
        warnings.simplefilter("ignore", ConvergenceWarning)
        verdicts = iter(engine.run(_judge_split, calls, jobs=jobs, on_progress=on_progress))
    cells = []
    for t, question, classifier in triples:
        own = [next(verdicts) for _ in question.splits]
        scores = [_score(question, split, verdict) for split, verdict in zip(question.splits, own, strict=True)]
        cells.append(Cell(question.design.name, classifier.name, tables[t].label, scores, own))
    return cells


def _judge_split(
    classifier: Classifier, X: np.ndarray, question: Question, split: folds.Split, settings: Mapping[str, Any]
) -> Verdict:
    """Hand a classifier the train rows with their groups, and the test rows without their classes."""
    try:
        return judge(
            classifier,
            X[question.rows[split.train]],
            y=question.y[split.train],
            groups=[question.groups[row] for row in split.train],
            X_test=X[question.rows[split.test]],
            **settings,
        )
    except SplitError as error:
        classes = ", ".join(f"{code} {name!r}" for code, name in enumerate(question.assignment.classes))
        where = f"{question.design.name}, {classifier.name}, split {split.repeat}x{split.half}"
        raise SplitError(f"{where} (classes: {classes}): {error}") from None


def _score(question: Question, split: folds.Split, verdict: Verdict) -> dict[str, float]:
    """Return the metrics of one test side, by unit: a unit's score is the mean of its images'."""
    names = [question.units[row] for row in split.test]
    units, member = np.unique(names, return_inverse=True)
    first = verdict.scores[np.unique(member, return_index=True)[1]]
    beyond = np.zeros_like(first)  # a mean of equal scores must be that very score, or ties would be broken by rounding
    np.add.at(beyond, member, verdict.scores - first[member])
    scores = first + beyond / np.bincount(member)[:, None]
    y = np.zeros(len(units), dtype=np.int64)
    y[member] = question.y[split.test]
    return evaluate(y, scores.argmax(1), scores=scores, classes=question.assignment.classes)
