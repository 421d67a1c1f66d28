"""Whether the cache holds what a step would make, told without torch and without opening an image.

Says less than it might: what it does not find out counts as not there. Runs nothing.
"""

from __future__ import annotations

import os

from featx.backbones import BACKBONES
from featx.backbones.weights import parse_weights
from featx.cache import FeatureFile
from featx.cache.places import Places
from featx.errors import FeatxError
from featx.pipeline.calls import PRECISION
from featx.pipeline.plan import Plan
from featx.pipeline.steps import Step


def cached(step: Step, plan: Plan, cache: str | os.PathLike[str] | None) -> bool:
    """Return whether whole features of every layer of an extraction are in the cache already."""
    if step.kind != "extract" or step.about["weights"] is None:
        return False
    places, dataset = Places.at(cache), plan.material.datasets[step.data]
    backbone = BACKBONES[step.about["backbone"]]
    label = parse_weights(step.about["weights"][0], backbone).label
    names = [backbone.layer(name).name for name in step.about["layers"]]
    folder = places.root / dataset.name
    return all(
        any(_is(path, step, len(dataset.samples)) for path in folder.glob(f"{backbone.name}@{label}--{name}--*.h5"))
        for name in names
    )


def _is(path: os.PathLike[str], step: Step, rows: int) -> bool:
    try:
        with FeatureFile.open(path) as file:  # type: ignore[arg-type]
            spec, whole = file.spec, bool(file.complete) and len(file.paths) == rows
    except FeatxError:
        return False
    asked = step.about["transform"]
    same = all(
        spec["transform"].get(name) == value
        for name, value in asked.items()
        if name in spec["transform"] and value is not None
    )
    return whole and same and spec["precision"] == PRECISION
