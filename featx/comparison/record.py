"""What is kept of a comparison: ``run.json`` with its provenance, ``scores.csv``, ``predictions.csv``.

Computes no score. Everything made from the synthetic demo says so in itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from featx import atomic, runs
from featx.comparison import clinic, tables
from featx.comparison.cells import Cell
from featx.comparison.certainty import Judged
from featx.comparison.question import Question
from featx.comparison.sanity import Sanity
from featx.datasets import SYNTHETIC
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


def write(found: Comparison) -> None:
    """Write ``scores.csv``, ``predictions.csv`` and ``run.json`` into the folder of a comparison."""
    (found.folder / "run.json").unlink(missing_ok=True)
    runs.write_csv(found.folder / "scores.csv", SCORES, _score_rows(found))
    classes = list(dict.fromkeys(name for q in found.questions for name in q.assignment.classes))
    header = ("sample", "group", "design", "classifier", "features", "repeat", "half", "truth",
              *(f"score_{name}" for name in classes), "dataset")  # fmt: skip
    runs.write_csv(found.folder / "predictions.csv", header, _prediction_rows(found, classes))
    if any(judged.pairs for judged in found.judged):
        runs.write_csv(found.folder / "differences.csv", tables.DIFFERENCES, tables.difference_rows(found))
    runs.write_csv(found.folder / "clinical.csv", clinic.CLINICAL, found.clinic.clinical)
    runs.write_csv(found.folder / "subgroups.csv", clinic.SUBGROUPS, found.clinic.subgroups)
    atomic.write_text(found.folder / "table.md", tables.markdown(found))
    atomic.write_text(found.folder / "table.tex", tables.latex(found))
    runs.write_json(found.folder / "run.json", found.run)  # last: a folder with a record is whole


def _score_rows(found: Comparison) -> Iterator[tuple[Any, ...]]:
    for question in found.questions:
        for cell in found.of(question.design.name):
            for split, scores in zip(question.splits, cell.scores, strict=True):
                about = (cell.design, cell.classifier, cell.features, split.repeat, split.half)
                yield from ((*about, metric, value, found.unit, found.title) for metric, value in scores.items())


def _prediction_rows(found: Comparison, classes: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for question in found.questions:
        names = question.assignment.classes
        column = [names.index(name) if name in names else None for name in classes]
        for cell in found.of(question.design.name):
            for split, verdict in zip(question.splits, cell.verdicts, strict=True):
                about = (cell.design, cell.classifier, cell.features, split.repeat, split.half)
                for row, scores in zip(split.test.tolist(), verdict.scores.tolist(), strict=True):
                    told = [None if at is None else scores[at] for at in column]
                    truth = names[question.y[row]]
                    yield (question.ids[row], question.groups[row], *about, truth, *told, found.title)
