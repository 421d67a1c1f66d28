"""What folds that ignore groups would have flattered. Draws halvings of its own, from the comparison's seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx import folds, significance
from featx.comparison import certainty
from featx.comparison.cells import Cell
from featx.comparison.question import Question
from featx.comparison.sanity.asked import Asked, metric_of
from featx.comparison.sanity.row import Sanity
from featx.errors import SplitError
from featx.significance import Influences


def ungrouped_folds(asked: Asked) -> list[Sanity]:
    """Score 5x2 halvings that ignore groups, stratified by diagnosis alone, and take the grouped score from it.

    Nothing of such a study knows groups: inner parts ignore them too. The interval counts by group as
    ``significance.group_t`` does: each group's influence on the one mean less that on the other, and the variance of
    the difference between repeats. Its coverage for this difference was not measured by simulation.
    """
    rows = []
    for question in asked.questions:
        name = question.design.name
        try:
            told = (
                _optimism(asked, question)
                if _several_images(question)
                else "each group has one image: nothing to ignore"
            )
        except SplitError as error:
            told = f"not asked: {error}"
        rows.append(
            told if isinstance(told, Sanity) else Sanity("ungrouped folds", name, None, None, None, "info", told)
        )
    return rows


def _several_images(question: Question) -> bool:
    return len(set(question.groups)) < len(question.groups)


def _optimism(asked: Asked, question: Question) -> Sanity:
    ids = [sample.id for sample in asked.table.dataset.samples]
    loose = _halved(asked, question, ids)
    grouped, cell = question, asked.cells[question.design.name]
    if asked.plan.scheme != "5x2":
        grouped = _halved(asked, question, asked.table.groups)
        (cell,) = asked.fit(asked.table, [grouped], asked.classifier)
    (free,) = asked.fit(asked.table, [loose._replace(groups=list(question.ids))], asked.classifier)
    test = significance.group_t(_beside(_influences(loose, free), _influences(grouped, cell)), 0, 1)
    score = float(free.values(metric_of(question)).mean())
    told = f"5x2 folds that ignore groups score {score:.3f}, {abs(test.difference):.3f} "
    told += "more than grouped ones" if test.difference >= 0 else "less than grouped ones"
    if test.low is None:
        told += f"; {test.note}"
    else:
        shown = "an optimism is shown" if test.low > 0 else f"no optimism shown, {test.smallest:.3f} could be"
        told += f"; {shown} (95 % interval, counted by group and between halvings)"
    return Sanity("ungrouped folds", question.design.name, test.difference, test.low, test.high, "info", told)


def _halved(asked: Asked, question: Question, groups: Sequence[str]) -> Question:
    """Return the question on 5x2 halvings of its dataset that keep some groups whole."""
    samples = asked.table.dataset.samples
    ids, strata = [sample.id for sample in samples], [sample.diagnosis for sample in samples]
    plan = folds.draw("5x2", ids, groups=groups, strata=strata, seed=asked.settings.seed)
    classes, design = question.assignment.classes, question.design.name
    return question._replace(splits=folds.check(plan, ids=question.ids, y=question.y, classes=classes, design=design))


def _influences(question: Question, cell: Cell) -> Influences:
    return significance.influences(certainty.sides_of(question, [cell]))


def _beside(first: Influences, second: Influences) -> Influences:
    """Return the influences of the same groups under two plans as two columns."""
    means, positives, negatives = (np.hstack(pair) for pair in zip(first[:3], second[:3], strict=True))
    return Influences(means, positives, negatives, (min(first.df[0], second.df[0]), min(first.df[1], second.df[1])))
