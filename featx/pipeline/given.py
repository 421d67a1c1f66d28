"""What a run is given: the study's datasets, as far as they are here, and the weights of its networks.

Whatever is absent has its reason, and nothing is put in its place without a word. Runs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from featx.cache.places import Places
from featx.datasets import Columns, Dataset, open_dataset
from featx.datasets.subset import drawn
from featx.designs import Design
from featx.errors import DataError, UnknownName, UsageError
from featx.extraction import demo_dataset
from featx.pipeline.schema import MAIN, SMOKE, Data, DesignSpec, Pipeline

IMAGENET, RANDOM = "imagenet", "random"
OWN, WITHHELD, OTHER = "own", "withheld", "other"


@dataclass(frozen=True)
class Asked:
    """What a user gives to a run.

    Attributes
    ----------
    data : path-like or None
        The main dataset; the built-in demo where there is none.
    others : mapping of str to path-like
        Further datasets, by the names that the study has for them.
    weights : mapping of str to path-like
        Files of ImageNet weights, by network.
    scale : str
        ``smoke`` or ``full``.
    seed : int or None
        Instead of the pipeline's.
    folds : mapping of str to str
        Folds instead of the pipeline's: by design, or of all under the empty name.
    params : sequence of str
        Hyperparameters that are fixed, as of ``featx compare --param``.
    adapter, columns, name
        How the main dataset is read, as of ``featx extract``.
    """

    data: str | os.PathLike[str] | None = None
    others: Mapping[str, str | os.PathLike[str]] = field(default_factory=dict)
    weights: Mapping[str, str | os.PathLike[str]] = field(default_factory=dict)
    scale: str = SMOKE
    seed: int | None = None
    folds: Mapping[str, str] = field(default_factory=dict)
    params: Sequence[str] = ()
    adapter: str | None = None
    columns: Columns | None = None
    name: str | None = None


@dataclass(frozen=True)
class Material:
    """The datasets of a run.

    Attributes
    ----------
    datasets : dict of str to Dataset
        Those that are here, as they are used: drawn from, where the scale asks for that.
    whole : dict of str to int
        How many images each of them has without drawing.
    absent : dict of str to str
        Those that are not, and why.
    notes : tuple of str
        What the user should know.
    """

    datasets: dict[str, Dataset]
    whole: dict[str, int]
    absent: dict[str, str]
    notes: tuple[str, ...]

    def standing(self, name: str, spec: Data) -> str:
        """Return how published numbers stand to a dataset: its ``own``, ``withheld`` (demo), or of an ``other`` one."""
        dataset = self.datasets.get(name)
        if dataset is None or dataset.synthetic:
            return WITHHELD
        fits = dataset.adapter in spec.adapters
        near = spec.images is None or abs(dataset_size(dataset) - spec.images) <= spec.tolerance * spec.images
        return OWN if fits and near else OTHER


def dataset_size(dataset: Dataset) -> int:
    """Return how many images of a dataset are used."""
    return len(dataset.samples)


def gathered(pipeline: Pipeline, asked: Asked, places: Places, *, seed: int) -> Material:
    """Open the datasets that are given.

    Raises
    ------
    UnknownName
        Where the study has no dataset of a name that is given.
    """
    for name in asked.others:
        if name not in pipeline.datasets:
            raise UnknownName(f"dataset of {pipeline.name}", name, pipeline.datasets)
    _refuse_other_folds(pipeline, asked)
    if asked.data is not None and MAIN in asked.others:
        raise UsageError(f"--data and --with {MAIN}=DIR both say what the main dataset is; give one of them")
    images = pipeline.scales[asked.scale].images if asked.scale in pipeline.scales else {}
    datasets, whole, absent, notes = {}, {}, {}, []
    for name, spec in pipeline.datasets.items():
        found = _opened(name, asked, places)
        if found is None:
            absent[name] = f"no {spec.title} is given (--with {name}=DIR)"
            continue
        whole[name] = len(found.samples)
        used = drawn(found, images[name], seed=seed) if name in images else found
        datasets[name] = used
        notes += [f"{used.title}: {note}" for note in found.notes]
        if len(used.samples) < whole[name]:
            by = used.group_kind or "image"
            notes.append(
                f"{used.title}: {len(used.samples)} of {whole[name]} images, drawn by {by}, every diagnosis with its "
                f"share and at least 6 of its groups (seed {seed})"
            )
        if used.synthetic:
            notes.append(f"{used.title}: images drawn by a program; no number here is a clinical result")
    return Material(datasets, whole, absent, tuple(notes))


def _refuse_other_folds(pipeline: Pipeline, asked: Asked) -> None:
    """Refuse folds of a design that the study does not have, and files of folds that are not there, before any work."""
    for design, folds in asked.folds.items():
        if design and design not in (known := [spec.ask for spec in pipeline.designs]):
            raise UnknownName(f"design of {pipeline.name}", design, known)
        if folds.endswith((".json", ".yml", ".yaml")) and not Path(folds).is_file():
            raise UsageError(f"--folds {folds}: there is no such file; give one that exists, or a scheme (5x2, kfold)")


def _opened(name: str, asked: Asked, places: Places) -> Dataset | None:
    if name != MAIN or MAIN in asked.others:
        return open_dataset(asked.others[name]) if name in asked.others else None
    if asked.data is None:
        return demo_dataset(places)
    found = open_dataset(asked.data, adapter=asked.adapter, columns=asked.columns)
    return replace(found, name=asked.name) if asked.name else found


def answerable(dataset: Dataset, spec: DesignSpec, policies: Mapping[str, str]) -> tuple[Design | None, str]:
    """Return the design that a dataset can be asked: the study's, or the first named instead; and why not the study's.

    Returns
    -------
    design : Design or None
        None where its labels answer none of them.
    why : str
        Why it is not the study's own; empty where it is.
    """
    why = ""
    for candidate in (spec, *(DesignSpec(ask=name) for name in spec.instead)):
        design = candidate.design(policies)
        refusal = _refusal(dataset, design, own=candidate.classes is not None)
        if refusal is None:
            return design, why
        why = why or refusal
    return None, why


def _refusal(dataset: Dataset, design: Design, *, own: bool) -> str | None:
    if not own and (reason := dataset.refusal(design.name)):
        return reason
    try:
        design.assign([sample.diagnosis for sample in dataset.samples])
    except DataError as error:
        return str(error)
    return None


def weights_for(backbone: str, asked: Asked) -> tuple[str | None, str]:
    """Return what stands for the ImageNet weights of a network, and what is to be told of that.

    Returns
    -------
    weights : str or None
        As ``--weights`` takes them; None where there are none, so that the experiment is left out.
    told : str
        Why; empty where nothing is odd.
    """
    from featx.backbones import BACKBONES
    from featx.backbones.download import at_hand

    shelf = BACKBONES[backbone]
    given = {BACKBONES[name].name: path for name, path in asked.weights.items()}
    if shelf.weightless:
        return IMAGENET, ""
    if shelf.name in given:
        path = Path(given[shelf.name])
        if not path.is_file():
            raise UsageError(f"--weights {backbone}={path}: there is no such file; give one, or leave it out")
        return str(path), ""
    if shelf.imagenet is not None and (asked.scale != SMOKE or at_hand(shelf) is not None):
        return IMAGENET, ""
    if asked.scale == SMOKE:
        return RANDOM, f"RANDOM WEIGHTS: {backbone} has no ImageNet weights here (--weights {backbone}=FILE gives them)"
    return None, f"{backbone} has no ImageNet weights to download; give its file with --weights {backbone}=FILE"
