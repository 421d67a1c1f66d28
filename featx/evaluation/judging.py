"""Judging: every classifier chosen and fitted on the train rows alone, scored on the test rows, and how sure that is.

A classifier is handed the train rows with their groups, and the test rows without their classes. Knows no files.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from featx import classifiers, engine, families, significance
from featx.classifiers import Classifier, Verdict
from featx.engine import OnProgress
from featx.errors import SplitError
from featx.evaluation.question import Question
from featx.matrix import Features
from featx.metrics import evaluate, main_metric
from featx.significance import Difference, Interval
from featx.units import ByUnit, mean_scores

NO_INTERVAL = "Hand and Till's mean over class pairs has no interval on one test side here"


class Cell(NamedTuple):
    """One classifier under one design.

    Attributes
    ----------
    design, classifier : str
        What was asked of what.
    scores : dict of str to float
        Its metrics on the test side, by unit.
    interval : Interval
        The main metric with its 95 % interval.
    method : str
        Whose interval it is; empty where there is none.
    verdict : Verdict
        Its scores of the test rows.
    """

    design: str
    classifier: str
    scores: dict[str, float]
    interval: Interval
    method: str
    verdict: Verdict


class Contrast(NamedTuple):
    """The difference between two classifiers under one design, the first less the second.

    Attributes
    ----------
    design, first, second : str
        What is compared.
    difference : Difference
        The test on the one test side.
    holm : float
        Its p, corrected for all the contrasts of the run.
    """

    design: str
    first: str
    second: str
    difference: Difference
    holm: float


def fit(
    train: Features,
    test: Features,
    questions: Sequence[Question],
    chosen: Sequence[Classifier],
    *,
    settings: Mapping[str, Mapping[str, Any]],
    together: Collection[str],
    seed: int,
    jobs: int | None,
    on_progress: OnProgress | None,
) -> list[Cell]:
    """Fit every classifier on the train side of every design and score the test side.

    Parameters
    ----------
    train, test : Features
        The two files.
    questions : sequence of Question
        The designs.
    chosen : sequence of Classifier
        What is fitted.
    settings : mapping of str to mapping
        ``params``, ``scale`` and ``inner`` of each classifier, by name.
    together : collection of str
        The classifiers whose designs are solved together, on one matrix of products.
    seed : int
        Seed of inner parts and estimators.
    jobs : int or None
        Threads; all cores by default.
    on_progress : callable or None
        Told (done, total) of the fits.

    Raises
    ------
    SplitError
        Where a search is due but a class has too few groups for inner parts.
    """
    from sklearn.exceptions import ConvergenceWarning

    pool = _Pool.of(train, test, questions)
    shared = {
        scale: families.Shared(np.concatenate([pool.train, pool.test]), scale=scale)
        for scale in {settings[name]["scale"] for name in together}
    }
    calls: list[tuple[Any, ...]] = []
    for classifier in chosen:
        how = {**settings[classifier.name], "seed": seed}
        if classifier.name in together:
            calls.append((classifier, questions, pool, shared[how["scale"]], how))
        else:
            calls += [(classifier, [question], pool, None, how) for question in questions]
    with warnings.catch_warnings():
        # what did not converge is in the verdict, by name; a warning from a thread names nothing
        warnings.simplefilter("ignore", ConvergenceWarning)
        answers = engine.run(_answer, calls, jobs=jobs, on_progress=on_progress)
    verdicts = {
        (question.design.name, call[0].name): verdict
        for call, answer in zip(calls, answers, strict=True)
        for question, verdict in zip(call[1], answer, strict=True)
    }
    return [_cell(q, c.name, verdicts[q.design.name, c.name]) for q in questions for c in chosen]


class _Pool(NamedTuple):
    """The rows that any design asks for: features of both sides, and where each row of a file stands among them."""

    train: np.ndarray
    test: np.ndarray
    train_rows: np.ndarray
    test_rows: np.ndarray

    @classmethod
    def of(cls, train: Features, test: Features, questions: Sequence[Question]) -> _Pool:
        train_rows = np.unique(np.concatenate([question.train.rows for question in questions]))
        test_rows = np.unique(np.concatenate([question.test.rows for question in questions]))
        return cls(train.X[train_rows], test.X[test_rows], train_rows, test_rows)

    def places(self, question: Question) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of a question's train rows and of its test rows."""
        return (
            np.searchsorted(self.train_rows, question.train.rows),
            np.searchsorted(self.test_rows, question.test.rows),
        )


