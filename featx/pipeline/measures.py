"""What a comparison leaves for the tables: values of every metric by split, confusion, counts, an interval.

Metrics that :mod:`featx.metrics` does not have by that name are made here of the same verdicts. Knows no tables.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.classifiers import Verdict
from featx.comparison import Cell, Comparison, Question
from featx.folds import Split
from featx.metrics import confusion, main_metric

ARGMAX = "argmax"
MAIN = "main"  # AUC, or Hand and Till's M of more than two classes


def cells_of(found: Comparison, designs: dict[str, str]) -> list[dict[str, Any]]:
    """Return plain values for each cell of a comparison.

    Parameters
    ----------
    found : Comparison
        What was compared.
    designs : dict of str to str
        For each design that was asked, what the pipeline calls it.
    """
    layers = {one["label"]: one["spec"]["layer"] for one in found.run["features"]}
    questions = {question.design.name: question for question in found.questions}
    told = []
    for judged in found.judged:
        question, cells = questions[judged.design], found.of(judged.design)
        for cell, interval in zip(cells, judged.intervals, strict=False):
            told.append(
                {
                    "design": designs[cell.design],
                    "asked": cell.design,
                    "classifier": cell.classifier,
                    "layer": layers[cell.features],
                    "features": cell.features,
                    "rows": [[len(split.train), len(split.test)] for split in question.splits],
                    "metrics": _metrics(cell, question),
                    "interval": None if interval is None or interval.low is None else [interval.low, interval.high],
                    "estimates": interval.estimates if interval else "",
                    "classes": list(question.assignment.classes),
                    "confusion": _confusion(cell, question).tolist(),
                    "at_edge": sum(verdict.at_edge for verdict in cell.verdicts),
                }
            )
    return told


def counts_of(found: Comparison, designs: dict[str, str]) -> list[dict[str, Any]]:
    """Return images of each class and what was dropped, for each design."""
    return [
        {
            "design": designs[question.design.name],
            "asked": question.design.name,
            "classes": question.assignment.counts,
            "dropped": question.assignment.dropped,
            "groups": len(set(question.groups)),
        }
        for question in found.questions
    ]


def _metrics(cell: Cell, question: Question) -> dict[str, list[float]]:
    values = {name: [score[name] for score in cell.scores] for name in cell.scores[0]}
    values[MAIN] = values[main_metric(len(question.assignment.classes))]
    own = [_more(verdict, question, split, cell.classifier)
           for verdict, split in zip(cell.verdicts, question.splits, strict=True)]  # fmt: skip
    return values | {name: [one[name] for one in own] for name in own[0]}


def _more(verdict: Verdict, question: Question, split: Split, classifier: str) -> dict[str, float]:
    """Return averages weighted by support, by image; and of a network's own verdict its loss."""
    y, classes = question.y[split.test], len(question.assignment.classes)
    table = confusion(y, verdict.scores.argmax(1), classes=classes)
    right, actual, claimed = np.diag(table), table.sum(1), table.sum(0)
    found = {
        "precision_weighted": float((right / np.maximum(claimed, 1)) @ actual / len(y)),
        "recall_weighted": float(right.sum() / len(y)),
    }
    if classifier == ARGMAX:  # its scores are logarithms of probabilities
        found["log_loss"] = float(-verdict.scores[np.arange(len(y)), y].mean())
    return found


def _confusion(cell: Cell, question: Question) -> np.ndarray:
    """Return counts of (true class, predicted class) over all splits, by image."""
    classes = len(question.assignment.classes)
    tables = [
        confusion(question.y[split.test], verdict.scores.argmax(1), classes=classes)
        for verdict, split in zip(cell.verdicts, question.splits, strict=True)
    ]
    return np.sum(tables, axis=0)
