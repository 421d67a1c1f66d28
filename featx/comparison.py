"""The comparison: feature files x designs x classifiers, over one plan of folds, to scores and predictions.

Every classifier of a design is fitted on the same train rows and judged on the same test rows. This file never knows
image files or networks.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import designs, engine, folds, runs
from featx.cache.places import Places
from featx.classifiers import CLASSIFIERS, SCALES, Classifier, Verdict, fixed_params, judge
from featx.datasets import SYNTHETIC
from featx.engine import OnProgress
from featx.errors import DataError, SplitError, UsageError
from featx.matrix import Features, read_features
from featx.metrics import evaluate, main_metric
from featx.provenance import digest_json, environment

SCORES = ("design", "classifier", "features", "repeat", "half", "metric", "value", "dataset")


class Cell(NamedTuple):
    """One classifier on one feature file under one design: the scores and verdicts of all its splits.

    Attributes
    ----------
    design, classifier, features : str
        What was fitted on what.
    scores : list of dict
        The metrics of each split, in order.
    verdicts : list of Verdict
        The classifier's scores of the test rows of each split.
    """

    design: str
    classifier: str
    features: str
    scores: list[dict[str, float]]
    verdicts: list[Verdict]

    def values(self, metric: str) -> np.ndarray:
        """Return a metric's value in each split."""
        return np.array([score[metric] for score in self.scores])