def _answer(
    classifier: Classifier,
    questions: Sequence[Question],
    pool: _Pool,
    shared: families.Shared | None,
    how: Mapping[str, Any],
) -> list[Verdict]:
    """Return the verdicts of one classifier: on all designs together where they share a matrix, else on one."""
    try:
        if shared is None:
            return [_alone(classifier, question, pool, how) for question in questions]
        tasks = [_task(question, pool) for question in questions]
        return families.judge(classifier, shared, tasks, params=how["params"], seed=how["seed"], inner=how["inner"])
    except families.TaskError as error:
        raise _told(questions[error.task], classifier, error.cause) from None
    except SplitError as error:
        raise _told(questions[0], classifier, error) from None


def _alone(classifier: Classifier, question: Question, pool: _Pool, how: Mapping[str, Any]) -> Verdict:
    learned, asked = pool.places(question)
    own = question.train
    return classifiers.judge(
        classifier, pool.train[learned], y=own.y, groups=own.groups, X_test=pool.test[asked], **how
    )


def _task(question: Question, pool: _Pool) -> families.Task:
    learned, asked = pool.places(question)
    return families.Task(learned, len(pool.train) + asked, question.train.y, question.train.groups)


def _told(question: Question, classifier: Classifier, error: SplitError) -> SplitError:
    """Return an error with where it came up."""
    classes = ", ".join(f"{code} {name!r}" for code, name in enumerate(question.classes))
    return SplitError(f"{question.design.name}, {classifier.name}, train rows (classes: {classes}): {error}")


def by_unit(question: Question, scores: np.ndarray) -> ByUnit:
    """Return the test side by unit."""
    side = question.test
    return mean_scores(side.units, scores, y=side.y, groups=side.groups)


def _cell(question: Question, classifier: str, verdict: Verdict) -> Cell:
    units = by_unit(question, verdict.scores)
    scores = evaluate(units.y, units.scores.argmax(1), scores=units.scores, classes=question.classes)
    if len(question.classes) == 2:
        groups = _clusters(units.groups)
        interval = significance.auc_interval(units.y == 1, units.scores[:, 1], groups=groups)
        method = "" if interval.low is None else "DeLong" if groups is None else "Obuchowski"
    else:
        value = scores[main_metric(len(question.classes))]
        interval, method = Interval(value, None, None, "this very model", NO_INTERVAL), ""
    return Cell(question.design.name, classifier, scores, interval, method, verdict)


def _clusters(groups: np.ndarray) -> np.ndarray | None:
    """Return the groups where one of them has several units, else None: each unit is its own."""
    return groups if len(np.unique(groups)) < len(groups) else None


def contrasts(questions: Sequence[Question], cells: Sequence[Cell]) -> list[Contrast]:
    """Test each two classifiers of a design of two classes on the one test side; p by Holm over all of them."""
    found = []
    for question in questions:
        if len(question.classes) > 2:
            continue
        own = [cell for cell in cells if cell.design == question.design.name]
        for first, second in combinations(own, 2):
            one, other = (by_unit(question, cell.verdict.scores) for cell in (first, second))
            difference = significance.paired_auc(
                one.y == 1, one.scores[:, 1], other.scores[:, 1], groups=_clusters(one.groups)
            )
            found.append(Contrast(question.design.name, first.classifier, second.classifier, difference, 1.0))
    if not found:
        return []
    corrected = significance.holm([contrast.difference.p for contrast in found])
    return [contrast._replace(holm=float(p)) for contrast, p in zip(found, corrected, strict=True)]
