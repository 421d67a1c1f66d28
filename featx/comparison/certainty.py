"""How sure a comparison is: an interval for each cell, a test for each pair, and what picking the best has cost.

Everything is by unit and counted by group. The tests that are valid for a plan are those of ``significance``; Holm's
correction is over all pairs of all designs at once. Fits nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from featx import significance
from featx.comparison.cells import Cell, by_unit
from featx.comparison.question import Question
from featx.errors import UsageError
from featx.folds import Folds
from featx.metrics import main_metric
from featx.significance import Difference, Influences, Interval, Side, Winner

CHOSEN = "chosen inside"
SPLITS_ALONE = "by:"


class Pair(NamedTuple):
    """The difference of two cells of one design, the first less the second.

    Attributes
    ----------
    first, second : Cell
        What is compared.
    main : Difference
        The test that counts, the first that is valid for the plan.
    others : tuple of Difference
        The published tests that are valid beside it.
    holm : float
        p of ``main``, corrected for all pairs of the comparison.
    """

    first: Cell
    second: Cell
    main: Difference
    others: tuple[Difference, ...]
    holm: float


@dataclass(frozen=True)
class Judged:
    """What can be said of a design's cells.

    Attributes
    ----------
    design, metric : str
        The design, and the metric that is judged.
    intervals : tuple of Interval or None
        Of each cell, in order; None where the plan allows none.
    pairs : tuple of Pair
        Each two cells.
    chosen : Cell or None
        The cell whose inner AUC is the highest, in each split by itself: what choosing without peeking scores.
    winner : Winner or None
        The best by test scores, its score corrected for having been picked.
    notes : tuple of str
        Why something is missing.
    """

    design: str
    metric: str
    intervals: tuple[Interval | None, ...]
    pairs: tuple[Pair, ...]
    chosen: Cell | None
    winner: Winner | None
    notes: tuple[str, ...]


def judge(questions: Sequence[Question], cells: Sequence[Cell], plan: Folds, *, seed: int) -> list[Judged]:
    """Return what can be said of each design's cells.

    Parameters
    ----------
    questions : sequence of Question
        The designs.
    cells : sequence of Cell
        All cells of the comparison.
    plan : Folds
        The plan: it decides which tests are valid.
    seed : int
        Of the bootstrap of the winner.
    """
    found = [_of_design(question, [c for c in cells if c.design == question.design.name], plan, seed=seed)
             for question in questions]  # fmt: skip
    p = [pair.main.p for judged in found for pair in judged.pairs]
    corrected = iter(significance.holm(p).tolist() if p else [])
    return [
        Judged(**{**vars(judged), "pairs": tuple(pair._replace(holm=next(corrected)) for pair in judged.pairs)})
        for judged in found
    ]


def _of_design(question: Question, cells: Sequence[Cell], plan: Folds, *, seed: int) -> Judged:
    metric = main_metric(len(question.assignment.classes))
    chosen = _chosen_inside(cells) if len(cells) > 1 else None
    whole = [*cells, chosen] if chosen else list(cells)
    if plan.scheme.startswith(SPLITS_ALONE) and len(question.splits) > 1:
        note = "the parts are other sources and no resamples of one: no test or interval over them is valid"
        return Judged(question.design.name, metric, (None,) * len(cells), (), chosen, None, (note,))
    sides = sides_of(question, whole)
    several = len({split.repeat for split in question.splits}) > 1
    found = significance.influences(sides) if several else None
    notes: list[str] = []
    intervals = _intervals(question, whole, sides, found, notes)
    pairs = [
        _pair(question, cells, sides, found, first, second) for first, second in combinations(range(len(cells)), 2)
    ]
    known = [pair for pair in pairs if pair is not None]
    if len(known) < len(pairs):
        notes.append("one test side and more than two classes: no test of a difference is known for it here")
    winner = None
    if len(cells) > 1:
        try:
            own = [side._replace(scores=side.scores[:, : len(cells)]) for side in sides]
            winner = significance.corrected_winner(own, seed=seed)
        except UsageError as error:
            notes.append(str(error))
    return Judged(question.design.name, metric, tuple(intervals), tuple(known), chosen, winner, tuple(notes))


def sides_of(question: Question, cells: Sequence[Cell]) -> list[Side]:
    """Return the test sides of all splits, one column of scores a cell; for more than two classes one for each i|j.

    The mean AUC over the sides is then the AUC, or Hand and Till's M.
    """
    sides = []
    classes = len(question.assignment.classes)
    for number, split in enumerate(question.splits):
        told = [by_unit(question, split, cell.verdicts[number].scores) for cell in cells]
        y, groups = told[0].y, told[0].groups
        scores = np.stack([one.scores for one in told], axis=-1)
        if classes == 2:
            sides.append(Side(split.repeat, y == 1, scores[:, 1], groups))
            continue
        for code in range(classes):
            for other in set(range(classes)) - {code}:
                rows = (y == code) | (y == other)
                sides.append(Side(split.repeat, y[rows] == code, scores[rows, code], groups[rows]))
    return sides


def _intervals(
    question: Question, cells: Sequence[Cell], sides: Sequence[Side], found: Influences | None, notes: list[str]
) -> list[Interval | None]:
    if found is not None:
        share = float(np.mean([len(s.train) / (len(s.train) + len(s.test)) for s in question.splits]))
        return [significance.group_interval(found, at, share=share) for at in range(len(cells))]
    if len(question.splits) > 1:
        ratio, metric = _ratio(question), main_metric(len(question.assignment.classes))
        return [significance.corrected_interval(cell.values(metric), ratio=ratio) for cell in cells]
    if len(sides) > 1:
        notes.append("one test side and more than two classes: no interval of the AUC is known for it here")
        return [None] * len(cells)
    (side,) = sides
    return [
        significance.auc_interval(side.positive, side.scores[:, at], groups=side.groups) for at in range(len(cells))
    ]


def _pair(
    question: Question, cells: Sequence[Cell], sides: Sequence[Side], found: Influences | None, first: int, second: int
) -> Pair | None:
    metric = main_metric(len(question.assignment.classes))
    repeats = len({split.repeat for split in question.splits})
    halves = len(question.splits) // repeats
    d = (cells[first].values(metric) - cells[second].values(metric)).reshape(repeats, -1)
    tests: dict[str, Callable[[], Any]] = {
        "group_t": lambda: significance.group_t(found, first, second) if found else None,
        "corrected_t": lambda: significance.corrected_t(d, ratio=_ratio(question)),
        "alpaydin_f": lambda: significance.alpaydin_f(d),
        "dietterich_t": lambda: significance.dietterich_t(d),
        "paired_auc": lambda: significance.paired_auc(
            sides[0].positive, sides[0].scores[:, first], sides[0].scores[:, second], groups=sides[0].groups
        ),
    }
    one_side = len(sides) == 1
    valid = [n for n in significance.valid_tests(repeats, halves) if n != "paired_auc" or one_side]
    if not valid:
        return None
    main, *others = [tests[name]() for name in valid]
    return Pair(cells[first], cells[second], main, tuple(others), main.p)


def _ratio(question: Question) -> float:
    """Return test rows for each train row, as Nadeau and Bengio's correction wants it."""
    return float(np.mean([len(split.test) / len(split.train) for split in question.splits]))


def _chosen_inside(cells: Sequence[Cell]) -> Cell | None:
    """Return the cell that takes in each split the candidate with the highest inner AUC; ties to the first."""
    inner = [[verdict.inner_score for verdict in cell.verdicts] for cell in cells]
    if any(score is None for scores in inner for score in scores):
        return None
    best = np.argmax(np.round(np.array(inner, dtype=float), 9), axis=0)
    scores = [cells[at].scores[number] for number, at in enumerate(best.tolist())]
    verdicts = [cells[at].verdicts[number] for number, at in enumerate(best.tolist())]
    return Cell(cells[0].design, CHOSEN, "all", scores, verdicts)
