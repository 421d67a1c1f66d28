"""The kinds of steps: each is one call of the library, and what is kept of it as plain values.

A new kind is one function here and one line in ``KINDS``. Knows no tables and no YAML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx import folds
from featx.cache.places import Places
from featx.datasets import Dataset
from featx.engine import OnProgress
from featx.errors import TrainingError, UsageError
from featx.folds.thinning import thinned
from featx.pipeline import measures
from featx.pipeline.experiment import ALL, Train
from featx.pipeline.leak import steps as leaks
from featx.pipeline.plan import Plan
from featx.pipeline.shortcuts import steps as shortcuts
from featx.pipeline.steps import Step
from featx.plans import plan_of
from featx.provenance import digest_file

PRECISION = "fp32"
DIVERGED = "diverged"


@dataclass(frozen=True)
class Bench:
    """What a step works with.

    Attributes
    ----------
    plan : Plan
        The whole.
    places : Places
        The cache.
    out : pathlib.Path
        The folder of the run.
    results : mapping of str to dict
        What is finished, by digest.
    on_progress : callable, optional
        Told (done, total) of the step at hand.
    on_epoch : callable, optional
        Told the split and the history's row after each epoch.
    """

    plan: Plan
    places: Places
    out: Path
    results: Mapping[str, dict[str, Any]]
    on_progress: OnProgress | None = None
    on_epoch: Callable[[str, dict[str, Any]], None] | None = None

    def dataset(self, step: Step) -> Dataset:
        """Return the dataset of a step."""
        return self.plan.material.datasets[step.data]


def extract(step: Step, bench: Bench) -> dict[str, Any]:
    """Extract features of frozen weights."""
    from featx.extraction import extract as call

    about = step.about
    found = call(
        bench.dataset(step),
        backbone=about["backbone"],
        weights=_weights(step, bench),
        layers=about["layers"],
        pool=about["pool"],
        precision=PRECISION,
        cache=bench.places.root,
        on_progress=bench.on_progress,
        **about["transform"],
    )
    _refuse_twins(step, found.files)
    return {
        "files": [str(path) for path in found.files],
        "layers": about["layers"],
        "images": len(found.dataset.samples),
        "failed": found.failed,
        "notes": list(found.notes),
    }


def train(step: Step, bench: Bench) -> dict[str, Any]:
    """Train one network a split, or one on everything; a network that does not learn at all is a result too."""
    from featx.training import finetune as call

    about, how = step.about, Train.model_validate(step.about["train"])
    design = bench.plan.designs[step.data, step.designs[0]]
    try:
        found = call(
            bench.dataset(step),
            backbone=about["backbone"],
            weights=_weights(step, bench) or "imagenet",
            design=design,
            folds=_folds(step, bench),
            head=how.head,
            dropout=how.dropout,
            cut=how.cut,
            freeze=how.freeze,
            settings=how.settings(seed=about["seed"]),
            layers=about["layers"],
            cache=bench.places.root,
            on_decoded=bench.on_progress,
            on_epoch=bench.on_epoch,
            **about["transform"],
        )
    except TrainingError as error:
        return {"files": [], DIVERGED: str(error), "notes": [f"{step.name}: {error}"]}
    if step.about["folds"][0] != ALL:
        _refuse_twins(step, found.files)
    paths = [training.path for training in found.trainings]
    return {
        "files": [*map(str, found.files), *map(str, paths)],
        "sets": [str(path) for path in found.files],
        "weights": [str(path) for path in paths],
        "layers": about["layers"],
        "classes": list(found.classes),
        "learned": found.learned,
        "parameters": found.weights,
        "device": found.device,
        "networks": [
            {"name": one.name, "best_epoch": one.best_epoch, "history": list(one.history)} for one in found.trainings
        ],
        "notes": list(found.notes),
    }


def compare(step: Step, bench: Bench) -> dict[str, Any]:
    """Judge classifiers on features."""
    from featx.comparison import compare as call

    about, made = step.about, bench.results[step.needs[0].digest]
    if DIVERGED in made:
        return {"files": [], DIVERGED: made[DIVERGED], "cells": [], "counts": [], "notes": []}
    asked = {bench.plan.designs[step.data, name].name: name for name in step.designs}
    features = _features_at(made, about["layers"])
    found = call(
        features,
        classifiers=about["classifiers"],
        designs=[bench.plan.designs[step.data, name] for name in step.designs],
        folds=_folds(step, bench),
        seed=about["seed"],
        scale=about["scale"],
        inner=about["inner"],
        params=about["params"],
        accelerate=about["accelerate"],
        unit=about["unit"],
        cache=bench.places.root,
        out=bench.out / "comparisons" / step.digest[:16],
        verb="run",
        on_progress=bench.on_progress,
        **about["policies"],
    )
    return {
        "files": [str(found.folder / "run.json")],
        "folder": str(found.folder),
        "title": found.title,
        "grouping": found.grouping,
        "folds": found.run["settings"]["folds"],
        "cells": measures.cells_of(found, asked),
        "counts": measures.counts_of(found, asked),
        "notes": list(found.notes),
    }


Kind = Callable[[Step, Bench], dict[str, Any]]
KINDS: dict[str, Kind] = {"extract": extract, "train": train, "compare": compare, leaks.KIND: leaks.run,
                          shortcuts.KIND: shortcuts.run}  # fmt: skip


def _weights(step: Step, bench: Bench) -> str | None:
    """Return the weights to start from: those that another step has made, or those that are named."""
    if step.about["weights"] is None:
        return str(bench.results[step.needs[0].digest]["weights"][0])
    return str(step.about["weights"][0])


def _refuse_twins(step: Step, files: Sequence[Path]) -> None:
    """Refuse two names of one layer: the tables would not know which is meant."""
    layers = step.about["layers"]
    if len(files) < len(layers):
        raise UsageError(f"{step.name}: {', '.join(layers)} are {len(files)} layers only; name each of them once")


def _features_at(made: Mapping[str, Any], layers: Sequence[str]) -> list[str]:
    """Return the files of some layers."""
    by_name = dict(zip(made["layers"], made.get("sets", made["files"]), strict=True))
    return [by_name[name] for name in layers]


def _folds(step: Step, bench: Bench) -> str:
    """Return the folds as the library takes them; with fewer train rows they are written to a file first."""
    scheme, share = str(step.about["folds"][0]), float(step.about["train_share"])
    if scheme == ALL or share == 1:
        return scheme
    dataset, seed = bench.dataset(step), int(step.about["seed"])
    digests = [digest_file(dataset.root / sample.path) for sample in dataset.samples]
    groups = folds.join_groups([sample.group for sample in dataset.samples], digests)
    plan, _ = plan_of(dataset, groups, scheme, seed=seed, folder=bench.places.folds)
    fewer = thinned(plan, share, strata=[sample.diagnosis for sample in dataset.samples], seed=seed)
    path = bench.out / "folds" / f"{dataset.name}--{fewer.digest[:8]}.json"
    return str(folds.save(fewer, path, about={"dataset": dataset.name, "data": dataset.title}))
