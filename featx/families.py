"""Families: all the SVMs of a comparison that share their train rows, chosen, fitted and scored together.

One matrix of products (or of distances) between rows serves every split, design, class, inner part and C, because the
row L2 norm is fitted to nothing. The numbers are those of fitting each by itself (``classifiers.judge``), which stays
the way for scalers that learn and for ``--solver sklearn``. Knows no files and no networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from featx.classifiers import Classifier, Verdict, inner_splits_if, out_of_fold, scaled
from featx.errors import SplitError, UsageError
from featx.folds import Inner
from featx.linear_svm import DOUBLE_ROWS, MOST_ROWS, Products, balanced, solve, spans_of, taken
from featx.metrics import ranking_score

SOLVERS = ("auto", "sklearn")
INNER = ("kfold", "shuffle10")
LOSSES = {"svm": "squared_hinge", "svc-linear": "hinge", "svm-rbf": "rbf"}


class Task(NamedTuple):
    """One design on one split.

    Attributes
    ----------
    train, test : numpy.ndarray of int64
        Rows of the shared matrix.
    y : numpy.ndarray of int64
        Class codes of the train rows, 0 to c - 1, each present.
    groups : sequence of str
        Groups of the train rows, which inner parts may not divide.
    """

    train: np.ndarray
    test: np.ndarray
    y: np.ndarray
    groups: Sequence[str]


class TaskError(Exception):
    """A search that one task does not allow.

    Attributes
    ----------
    task : int
        Its number.
    cause : SplitError
        What is in the way.
    """

    def __init__(self, task: int, cause: SplitError) -> None:
        super().__init__(str(cause))
        self.task = task
        self.cause = cause


class Shared:
    """The rows of a feature file, scaled by themselves, and the products between all of them where they fit."""

    def __init__(self, X: np.ndarray, *, scale: str) -> None:
        precision = np.float64 if len(X) <= 2 * DOUBLE_ROWS else np.float32
        self.X = scaled(X.astype(precision, copy=False), X[:0].astype(precision), scale=scale)[0]
        self.matrix = self.X @ self.X.T if len(X) <= MOST_ROWS else None

    def among(self, rows: np.ndarray, *, extra: float) -> Products:
        """Return the products among some rows."""
        known = None if self.matrix is None else taken(self.matrix, rows, rows)
        return Products(self.X[rows], extra=extra, matrix=known)

    def distances(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the squared distances of some rows to others, float64."""
        squares = np.einsum("ij,ij->i", self.X, self.X, dtype=np.float64)
        products = self.between(rows, columns).astype(np.float64)
        return np.maximum(0.0, squares[rows][:, None] + squares[columns] - 2 * products)

    def margins(self, asked: np.ndarray, rows: np.ndarray, coef: np.ndarray) -> np.ndarray:
        """Return the products of some rows with others, times coefficients (c, n, p), float64 of shape (c, m, p)."""
        columns = np.concatenate(list(coef), axis=1)
        if self.matrix is not None and self.matrix.dtype == np.float64:
            found = self.matrix[np.ix_(asked, rows)] @ columns
        else:
            weights = np.zeros((self.X.shape[1], columns.shape[1]))
            for span in spans_of(len(rows)):
                weights += self.X[rows[span]].astype(np.float64).T @ columns[span]
            parts = [self.X[asked[span]].astype(np.float64) @ weights for span in spans_of(len(asked))]
            found = np.concatenate([np.empty((0, columns.shape[1])), *parts])
        return np.stack(np.split(found, len(coef), axis=1))

    def between(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the products of some rows with others."""
        if self.matrix is not None:
            return taken(self.matrix, rows, columns)
        return self.X[rows] @ self.X[columns].T


def check_ways(*, solver: str, inner: str) -> None:
    """Raise UsageError where a solver, or a way to choose inside the train rows, is none of those that there are."""
    if inner not in INNER:
        raise UsageError(f"--inner takes {', '.join(INNER)}; {inner!r} came")
    if solver not in SOLVERS:
        raise UsageError(f"--solver takes {', '.join(SOLVERS)}; {solver!r} came")


def serves(classifier: Classifier, *, scale: str) -> bool:
    """Return whether a classifier's fits can share one matrix under this scaling."""
    return classifier.name in LOSSES and scale != "standard"


def judge(
    classifier: Classifier,
    shared: Shared,
    tasks: Sequence[Task],
    *,
    params: Mapping[str, Any],
    seed: int,
    inner: str = "kfold",
    hold_back: bool = False,
) -> list[Verdict]:
    """Choose C inside the train rows of each task, fit on all of them, and score its test rows.

    Parameters
    ----------
    classifier : Classifier
        One that :func:`serves`.
    shared : Shared
        Rows and products.
    tasks : sequence of Task
        The designs of one split: their train rows are mostly the same.
    params : mapping
        Hyperparameters that are fixed; what is fixed is not searched.
    seed : int
        Seed of the inner splits.
    inner : {"kfold", "shuffle10"}
        The inner splits.
    hold_back : bool
        As of :func:`featx.classifiers.judge`.

    Returns
    -------
    list of Verdict
        One a task.

    Raises
    ------
    TaskError
        Where a search is due but a class has too few groups for inner parts.
    """
    paths = _PATHS[LOSSES[classifier.name]]
    settings = {**classifier.defaults, **params}
    fixed = "C" in params
    grid = (float(params["C"]),) if fixed else classifier.grid["C"]
    chosen = [_Choice(grid[0], False, None, None, "")] * len(tasks)
    if hold_back or not fixed:
        chosen = _chosen(shared, tasks, grid, paths=paths, settings=settings, seed=seed, inner=inner)
    problems = [_Problem(task.train, task.y, task.test) for task in tasks]
    longest = max(choice.C for choice in chosen)
    way = [C for C in grid if longest >= C]
    found = paths(shared, problems, way, settings)
    verdicts = []
    for path, choice in zip(found, chosen, strict=True):
        at = way.index(choice.C)
        told = {**settings, "C": choice.C}
        certain = bool(path.converged[at])
        verdicts.append(
            Verdict(path.scores[at], told, choice.at_edge, certain, choice.inner, choice.score, choice.scheme)
        )
    return verdicts


class _Choice(NamedTuple):
    """The C of a task, whether it is the largest of its grid, and what the inner splits say of it."""

    C: float
    at_edge: bool
    inner: np.ndarray | None
    score: float | None
    scheme: str


class _Problem(NamedTuple):
    """Train rows with their codes, and rows to score."""

    train: np.ndarray
    y: np.ndarray
    held: np.ndarray


class _Path(NamedTuple):
    """Scores (C, m, c) of a problem's held rows, and for each C whether all of its parts converged."""

    scores: np.ndarray
    converged: np.ndarray


def _chosen(
    shared: Shared,
    tasks: Sequence[Task],
    grid: Sequence[float],
    *,
    paths: Callable[..., list[_Path]],
    settings: Mapping[str, Any],
    seed: int,
    inner: str,
) -> list[_Choice]:
    """Return the C with the best mean inner AUC of each task, ties to the smallest."""
    searched = len(grid) > 1
    drawn = [_inner_splits(number, task, inner, seed, needed=searched) for number, task in enumerate(tasks)]
    problems = [
        _Problem(task.train[~held], task.y[~held], task.train[held])
        for task, splits in zip(tasks, drawn, strict=True)
        for held in (splits.held if splits else ())
    ]
    found = iter(paths(shared, problems, grid, settings) if problems else ())
    chosen = []
    for task, splits in zip(tasks, drawn, strict=True):
        if splits is None:
            chosen.append(_Choice(grid[0], False, None, None, ""))
            continue
        own = [next(found).scores for _ in splits.held]
        values = [
            [ranking_score(task.y[held], scores) for scores in path]
            for held, path in zip(splits.held, own, strict=True)
        ]
        means = np.mean(values, axis=0)
        best = int(np.argmax(np.round(means, 9)))
        told = out_of_fold(splits, [path[best] for path in own])
        edge = searched and best == len(grid) - 1
        chosen.append(_Choice(grid[best], edge, told, float(means[best]), splits.scheme))
    return chosen


def _inner_splits(number: int, task: Task, inner: str, seed: int, *, needed: bool) -> Inner | None:
    try:
        return inner_splits_if(task.y, task.groups, needed=needed, scheme=inner, seed=seed)
    except SplitError as error:
        raise TaskError(number, error) from error


class Columns(NamedTuple):
    """The binary problems of a task: labels -1 and 1, which rows are in which, and their weights, each (n, p)."""

    labels: np.ndarray
    used: np.ndarray
    weights: np.ndarray


def columns_of(y: np.ndarray, settings: Mapping[str, Any]) -> Columns:
    """Return one column for two classes, else one for each class against the rest, or one for each pair."""
    classes = int(y.max()) + 1
    if classes == 2 or settings["multiclass"] == "ovr":
        labels = np.column_stack([np.where(y == code, 1.0, -1.0) for code in ([1] if classes == 2 else range(classes))])
        used = np.ones(labels.shape, dtype=bool)
    else:
        pairs = list(combinations(range(classes), 2))
        labels = np.column_stack([np.where(y == second, 1.0, -1.0) for _, second in pairs])
        used = np.column_stack([(y == first) | (y == second) for first, second in pairs])
    weights = balanced(labels, used) if settings["class_weight"] == "balanced" else used.astype(np.float64)
    return Columns(labels, used, weights)


def by_class(margins: np.ndarray, classes: int, settings: Mapping[str, Any]) -> np.ndarray:
    """Return one score a class of margins (c, m, p); those of pairs vote, and scikit-learn breaks ties so."""
    if classes == 2:
        return np.concatenate([-margins, margins], axis=-1)
    if settings["multiclass"] == "ovr":
        return margins
    votes, confidence = np.zeros((2, *margins.shape[:-1], classes))
    for column, (first, second) in enumerate(combinations(range(classes), 2)):
        margin = margins[..., column]
        votes[..., second] += margin > 0
        votes[..., first] += margin <= 0
        confidence[..., second] += margin
        confidence[..., first] -= margin
    return votes + confidence / (3 * (np.abs(confidence) + 1))  # never as much as a vote


def _linear(loss: str, extra: float) -> Callable[..., list[_Path]]:
    """Return what solves the problems of a family as the columns of one call."""

    def paths(
        shared: Shared, problems: Sequence[_Problem], Cs: Sequence[float], settings: Mapping[str, Any]
    ) -> list[_Path]:
        rows = np.unique(np.concatenate([problem.train for problem in problems]))
        columns = [columns_of(problem.y, settings) for problem in problems]
        Y = np.ones((len(rows), sum(own.labels.shape[1] for own in columns)))
        weights = np.zeros(Y.shape)
        spans, start = [], 0
        for problem, own in zip(problems, columns, strict=True):
            at, span = np.searchsorted(rows, problem.train), slice(start, start + own.labels.shape[1])
            Y[at, span], weights[at, span] = own.labels, own.weights
            spans.append(span)
            start = span.stop
        found = solve(shared.among(rows, extra=extra), Y, weights=weights, Cs=Cs, loss=loss)
        others = np.setdiff1d(np.concatenate([problem.held for problem in problems]), rows)
        beyond = shared.margins(others, rows, found.coef) + found.intercept[:, None, :]
        known, margins = np.concatenate([rows, others]), np.concatenate([found.margins, beyond], axis=1)
        order = np.argsort(known)
        told = []
        for problem, span in zip(problems, spans, strict=True):
            at = order[np.searchsorted(known, problem.held, sorter=order)]
            scores = by_class(margins[:, at, span], int(problem.y.max()) + 1, settings)
            told.append(_Path(scores, np.asarray(found.converged[:, span].all(1))))
        return told

    return paths


def _rbf(shared: Shared, problems: Sequence[_Problem], Cs: Sequence[float], settings: Mapping[str, Any]) -> list[_Path]:
    """Solve each problem by libsvm on the kernel that the shared products give."""
    from sklearn.svm import SVC

    told = []
    for problem in problems:
        gamma = gamma_of(settings["gamma"], shared.X[problem.train])
        kernel = np.exp(-gamma * shared.distances(problem.train, problem.train))
        beside = np.exp(-gamma * shared.distances(problem.held, problem.train))
        columns = columns_of(problem.y, settings)
        margins = np.empty((len(Cs), len(problem.held), columns.labels.shape[1]))
        for column in range(margins.shape[2]):
            rows = np.flatnonzero(columns.used[:, column])
            own = kernel if len(rows) == len(kernel) else kernel[np.ix_(rows, rows)]
            y, weights = columns.labels[rows, column], columns.weights[rows, column]
            for at, C in enumerate(Cs):
                machine = SVC(kernel="precomputed", C=C, cache_size=500).fit(own, y, sample_weight=weights)
                margins[at, :, column] = beside[:, rows[machine.support_]] @ machine.dual_coef_[0]
                margins[at, :, column] += machine.intercept_[0]
        told.append(_Path(by_class(margins, int(problem.y.max()) + 1, settings), np.ones(len(Cs), dtype=bool)))
    return told


def gamma_of(value: float | str, X: np.ndarray) -> float:
    """Return gamma as scikit-learn's SVC takes it."""
    if value == "scale":
        variance = X.var()
        return 1.0 / (X.shape[1] * variance) if variance else 1.0
    return 1.0 / X.shape[1] if value == "auto" else float(value)


_PATHS: dict[str, Callable[..., list[_Path]]] = {
    "squared_hinge": _linear("squared_hinge", 1.0),
    "hinge": _linear("hinge", 0.0),
    "rbf": _rbf,
}
