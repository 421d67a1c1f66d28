"""What is kept of a comparison: ``run.json`` with its provenance, ``scores.csv``, ``predictions.csv``.

Computes no score. Everything made from the synthetic demo says so in itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import atomic, calibration, runs
from featx.classifiers import Verdict
from featx.comparison import clinic, subgroups, tables
from featx.comparison.cells import Cell
from featx.comparison.certainty import Judged
from featx.comparison.question import Question
from featx.comparison.sanity import Sanity
from featx.datasets import SYNTHETIC
from featx.folds import Split
from featx.matrix import Features
from featx.metrics import main_metric
from featx.provenance import digest_json, environment

if TYPE_CHECKING:
    from featx.comparison import Comparison

SCORES = ("design", "classifier", "features", "repeat", "half", "metric", "value", "unit", "dataset")


def record_of(
    verb: str,
    tables: Sequence[Features],
    questions: Sequence[Question],
    cells: Sequence[Cell],
    *,
    judged: Sequence[Judged],
    sanity: Sequence[Sanity],
    settings: dict[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return the record of a run: dataset, features, designs, settings, results, environment, as JSON values."""
    dataset = tables[0].dataset
    inputs = {
        "features": [{"label": table.label, **table.about} for table in tables],
        "images_sha256": digest_json(sorted(tables[0].digests)),
        "designs": [_told(question) for question in questions],
        "settings": settings,
    }
    return {
        "id": runs.new_id(verb, inputs),
        "verb": verb,
        "data": dataset.title,
        **({"note": SYNTHETIC} if dataset.synthetic else {}),
        "dataset": {
            "name": dataset.name,
            "root": str(dataset.root),
            "found": dataset.found,
            "kept": len(dataset.samples),
            "dropped": dict(dataset.dropped),
            "grouping": dataset.grouping,
        },
        **inputs,
        "notes": list(notes),
        "results": [
            _summary(cell, question) for question in questions for cell in cells if cell.design == question.design.name
        ],
        "judged": [_judged(one) for one in judged],
        "sanity": [row._asdict() for row in sanity],
        "environment": environment(),
    }


def _told(question: Question) -> dict[str, Any]:
    return {
        **question.design.describe(),
        "counts": question.assignment.counts,
        "dropped": question.assignment.dropped,
        "readings": question.readings,
    }


def _judged(judged: Judged) -> dict[str, Any]:
    return {
        "design": judged.design,
        "metric": judged.metric,
        "intervals": [None if one is None else one._asdict() for one in judged.intervals],
        "differences": [
            {
                "first": [pair.first.features, pair.first.classifier],
                "second": [pair.second.features, pair.second.classifier],
                **pair.main._asdict(),
                "holm": pair.holm,
                "others": [one._asdict() for one in pair.others],
            }
            for pair in judged.pairs
        ],
        "chosen_inside": judged.chosen.values(judged.metric).tolist() if judged.chosen else None,
        "winner": judged.winner._asdict() if judged.winner else None,
        "notes": list(judged.notes),
    }


def _summary(cell: Cell, question: Question) -> dict[str, Any]:
    main = main_metric(len(question.assignment.classes))
    values = cell.values(main)
    spread = {"sd_over_splits_not_a_standard_error": float(values.std(ddof=1))} if len(values) > 1 else {}
    return {
        "design": cell.design,
        "classifier": cell.classifier,
        "features": cell.features,
        "metric": main,
        "mean": float(values.mean()),
        **spread,
        "values": values.tolist(),
        "means": {metric: float(cell.values(metric).mean()) for metric in cell.scores[0]},
        "splits": [
            {"repeat": s.repeat, "half": s.half, "chosen": v.chosen, "at_edge": v.at_edge, "converged": v.converged}
            for s, v in zip(question.splits, cell.verdicts, strict=True)
        ],
    }


def write(found: Comparison, *, probabilities: bool) -> None:
    """Write ``scores.csv``, ``predictions.csv`` and ``run.json`` into the folder of a comparison."""
    (found.folder / "run.json").unlink(missing_ok=True)
    runs.write_csv(found.folder / "scores.csv", SCORES, _score_rows(found))
    classes = list(dict.fromkeys(name for q in found.questions for name in q.assignment.classes))
    header = ("sample", "group", "design", "classifier", "features", "repeat", "half", "truth",
              *(f"score_{name}" for name in classes), *(f"probability_{name}" for name in classes if probabilities),
              "predicted", "dataset", *(["seen"] if _seen(found) else []))  # fmt: skip
    rows = _prediction_rows(found, classes, probabilities=probabilities)
    runs.write_csv(found.folder / "predictions.csv", header, rows)
    if any(judged.pairs for judged in found.judged):
        runs.write_csv(found.folder / "differences.csv", tables.DIFFERENCES, tables.difference_rows(found))
    runs.write_csv(found.folder / "clinical.csv", clinic.CLINICAL, found.clinic.clinical)
    runs.write_csv(found.folder / "subgroups.csv", subgroups.SUBGROUPS, found.clinic.subgroups)
    atomic.write_text(found.folder / "table.md", tables.markdown(found))
    atomic.write_text(found.folder / "table.tex", tables.latex(found))
    runs.write_json(found.folder / "run.json", found.run)  # last: a folder with a record is whole


def _score_rows(found: Comparison) -> Iterator[tuple[Any, ...]]:
    for question in found.questions:
        for cell in found.of(question.design.name):
            for split, scores in zip(question.splits, cell.scores, strict=True):
                about = (cell.design, cell.classifier, cell.features, split.repeat, split.half)
                yield from ((*about, metric, value, found.unit, found.title) for metric, value in scores.items())


def _seen(found: Comparison) -> dict[tuple[str, int, int], set[str]]:
    """Return the samples that were tested although the weights have seen them, by features and split."""
    return {(one["features"], one["repeat"], one["half"]): set(one["samples"]) for one in found.run["settings"]["seen"]}


def _prediction_rows(found: Comparison, classes: Sequence[str], *, probabilities: bool) -> Iterator[tuple[Any, ...]]:
    seen = _seen(found)
    for question in found.questions:
        names = question.assignment.classes
        columns = [names.index(name) if name in names else None for name in classes]
        for cell in found.of(question.design.name):
            for split, verdict in zip(question.splits, cell.verdicts, strict=True):
                about = (cell.design, cell.classifier, cell.features, split.repeat, split.half)
                marked = seen.get((cell.features, split.repeat, split.half), set())
                told = [verdict.scores, *([_mapped(question, split, verdict)] if probabilities else [])]
                parts = [_by_class(one, columns) for one in told]
                for row, best, *values in zip(split.test.tolist(), verdict.scores.argmax(1), *parts, strict=True):
                    name, truth = question.ids[row], names[question.y[row]]
                    mark = [int(name in marked)] if seen else []
                    yield (name, question.groups[row], *about, truth, *chain(*values), names[best], found.title, *mark)


def _by_class(values: np.ndarray, columns: Sequence[int | None]) -> list[list[float | None]]:
    """Return each row's values in the order of the file's columns, nothing where a design lacks the class."""
    held = [[None if np.isnan(value) else value for value in row] for row in values.tolist()]
    return [[None if at is None else row[at] for at in columns] for row in held]


def _mapped(question: Question, split: Split, verdict: Verdict) -> np.ndarray:
    """Return the probabilities of one test side, NaN where the train side has no scores to make the map of."""
    told = None
    if verdict.inner is not None:
        told = calibration.probabilities(verdict.inner, question.y[split.train], verdict.scores)
    return np.full(verdict.scores.shape, np.nan) if told is None else told
