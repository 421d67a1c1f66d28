"""What the same pipeline scores where there is nothing to learn, or nothing of the picture.

Permuted labels and the prior must score .5; what is known beside the picture, raw pixels and random weights are what a
result has to be held against; and folds that ignore groups show what they would have flattered. Only the first feature
file is asked, with one classifier. Opens no image, and knows no networks.
"""

from __future__ import annotations

from collections.abc import Sequence

from featx.cache.places import Places
from featx.classifiers import Classifier
from featx.comparison.cells import Cell, Settings
from featx.comparison.question import Question
from featx.comparison.sanity.asked import Asked, cheapest
from featx.comparison.sanity.besides import beside_the_picture, dummy
from featx.comparison.sanity.permuting import permuted_labels
from featx.comparison.sanity.row import Sanity, sanity_told
from featx.comparison.sanity.ungrouping import ungrouped_folds
from featx.comparison.sanity.untrained import nothing_learned
from featx.engine import OnProgress
from featx.errors import UsageError
from featx.folds import Folds
from featx.matrix import Features

__all__ = ["PERMUTATIONS", "Sanity", "cheapest", "check", "sanity_told"]

PERMUTATIONS, FEWEST = 100, 20


def check(
    tables: Sequence[Features],
    common: Sequence[str],
    questions: Sequence[Question],
    chosen: Sequence[Classifier],
    *,
    cells: Sequence[Cell],
    settings: Settings,
    plan: Folds,
    places: Places,
    permutations: int = PERMUTATIONS,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[Sanity]:
    """Return what the pipeline of a comparison scores where nothing should be there to find.

    Parameters
    ----------
    tables, common, questions, chosen, settings, plan, places
        As the comparison has them. The first table is asked, with ``svm`` if it was chosen, else the first classifier
        whose fits share one matrix, else the first.
    cells : sequence of Cell
        Of the comparison: the real scores, and the hyperparameters that were chosen.
    permutations : int
        How often labels are permuted.
    jobs : int, optional
        Threads; all cores by default.
    on_progress : callable, optional
        Told (done, total) checks.

    Returns
    -------
    list of Sanity
        By design, the checks in one order. The same seed gives the same rows.

    Raises
    ------
    UsageError
        Fewer than 20 permutations: no quantile can be told from them.
    """
    if permutations < FEWEST:
        raise UsageError(f"a check by permuted labels takes at least {FEWEST} permutations; {permutations} came")
    classifier = cheapest(chosen, settings)
    own = {c.design: c for c in cells if (c.classifier, c.features) == (classifier.name, tables[0].label)}
    asked = Asked(tables[0], common, questions, classifier, own, settings, plan, places, jobs)
    checks = [
        lambda: permuted_labels(asked, permutations),
        lambda: dummy(asked),
        lambda: beside_the_picture(asked),
        lambda: nothing_learned(asked, tables),
        lambda: ungrouped_folds(asked),
    ]
    rows: list[Sanity] = []
    for done, one in enumerate(checks, start=1):
        rows += one()
        if on_progress is not None:
            on_progress(done, len(checks))
    order = [question.design.name for question in questions]
    return sorted(rows, key=lambda row: order.index(row.design))
