"""External validation: classifiers trained on one feature file and tested on another's rows.

``overlap`` finds what the two files share, ``question`` puts a design to both, ``judging`` fits and says how sure the
scores are, ``record`` keeps. Whatever is chosen or fitted sees train rows alone. This package never knows image files
or networks.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx import designs, families, runs
from featx.cache import differences
from featx.cache.places import Places
from featx.classifiers import CLASSIFIERS, PLAIN, SCALES, Classifier, accelerated, built_by, fixed_params
from featx.designs import Design
from featx.engine import OnProgress
from featx.errors import CacheMismatch, UsageError
from featx.evaluation import overlap as overlaps
from featx.evaluation.judging import Cell, Contrast, contrasts, fit
from featx.evaluation.overlap import MODES, Looks, Overlap
from featx.evaluation.question import Question, Side, question_of
from featx.evaluation.record import record_of, title_of, write
from featx.matrix import Features, read_features

__all__ = ["Cell", "Contrast", "Evaluation", "Overlap", "Question", "Side", "evaluate"]

EXTERNAL, HELD_OUT = "external", "held out"


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes
    ----------
    kind : {"external", "held out"}
        ``external`` where the two datasets have different names.
    title : str
        The test dataset; synthetic data say so in it.
    train, test : Features
        The two files, groups as they were used.
    questions : tuple of Question
        One a design.
    cells : tuple of Cell
        One for each design and classifier.
    contrasts : tuple of Contrast
        Each two classifiers of a design of two classes.
    overlap : Overlap
        What both files hold; empty unless it was allowed.
    unit : str
        What the scores are of: ``image``, or for instance ``lesion``.
    run : dict
        The record: provenance of everything.
    folder : pathlib.Path
        Where ``run.json``, ``scores.csv`` and ``predictions.csv`` lie.
    notes : tuple of str
        What the user should know.
    """

    kind: str
    title: str
    train: Features
    test: Features
    questions: tuple[Question, ...]
    cells: tuple[Cell, ...]
    contrasts: tuple[Contrast, ...]
    overlap: Overlap
    unit: str
    run: dict[str, Any]
    folder: Path
    notes: tuple[str, ...]

    def of(self, design: str) -> list[Cell]:
        """Return the cells of a design."""
        return [cell for cell in self.cells if cell.design == design]


