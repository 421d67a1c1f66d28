"""What knows nothing of the picture: the prior of the classes, and what is known beside it. Opens no image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from featx import shortcuts
from featx.classifiers import CLASSIFIERS
from featx.comparison.question import Question
from featx.comparison.sanity.asked import Asked, metric_of
from featx.comparison.sanity.row import CHANCE, Sanity
from featx.errors import DataError, SplitError
from featx.fingerprints import remembered

BESIDE = {"age, sex, site": "metadata", "source": "metadata", "file": "file properties"}


def dummy(asked: Asked) -> list[Sanity]:
    """Score the prior of the classes, which tells no image from another."""
    rows = []
    for question, cell in zip(
        asked.questions, asked.fit(asked.table, asked.questions, CLASSIFIERS["dummy"]), strict=True
    ):
        values = cell.values(metric_of(question))
        level = "green" if (values == CHANCE).all() else "red"
        told = "the classes' prior, the same score for every image, lowest and highest split"
        told += " (exactly .5)" if level == "green" else ": it must be exactly .5, so that the metric is wrong"
        name = question.design.name
        rows.append(Sanity("dummy", name, float(values.mean()), float(values.min()), float(values.max()), level, told))
    return rows


def beside_the_picture(asked: Asked) -> list[Sanity]:
    """Ask the shortcuts on the very rows, classes and splits of each design."""
    known = remembered(asked.table.dataset.name, places=asked.places)
    ids = [sample.id for sample in asked.table.dataset.samples]
    held = {name: known[digest] for name, digest in zip(ids, asked.table.digests, strict=True) if digest in known}
    rows = []
    for question in asked.questions:
        rows += _shortcuts_of(asked, question, held)
        if not any(name in held for name in question.ids):
            told = "nothing is remembered of the files; `featx extract` does it"
            rows.append(Sanity("file properties", question.design.name, None, None, None, "info", told))
    return rows


def _shortcuts_of(asked: Asked, question: Question, held: Mapping[str, Any]) -> list[Sanity]:
    name, real = question.design.name, asked.score(question)
    samples = {sample.id: sample for sample in asked.table.dataset.samples}
    classes = question.assignment.classes
    as_classes = [
        replace(samples[name], diagnosis=classes[code], group=group)
        for name, code, group in zip(question.ids, question.y.tolist(), question.groups, strict=True)
    ]
    dataset = replace(asked.table.dataset, samples=tuple(as_classes))  # a reading of the design is a diagnosis here
    try:
        found = shortcuts.find(
            dataset,
            fingerprints=held,
            only=["diagnosis"],
            plan=asked.plan,
            seed=asked.settings.seed,
            jobs=asked.jobs,
        )
    except (DataError, SplitError) as error:
        told = f"not asked: {error}".replace("design 'diagnosis'", f"design {name!r}")
        return [Sanity("metadata", name, None, None, None, "info", told)]
    rows = []
    for s in found:
        if s.what in BESIDE:  # names are no part of what a network could see
            told = f"{s.note}; mean, lowest and highest split of a forest, the features score {real:.3f}"
            rows.append(Sanity(f"{BESIDE[s.what]}: {s.what}", name, s.auc, s.low, s.high, s.level, told))
    return rows