class Question(NamedTuple):
    """A design on the samples compared: who is asked about, and the splits.

    Attributes
    ----------
    design : Design
        The design.
    assignment : Assignment
        Its classes and drops.
    rows : numpy.ndarray of int64, shape (n,)
        Rows of the feature files' common samples that have a class.
    ids, groups, units : list of str
        Of those rows.
    y : numpy.ndarray of int64, shape (n,)
        Their class codes.
    splits : list of Split
        As numbers into ``rows``.
    readings : dict
        Class counts under each reading of a policy.
    """

    design: designs.Design
    assignment: designs.Assignment
    rows: np.ndarray
    ids: list[str]
    groups: list[str]
    units: list[str]
    y: np.ndarray
    splits: list[folds.Split]
    readings: dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    title : str
        The dataset; synthetic data say so in it.
    grouping : str
        What the groups promise, and what not.
    questions : tuple of Question
        One a design.
    cells : tuple of Cell
        One for each feature file, design and classifier.
    unit : str
        What the scores are of: ``image``, or for instance ``lesion``.
    run : dict
        The record: provenance of everything.
    folder : pathlib.Path
        Where ``run.json``, ``scores.csv`` and ``predictions.csv`` lie.
    notes : tuple of str
        What the user should know.
    """

    title: str
    grouping: str
    questions: tuple[Question, ...]
    cells: tuple[Cell, ...]
    unit: str
    run: dict[str, Any]
    folder: Path
    notes: tuple[str, ...]

    def of(self, design: str) -> list[Cell]:
        """Return the cells of a design."""
        return [cell for cell in self.cells if cell.design == design]


def compare(
    features: Sequence[str | os.PathLike[str]] | str | os.PathLike[str] | None = None,
    *,
    classifiers: Sequence[str] = ("svm", "rf", "tree"),
    designs: Sequence[str | designs.Design] = ("mel-vs-benign",),
    folds: str = "5x2",
    seed: int = 0,
    scale: str | None = None,
    params: Sequence[str] = (),
    unit: str = "image",
    akiec: str = "drop",
    scc: str = "malignant",
    cache: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    verb: str = "compare",
    on_progress: OnProgress | None = None,
) -> Comparison:
    """Compare classifiers on cached features over grouped folds.

    Parameters
    ----------
    features : path-like or sequence of path-like, optional
        Feature files of one dataset; those extracted last by default. Only samples that all of them hold are used.
    classifiers : sequence of str
        Names of the shelf.
    designs : sequence of str or Design
        Names of the shelf, YAML files, or designs.
    folds : str
        ``5x2``, ``kfold[:K]``, ``holdout[:A/B[/C]]``, ``official``, or a JSON file of folds.
    seed : int
        Seed of the folds, the inner parts and the estimators.
    scale : {"l2", "standard", "none"}, optional
        Each classifier's own by default (row L2 norm for the linear ones, the Gaussian SVM and neighbours).
    params : sequence of str
        Fixed hyperparameters, ``C=1`` or ``svm:C=1``; the rest is chosen inside each train half.
    unit : str
        ``image``, or what the dataset calls its unit (``lesion``): scores are averaged over a unit's images.
    akiec, scc : {"drop", "benign", "malignant"}
        Readings of the skin designs.
    cache, out : path-like, optional
        The cache's folder, and the folder for the record (``<cache>/runs/<id>`` by default).
    jobs : int, optional
        Threads; all cores by default.
    verb : str
        What the run is called in its record.
    on_progress : callable, optional
        Told (done, total) fitted splits.

    Returns
    -------
    Comparison

    Raises
    ------
    FeatxError
        Whatever is wrong, in one sentence.
    """
    places = Places.at(cache)
    if not 0 <= seed < 2**32:
        raise UsageError(f"--seed takes a whole number from 0 to {2**32 - 1}; {seed} came")
    chosen = list({CLASSIFIERS.canonical(name): CLASSIFIERS[name] for name in classifiers}.values())
    if scale is not None and scale not in SCALES:
        raise UsageError(f"--scale takes {', '.join(SCALES)}; {scale!r} came")
    fixed = fixed_params(params, chosen)
    asked = _designs(designs, akiec=akiec, scc=scc)
    if not chosen or not asked:
        raise UsageError("a comparison takes at least one classifier and one design")
    tables = _read(_paths(features, places))
    common, notes = _common(tables)
    plan, plan_path = _plan(tables[0], folds, seed=seed, places=places)
    questions = [_question(design, tables[0], common, plan=plan, unit=unit) for design in asked]
    notes += _twins(tables[0]) + _unused(questions)
    cells = _fit(tables, common, questions, chosen, fixed=fixed, scale=scale, unit=unit, seed=seed, jobs=jobs,
                 on_progress=on_progress)  # fmt: skip
    settings = {
        "classifiers": {
            c.name: {"scale": scale or c.scale, "fixed": fixed[c.name], "grid": dict(c.grid)} for c in chosen
        },
        "folds": {"file": str(plan_path), "scheme": plan.scheme, "seed": plan.seed, "digest": plan.digest},
        "seed": seed,
        "unit": unit,
    }
    dataset = tables[0].dataset
    record = _record(verb, tables, questions, cells, settings=settings, notes=notes)
    folder = runs.folder_for(out, runs=places.runs, run_id=record["id"])
    found = Comparison(
        dataset.title, dataset.grouping, tuple(questions), tuple(cells), unit, record, folder, tuple(notes)
    )
    _write(found)
    return found


def _designs(asked: Sequence[str | designs.Design], *, akiec: str, scc: str) -> list[designs.Design]:
    found = [designs.get(d, akiec=akiec, scc=scc) if isinstance(d, str) else d for d in asked]
    by_name = {design.name: design for design in found}
    for design in found:
        if design != by_name[design.name]:
            raise UsageError(f"two designs are called {design.name!r}; give one of them another name")
    return list(by_name.values())


def _paths(features: Any, places: Places) -> list[Path]:
    if features is None:
        return places.last()
    return [Path(p) for p in ([features] if isinstance(features, (str, os.PathLike)) else features)]


def _read(paths: Sequence[Path]) -> list[Features]:
    """Read feature files; those of one name are told apart by their key, those of two datasets are refused."""
    tables = [read_features(path) for path in dict.fromkeys(paths)]
    names = [table.label for table in tables]
    tables = [replace(t, label=t.path.stem) if names.count(t.label) > 1 else t for t in tables]
    told = {table.dataset.name for table in tables}
    if len(told) > 1:
        raise UsageError(
            f"features of several datasets cannot be compared on the same samples ({', '.join(sorted(told))})"
        )
    return tables


def _common(tables: Sequence[Features]) -> tuple[list[str], list[str]]:
    """Return the samples that every file has features of, and notes on those left out.

    Raises
    ------
    DataError
        Where two files hold other images, diagnoses or groups under one id.
    """
    known: dict[str, tuple[str, str, str]] = {}
    for table in tables:
        for sample, digest, group in zip(table.dataset.samples, table.digests, table.groups, strict=True):
            facts = (digest, sample.diagnosis, group)
            if known.setdefault(sample.id, facts) != facts:
                raise DataError(
                    f"sample {sample.id!r} is not the same in {tables[0].path.name} and {table.path.name} (image, "
                    "diagnosis or group differ); run `featx extract` again for both"
                )
    held = [{s.id for s, usable in zip(t.dataset.samples, t.usable, strict=True) if usable} for t in tables]
    everywhere = set.intersection(*held)
    common = [sample.id for sample in tables[0].dataset.samples if sample.id in everywhere]
    if not common:
        raise DataError("no sample has features in all of the files; extract them from the same data")
    notes = [
        f"{t.label}: {count} images without features ({reason})" for t in tables for reason, count in t.dropped.items()
    ]
    if lost := len(known) - len(common):
        notes.append(f"{len(common)} of {len(known)} samples have features in every file; {lost} are left out")
    return common, notes


def _plan(table: Features, scheme: str, *, seed: int, places: Places) -> tuple[folds.Folds, Path]:
    """Draw the folds of a dataset once, on all of its samples, or read them from a file."""
    if scheme.endswith(".json"):
        return _plan_from(Path(scheme), table), Path(scheme)
    samples, dataset = table.dataset.samples, table.dataset
    return folds.drawn_once(
        scheme,
        [sample.id for sample in samples],
        groups=table.groups,
        strata=[sample.diagnosis for sample in samples],
        seed=seed,
        folder=places.folds,
        about={"dataset": dataset.name, "data": dataset.title, "grouping": dataset.grouping},
        official=[sample.attributes.get("split", "") for sample in samples] if scheme == "official" else None,
    )


def _plan_from(path: Path, table: Features) -> folds.Folds:
    """Read a plan, and refuse it where it divides a group that these data know (the plan may know others, or none)."""
    plan = folds.load(path)
    known = dict(zip((sample.id for sample in table.dataset.samples), table.groups, strict=True))
    groups = tuple(known.get(name, group) for name, group in zip(plan.ids, plan.groups, strict=True))
    try:
        folds.refuse_straddling(replace(plan, groups=groups))
    except SplitError as error:
        raise SplitError(f"{path} was drawn for other groups than these data have: {error}") from None
    return plan


def _twins(table: Features) -> list[str]:
    """Tell of images that are identical byte for byte, and of diagnoses that contradict each other."""
    diagnoses: dict[str, list[str]] = {}
    for sample, digest in zip(table.dataset.samples, table.digests, strict=True):
        diagnoses.setdefault(digest, []).append(sample.diagnosis)
    twins = [told for digest, told in diagnoses.items() if digest and len(told) > 1]
    if not twins:
        return []
    differ = sum(len(set(told)) > 1 for told in twins)
    note = f"{sum(map(len, twins))} images are the same as another byte for byte, and in one group with it"
    return [note + (f"; in {differ} of {len(twins)} such sets the diagnoses differ" if differ else "")]


def _unused(questions: Sequence[Question]) -> list[str]:
    """Tell of rows that no split trains on or tests."""
    notes = []
    for question in questions:
        used = {row for split in question.splits for side in (split.train, split.test) for row in side.tolist()}
        if lost := len(question.ids) - len(used):
            name = question.design.name
            notes.append(f"{name}: {lost} samples are on neither side of any split (for validation, or in no part)")
    return notes


def _question(
    design: designs.Design, table: Features, common: Sequence[str], *, plan: folds.Folds, unit: str
) -> Question:
    """Assign classes to the common samples, and check the folds for them."""
    place = {sample.id: row for row, sample in enumerate(table.dataset.samples)}
    at = [place[name] for name in common]
    samples = [table.dataset.samples[row] for row in at]
    diagnoses = [sample.diagnosis for sample in samples]
    assignment = design.assign(diagnoses)
    rows = np.flatnonzero(assignment.y >= 0)
    ids, y = [common[row] for row in rows.tolist()], assignment.y[rows]
    splits = folds.check(plan, ids=ids, y=y, classes=assignment.classes, design=design.name)
    return Question(
        design,
        assignment,
        rows,
        ids,
        [table.groups[at[row]] for row in rows],
        _units(table, [samples[row] for row in rows], unit=unit, y=y),
        y,
        splits,
        design.readings(diagnoses),
    )


def _units(table: Features, samples: Sequence[Any], *, unit: str, y: np.ndarray) -> list[str]:
    """Return the unit of each row.

    Raises
    ------
    UsageError
        Where the dataset knows no such unit.
    DataError
        Where a unit has rows of two classes.
    """
    if unit == "image":
        return [sample.id for sample in samples]
    known = {"image", table.dataset.unit_kind, table.dataset.group_kind} - {None}
    if unit not in known:
        raise UsageError(f"--unit {unit}: {table.dataset.name} knows {', '.join(sorted(map(str, known)))}")
    by_unit = unit == table.dataset.unit_kind
    names = [sample.unit if by_unit else sample.group for sample in samples]
    first: dict[str, tuple[int, str]] = {}
    for name, code, sample in zip(names, y.tolist(), samples, strict=True):
        known_code, known_group = first.setdefault(name, (code, sample.group))
        if known_code != code:
            raise DataError(f"{unit} {name!r} has images of two classes, so that nothing can be reported for it as one")
        if known_group != sample.group:
            raise DataError(f"{unit} {name!r} has images of two groups, so that folds may divide it; group by {unit}")
    return names


def _fit(
    tables: Sequence[Features],
    common: Sequence[str],
    questions: Sequence[Question],
    chosen: Sequence[Classifier],
    *,
    fixed: Mapping[str, Mapping[str, Any]],
    scale: str | None,
    unit: str,
    seed: int,
    jobs: int | None,
    on_progress: OnProgress | None,
) -> list[Cell]:
    """Fit every classifier on every train side, on all cores, and put the verdicts together by cell."""
    from sklearn.exceptions import ConvergenceWarning

    matrices = [_rows_of(table, common) for table in tables]
    triples = list(product(range(len(tables)), questions, chosen))
    calls = [
        (classifier, matrices[t], question, split, {"params": fixed[classifier.name], "scale": scale, "seed": seed})
        for t, question, classifier in triples
        for split in question.splits
    ]
    with warnings.catch_warnings():
        # what did not converge is in the verdict, by name; a warning from a thread names nothing
        warnings.simplefilter("ignore", ConvergenceWarning)
        verdicts = iter(engine.run(_judge_split, calls, jobs=jobs, on_progress=on_progress))
    cells = []
    for t, question, classifier in triples:
        own = [next(verdicts) for _ in question.splits]
        scores = [_score(question, split, verdict) for split, verdict in zip(question.splits, own, strict=True)]
        cells.append(Cell(question.design.name, classifier.name, tables[t].label, scores, own))
    return cells


def _rows_of(table: Features, common: Sequence[str]) -> np.ndarray:
    place = {sample.id: row for row, sample in enumerate(table.dataset.samples)}
    return table.X[[place[name] for name in common]]


def _judge_split(
    classifier: Classifier, X: np.ndarray, question: Question, split: folds.Split, settings: Mapping[str, Any]
) -> Verdict:
    """Hand a classifier the train rows with their groups, and the test rows without their classes."""
    try:
        return judge(
            classifier,
            X[question.rows[split.train]],
            y=question.y[split.train],
            groups=[question.groups[row] for row in split.train],
            X_test=X[question.rows[split.test]],
            **settings,
        )
    except SplitError as error:
        classes = ", ".join(f"{code} {name!r}" for code, name in enumerate(question.assignment.classes))
        where = f"{question.design.name}, {classifier.name}, split {split.repeat}x{split.half}"
        raise SplitError(f"{where} (classes: {classes}): {error}") from None


def _score(question: Question, split: folds.Split, verdict: Verdict) -> dict[str, float]:
    """Return the metrics of one test side, by unit: a unit's score is the mean of its images'."""
    names = [question.units[row] for row in split.test]
    units, member = np.unique(names, return_inverse=True)
    scores = np.zeros((len(units), verdict.scores.shape[1]))
    np.add.at(scores, member, verdict.scores)
    scores /= np.bincount(member)[:, None]
    y = np.zeros(len(units), dtype=np.int64)
    y[member] = question.y[split.test]
    return evaluate(y, scores.argmax(1), scores=scores, classes=question.assignment.classes)


def _record(
    verb: str,
    tables: Sequence[Features],
    questions: Sequence[Question],
    cells: Sequence[Cell],
    *,
    settings: dict[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
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
        "environment": environment(),
    }


def _told(question: Question) -> dict[str, Any]:
    return {
        **question.design.describe(),
        "counts": question.assignment.counts,
        "dropped": question.assignment.dropped,
        "readings": question.readings,
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


def _write(found: Comparison) -> None:
    (found.folder / "run.json").unlink(missing_ok=True)
    runs.write_csv(found.folder / "scores.csv", SCORES, _score_rows(found))
    classes = list(dict.fromkeys(name for q in found.questions for name in q.assignment.classes))
    header = ("sample", "group", "design", "classifier", "features", "repeat", "half", "truth",
              *(f"score_{name}" for name in classes), "dataset")  # fmt: skip
    runs.write_csv(found.folder / "predictions.csv", header, _prediction_rows(found, classes))
    runs.write_json(found.folder / "run.json", found.run)  # last: a folder with a record is whole


def _score_rows(found: Comparison) -> Iterator[tuple[Any, ...]]:
    for question in found.questions:
        for cell in found.of(question.design.name):
            for split, scores in zip(question.splits, cell.scores, strict=True):
                for metric, value in scores.items():
                    yield (
                        cell.design,
                        cell.classifier,
                        cell.features,
                        split.repeat,
                        split.half,
                        metric,
                        value,
                        found.title,
                    )


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