def evaluate(
    features: str | os.PathLike[str] | None = None,
    *,
    test: str | os.PathLike[str],
    classifiers: Sequence[str] = ("svm", "rf", "tree"),
    designs: Sequence[str | Design] = ("mel-vs-benign",),
    seed: int = 0,
    scale: str | None = None,
    params: Sequence[str] = (),
    unit: str = "image",
    akiec: str = "drop",
    scc: str = "malignant",
    near_duplicates: str = "audit",
    allow_overlap: bool = False,
    allow_seen: bool = False,
    cache: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    solver: str = "auto",
    accelerate: str = PLAIN,
    inner: str = "kfold",
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Train classifiers on one feature file and test them on another, of another dataset or of other groups.

    Parameters
    ----------
    features : path-like, optional
        The feature file that is learned from; the one extracted last by default.
    test : path-like
        The feature file that is tested on, made by the same network and transform.
    classifiers : sequence of str
        Names of the shelf.
    designs : sequence of str or Design
        Names of the shelf, YAML files, or designs; both datasets must be able to answer them.
    seed : int
        Seed of the inner parts and the estimators.
    scale : {"l2", "standard", "none"}, optional
        Each classifier's own by default.
    params : sequence of str
        Fixed hyperparameters, ``C=1`` or ``svm:C=1``; the rest is chosen inside the train rows, over grouped parts.
    unit : str
        ``image``, or what the test dataset calls its unit (``lesion``): scores are averaged over a unit's images.
    akiec, scc : {"drop", "benign", "malignant"}
        Readings of the skin designs.
    near_duplicates : {"audit", "join", "ignore"}
        Near-duplicates across the two files are an overlap, unless they are ignored; ``join`` also joins the groups of
        those within a file.
    allow_overlap : bool
        Whether to go on, and tell, where both files hold the same images, groups or near-duplicates.
    allow_seen : bool
        Whether to go on, and tell, where the weights behind the features were trained on images of the test file.
    cache, out : path-like, optional
        The cache's folder, and the folder for the record (``<cache>/runs/<id>`` by default).
    jobs : int, optional
        Threads; all cores by default.
    solver : {"auto", "sklearn"}
        ``auto`` solves together all SVMs that share their train rows; ``sklearn`` fits each by itself.
    accelerate : {"none", "numba", "intel"}
        What fits faster than scikit-learn what is fitted by itself, as of :func:`featx.comparison.compare`.
    inner : {"kfold", "shuffle10"}
        How hyperparameters are chosen inside the train rows: three grouped parts, or ten draws of a tenth (by group).
    on_progress : callable, optional
        Told (done, total) fits.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        Where the two files overlap, or a design does not fit the diagnoses of one.
    CacheMismatch
        Where the two files were made in different ways; it names what differs.
    FeatxError
        Whatever else is wrong, in one sentence.
    """
    places = Places.at(cache)
    families.check_ways(solver=solver, inner=inner)
    chosen, how = _settled(classifiers, params, scale=scale, seed=seed, mode=near_duplicates, accelerate=accelerate)
    how = {name: {**one, "inner": inner} for name, one in how.items()}
    asked = _designs(designs, akiec=akiec, scc=scc)
    train, tested = read_features(_train_path(features, places)), read_features(test)
    _refuse_other_features(train, tested)
    looks = overlaps.look(train, tested, places, mode=near_duplicates)
    overlap = overlaps.between(train, tested, looks.across)
    if not allow_overlap:
        overlaps.refuse(overlap, train, tested)
    notes = _notes(train, tested, looks, overlap, mode=near_duplicates)
    notes += overlaps.seen_told(tested, places, allow_seen=allow_seen)
    if near_duplicates == "join":
        train, tested = overlaps.joined(train, looks.train), overlaps.joined(tested, looks.test)
    questions = [question_of(design, train, tested, unit=unit) for design in asked]
    if out is not None:  # what cannot be written to is told before the work, not after
        runs.make_ready(out, roots=[table.about["env"].get("root", "") for table in (train, tested)])
    together = {c.name for c in chosen if solver == "auto" and families.serves(c, scale=how[c.name]["scale"])}
    cells = fit(
        train, tested, questions, chosen,
        settings=how, together=together, seed=seed, jobs=jobs, on_progress=on_progress,
    )  # fmt: skip
    pairs = contrasts(questions, cells)
    ways = {c.name: _way(c, together) for c in chosen}
    settings = {
        "classifiers": {c.name: {**how[c.name], "grid": dict(c.grid), **ways[c.name]} for c in chosen},
        "seed": seed,
        "unit": unit,
        "near_duplicates": near_duplicates,
        "allow_overlap": allow_overlap,
        "allow_seen": allow_seen,
    }
    kind = EXTERNAL if train.dataset.name != tested.dataset.name else HELD_OUT
    record = record_of(
        train, tested, questions, cells, pairs, kind=kind, overlap=overlap, looks=looks, settings=settings, notes=notes
    )
    folder = runs.folder_for(out, runs=places.runs, run_id=record["id"])
    found = Evaluation(
        kind, title_of(train, tested), train, tested, tuple(questions), tuple(cells), tuple(pairs), overlap, unit,
        record, folder, tuple(notes),
    )  # fmt: skip
    write(found)
    return found


def _settled(
    names: Sequence[str], params: Sequence[str], *, scale: str | None, seed: int, mode: str, accelerate: str
) -> tuple[list[Classifier], dict[str, dict[str, Any]]]:
    """Return the classifiers and how each is fitted."""
    if not 0 <= seed < 2**32:
        raise UsageError(f"--seed takes a whole number from 0 to {2**32 - 1}; {seed} came")
    if scale is not None and scale not in SCALES:
        raise UsageError(f"--scale takes {', '.join(SCALES)}; {scale!r} came")
    if mode not in MODES:
        raise UsageError(f"--near-duplicates takes {', '.join(MODES)}; {mode!r} came")
    chosen = list({CLASSIFIERS.canonical(name): CLASSIFIERS[name] for name in names}.values())
    if not chosen:
        raise UsageError("an evaluation takes at least one classifier")
    chosen = accelerated(chosen, accelerate)
    fixed = fixed_params(params, chosen)
    return chosen, {c.name: {"params": fixed[c.name], "scale": scale or c.scale} for c in chosen}


def _way(classifier: Classifier, together: Collection[str]) -> dict[str, str]:
    """Return who solves a classifier, and what accelerates that, as records tell it."""
    if classifier.name in together:
        return {"solver": "together", "accelerate": PLAIN}
    return {"solver": "sklearn", "accelerate": built_by(classifier)}


def _designs(asked: Sequence[str | Design], *, akiec: str, scc: str) -> list[Design]:
    found = [designs.get(d, akiec=akiec, scc=scc) if isinstance(d, str) else d for d in asked]
    by_name = {design.name: design for design in found}
    for design in found:
        if design != by_name[design.name]:
            raise UsageError(f"two designs are called {design.name!r}; give one of them another name")
    if not by_name:
        raise UsageError("an evaluation takes at least one design")
    return list(by_name.values())


def _train_path(features: str | os.PathLike[str] | None, places: Places) -> Path:
    if features is not None:
        return Path(features)
    return only(places.last())


def only(files: Sequence[Path]) -> Path:
    """Return the one feature file of a list.

    Raises
    ------
    UsageError
        Where there are several: one file is learned from.
    """
    if len(files) > 1:
        told = ", ".join(path.name for path in files)
        raise UsageError(f"{len(files)} feature files were extracted last ({told}); say with --features which trains")
    return files[0]


def _refuse_other_features(train: Features, test: Features) -> None:
    """Raise CacheMismatch where the features of two files do not mean the same."""
    if told := differences(test.about["spec"], train.about["spec"]):
        raise CacheMismatch(f"{test.path} holds other features than {train.path} ({told}); extract both alike")


def _notes(train: Features, test: Features, looks: Looks, overlap: Overlap, *, mode: str) -> list[str]:
    allowed = [f"both files hold {overlap.told}; --allow-overlap goes on, and nothing is left out"] if overlap else []
    lost = [
        f"{word}: {count} images without features ({reason})"
        for word, table in (("train", train), ("test", test))
        for reason, count in table.dropped.items()
    ]
    return [*allowed, *overlap.notes, *overlaps.looks_told(train, test, looks, mode=mode), *lost]
