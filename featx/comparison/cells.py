"""Answering: every classifier fitted on every train side and judged on the test side, on all cores.

A classifier is handed the train rows with their groups, and the test rows without their classes. Knows no files.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import engine, families, folds
from featx.classifiers import PLAIN, Classifier, Verdict, built_by, judge
from featx.comparison import kept, learned
from featx.comparison.question import Question
from featx.engine import OnProgress
from featx.errors import SplitError
from featx.matrix import Features
from featx.metrics import evaluate
from featx.units import ByUnit, mean_scores


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


class Settings(NamedTuple):
    """How classifiers are fitted.

    Attributes
    ----------
    params : mapping of str to mapping
        Fixed hyperparameters by classifier.
    scale : str or None
        Scaling of features; each classifier's own where there is none.
    unit : str
        What a score is of.
    seed : int
        Seed of inner parts and estimators.
    solver : {"auto", "sklearn"}
        ``auto`` solves together what shares its train rows; ``sklearn`` fits each by itself.
    inner : {"kfold", "shuffle10"}
        How hyperparameters are chosen inside a train half.
    """

    params: Mapping[str, Mapping[str, Any]]
    scale: str | None
    unit: str
    seed: int
    solver: str
    inner: str

    def of(self, classifier: Classifier) -> dict[str, Any]:
        """Return what one classifier is fitted with."""
        scale = self.scale or classifier.scale
        together = self.solver == "auto" and families.serves(classifier, scale=scale)
        solver = "together" if together else "sklearn"
        return {
            "params": dict(self.params[classifier.name]),
            "scale": scale,
            "seed": self.seed,
            "solver": solver,
            "inner": self.inner,
            "accelerate": PLAIN if together else built_by(classifier),
        }


class _Progress:
    """Tells how many splits of how many are answered, each number once."""

    def __init__(self, total: int, tell: OnProgress | None) -> None:
        self._total, self._tell = total, tell
        self._ended = self._told = 0

    def within(self, count: int, _: int = 0) -> None:
        """Note that so many splits of the classifier at hand are answered."""
        done = min(self._ended + count, self._total)
        if self._tell is not None and done > self._told:
            self._tell(done, self._total)
        self._told = max(self._told, done)

    def end(self, count: int) -> None:
        """Note that a classifier is done, all of its splits answered."""
        self.within(count)
        self._ended += count


def fit(
    tables: Sequence[Features],
    common: Sequence[str],
    questions: Sequence[Question],
    chosen: Sequence[Classifier],
    *,
    settings: Settings,
    kept_in: Path,
    jobs: int | None,
    on_progress: OnProgress | None,
) -> list[Cell]:
    """Fit every classifier on every train side, on all cores, and put the verdicts together by cell.

    A cell that was finished before is taken from where it is kept.
    """
    from sklearn.exceptions import ConvergenceWarning

    progress = _Progress(len(tables) * len(chosen) * sum(len(q.splits) for q in questions), on_progress)
    found = {}
    with warnings.catch_warnings():
        # what did not converge is in the verdict, by name; a warning from a thread names nothing
        warnings.simplefilter("ignore", ConvergenceWarning)
        for t, table in enumerate(tables):
            for classifier in chosen:
                if not learned.serves(classifier.name, table):
                    continue
                how = settings.of(classifier)
                verdicts = _of_table(table, common, questions, classifier, how, kept_in, jobs, progress)
                for question, own in zip(questions, verdicts, strict=True):
                    found[t, question.design.name, classifier.name] = own
                progress.end(sum(map(len, verdicts)))
    cells = []
    for t, question, classifier in product(range(len(tables)), questions, chosen):
        if (t, question.design.name, classifier.name) not in found:
            continue
        own = found[t, question.design.name, classifier.name]
        scores = [_score(question, split, verdict) for split, verdict in zip(question.splits, own, strict=True)]
        cells.append(Cell(question.design.name, classifier.name, tables[t].label, scores, own))
    return cells


def _of_table(
    table: Features,
    common: Sequence[str],
    questions: Sequence[Question],
    classifier: Classifier,
    settings: dict[str, Any],
    kept_in: Path,
    jobs: int | None,
    progress: _Progress,
) -> list[list[Verdict]]:
    """Return the verdicts of one classifier on one table; of a set, each split has the features of its own network.

    What the network of a table has learned from is no test of anything, so that nothing is said of it.
    """
    about = (classifier, settings, kept_in, jobs, progress)
    if not table.parts:
        verdicts = _verdicts(table, table.matrix_of(common), questions, *about)
    else:
        verdicts = [[] for _ in questions]
        for part in table.parts:
            asked = [(at, one) for at, q in enumerate(questions) if (one := _only(q, part.repeat, part.half)).splits]
            X = part.features.matrix_of(common)
            for (at, _), own in zip(asked, _verdicts(part.features, X, [q for _, q in asked], *about), strict=True):
                verdicts[at] += own
    if table.foreseen:
        return [[verdict._replace(inner=None, inner_score=None) for verdict in own] for own in verdicts]
    return verdicts


def _only(question: Question, repeat: int, half: int) -> Question:
    """Return a question with one of its splits, or none."""
    return question._replace(splits=[s for s in question.splits if (s.repeat, s.half) == (repeat, half)])


def _verdicts(
    table: Features,
    X: np.ndarray,
    questions: Sequence[Question],
    classifier: Classifier,
    settings: dict[str, Any],
    kept_in: Path,
    jobs: int | None,
    progress: _Progress,
) -> list[list[Verdict]]:
    """Return the verdicts of one classifier on one feature file, for each question one a split."""
    keys = [kept.key_of(table, question, classifier=classifier.name, settings=settings) for question in questions]
    held = [kept.load(kept_in, key) for key in keys]
    missing = [at for at, own in enumerate(held) if own is None]
    answer = _together if settings["solver"] == "together" else _each
    computed = answer(X, [questions[at] for at in missing], classifier, settings, jobs, progress) if missing else []
    for at, own in zip(missing, computed, strict=True):
        kept.save(kept_in, keys[at], own)
        held[at] = own
    return [own or [] for own in held]


def _each(
    X: np.ndarray,
    questions: Sequence[Question],
    classifier: Classifier,
    settings: Mapping[str, Any],
    jobs: int | None,
    progress: _Progress,
) -> list[list[Verdict]]:
    """Fit each question and split by itself."""
    given = {name: settings[name] for name in ("params", "scale", "seed", "inner")}
    calls = [(classifier, X, question, split, given) for question in questions for split in question.splits]
    verdicts = iter(engine.run(_judge_split, calls, jobs=jobs, on_progress=progress.within))
    return [[next(verdicts) for _ in question.splits] for question in questions]


def _together(
    X: np.ndarray,
    questions: Sequence[Question],
    classifier: Classifier,
    settings: Mapping[str, Any],
    jobs: int | None,
    progress: _Progress,
) -> list[list[Verdict]]:
    """Fit all questions of a split as one family, over one matrix of products that all splits share."""
    shared = families.Shared(X, scale=settings["scale"])
    of_split: dict[tuple[int, int], list[tuple[int, Question, folds.Split]]] = {}
    for number, question in enumerate(questions):
        for split in question.splits:
            of_split.setdefault((split.repeat, split.half), []).append((number, question, split))
    families_ = list(of_split.values())
    calls = [(classifier, shared, asked, settings) for asked in families_]
    answers = engine.run(
        _judge_family,
        calls,
        jobs=jobs,
        on_progress=lambda done, _: progress.within(sum(map(len, families_[:done]))),
    )
    verdicts: list[list[Verdict]] = [[] for _ in questions]
    for asked, own in zip(families_, answers, strict=True):
        for (number, _, _), verdict in zip(asked, own, strict=True):
            verdicts[number].append(verdict)
    return verdicts


def _judge_family(
    classifier: Classifier,
    shared: families.Shared,
    asked: Sequence[tuple[int, Question, folds.Split]],
    settings: Mapping[str, Any],
) -> list[Verdict]:
    tasks = [
        families.Task(
            question.rows[split.train],
            question.rows[split.test],
            question.y[split.train],
            [question.groups[row] for row in split.train.tolist()],
        )
        for _, question, split in asked
    ]
    try:
        given = {name: settings[name] for name in ("params", "seed", "inner")}
        return families.judge(classifier, shared, tasks, hold_back=True, **given)
    except families.TaskError as error:
        _, question, split = asked[error.task]
        raise _told(question, classifier, split, error.cause) from None


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
            hold_back=True,
            **settings,
        )
    except SplitError as error:
        raise _told(question, classifier, split, error) from None


def _told(question: Question, classifier: Classifier, split: folds.Split, error: SplitError) -> SplitError:
    """Return an error with where it came up."""
    classes = ", ".join(f"{code} {name!r}" for code, name in enumerate(question.assignment.classes))
    where = f"{question.design.name}, {classifier.name}, split {split.repeat}x{split.half}"
    return SplitError(f"{where} (classes: {classes}): {error}")


def by_unit(question: Question, split: folds.Split, scores: np.ndarray) -> ByUnit:
    """Return one test side by unit."""
    rows = split.test.tolist()
    units, groups = ([names[row] for row in rows] for names in (question.units, question.groups))
    return mean_scores(units, scores, y=question.y[split.test], groups=groups)


def _score(question: Question, split: folds.Split, verdict: Verdict) -> dict[str, float]:
    """Return the metrics of one test side, by unit."""
    y, scores, _ = by_unit(question, split, verdict.scores)
    return evaluate(y, scores.argmax(1), scores=scores, classes=question.assignment.classes)
