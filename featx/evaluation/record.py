"""What is kept of an evaluation: ``run.json`` with the provenance of both files, ``scores.csv``, ``predictions.csv``.

The tables have the columns of a comparison, with one split: repeat 0, half 0. Computes no score. Everything made from
the synthetic demo, by training or by testing, says so in itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from featx import runs
from featx.datasets import SYNTHETIC
from featx.evaluation.judging import Cell, Contrast
from featx.evaluation.overlap import Looks, Overlap
from featx.evaluation.question import Question, Side
from featx.matrix import Features
from featx.metrics import main_metric
from featx.provenance import digest_json, environment

if TYPE_CHECKING:
    from featx.evaluation import Evaluation

SCORES = ("design", "classifier", "features", "repeat", "half", "metric", "value", "unit", "dataset")
ONLY = (0, 0)  # repeat and half


def title_of(train: Features, test: Features) -> str:
    """Return the test dataset's name for tables, which says where training or test data are synthetic."""
    if train.dataset.synthetic and not test.dataset.synthetic:
        return f"{test.dataset.title} (trained on {SYNTHETIC})"
    return test.dataset.title


def record_of(
    train: Features,
    test: Features,
    questions: Sequence[Question],
    cells: Sequence[Cell],
    contrasts: Sequence[Contrast],
    *,
    kind: str,
    overlap: Overlap,
    looks: Looks,
    settings: dict[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return the record of a run, as JSON values."""
    inputs = {
        "train": _file(train),
        "test": _file(test),
        "designs": [_design(question, overlap) for question in questions],
        "settings": settings,
    }
    synthetic = train.dataset.synthetic or test.dataset.synthetic
    return {
        "id": runs.new_id("evaluate", inputs),
        "verb": "evaluate",
        "data": title_of(train, test),
        "kind": kind,
        **({"note": SYNTHETIC} if synthetic else {}),
        **inputs,
        "overlap": {
            "allowed": settings["allow_overlap"],
            **overlap.describe(),
            "not_looked_at": dict(zip(("train", "test"), looks.unknown, strict=True)),
        },
        "notes": list(notes),
        "results": [_result(cell, question) for question in questions for cell in _own(cells, question)],
        "differences": [
            {**contrast._asdict(), "difference": {**contrast.difference._asdict(), "df": list(contrast.difference.df)}}
            for contrast in contrasts
        ],
        "environment": environment(),
    }


def _own(cells: Sequence[Cell], question: Question) -> list[Cell]:
    return [cell for cell in cells if cell.design == question.design.name]


def _file(table: Features) -> dict[str, Any]:
    dataset = table.dataset
    return {
        "features": {"label": table.label, **table.about},
        "images_sha256": digest_json(sorted(table.digests)),
        "dataset": {
            "name": dataset.name,
            "title": dataset.title,
            "root": str(dataset.root),
            "found": dataset.found,
            "kept": len(dataset.samples),
            "dropped": dict(dataset.dropped),
            "grouping": dataset.grouping,
        },
        "with_features": int(table.usable.sum()),
        "without_features": dict(table.dropped),
    }


def _design(question: Question, overlap: Overlap) -> dict[str, Any]:
    test = {**_side(question.test), "units": len(set(question.test.units)), "overlapping": 0}
    test["overlapping"] = sum(name in overlap.ids for name in question.test.ids)
    return {**question.design.describe(), "train": _side(question.train), "test": test}


def _side(side: Side) -> dict[str, Any]:
    return {"counts": side.counts, "dropped": side.dropped, "groups": len(set(side.groups))}


def _result(cell: Cell, question: Question) -> dict[str, Any]:
    verdict, interval = cell.verdict, cell.interval._asdict()
    return {
        "design": cell.design,
        "classifier": cell.classifier,
        "metric": main_metric(len(question.classes)),
        **interval,
        "method": cell.method,
        "scores": cell.scores,
        "chosen": verdict.chosen,
        "inner_scheme": verdict.inner_scheme,
        "at_edge": verdict.at_edge,
        "converged": verdict.converged,
    }


def write(found: Evaluation) -> None:
    """Write ``scores.csv``, ``predictions.csv`` and ``run.json`` into the folder of an evaluation."""
    (found.folder / "run.json").unlink(missing_ok=True)
    runs.write_csv(found.folder / "scores.csv", SCORES, _score_rows(found))
    classes = list(dict.fromkeys(name for question in found.questions for name in question.classes))
    header = ("sample", "group", "design", "classifier", "features", "repeat", "half", "truth",
              *(f"score_{name}" for name in classes), "predicted", "dataset")  # fmt: skip
    runs.write_csv(found.folder / "predictions.csv", header, _prediction_rows(found, classes))
    runs.write_json(found.folder / "run.json", found.run)  # last: a folder with a record is whole


def _score_rows(found: Evaluation) -> Iterator[tuple[Any, ...]]:
    for cell in found.cells:
        about = (cell.design, cell.classifier, found.train.label, *ONLY)
        yield from ((*about, metric, value, found.unit, found.title) for metric, value in cell.scores.items())


def _prediction_rows(found: Evaluation, classes: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for question in found.questions:
        names, side = question.classes, question.test
        column = [names.index(name) if name in names else None for name in classes]
        for cell in _own(found.cells, question):
            about = (cell.design, cell.classifier, found.train.label, *ONLY)
            best = cell.verdict.scores.argmax(1).tolist()
            for row, scores in enumerate(cell.verdict.scores.tolist()):
                told = [None if at is None else scores[at] for at in column]
                truth = names[side.y[row]]
                yield (side.ids[row], side.groups[row], *about, truth, *told, names[best[row]], found.title)
