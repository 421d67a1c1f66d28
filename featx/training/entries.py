"""Features of one network a split, as one entry of the cache.

Each network's features go the way of any other's, through extraction, and are then put together as a set that is bound
to the plan of folds. Trains nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from featx.cache import FeatureFile, sets
from featx.errors import CacheError
from featx.extraction import extract
from featx.provenance import digest_json
from featx.training.networks import Training
from featx.training.splits import Work

FEW = 1000  # images, all of them decoded before: a process of its own takes longer to start than they take


def extracted(work: Work, trainings: Sequence[Training]) -> tuple[Path, ...]:
    """Extract the layers asked for with each split's network; return the manifest of each layer's set.

    What is there already is not extracted again.
    """
    request = work.request
    named = {_layer(work, text): None for text in request.asked.layers}
    manifests = {layer: _place(work, trainings, layer) for layer in named}
    lacking = [layer for layer, path in manifests.items() if not _whole(path)]
    members: dict[str, list[sets.Member]] = {layer: [] for layer in lacking}
    for training, sides in zip(trainings, work.sides, strict=True):
        split = sides.split
        if split is None:
            raise ValueError("a set has one network a split")
        places = {layer: sets.member(manifests[layer], repeat=split.repeat, half=split.half) for layer in lacking}
        todo = [layer for layer, path in places.items() if not _complete(path)]
        for layer, path in zip(todo, _features(work, training, todo) if todo else (), strict=True):
            places[layer].parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, places[layer])
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)  # of the place that it was extracted to
        for layer, path in places.items():
            members[layer].append(sets.Member(split.repeat, split.half, path, _key(path)))
    plan = work.plan
    for layer, own in members.items():
        about = {"digest": plan.digest, "scheme": plan.scheme, "seed": plan.seed} if plan else {}
        sets.write(sets.FeatureSet(manifests[layer], about, tuple(own)))
    request.places.remember_last(list(manifests.values()))
    return tuple(manifests.values())


def _layer(work: Work, text: str) -> str:
    from featx.backbones.trained import backbone_as

    return backbone_as(work.request.shelf, work.request.structure).layer(text).name


def _place(work: Work, trainings: Sequence[Training], layer: str) -> Path:
    request = work.request
    about = digest_json([request.transform.describe(), layer, request.asked.normalise])
    return sets.place(
        request.places.root / request.dataset.name,
        backbone=request.shelf.name,
        history=request.history,
        layer=layer,
        keys=[*(training.key for training in trainings), about],
    )


def _whole(manifest: Path) -> bool:
    try:
        return all(_complete(member.path) for member in sets.read(manifest).members)
    except CacheError:
        return False


def _complete(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with FeatureFile.open(path) as file:
            return bool(file.complete)
    except CacheError:
        return False


def _key(path: Path) -> str:
    with FeatureFile.open(path) as file:
        return str(file.key)


def _features(work: Work, training: Training, layers: Sequence[str]) -> Sequence[Path]:
    asked, transform = work.request.asked, work.request.transform
    return extract(
        asked.data,
        backbone=work.request.shelf.name,
        layers=list(layers),
        weights=str(training.path),
        size=transform.size,
        resize=transform.resize,
        interpolation=transform.interpolation,
        antialias=transform.antialias,
        trim=transform.trim,
        precision="fp32",  # one precision for all networks of a set, whatever each would bear
        device=work.request.device,
        isolate=len(work.request.dataset.samples) > FEW,
        cache=work.request.places.root,
        adapter=asked.adapter,
        columns=asked.columns,
        name=asked.name,
        max_failures=asked.max_failures,
    ).files
