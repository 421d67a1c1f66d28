"""Whether this machine can do what featx does, and what to do where it cannot: one finding a thing that may be wrong.

Looks, and writes only into folders of its own, which it removes. This package must never know how findings are shown.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

from featx.cache.places import Places
from featx.doctor import disk, machine, trial
from featx.doctor.disk import Plan
from featx.doctor.finding import NOTE, OK, WRONG, Finding

__all__ = ["NOTE", "OK", "WRONG", "Finding", "Plan", "examine", "planned"]


def planned(data: str | os.PathLike[str], *, backbone: str, layers: Sequence[str]) -> Plan:
    """Return the room that an extraction would take: the images of a dataset at some layers of a network.

    Raises
    ------
    FeatxError
        Where data, network or layer cannot be had.
    """
    from featx.backbones import BACKBONES
    from featx.datasets import open_dataset

    images, shelf = len(open_dataset(data).samples), BACKBONES[backbone]
    chosen = [shelf.layer(name) for name in layers or ("penultimate",)]
    import torch

    from featx.runtime import layer_shapes

    with torch.device("meta"):
        network = shelf.build()
    shapes = layer_shapes(network, layers=chosen, size=shelf.fixed_size or 224)
    return Plan(images, tuple(_dim(shapes[layer.name], layer.kind) for layer in chosen))


def _dim(shape: Sequence[int], kind: str) -> int:
    """Return how many features a layer of that shape gives, pooled as by default."""
    if kind == "vector":
        return math.prod(shape)
    return shape[-1] if kind in ("map-last", "tokens") or len(shape) == 2 else shape[0]


def examine(cache: str | os.PathLike[str] | None = None, *, plan: Plan | None = None) -> Iterator[Finding]:
    """Yield what is found of each thing that featx needs, in the order in which they build on each other.

    Parameters
    ----------
    cache : path-like, optional
        The cache's folder; ``FEATX_CACHE`` or ``features_cache`` by default.
    plan : Plan, optional
        What is to be extracted.
    """
    places = Places.at(cache)
    yield machine.python()
    yield from machine.packages()
    yield from machine.processor()
    yield machine.memory()
    yield from disk.look(places.root, plan)
    gpu = machine.gpu()
    yield gpu
    if gpu.state != WRONG:
        yield trial.weights(places)
    yield from trial.settings()
    yield trial.self_test()
