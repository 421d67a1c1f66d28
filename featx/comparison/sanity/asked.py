"""What every check takes of a comparison: its first features, one classifier and the cells of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from featx import families
from featx.cache.places import Places
from featx.classifiers import Classifier
from featx.comparison.cells import Cell, Settings, fit
from featx.comparison.question import Question
from featx.folds import Folds
from featx.matrix import Features
from featx.metrics import main_metric


class Asked(NamedTuple):
    """What every check takes: the first feature file, one classifier, and its cells by design."""

    table: Features
    common: Sequence[str]
    questions: Sequence[Question]
    classifier: Classifier
    cells: Mapping[str, Cell]
    settings: Settings
    plan: Folds
    places: Places
    jobs: int | None

    def score(self, question: Question) -> float:
        """Return the mean score of the comparison itself."""
        return float(self.cells[question.design.name].values(metric_of(question)).mean())

    def fit(self, table: Features, questions: Sequence[Question], classifier: Classifier) -> list[Cell]:
        """Return the cells of one classifier on one feature file; those that are kept are not computed again."""
        settings = self.settings._replace(params={classifier.name: {}, **self.settings.params})
        return fit(
            [table],
            self.common,
            questions,
            [classifier],
            settings=settings,
            kept_in=self.places.cells,
            jobs=self.jobs,
            on_progress=None,
        )


def cheapest(chosen: Sequence[Classifier], settings: Settings) -> Classifier:
    """Return the classifier that the checks take."""
    by_name = {classifier.name: classifier for classifier in chosen}
    together = [c for c in chosen if families.serves(c, scale=settings.scale or c.scale)]
    return by_name.get("svm") or (together or list(chosen))[0]


def metric_of(question: Question) -> str:
    """Return the metric that a design is judged by."""
    return main_metric(len(question.assignment.classes))
