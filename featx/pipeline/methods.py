"""``methods.md``: what was done, in the words of a paper's section on methods, with every count and every choice.

The words are "runs the protocol of". Reads results, computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featx.backbones import BACKBONES
from featx.pipeline.calls import DIVERGED
from featx.pipeline.experiment import ALL, Experiment
from featx.pipeline.given import OTHER, OWN, WITHHELD
from featx.pipeline.leak import table as leaks
from featx.pipeline.plan import Plan
from featx.pipeline.tables import title_of
from featx.provenance import environment

Results = Mapping[str, dict[str, Any]]
STANDINGS = {
    OWN: "this is the study's dataset by its format and size, so published numbers stand beside",
    WITHHELD: "these data are synthetic, so published numbers are withheld",
    OTHER: "this is another dataset than the study's, and published numbers are headed so",
}
CLASSIFIERS = {"l2": "rows divided by their L2 norm", "standard": "columns standardised on train rows", "none": "as is"}


def methods(plan: Plan, results: Results, *, notes: Sequence[str]) -> str:
    """Return the text."""
    pipeline = plan.pipeline
    parts = [
        [f"# {pipeline.title}", "", f"featx runs the protocol of {pipeline.study.cite}"
         + (f" (doi {pipeline.study.doi})" if pipeline.study.doi else "")
         + f". Scale: {plan.asked.scale}; seed {plan.seed}."],
        ["## Data", "", *_data(plan)],
        ["## Classes and exclusions", "", *_counts(plan, results)],
        ["## Networks, features and classifiers", "", *_experiments(plan)],
        ["## Folds", "", *_folds(plan, results)],
        ["## What the study's way of splitting adds", "", *_bullets([*leaks.told(plan, results)])],
        ["## Readings", "", *_readings(plan)],
        ["## What differs from the study", "", *_bullets(pipeline.differs)],
        ["## What this run changed or left out", "", *_bullets([*plan.notes, *notes])],
        ["## Software", "", *_software()],
    ]  # fmt: skip
    return "\n\n".join("\n".join(part) for part in parts if len(part) > 2 or part is parts[0]) + "\n"


def _bullets(lines: Sequence[str]) -> list[str]:
    return [f"- {line}" for line in dict.fromkeys(lines)]


def _data(plan: Plan) -> Iterator[str]:
    for name, spec in plan.pipeline.datasets.items():
        dataset = plan.material.datasets.get(name)
        if dataset is None:
            yield f"- {spec.title} ({name}): not given."
            continue
        dropped = "".join(f", {count} {why}" for why, count in dataset.dropped.items())
        standing = STANDINGS[plan.material.standing(name, spec)]
        size = f"{spec.images:,} images" if spec.images else "no size stated"
        yield (
            f"- {dataset.title} for {spec.title} ({name}; the study: {size}): {dataset.found:,} images found, "
            f"{len(dataset.samples):,} used{dropped}; {dataset.grouping}; {standing}."
        )
        yield from (f"  - {note}" for note in spec.notes)


def _counts(plan: Plan, results: Results) -> Iterator[str]:
    told: dict[str, None] = {}
    for asking in plan.askings:
        for one in results[asking.step.digest].get("counts", ()):
            classes = ", ".join(f"{count} {name}" for name, count in one["classes"].items())
            dropped = "".join(f"; {count} dropped ({why})" for why, count in one["dropped"].items())
            stands = "" if one["asked"] == one["design"] else f", for the study's {one['design']}"
            title = plan.material.datasets[asking.step.data].title
            told[f"- {one['asked']}{stands}, on {title}: {classes} images in {one['groups']} groups{dropped}."] = None
    yield from told


def _experiments(plan: Plan) -> Iterator[str]:
    asked: dict[str, Experiment] = {}
    for asking in plan.askings:
        asked.setdefault(asking.variant.experiment.id, asking.variant.experiment)
    for experiment in [*plan.sources, *asked.values()]:
        yield f"- {title_of('experiment', experiment.id, (), plan)}; {'; '.join(_experiment(plan, experiment))}."
        if experiment.note:
            yield f"  - {experiment.note}"


def _experiment(plan: Plan, experiment: Experiment) -> Iterator[str]:
    how = experiment.transform
    size = f"{how.size} pixels" if how.size else "the network's usual size"
    start = f"{plan.random.get(experiment.id, experiment.weights)} weights"
    start = "no weights" if BACKBONES[experiment.backbone].weightless else start
    start = f"weights of experiment {experiment.start}" if experiment.start else start
    yield f"{experiment.backbone} from {start}, images at {size} ({how.resize}, {how.interpolation}), fp32"
    if experiment.train is not None:
        train = experiment.train
        changed = {k: v for k, v in train.model_dump().items() if v != type(train)().model_dump()[k]}
        yield "trained with " + (", ".join(f"{k} {v}" for k, v in changed.items()) or "the defaults of featx finetune")
    if experiment.source:
        yield f"on all of {experiment.data} (folds {ALL}), to start from"
        return
    scale = CLASSIFIERS[experiment.scale] if experiment.scale else "each classifier's own scaling"
    yield f"layers {', '.join(experiment.layers)}"
    yield f"{', '.join(experiment.classifiers)} ({scale}; choice: {experiment.inner})"
    fixed = [*experiment.params, *plan.asked.params]
    if fixed:
        yield f"fixed: {', '.join(fixed)}"


def _folds(plan: Plan, results: Results) -> Iterator[str]:
    told: dict[str, None] = {}
    for asking in plan.askings:
        result = results[asking.step.digest]
        if DIVERGED in result:
            continue
        folds = result["folds"]
        told[f"- {result['title']}: {folds['scheme']}, seed {folds['seed']}, plan {folds['digest'][:12]}; "
             f"{result['grouping']}."] = None  # fmt: skip
    yield from told


def _readings(plan: Plan) -> Iterator[str]:
    for reading in plan.pipeline.readings:
        yield f"- {reading.about}: {reading.says} Here: {reading.here}"


def _software() -> Iterator[str]:
    about = environment()
    yield ", ".join(f"{name} {version}" for name, version in about["versions"].items() if version)
    yield f"Python {about['python']}, {about['system']}, {about['processors']} processors."
