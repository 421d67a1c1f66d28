"""Where the rows of a leak come from: pictures that a design keeps, all their versions, and what is known of each.

Where copies have pixels of their own, or a network learns, the versions are written as files and take the road of any
dataset. Where a copy is the very picture again, its features are the picture's. This file must never know splits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from featx import designs
from featx.cache.places import Places
from featx.datasets import Dataset
from featx.designs import Assignment, Design
from featx.engine import OnProgress
from featx.errors import DataError, UsageError
from featx.extraction import extract
from featx.folds import join_groups
from featx.images import Transform
from featx.matrix import Features, read_features
from featx.pipeline.leak import networks, pictures
from featx.pipeline.leak.arms import Arm
from featx.pipeline.leak.protocols import Protocol, Version
from featx.seen import backbone_for
from featx.training import Settings
from featx.training.pixels import decoded


@dataclass(frozen=True)
class Network:
    """Whose features are scored, or what is trained.

    Attributes
    ----------
    backbone, weights, layer, normalise, precision
        As of :func:`featx.extraction.extract`.
    transform : Transform, optional
        How a picture becomes what the network takes; squashed to its usual size by default.
    settings : Settings
        How it learns, where ``argmax`` is asked.
    training : mapping
        What :func:`featx.training.finetune` takes beside: ``freeze``, ``head``, ``cut``, ``dropout``.
    """

    backbone: str = "mobilenet_v2"
    weights: str = "imagenet"
    layer: str = "penultimate"
    transform: Transform | None = None
    normalise: str | None = None
    precision: str = "fp32"
    settings: Settings = field(default_factory=Settings)
    training: Mapping[str, Any] = field(default_factory=dict)

    def shown(self, places: Places) -> Transform:
        """Return how a picture becomes what the network takes."""
        if self.transform is not None:
            return self.transform
        return Transform(backbone_for(self.backbone, self.weights, places).fixed_size or 224)

    def given(self, how: Transform) -> dict[str, Any]:
        """Return what extraction and training take alike."""
        words = {"backbone": self.backbone, "weights": self.weights, "normalise": self.normalise}
        return {**words, **asdict(how)}


@dataclass(frozen=True)
class Wanted:
    """What is asked.

    Attributes
    ----------
    dataset : Dataset
        The pictures.
    design : Design
        The question.
    protocol : Protocol
        Whose leak.
    network : Network
        Whose features.
    learns : bool
        Whether the network is trained on each split.
    seed : int
        Of the copies.
    places : Places
        The cache.
    """

    dataset: Dataset
    design: Design
    protocol: Protocol
    network: Network
    learns: bool
    seed: int
    places: Places

    def check(self) -> None:
        """Refuse what cannot be measured.

        Raises
        ------
        UsageError
            Where the dataset knows no groups, or cannot answer the design.
        """
        name = self.dataset.name
        if self.dataset.group_kind is None:
            raise UsageError(
                f"{name} knows no lesions or patients, so that there is no honest split to hold a leaky one against; "
                "name their column with --group-column"
            )
        if self.design.name in designs.DESIGNS and (reason := self.dataset.refusal(self.design.name)):
            raise UsageError(f"design {self.design.name!r} cannot be asked of {name}: {reason}")


@dataclass(frozen=True)
class Source:
    """Versions of pictures, and the way to their features.

    Attributes
    ----------
    wanted : Wanted
        What is asked.
    dataset : Dataset
        The pictures that the design keeps.
    groups : tuple of str
        Group of each picture, byte-identical ones joined.
    assignment : Assignment
        The design's classes on the pictures.
    versions : tuple of Version, length v
        The pictures, and after them all copies.
    notes : tuple of str
        What the user should know.
    features : Features, optional
        Of the versions, where copies are the very pictures again.
    table : pathlib.Path, optional
        Of the versions, where they were written.
    """

    wanted: Wanted
    dataset: Dataset
    groups: tuple[str, ...]
    assignment: Assignment
    versions: tuple[Version, ...]
    notes: tuple[str, ...]
    features: Features | None = None
    table: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """A name of each version."""
        return tuple(pictures.names_of(self.dataset, self.versions))

    @property
    def of(self) -> np.ndarray:
        """The picture that each version is of."""
        return np.array([version.of for version in self.versions])

    @property
    def original(self) -> np.ndarray:
        """Which versions are the pictures themselves."""
        return np.array([version.copy == 0 for version in self.versions])

    def tables(self, arms: Sequence[Arm], *, on_epoch: Any = None) -> dict[str, Features]:
        """Return features of all versions for each arm: one extraction for all, or networks trained on its splits."""
        wanted = self.wanted
        if self.table is None:
            return {arm.name: self.features for arm in arms if self.features is not None}
        given = wanted.network.given(Transform(wanted.network.shown(wanted.places).size))
        if not wanted.learns:
            return dict.fromkeys((arm.name for arm in arms), _extracted(wanted, pictures.read(self.table), given)[0])
        return {
            arm.name: networks.logits_of(
                arm, self.table, design=wanted.design, settings=wanted.network.settings, places=wanted.places,
                on_epoch=on_epoch, **given, **wanted.network.training,
            )
            for arm in arms
        }  # fmt: skip


def source_of(wanted: Wanted, on_progress: OnProgress | None = None) -> Source:
    """Find the pictures that take part, and make their copies.

    Parameters
    ----------
    wanted : Wanted
        What is asked.
    on_progress : callable, optional
        Told (done, total) pictures.
    """
    wanted.check()
    dataset, transform = wanted.dataset, wanted.network.shown(wanted.places)
    if not (wanted.learns or wanted.protocol.moves):
        found, notes = _extracted(wanted, dataset, wanted.network.given(transform))
        source, rows = _kept(wanted, found.dataset, found.digests, found.usable)
        return replace(source, features=_of_versions(found, source, rows), notes=(*notes, *source.notes))
    paths = [sample.path for sample in dataset.samples]
    pixels = decoded(
        dataset.root, paths, transform, folder=wanted.places.pixels, name=dataset.name, on_progress=on_progress
    )
    usable = np.array([path not in pixels.failed for path in paths])
    source, rows = _kept(wanted, dataset, pixels.digests, usable)
    table = pictures.written(
        source.dataset,
        source.versions,
        lambda row: pixels.values[rows[row]],
        groups=source.groups,
        about=[transform.describe(), [pixels.digests[row] for row in rows.tolist()]],
        places=wanted.places,
        called=wanted.protocol.name,
        on_progress=on_progress,
    )
    return replace(source, table=table)


def _kept(wanted: Wanted, dataset: Dataset, digests: Sequence[str], usable: np.ndarray) -> tuple[Source, np.ndarray]:
    """Return what takes part, and its rows: pictures that can be read and have a class."""
    groups = join_groups([sample.group for sample in dataset.samples], digests)
    assignment = wanted.design.assign([sample.diagnosis for sample in dataset.samples])
    rows = np.flatnonzero(usable & (assignment.y >= 0))
    if not rows.size:
        raise DataError(f"no image of {dataset.name} can be read and has a class of design {wanted.design.name!r}")
    notes = [f"{int((~usable).sum())} images cannot be read, and take no part"] if not usable.all() else []
    notes += [f"{count} images are left out ({reason})" for reason, count in assignment.dropped.items()]
    own = replace(dataset, samples=tuple(dataset.samples[row] for row in rows.tolist()))
    kept = assignment._replace(y=assignment.y[rows])
    versions = wanted.protocol.versions(kept.y, seed=wanted.seed)
    held = tuple(groups[row] for row in rows.tolist())
    return Source(wanted, own, held, kept, tuple(versions), tuple(notes)), rows


def _extracted(wanted: Wanted, data: Dataset, given: Mapping[str, Any]) -> tuple[Features, tuple[str, ...]]:
    network = wanted.network
    found = extract(data, layers=(network.layer,), precision=network.precision, cache=wanted.places.root, **given)
    return read_features(found.files[0]), found.notes


def _of_versions(table: Features, source: Source, rows: np.ndarray) -> Features:
    """Return the pictures' features as those of all versions, a row each."""
    at = rows[source.of].tolist()
    samples = tuple(replace(table.dataset.samples[row], id=name) for row, name in zip(at, source.names, strict=True))
    return replace(
        table,
        X=table.X[at],
        dataset=replace(source.dataset, samples=samples),
        usable=np.ones(len(at), dtype=bool),
        digests=tuple(table.digests[row] for row in at),
        groups=tuple(source.groups[row] for row in source.of.tolist()),
    )
