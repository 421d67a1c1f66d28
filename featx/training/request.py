"""What is asked of a training, settled before anything is decoded or learned: data, design, network, head, names.

Knows no rows of a split and learns nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from featx import designs, seen
from featx.backbones import BACKBONES, Backbone
from featx.backbones.heads import parse_head
from featx.backbones.trained import Structure, backbone_as, structure_for
from featx.cache.places import Places
from featx.datasets import Columns, Dataset
from featx.datasets.base import slug
from featx.designs import Design
from featx.errors import UsageError
from featx.extraction import dataset_for
from featx.images import Transform, normalisation
from featx.training import devices
from featx.training.losses import outputs_for
from featx.training.pixels import Pixels, decoded
from featx.training.settings import Candidate, Settings, unfolded
from featx.training.weights import Start, begin

ALL = "all"  # folds that leave nothing out: weights for another dataset
KEEP_FROZEN = 8.0  # GB that activations of a frozen beginning may take in the cache


@dataclass(frozen=True)
class Asked:
    """What a user asks of a training, in words and plain values; see :func:`featx.training.finetune`."""

    data: str | os.PathLike[str] | Dataset | None
    backbone: str
    weights: str
    design: str | Design
    folds: str
    head: str
    dropout: float | None
    cut: str | None
    freeze: str
    layers: tuple[str, ...]
    called: str | None
    size: int | None
    resize: str
    interpolation: str
    antialias: bool
    trim: bool
    normalise: str | None
    device: str
    adapter: str | None
    columns: Columns | None
    name: str | None
    akiec: str
    scc: str
    max_failures: float
    settings: Settings = field(default_factory=Settings)
    grid: Mapping[str, Sequence[float]] = field(default_factory=dict)
    keep_frozen: float = KEEP_FROZEN


@dataclass(frozen=True)
class Request:
    """A training, settled.

    Attributes
    ----------
    asked : Asked
        In the user's words.
    places, dataset, design, shelf, start, structure, transform, settings, device
        What they mean; ``settings.precision`` is no longer ``auto``.
    classes : tuple of str
        The design's classes.
    y : numpy.ndarray of int64, shape (n,)
        Class code of each sample, -1 where the design leaves it out.
    called : str
        What this training is called in the history of its weights.
    candidates : tuple of Candidate
        The settings, or every point of a grid around them.
    """

    asked: Asked
    places: Places
    dataset: Dataset
    design: Design
    shelf: Backbone
    start: Start
    structure: Structure
    transform: Transform
    settings: Settings
    device: str
    classes: tuple[str, ...]
    y: np.ndarray
    called: str
    candidates: tuple[Candidate, ...]

    @property
    def history(self) -> str:
        """The history of the weights that come out, without the split."""
        return f"{self.start.source.label}+{self.called}"


def settle(asked: Asked, places: Places) -> Request:
    """Find out what is meant.

    Raises
    ------
    FeatxError
        Whatever is wrong, in one sentence.
    """
    import torch

    dataset = _dataset(asked, places)
    design = (
        designs.get(asked.design, akiec=asked.akiec, scc=asked.scc) if isinstance(asked.design, str) else asked.design
    )
    if design.name in designs.DESIGNS and (reason := dataset.refusal(design.name)):
        raise UsageError(f"design {design.name!r} cannot be asked of {dataset.name}: {reason}; it supports "
                         + ", ".join(dataset.designs))  # fmt: skip
    assignment = design.assign([sample.diagnosis for sample in dataset.samples])
    shelf = BACKBONES[asked.backbone]
    if shelf.weightless:
        raise UsageError(f"{shelf.name} has no weights, so that nothing can be learned; take another --backbone")
    start = begin(seen.backbone_for(asked.backbone, asked.weights, places), asked.weights, places)
    size = asked.size or shelf.fixed_size or 224
    if size < shelf.min_size or shelf.fixed_size not in (None, size):
        raise UsageError(f"{shelf.name} does not take images of {size} pixels; give another --size")
    classes = assignment.classes
    structure = structure_for(
        shelf,
        parse_head(asked.head, dropout=asked.dropout),
        cut=asked.cut,
        outputs=outputs_for(asked.settings.loss, classes=len(classes)),
        size=size,
        normalise=asked.normalise or start.facts.normalise,
    )
    normalisation(structure.normalise)
    built = backbone_as(shelf, structure)
    for layer in asked.layers:  # before hours of work, not after
        built.layer(layer)
    with torch.device("meta"):
        network = shelf.build()
    device, precision = devices.settled(network, device=asked.device, precision=asked.settings.precision)
    settings = replace(asked.settings, precision=precision)
    return Request(
        asked,
        places,
        dataset,
        design,
        shelf,
        start,
        structure,
        Transform(size, asked.resize, asked.interpolation, asked.antialias, asked.trim),
        settings,
        device,
        classes,
        assignment.y,
        _called(asked.called or dataset.name),
        unfolded(settings, asked.grid),
    )


def _dataset(asked: Asked, places: Places) -> Dataset:
    dataset = dataset_for(asked.data, places, adapter=asked.adapter, columns=asked.columns)
    if asked.name is None:
        return dataset
    if slug(asked.name) != asked.name:
        raise UsageError(f"--name {asked.name!r} is no name of a folder in the cache; take {slug(asked.name)!r}")
    return replace(dataset, name=asked.name)


def _called(text: str) -> str:
    """Return a word for the history: the signs that divide one are not in it."""
    return slug(text).replace("--", "-") or "data"


def pixels_of(request: Request, on_progress: Any = None) -> Pixels:
    """Decode the images of a request, or find them in the cache.

    Raises
    ------
    TooManyFailures
        Where more images than allowed cannot be decoded.
    """
    from featx.extraction.filling import Limit

    dataset = request.dataset
    found = decoded(
        Path(dataset.root),
        [sample.path for sample in dataset.samples],
        request.transform,
        folder=request.places.pixels,
        name=dataset.name,
        on_progress=on_progress,
    )
    Limit(len(dataset.samples), request.asked.max_failures, failed=len(found.failed)).check(found.failed)
    return found
