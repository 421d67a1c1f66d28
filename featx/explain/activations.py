"""What a layer gives for an image, map by map, and the filters that a network begins with.

Images take the road of any extraction: decoded and put through the network in a process of its own. Never knows
classes, nor what maps are looked at for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from featx import images
from featx.backbones import Backbone, Layer
from featx.backbones.weights import load_network, parse_weights, remembered
from featx.cache import OK
from featx.cache.places import Places
from featx.errors import ImageError, UsageError
from featx.extraction.crew import Child, Crew, Here
from featx.extraction.job import Item, Job
from featx.extraction.request import size_for
from featx.images import normalisation
from featx.runtime import layer_shapes
from featx.runtime.choice import device_of
from featx.seen import backbone_for

MOST_BATCH = 16
MOST_NAMED = 12  # layers that a refusal lists


class Activations(NamedTuple):
    """The maps of a layer.

    Attributes
    ----------
    backbone, layer, weights : str
        Whose.
    pixels : numpy.ndarray of uint8, shape (n, size, size, 3)
        The images as the network takes them.
    maps : numpy.ndarray of float32, shape (n, c, h, w)
        What the layer gives.
    """

    backbone: str
    layer: str
    weights: str
    pixels: np.ndarray
    maps: np.ndarray


class Filters(NamedTuple):
    """The filters of a network's first convolution.

    Attributes
    ----------
    backbone, weights : str
        Whose.
    module : str
        Its dotted path.
    filters : numpy.ndarray of float32, shape (c, 3, h, w)
        In the order red, green, blue.
    """

    backbone: str
    weights: str
    module: str
    filters: np.ndarray


def activations(
    paths: Sequence[str | os.PathLike[str]],
    *,
    backbone: str = "vgg16",
    layer: str | None = None,
    weights: Sequence[str] = ("imagenet",),
    transform: images.Transform | None = None,
    device: str = "auto",
    cache: str | os.PathLike[str] | None = None,
    isolate: bool = True,
) -> list[Activations]:
    """Return what a layer gives for images, before any pooling, under each of some weights.

    Parameters
    ----------
    paths : sequence of path-like, length n
        Image files.
    backbone : str
        The network.
    layer : str, optional
        A readable name or a dotted path; the network's first readable layer.
    weights : sequence of str
        Each ``imagenet``, ``random``, ``random:SEED`` or a weights file.
    transform : featx.images.Transform, optional
        How an image becomes pixels; of 224 pixels, or of the only size that the backbone takes.
    device : {"auto", "cpu", "cuda"}
        What runs it.
    cache : path-like, optional
        Where weights are remembered; no maps are kept.
    isolate : bool
        Whether a process of its own decodes and infers.

    Returns
    -------
    list of Activations
        One for each of the weights.

    Raises
    ------
    UsageError
        Where the layer gives no map; it tells which do.
    ImageError
        Where an image cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> from featx.explain import activations
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.fromarray(np.zeros((32, 32, 3), dtype=np.uint8)).save(folder / "black.png")
    >>> about = {"weights": ["random"], "transform": images.Transform(size=32), "cache": folder, "isolate": False}
    >>> (found,) = activations([folder / "black.png"], backbone="maia-custom2", **about)
    >>> found.layer, found.maps.shape
    ('conv1_1', (1, 32, 32, 32))
    """
    places = Places.at(cache)
    jobs = []
    crew: Crew = Child() if isolate else Here()
    with crew:
        for text in weights:
            shelf = backbone_for(backbone, text, places)
            size_for(shelf, transform.size if transform else None)
            found = transform or images.Transform(size=size_for(shelf, None))
            taken = shelf.layer(layer or shelf.layers[0].name)
            shape = _map_shape(shelf, taken, size=found.size)
            job = _job(crew, shelf, taken, text, places=places, transform=found, device=device, images=len(paths))
            jobs.append((job, _rows(crew, job, paths).reshape(len(paths), *shape)))
    # they were decoded once without harm
    pixels = np.stack([jobs[0][0].transform(images.read(path).data) for path in paths])
    return [Activations(backbone, job.layers[0].name, job.source.label, pixels, maps) for job, maps in jobs]


def _job(
    crew: Crew,
    backbone: Backbone,
    layer: Layer,
    weights: str,
    *,
    places: Places,
    transform: images.Transform,
    device: str,
    images: int,
) -> Job:
    """Return what is computed for one of the weights."""
    source = parse_weights(weights, backbone)
    facts = remembered(source, backbone, memo=places.memo) or crew.learn(backbone, source, memo=places.memo)
    return Job(
        root=Path(),
        backbone=backbone,
        source=source,
        weights=facts.digest,
        layers=(layer,),
        transform=transform,
        normalise=normalisation(facts.normalise),
        pool="flatten",
        precision="fp32",
        batch_size=min(images, MOST_BATCH),
        runtime="torch",  # a graph for another runtime would be made for one picture
        device=device_of(device),
        strict=False,
        memo=places.memo,
        graphs=places.root / "runtime",
    )


def _map_shape(backbone: Backbone, layer: Layer, *, size: int) -> tuple[int, int, int]:
    """Return channels, height and width of a layer's map."""
    import torch

    with torch.device("meta"):
        network = backbone.build()
    shape = layer_shapes(network, layers=(layer,), size=size)[layer.name]
    if len(shape) == 3 and layer.kind != "vector":
        return (shape[2], shape[0], shape[1]) if layer.kind == "map-last" else (shape[0], shape[1], shape[2])
    side = round((shape[0] - 1) ** 0.5) if len(shape) == 2 else 0
    if len(shape) == 2 and side * side == shape[0] - 1:  # a class token, then patches row by row
        return shape[1], side, side
    known = [one.name for one in backbone.layers if one.kind != "vector"]
    told = ", ".join(known[:MOST_NAMED]) + (", ..." if len(known) > MOST_NAMED else "")
    raise UsageError(
        f"layer {layer.name!r} of {backbone.name} gives {' x '.join(map(str, shape))} numbers and no map; "
        + (f"layers with maps: {told}" if known else "none of its layers gives maps")
    )


