"""The leaks of a pipeline as steps: laid out, and run.

What a step leaves is the scores of every arm and repeat, and what is paired of them. Makes no table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx import images
from featx.pipeline.leak import Network, measure
from featx.pipeline.leak.spec import LeakSpec
from featx.pipeline.steps import Step
from featx.provenance import versions
from featx.training import Settings

if TYPE_CHECKING:
    from featx.pipeline.calls import Bench
    from featx.pipeline.unfolding import Plan

KIND = "leak"


def unfold(plan: Plan, spec: LeakSpec, weights: list[Any], design: Mapping[str, Any]) -> None:
    """Add a step for each classifier of a leak.

    Parameters
    ----------
    plan : Plan
        What will be run.
    spec : LeakSpec
        The leak, as the scale has it.
    weights : list
        The weights, and size and time of their file.
    design : mapping
        The design that is asked, described.
    """
    for classifier in spec.classifiers:
        about = {
            **spec.model_dump(exclude={"id", "title", "data", "classifiers", "weights", "design"}),
            "classifier": classifier,
            "weights": weights,
            "design": dict(design),
            "data": plan.identities[spec.data],
            "seed": plan.seed,
            "libraries": versions(),
        }
        name = f"{spec.id}: leak of {spec.protocol}, {classifier} on {spec.design}"
        plan.add(Step(KIND, name, about, spec.data, (), (spec.design, spec.id)))


def run(step: Step, bench: Bench) -> dict[str, Any]:
    """Measure a leak."""
    about = step.about
    found = measure(
        bench.dataset(step),
        protocol=about["protocol"],
        design=bench.plan.designs[step.data, step.designs[0]],
        network=_network(about),
        classifier=about["classifier"],
        params=about["params"],
        repeats=about["repeats"],
        seed=about["seed"],
        cache=bench.places.root,
        on_progress=bench.on_progress,
        on_epoch=bench.on_epoch,
    )
    return {
        "files": [],
        "title": found.title,
        "features": found.features,
        "classifier": found.classifier,
        "classes": list(found.classes),
        "images": found.counts,
        "scores": found.scores,
        "optimism": [row._asdict() for row in found.rows],
        "notes": list(found.notes),
    }


def _network(about: Mapping[str, Any]) -> Network:
    from featx.pipeline.experiment import Train

    how = {name: value for name, value in about["transform"].items() if name != "normalise" and value is not None}
    train = None if about["train"] is None else Train.model_validate(about["train"])
    return Network(
        about["backbone"],
        str(about["weights"][0]),
        layer=about["layer"],
        transform=images.Transform(**how) if "size" in how else None,
        normalise=about["transform"]["normalise"],
        settings=Settings() if train is None else train.settings(seed=about["seed"]),
        training={} if train is None else {name: getattr(train, name) for name in ("freeze", "cut", "head", "dropout")},
    )
