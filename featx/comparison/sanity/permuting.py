"""Permuted labels: where there is nothing to learn, the mean must be .5. Knows nothing of the other checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from featx import classifiers, engine, families, linear_svm
from featx.classifiers import Classifier
from featx.comparison.cells import Cell, by_unit
from featx.comparison.question import Question
from featx.comparison.sanity.asked import Asked
from featx.comparison.sanity.row import CHANCE, Sanity
from featx.errors import SplitError
from featx.folds import Split
from featx.metrics import ranking_score

ATTEMPTS = 100  # drawings of a permutation that leaves each class on both sides
COLUMNS = 101  # labellings that are solved as one family: more in one spare copies of the matrix, fewer fill more cores
TOLERATED = 0.99  # of honest runs have .5 within the mean's own error; one in a hundred is told amber
SURE = 0.9999  # of honest runs: beyond, something leaks
LINEAR = ("squared_hinge", "hinge")


def permuted(y: np.ndarray, groups: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """Return labels permuted by group.

    Where each group has one class, the groups' classes are permuted among the groups, whatever their size. Where a
    group has several, permuting within sizes would leave groups of a rare size their own labels: so the label vectors
    are laid end to end in one random order of the groups and dealt out along another. Labels of one group stay side by
    side, and each label is as likely to land on any group.

    Parameters
    ----------
    y : numpy.ndarray of int, shape (n,)
        Class codes.
    groups : sequence of str, length n
        The group of each.
    rng : numpy.random.Generator
        The source of chance.
    """
    names, first, member = np.unique(np.asarray(groups, dtype=str), return_index=True, return_inverse=True)
    if (y == y[first][member]).all():
        return np.asarray(y[first][rng.permutation(len(names))][member])
    source, target = (np.argsort(rng.permutation(len(names))[member], kind="stable") for _ in range(2))
    dealt = np.empty_like(y)
    dealt[target] = y[source]
    return dealt


def permuted_labels(asked: Asked, permutations: int) -> list[Sanity]:
    """Score labels permuted by group, by the fit that the comparison chose most often."""
    scale = asked.settings.of(asked.classifier)["scale"]
    X = asked.table.matrix_of(asked.common)
    shared = families.Shared(X, scale=scale) if _together(asked) else None
    return [_permuted_row(asked, question, X, shared, permutations) for question in asked.questions]


def _together(asked: Asked) -> bool:
    """Whether the permutations are solved as columns of one family."""
    settings = asked.settings.of(asked.classifier)
    return settings["solver"] == "together" and families.LOSSES[asked.classifier.name] in LINEAR


def _permuted_row(
    asked: Asked, question: Question, X: np.ndarray, shared: families.Shared | None, permutations: int
) -> Sanity:
    first = min(split.repeat for split in question.splits)
    splits = [split for split in question.splits if split.repeat == first]
    params = _most_chosen(asked.cells[question.design.name], asked.classifier)
    try:
        drawn = _drawn(question, splits, permutations, seed=asked.settings.seed)
    except SplitError as error:
        return Sanity("permuted labels", question.design.name, None, None, None, "info", str(error))
    labels = [question.y, *drawn]
    starts = range(0, len(labels), COLUMNS)
    calls = [
        (asked, question, X, shared, split, labels[at : at + COLUMNS], params) for split in splits for at in starts
    ]
    found = engine.run(_aucs, calls, jobs=asked.jobs)
    aucs = np.concatenate(found).reshape(len(splits), len(labels)).mean(0)
    fixed = ", ".join(f"{name}={params[name]:g}" for name in asked.classifier.grid)
    parts = f"{len(splits)} split{'s' * (len(splits) > 1)} of the first repeat"
    how = f"{asked.classifier.name}{f' at {fixed}' * bool(fixed)}, no search, {parts}"
    return judged(question.design.name, aucs[1:], real=float(aucs[0]), how=how)


def _most_chosen(cell: Cell, classifier: Classifier) -> dict[str, Any]:
    """Return the hyperparameters with the value that the most splits chose, ties to the simplest."""
    held = [verdict.chosen for verdict in cell.verdicts]
    params = dict(held[0])
    for name, grid in classifier.grid.items():
        counts = Counter(one[name] for one in held)
        place = {value: at for at, value in enumerate(grid)}
        params[name] = min(counts, key=lambda value: (-counts[value], place.get(value, -1)))
    return params


def _drawn(question: Question, splits: Sequence[Split], permutations: int, *, seed: int) -> list[np.ndarray]:
    """Return permuted labels of the question's rows, each class on both sides of each split; units are not divided."""
    rng = np.random.default_rng(seed)
    _, first, member = np.unique(question.units, return_index=True, return_inverse=True)
    groups = [question.groups[row] for row in first.tolist()]
    drawn: list[np.ndarray] = []
    for _ in range(permutations * ATTEMPTS):
        y = permuted(question.y[first], groups, rng)[member]
        if all(len(set(y[side].tolist())) == len(question.assignment.classes) for s in splits for side in s[2:4]):
            drawn.append(y)
        if len(drawn) == permutations:
            return drawn
    raise SplitError("labels could not be permuted: hardly any order leaves each class on both sides of every split")


