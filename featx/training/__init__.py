"""Training: networks that learn on the train side of each split, and the features that they then give.

What comes out is one more backbone @ weights, and takes the road of any other. ``request`` settles what is asked,
``plan`` what learns, ``splits`` which rows, ``networks`` trains one a split; ``loop`` learns, ``prefix`` and ``kept``
compute what is frozen once, ``weights`` keeps what was learned with all that it has seen, ``entries`` puts the features
of one network a split into the cache as one entry. The networks of a split are handed its train rows and no others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.cache.places import Places
from featx.datasets import Columns, Dataset
from featx.designs import Design
from featx.engine import OnProgress
from featx.folds import Folds
from featx.training.entries import extracted
from featx.training.networks import Training, trained, write_grid
from featx.training.request import ALL, KEEP_FROZEN, Asked, settle
from featx.training.settings import Settings
from featx.training.splits import plan_for

__all__ = ["ALL", "Finetuned", "Settings", "Training", "finetune"]

OnEpoch = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class Finetuned:
    """What a training did.

    Attributes
    ----------
    dataset : Dataset
        What was learned from.
    design : str
        The design that was learned.
    classes : tuple of str
        Its classes, in the order of the networks' outputs.
    plan : Folds or None
        The plan of folds; None where everything was learned from.
    trainings : tuple of Training
        One a split, or the only one.
    files : tuple of pathlib.Path
        Feature sets, one a layer; none where everything was learned from.
    device, precision : str
        Where, and in what precision.
    learned, weights : int
        Numbers in a network that learned, and all of them.
    notes : tuple of str
        What the user should know.
    grid : pathlib.Path or None
        What a grid tried on each split, as CSV.
    """

    dataset: Dataset
    design: str
    classes: tuple[str, ...]
    plan: Folds | None
    trainings: tuple[Training, ...]
    files: tuple[Path, ...]
    device: str
    precision: str
    learned: int
    weights: int
    notes: tuple[str, ...]
    grid: Path | None = None


def finetune(
    data: str | os.PathLike[str] | Dataset | None = None,
    *,
    backbone: str = "mobilenet_v2",
    weights: str = "imagenet",
    design: str | Design = "mel-vs-benign",
    folds: str = "5x2",
    head: str = "linear",
    dropout: float | None = None,
    cut: str | None = None,
    freeze: str = "none",
    settings: Settings | None = None,
    layers: Sequence[str] = ("penultimate", "logits"),
    called: str | None = None,
    size: int | None = None,
    resize: str = "squash",
    interpolation: str = "bilinear",
    antialias: bool = True,
    trim: bool = False,
    normalise: str | None = None,
    device: str = "auto",
    cache: str | os.PathLike[str] | None = None,
    adapter: str | None = None,
    columns: Columns | None = None,
    name: str | None = None,
    akiec: str = "drop",
    scc: str = "malignant",
    max_failures: float = 0.05,
    on_decoded: OnProgress | None = None,
    on_epoch: OnEpoch | None = None,
    grid: Mapping[str, Sequence[float]] | None = None,
    keep_frozen: float = KEEP_FROZEN,
) -> Finetuned:
    """Train one network on the train side of each split, and extract its features.

    A training that was killed goes on from its last checkpoint when it is asked for again; one that was finished is
    found and not done again.

    Parameters
    ----------
    data, adapter, columns, name, max_failures
        As in :func:`featx.extraction.extract`.
    backbone, weights : str
        The network and the weights that it starts from: ``imagenet``, ``random[:SEED]``, or a file, also one that was
        trained here on other data, whose head is then exchanged.
    design : str or Design
        What is learned.
    folds : str
        As in :func:`featx.comparison.compare`; ``all`` trains one network on everything, for use on other data.
    head, dropout
        The new head, as in :func:`featx.backbones.heads.parse_head`.
    cut : str, optional
        The layer that the head stands on; the network's last by default.
    freeze : str
        What does not learn, as in :func:`featx.training.plan.frozen_for`.
    settings : Settings, optional
        How the network learns.
    layers : sequence of str
        Layers to extract.
    called : str, optional
        What the training is called in the names of its files; the dataset's name by default.
    size, resize, interpolation, antialias, trim, normalise
        How images become what the network takes, in training and extraction alike.
    device : {"auto", "cpu", "cuda"}
        Where the network learns.
    cache : path-like, optional
        The cache's folder.
    akiec, scc : {"drop", "benign", "malignant"}
        Readings of the skin designs.
    on_decoded : callable, optional
        Told (done, total) images decoded.
    on_epoch : callable, optional
        Told the split (and the point of the grid) and the history's row after each epoch.
    grid : mapping of str to sequence of float, optional
        Values to try of ``lr``, ``head_lr``, ``l2``, ``momentum`` or ``batch_size``, each with each: the network of a
        split is the one with the lowest loss on the validation part of its train side. All of them are kept.
    keep_frozen : float
        GB that activations of what is frozen may take in the cache: they are then computed once an image and not in
        every epoch. 0 keeps none.

    Returns
    -------
    Finetuned

    Raises
    ------
    TrainingError
        Where a network does not learn at all: its loss is not finite before one epoch is over.
    FeatxError
        Whatever else is wrong, in one sentence.
    """
    places = Places.at(cache)
    asked = Asked(
        data, backbone, weights, design, folds, head, dropout, cut, freeze, tuple(layers), called, size, resize,
        interpolation, antialias, trim, normalise, device, adapter, columns, name, akiec, scc, max_failures,
        settings or Settings(), grid or {}, keep_frozen,
    )  # fmt: skip
    request = settle(asked, places)
    work = plan_for(request, on_decoded)
    trainings = trained(work, on_epoch)
    files = extracted(work, trainings) if work.plan is not None else ()
    told = {note: None for training in trainings for note in training.notes}
    return Finetuned(
        request.dataset,
        request.design.name,
        request.classes,
        work.plan,
        tuple(trainings),
        files,
        request.device,
        request.settings.precision,
        trainings[0].learned,
        trainings[0].weights,
        (*work.notes, *told),
        write_grid(work, trainings),
    )
