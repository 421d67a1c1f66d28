"""The comparison: feature files x designs x classifiers, over one plan of folds, to scores and predictions.

``question`` settles rows, classes and splits, ``cells`` fits and judges, ``record`` keeps. Every classifier of a design
is fitted on the same train rows and judged on the same test rows. This package never knows image files or networks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featx import designs, families, runs
from featx.cache.places import Places
from featx.classifiers import CLASSIFIERS, PLAIN, SCALES, accelerated, fixed_params
from featx.comparison import clinic, learned
from featx.comparison import sanity as checks
from featx.comparison.cells import Cell, Settings, fit
from featx.comparison.certainty import Judged, judge
from featx.comparison.question import (
    Question,
    common_samples,
    joined,
    near_duplicates_of,
    pairs_told,
    plan_of,
    question_of,
    twins_told,
    unused_told,
)
from featx.comparison.record import record_of, write
from featx.comparison.sanity import Sanity
from featx.engine import OnProgress
from featx.errors import UsageError
from featx.matrix import Features, read_features
from featx.near_duplicates import Pair

NEAR_DUPLICATES = ("audit", "join", "ignore")

__all__ = ["Cell", "Comparison", "Question", "compare"]


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
    judged : tuple of Judged
        One a design: intervals, differences, and what choosing inside the train halves scores.
    clinic : Clinic
        Clinical numbers and subgroups.
    sanity : tuple of Sanity
        What the same pipeline scores where there is nothing to learn; empty where that was not asked for.
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
    judged: tuple[Judged, ...]
    clinic: clinic.Clinic
    sanity: tuple[Sanity, ...]
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
    near_duplicates: str = "audit",
    prevalence: float | None = None,
    probabilities: bool = False,
    sanity: bool = False,
    allow_seen: bool = False,
    akiec: str = "drop",
    scc: str = "malignant",
    cache: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    solver: str = "auto",
    accelerate: str = PLAIN,
    inner: str = "kfold",
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
        ``5x2``, ``kfold[:K]``, ``holdout[:A/B[/C]]``, ``official``, ``by:COLUMN``, a JSON file of folds, or a YAML file
        of folds as Menegola et al. (2017) released them.
    seed : int
        Seed of the folds, the inner parts and the estimators.
    scale : {"l2", "standard", "none"}, optional
        Each classifier's own by default (row L2 norm for the linear ones, the Gaussian SVM and neighbours).
    params : sequence of str
        Fixed hyperparameters, ``C=1`` or ``svm:C=1``; the rest is chosen inside each train half.
    unit : str
        ``image``, or what the dataset calls its unit (``lesion``): scores are averaged over a unit's images.
    near_duplicates : {"audit", "join", "ignore"}
        What to do with images that are nearly the same: tell those in different groups, join their groups, or neither.
    prevalence : float, optional
        Share of the positive class among those who will be tested, for predictive values.
    probabilities : bool
        Whether ``predictions.csv`` also holds probabilities: Platt's map of the scores that the inner splits held back.
    sanity : bool
        Whether to score permuted labels, the prior, metadata and file properties, pixels and random weights, and
        ungrouped folds beside it.
    allow_seen : bool
        Whether to test rows that the weights behind features were trained on, and to mark them; they are refused else.
    akiec, scc : {"drop", "benign", "malignant"}
        Readings of the skin designs.
    cache, out : path-like, optional
        The cache's folder, and the folder for the record (``<cache>/runs/<id>`` by default).
    jobs : int, optional
        Threads; all cores by default.
    solver : {"auto", "sklearn"}
        ``auto`` solves together all SVMs that share their train rows; ``sklearn`` fits each by itself.
    accelerate : {"none", "numba", "intel"}
        What fits faster than scikit-learn what is fitted by itself: compiled forests and trees on binned features, or
        scikit-learn-intelex's forest and SVC. The record tells which did.
    inner : {"kfold", "shuffle10"}
        How hyperparameters are chosen inside each train half: three grouped parts, or ten draws of a tenth (by group),
        as in Menegola et al. (2017).
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
    families.check_ways(solver=solver, inner=inner)
    chosen = accelerated(chosen, accelerate)
    clinic.check_prevalence(prevalence)
    fixed = fixed_params(params, chosen)
    asked = _designs(designs, akiec=akiec, scc=scc)
    if not chosen or not asked:
        raise UsageError("a comparison takes at least one classifier and one design")
    tables, pairs, told = _without_copies(_read(_paths(features, places)), near_duplicates, places)
    common, notes = common_samples(tables)
    notes += told
    plan, plan_path = plan_of(tables[0], folds, seed=seed, places=places)
    questions = [question_of(design, tables[0], common, plan=plan, unit=unit) for design in asked]
    notes += [*twins_told(tables[0]), *plan.notes, *unused_told(questions, plan)]
    looked = learned.look(tables, questions, plan, places, classifiers=[c.name for c in chosen], allow_seen=allow_seen)
    tables, notes = looked.tables, [*notes, *looked.notes]
    if sanity and tables[0].parts:
        raise UsageError(
            "--sanity asks the first features, and a set serves one split at a time; put other features first"
        )
    if out is not None:  # what cannot be written to is told before hours of work, not after
        runs.make_ready(out, roots=[table.about["env"].get("root", "") for table in tables])
    how = Settings(fixed, scale, unit, seed, solver, inner)
    cells = fit(
        tables, common, questions, chosen, settings=how, kept_in=places.cells, jobs=jobs, on_progress=on_progress
    )
    settings = {
        "classifiers": {
            c.name: {
                "scale": scale or c.scale,
                "fixed": fixed[c.name],
                "grid": dict(c.grid),
                "solver": how.of(c)["solver"],
                "accelerate": how.of(c)["accelerate"],
            }
            for c in chosen
        },
        "folds": {"file": str(plan_path), "scheme": plan.scheme, "seed": plan.seed, "digest": plan.digest},
        "seed": seed,
        "unit": unit,
        "inner": inner,
        "prevalence": prevalence,
        "near_duplicates": {"mode": near_duplicates, "pairs": [pair._asdict() for pair in pairs]},
        "seen": [
            {"features": label, "repeat": repeat, "half": half, "samples": sorted(ids)}
            for (label, repeat, half), ids in looked.seen.items()
        ],
    }
    dataset = tables[0].dataset
    judged = judge(questions, cells, plan, seed=seed)
    rows = (
        checks.check(tables, common, questions, chosen, cells=cells, settings=how, plan=plan, places=places, jobs=jobs)
        if sanity
        else []
    )
    clinical = clinic.clinic(questions, cells, tables[0], plan=plan, unit=unit, prevalence=prevalence)
    record = record_of(verb, tables, questions, cells, judged=judged, sanity=rows, settings=settings, notes=notes)
    folder = runs.folder_for(out, runs=places.runs, run_id=record["id"])
    found = Comparison(
        dataset.title,
        dataset.grouping,
        tuple(questions),
        tuple(cells),
        tuple(judged),
        clinical,
        tuple(rows),
        unit,
        record,
        folder,
        tuple(notes),
    )
    write(found, probabilities=probabilities)
    return found


def _without_copies(
    tables: Sequence[Features], mode: str, places: Places
) -> tuple[list[Features], list[Pair], list[str]]:
    """Return the tables, groups of near-duplicates joined where that is asked for, the pairs, and notes on them."""
    if mode not in NEAR_DUPLICATES:
        raise UsageError(f"--near-duplicates takes {', '.join(NEAR_DUPLICATES)}; {mode!r} came")
    if mode == "ignore":
        return list(tables), [], []
    pairs, unknown = near_duplicates_of(tables[0], places)
    join = mode == "join"
    if join and unknown:
        raise UsageError(
            f"--near-duplicates join: {unknown} images have not been looked at; run `featx extract` again, "
            "where the images are"
        )
    notes = pairs_told(tables[0], pairs, unknown, join=join)
    return [joined(table, pairs) if join else table for table in tables], pairs, notes


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
