"""What is asked for, settled before any image is opened: dataset, network, layers, transform, and so the files.

Names and remembered weights resolve without torch. Never looks at pixels or at what the cache holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from featx import images
from featx.backbones import Backbone, Layer
from featx.backbones.weights import WeightsFacts, WeightsSource, parse_weights, remembered
from featx.cache import key_of
from featx.cache.places import Places
from featx.cache.shards import Shard
from featx.datasets import Dataset
from featx.datasets.base import slug
from featx.errors import UsageError, WeightsUnavailable

MECHANICS = (
    "the demo goes on with random weights, so that its numbers show the mechanics of featx, not the quality of deep "
    "features"
)


class Learn(Protocol):
    """How weights that nothing is remembered of are looked at."""

    def __call__(self, backbone: Backbone, source: WeightsSource, *, memo: Path) -> WeightsFacts: ...  # noqa: D102


@dataclass
class Request:
    """What is to be extracted, settled before any image is opened.

    Attributes
    ----------
    dataset, places
        What is extracted, and where to.
    backbone, layers, source, facts
        The network, its layers, and where its weights come from and what is known of them.
    transform, normalise, pool, precision, batch_size, device, runtime
        As in :func:`featx.extraction.extract`; the precision may be ``auto`` until it is settled.
    notes : list of str
        What the user should know.
    opened : int
        Image files opened so far.
    shard : Shard, optional
        Which part of a dataset this is; its files lie beside those of the whole.
    whole : Dataset, optional
        The dataset that it is a part of.
    """

    dataset: Dataset
    places: Places
    backbone: Backbone
    layers: list[Layer]
    source: WeightsSource
    facts: WeightsFacts
    transform: images.Transform
    normalise: images.Normalisation
    pool: str
    precision: str
    batch_size: int | None
    device: str
    runtime: str
    notes: list[str] = field(default_factory=list)
    opened: int = 0
    shard: Shard | None = None
    whole: Dataset | None = None

    def spec(self, layer: Layer) -> dict[str, Any]:
        """Return everything that changes the features of a layer."""
        return {
            "backbone": self.backbone.name,
            "code": self.backbone.code_version,
            "weights": self.facts.digest,
            "layer": layer.name,
            "pool": None if layer.kind == "vector" else self.pool,
            "transform": self.transform.describe(),
            "normalise": {**asdict(self.normalise), "mean": list(self.normalise.mean), "std": list(self.normalise.std)},
            "precision": self.precision,
            "stored": self.stored,
        }

    @property
    def stored(self) -> str:
        """How features are kept: ``float32``, or ``uint8`` where they are pixels as they are."""
        return self.backbone.stored_under(self.normalise.name)

    @cached_property
    def files(self) -> list[Path]:
        """The feature file of each layer; one of the same key is the same, whatever its weights file was called."""
        return [self._file(layer) for layer in self.layers]

    def _file(self, layer: Layer) -> Path:
        name, key = self.dataset.name, key_of(self.spec(layer))
        about = {"backbone": self.backbone.name, "layer": layer.name, "key": key}
        path = self.places.features(name, weights=self.source.label, **about)
        same = path.parent.glob(self.places.features(name, weights="*", **about).name)
        path = path if path.exists() else next(iter(sorted(same)), path)
        return self.shard.path(path) if self.shard else path

    @cached_property
    def paths(self) -> list[str]:
        """The image paths, one a row."""
        return [sample.path for sample in self.dataset.samples]

    @cached_property
    def table(self) -> str:
        """The sample table, unread; each shard carries that of the whole."""
        return (self.whole or self.dataset).to_table()

    def at(self, precision: str) -> Request:
        """Return the same request at a precision, with the same notes and counts to go on with."""
        return replace(self, precision=precision)

    def part(self, shard: Shard, *, batch_size: int) -> Request:
        """Return the request for one part of the dataset.

        Raises
        ------
        UsageError
            Where there are fewer batches than parts.
        """
        samples = self.dataset.samples
        rows = shard.rows(len(samples), batch_size=batch_size)
        dataset = replace(self.dataset, samples=samples[rows.start : rows.stop])
        return replace(self, dataset=dataset, whole=self.dataset, shard=shard, batch_size=batch_size)

    def full(self, row: int) -> Path:
        """Return where a row's image lies."""
        return self.dataset.root / self.paths[row]