def _aucs(
    asked: Asked,
    question: Question,
    X: np.ndarray,
    shared: families.Shared | None,
    split: Split,
    labels: Sequence[np.ndarray],
    params: Mapping[str, Any],
) -> list[float]:
    """Return the AUC of each labelling on one test side."""
    if shared is not None:
        scores = _columns(asked, question, shared, split, labels, C=params["C"])
    else:
        scores = [_one(asked, question, X, split, y, params) for y in labels]
    sides = [by_unit(question._replace(y=y), split, one) for y, one in zip(labels, scores, strict=True)]
    return [ranking_score(side.y, side.scores) for side in sides]


def _columns(
    asked: Asked,
    question: Question,
    shared: families.Shared,
    split: Split,
    labels: Sequence[np.ndarray],
    *,
    C: float,
) -> list[np.ndarray]:
    """Return the scores of the test rows, all labellings solved as columns of one family."""
    rows, test = question.rows[split.train], question.rows[split.test]
    loss, classes = families.LOSSES[asked.classifier.name], len(question.assignment.classes)
    codes = [1] if classes == 2 else list(range(classes))
    Y = np.column_stack([np.where(y[split.train] == code, 1.0, -1.0) for y in labels for code in codes])
    products = shared.among(rows, extra=1.0 if loss == "squared_hinge" else 0.0)
    weights = linear_svm.balanced(Y, np.ones(Y.shape, dtype=bool))
    found = linear_svm.solve(products, Y, weights=weights, Cs=[C], loss=loss)
    direction = shared.X[rows].T @ found.coef[0].astype(shared.X.dtype)
    margins = (shared.X[test] @ direction).astype(np.float64) + found.intercept[0]
    each = np.split(margins, len(labels), axis=1)
    return [np.hstack([-one, one]) for one in each] if classes == 2 else each


def _one(
    asked: Asked, question: Question, X: np.ndarray, split: Split, y: np.ndarray, params: Mapping[str, Any]
) -> np.ndarray:
    """Return the scores of the test rows by one fit of its own."""
    verdict = classifiers.judge(
        asked.classifier,
        X[question.rows[split.train]],
        y=y[split.train],
        groups=[question.groups[row] for row in split.train.tolist()],
        X_test=X[question.rows[split.test]],
        params=params,
        scale=asked.settings.scale,
        seed=asked.settings.seed,
    )
    return verdict.scores


def judged(design: str, values: np.ndarray, *, real: float, how: str) -> Sanity:
    """Return the verdict on permuted labels.

    With the splits held fixed, permuted labels of single rows score .5 on average whatever was learned: test labels in
    random order know nothing of the model. The mean over permutations may be off by its own error only.

    Parameters
    ----------
    design : str
        The design.
    values : numpy.ndarray of float, shape (b,)
        AUC of each permutation.
    real : float
        AUC of the real labels by the same fit.
    how : str
        What was fitted.
    """
    from scipy.special import stdtrit

    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    low, high = (float(bound) for bound in np.quantile(values, [0.025, 0.975]))
    off, rounding = abs(mean - CHANCE), 1e-12
    reach, sure = (stdtrit(len(values) - 1, (1 + level) / 2) * error + rounding for level in (TOLERATED, SURE))
    p = (1 + int((values >= real).sum())) / (1 + len(values))  # Phipson & Smyth 2010
    told = f"mean of {len(values)} permutations by group, its error {error:.4f}, and 2.5 to 97.5 % of them ({how}); "
    told += f"the real labels score {real:.3f} so (p = {p:.3f})"
    if off > sure:
        level, told = "red", f"the mean is far from .5: test rows leak into training, or folds divide groups; {told}"
    elif real < low:
        level, told = "red", f"the real labels score below chance: labels or scores are turned around; {told}"
    elif off > reach:
        level, told = "amber", f"the mean is further from .5 than 99 in 100 honest runs: take another seed; {told}"
    elif real <= high:
        level, told = "amber", f"the real labels are not told from permuted ones: nothing was learned here; {told}"
    else:
        level = "green"
    return Sanity("permuted labels", design, mean, low, high, level, told)