def _rows(crew: Crew, job: Job, paths: Sequence[str | os.PathLike[str]]) -> np.ndarray:
    """Return the features of images, float32 (n, d)."""
    name, full = job.layers[0].name, [str(Path(path).absolute()) for path in paths]
    rows = np.empty((len(full), crew.open(job).dims[name]), dtype=np.float32)
    items = [Item(row, path) for row, path in enumerate(full)]
    for done in crew.work([items[at : at + job.batch_size] for at in range(0, len(items), job.batch_size)]):
        for row, record in zip(done.rows.tolist(), done.records, strict=True):
            if record["status"] != OK:
                reason = record["reason"].item().decode(errors="replace")
                raise ImageError(reason.partition(":")[0], f"{paths[row]}: {reason}")
        rows[done.rows] = done.features[name]
    return rows


def filters(
    *, backbone: str = "vgg16", weights: str = "imagenet", cache: str | os.PathLike[str] | None = None
) -> Filters:
    """Return the filters of the first convolution that sees an image's colours.

    Parameters
    ----------
    backbone, cache
        As of :func:`activations`.
    weights : str
        ``imagenet``, ``random``, ``random:SEED`` or a weights file.

    Returns
    -------
    Filters

    Raises
    ------
    UsageError
        Where the network has no such convolution.

    Examples
    --------
    >>> import tempfile
    >>> from featx.explain import filters
    >>> filters(backbone="maia-custom2", weights="random", cache=tempfile.mkdtemp()).filters.shape
    (32, 3, 3, 3)
    """
    from torch import nn

    places = Places.at(cache)
    shelf = backbone_for(backbone, weights, places)
    source = parse_weights(weights, shelf)
    network, facts = load_network(shelf, source, memo=places.memo)
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            found = module.weight.detach().float().numpy()
            bgr = normalisation(facts.normalise).bgr
            return Filters(backbone, source.label, path, np.ascontiguousarray(found[:, ::-1] if bgr else found))
    raise UsageError(f"{backbone} has no convolution over the colours of an image, and so no first filters to show")