def size_for(backbone: Backbone, size: int | None) -> int:
    """Return the side of the image in pixels: the one asked for, the backbone's only one, or 224.

    Raises
    ------
    UsageError
        Where the backbone does not take it.
    """
    size = backbone.fixed_size or 224 if size is None else size
    if backbone.fixed_size not in (None, size):
        raise UsageError(f"{backbone.name} takes images of {backbone.fixed_size} pixels only; --size {size} came")
    if size < backbone.min_size:
        raise UsageError(f"{backbone.name} takes images from {backbone.min_size} pixels on; --size {size} came")
    return size


def settle(
    dataset: Dataset,
    places: Places,
    backbone: Backbone,
    *,
    layers: Sequence[str],
    weights: str | None,
    normalise: str | None,
    learn: Learn,
    **rest: Any,
) -> Request:
    """Resolve names and weights; what was learned of weights before is remembered.

    Parameters
    ----------
    dataset, places, backbone
        What is extracted, where to, and by which network.
    layers : sequence of str
        Layers as the user names them; the penultimate one where there are none.
    weights : str or None
        Weights as the user names them; ImageNet's by default.
    normalise : str or None
        A normalisation by name; the weights' own by default.
    learn : callable
        Reads weights that nothing is remembered of.
    rest
        The other attributes of :class:`Request`.
    """
    chosen = list({layer.name: layer for layer in map(backbone.layer, layers or ["penultimate"])}.values())
    source, facts, notes = _weights(backbone, weights, places, dataset, learn)
    return Request(
        dataset=dataset,
        places=places,
        backbone=backbone,
        layers=chosen,
        source=source,
        facts=facts,
        normalise=images.normalisation(normalise or facts.normalise),
        notes=notes,
        **rest,
    )


def _weights(
    backbone: Backbone, text: str | None, places: Places, dataset: Dataset, learn: Learn
) -> tuple[WeightsSource, WeightsFacts, list[str]]:
    """Return source, facts and notes; only the demo does without ImageNet's weights."""
    if text is None and dataset.synthetic and _did_without(backbone, places, dataset):
        why = "were not to be had when these features were made; --weights imagenet tries again"
        return *_known(backbone, "random", places, learn), [f"ImageNet weights {why}; {MECHANICS}"]
    try:
        return *_known(backbone, text or "imagenet", places, learn), []
    except WeightsUnavailable as error:
        if not dataset.synthetic or text not in (None, "imagenet"):
            raise
        note = f"ImageNet weights cannot be had here ({error}); {MECHANICS}"
        return *_known(backbone, "random", places, learn), [note]


def _known(backbone: Backbone, text: str, places: Places, learn: Learn) -> tuple[WeightsSource, WeightsFacts]:
    source = parse_weights(text, backbone)
    facts = remembered(source, backbone, memo=places.memo)
    return source, facts or learn(backbone, source, memo=places.memo)


def _did_without(backbone: Backbone, places: Places, dataset: Dataset) -> bool:
    """Return whether the demo was extracted with random weights before, and ImageNet's have not been seen since."""
    made = any(path.name.startswith(f"{backbone.name}@random0--") for path in places.feature_files(dataset.name))
    if not made or backbone.imagenet is None:
        return made
    return remembered(parse_weights("imagenet", backbone), backbone, memo=places.memo) is None


def folder_name(name: str) -> str:
    """Return a name that serves as a folder in the cache.

    Raises
    ------
    UsageError
        Where it does not.
    """
    if slug(name) != name:
        raise UsageError(f"--name {name!r} is no name of a folder in the cache; take {slug(name)!r} or the like")
    return name
