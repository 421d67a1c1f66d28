"""What a classifier scores in each arm of a leak, and what is paired of it: optimism by leak and metric.

The numbers are those of a comparison: the same fits, the same cells kept. This file must never know image files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from featx import designs, folds, significance
from featx.cache.places import Places
from featx.classifiers import CLASSIFIERS, fixed_params
from featx.comparison.cells import Settings, fit
from featx.comparison.question import Question
from featx.engine import OnProgress
from featx.matrix import Features
from featx.metrics import evaluate, main_metric
from featx.pipeline.leak.arms import ORIGINALS, PUBLISHED, STEPS, Arm

Scores = dict[str, list[dict[str, float]]]  # by arm, one of all metrics for each repeat


class Optimism(NamedTuple):
    """By how much a leak flatters.

    Attributes
    ----------
    leak : str
        Which.
    metric : str
        Of what.
    leaky, honest : float
        Mean score with it and without.
    difference, low, high : float or None
        Their difference with its 95 % interval; None where no error could be measured.
    p : float
        Two-sided.
    note : str
        What a reader must know, or nothing.
    """

    leak: str
    metric: str
    leaky: float
    honest: float
    difference: float
    low: float | None
    high: float | None
    p: float
    note: str


@dataclass(frozen=True)
class Asked:
    """What is scored: rows of versions with their classes, and how.

    Attributes
    ----------
    design : Design
        The question.
    assignment : Assignment
        Its classes on the versions.
    ids : tuple of str
        Names of the versions, as the features have them.
    original : numpy.ndarray of bool, shape (v,)
        Which are the pictures themselves.
    classifier : str
        A name of the shelf.
    params : tuple of str
        Fixed hyperparameters, as of a comparison.
    seed : int
        Of inner parts and estimators.
    """

    design: designs.Design
    assignment: designs.Assignment
    ids: tuple[str, ...]
    original: np.ndarray
    classifier: str
    params: tuple[str, ...]
    seed: int

    @property
    def settings(self) -> Settings:
        """How the classifier is fitted."""
        fixed = fixed_params(self.params, [CLASSIFIERS[self.classifier]])
        return Settings(fixed, None, "image", self.seed, "auto", "kfold")

    def question(self, arm: Arm) -> Question:
        """Return the design on the splits of an arm: inner parts hold apart what the arm does, and nothing else."""
        ids = list(self.ids)
        y, classes = self.assignment.y, self.assignment.classes
        splits = folds.check(arm.plan, ids=ids, y=y, classes=classes, design=self.design.name)
        return Question(self.design, self.assignment, np.arange(len(ids)), ids, arm.groups, ids, y, splits, {})


def scores_of(
    asked: Asked,
    arms: Sequence[Arm],
    tables: Mapping[str, Features],
    *,
    places: Places,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> Scores:
    """Fit every arm, and return its metrics in each repeat; the published one also on originals alone.

    Parameters
    ----------
    asked : Asked
        What is scored.
    arms : sequence of Arm
        As of ``arms.arms_of``.
    tables : mapping of str to Features
        Features by arm: the same for all, or those of networks that were trained on that arm's splits.
    places : Places
        The cache, for finished cells.
    jobs : int, optional
        Threads; all cores by default.
    on_progress : callable, optional
        Told (done, total) splits.
    """
    found: Scores = {}
    total = sum(len(arm.plan.splits) for arm in arms)
    for at, arm in enumerate(arms):
        question = asked.question(arm)
        done = sum(len(before.plan.splits) for before in arms[:at])
        (cell,) = fit(
            [tables[arm.name]], asked.ids, [question], [CLASSIFIERS[asked.classifier]], settings=asked.settings,
            kept_in=places.cells, jobs=jobs, on_progress=_from(done, total, on_progress),
        )  # fmt: skip
        found[arm.name] = cell.scores
        if arm.name == PUBLISHED:
            judged = zip(question.splits, cell.verdicts, strict=True)
            found[ORIGINALS] = [_on(asked, split.test, verdict.scores) for split, verdict in judged]
    return found


def _from(before: int, total: int, tell: OnProgress | None) -> OnProgress | None:
    return None if tell is None else lambda done, _: tell(before + done, total)


def _on(asked: Asked, test: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return the metrics of the pictures themselves among the rows of a test side."""
    own = asked.original[test]
    y, scores = asked.assignment.y[test][own], scores[own]
    return evaluate(y, scores.argmax(1), scores=scores, classes=asked.assignment.classes)


def metrics_of(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics that optimism is told in."""
    return (main_metric(len(classes)), "accuracy", "balanced_accuracy", "f1_macro")


def optimism(scores: Scores, metrics: Iterable[str], *, ratio: float) -> list[Optimism]:
    """Return what each leak adds to each metric.

    Repeats overlap in their rows, so that a plain t test would claim too much. The interval is Nadeau and Bengio's
    (2003) of the paired differences. Two arms share the pictures, which makes their scores rise and fall together from
    sample to sample; what that takes off the error of a difference is not counted, so that the interval is rather too
    wide than too narrow.

    Parameters
    ----------
    scores : Scores
        As :func:`scores_of` returns them.
    metrics : iterable of str
        Which metrics.
    ratio : float
        Rows that test against rows that train.
    """
    rows = []
    for step in STEPS:
        for metric in metrics:
            leaky, honest = (np.array([one[metric] for one in scores[arm]]) for arm in (step.leaky, step.honest))
            rows.append(_paired(step.leak, metric, leaky, honest, ratio=ratio))
    return rows


def _paired(leak: str, metric: str, leaky: np.ndarray, honest: np.ndarray, *, ratio: float) -> Optimism:
    means = float(leaky.mean()), float(honest.mean())
    if len(leaky) < 2:
        told = "one repeat: no error can be measured"
        return Optimism(leak, metric, *means, means[0] - means[1], None, None, 1.0, told)
    test = significance.corrected_t((leaky - honest)[:, None], ratio=ratio)
    return Optimism(leak, metric, *means, test.difference, test.low, test.high, test.p, test.note)
