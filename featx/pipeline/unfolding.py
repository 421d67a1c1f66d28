"""From a pipeline, a scale and what is given to steps, each known by a digest, and to what is left out, and why.

Asks the disk for sizes and times of images alone. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featx.errors import UsageError
from featx.pipeline.experiment import ALL, ARGMAX, LOGITS, Experiment, fixed
from featx.pipeline.given import IMAGENET, Asked, Material, answerable, weights_for
from featx.pipeline.leak import steps as leaks
from featx.pipeline.leak.spec import LeakSpec
from featx.pipeline.plan import Asking, Plan, stamped
from featx.pipeline.schema import MAIN, Pipeline
from featx.pipeline.shortcuts import steps as shortcuts
from featx.pipeline.steps import Step
from featx.pipeline.variants import Variant, by_reason, variants
from featx.provenance import versions

RANDOM_HERE = "RANDOM here"
LIBRARIES = ("featx", "torch", "torchvision", "scikit-learn", "numpy")


def unfold(pipeline: Pipeline, asked: Asked, material: Material, *, seed: int) -> Plan:
    """Return the steps of a run.

    Raises
    ------
    UsageError
        Where nothing is left to run, or a value makes no sense.
    """
    plan = Plan(pipeline, asked, material, seed)
    found, told = variants(pipeline, asked.scale)
    plan.notes += [*told, *material.notes]
    sources: dict[str, Step] = {}
    for variant in sorted(found, key=lambda one: not one.experiment.source):
        experiment = variant.experiment
        if reason := _reason_to_leave_out(plan, experiment, sources):
            plan.left_out.setdefault(experiment.id, reason)
            continue
        weights, odd = _weights(experiment, asked)
        if weights is None:
            plan.left_out.setdefault(experiment.id, odd)
            continue
        _mark_random(plan, experiment, odd)
        if experiment.source:
            sources[experiment.id] = _source(plan, variant, weights, sources)
        else:
            _unfold_one(plan, variant, weights, sources)
    for spec in pipeline.leaks:
        _leak(plan, spec)
    for step in shortcuts.steps(plan, versions(LIBRARIES)):
        plan.add(step)
    _leave_idle_out(plan, sources, {variant.experiment.id: variant.experiment for variant in found})
    plan.notes += [f"left out: {', '.join(names)}: {why}" for why, names in by_reason(plan.left_out).items()]
    _refuse_unused_params(plan)
    if not plan.askings:
        raise UsageError(f"{pipeline.name}: nothing is left to run; {'; '.join(plan.notes[-3:])}")
    return plan


def _leave_idle_out(plan: Plan, sources: Mapping[str, Step], at_scale: Mapping[str, Experiment]) -> None:
    """Leave out the weights to start from that nothing in the run starts from."""
    used: set[str] = set()
    waiting = [step for step in plan.steps.values() if step not in sources.values()]
    while waiting:
        step = waiting.pop()
        used.add(step.digest)
        waiting += step.needs
    for name, step in sources.items():
        if step.digest in used:
            plan.sources.append(at_scale[name])  # as it is trained here, not as the file has it for the full scale
        else:
            plan.steps.pop(step.digest, None)
            plan.left_out.setdefault(name, "nothing that is run starts from it")


def _refuse_unused_params(plan: Plan) -> None:
    used = {text for asking in plan.askings for text in asking.step.about["params"]}
    if lost := [text for text in plan.asked.params if plan.askings and text not in used]:
        raise UsageError(f"--param {lost[0]}: no classifier of {plan.pipeline.name} has that; write NAME=VALUE (C=1)")


def _mark_random(plan: Plan, experiment: Experiment, odd: str) -> None:
    """Tell of random weights in the place of ImageNet's, and mark the experiment and those that start from it."""
    if odd and odd not in plan.notes:
        plan.notes.append(odd)
    if odd or experiment.start in plan.random:
        plan.random[experiment.id] = RANDOM_HERE


def _leak(plan: Plan, spec: LeakSpec) -> None:
    """Add the steps of a leak, changed as the scale says, or say why there are none."""
    scale = plan.pipeline.scales.get(plan.asked.scale)
    if scale and spec.id in scale.leave_out:
        return
    changes = scale.leaks.get(spec.id, {}) if scale else {}
    own = spec.changed(changes)
    reason = _reason_to_leave_out(plan, own, {})
    if not reason and plan.material.datasets[own.data].group_kind is None:
        reason = f"{plan.material.datasets[own.data].title} knows no lesions or patients to split by honestly"
    weights, odd = (None, reason) if reason else _weights(own, plan.asked)
    if weights is None:
        plan.left_out.setdefault(own.id, odd)
        return
    plan.notes += [f"{plan.asked.scale}: {path} {value} ({own.id})" for path, value in changes.items()]
    if odd and odd not in plan.notes:
        plan.notes.append(odd)
    leaks.unfold(plan, own, stamped(weights), plan.designs[own.data, own.design].describe())


def _weights(experiment: Experiment | LeakSpec, asked: Asked) -> tuple[str | None, str]:
    if experiment.start is not None or experiment.weights != IMAGENET:
        return experiment.weights, ""
    return weights_for(experiment.backbone, asked)


def _reason_to_leave_out(plan: Plan, experiment: Experiment | LeakSpec, sources: Mapping[str, Step]) -> str:
    if experiment.data in plan.material.absent:
        return plan.material.absent[experiment.data]
    if experiment.start is not None and experiment.start not in sources:
        return plan.left_out.get(
            experiment.start, f"it starts from {experiment.start}, which is left out at this scale"
        )
    if not _designs(plan, experiment):
        dataset = plan.material.datasets[experiment.data]
        return f"the labels of {dataset.title} answer none of its designs"
    return ""


def _designs(plan: Plan, experiment: Experiment | LeakSpec) -> list[str]:
    """Return the designs of an experiment that its dataset answers; tell of the others, and of those put instead."""
    dataset = plan.material.datasets[experiment.data]
    found = []
    for name in experiment.designs or [spec.ask for spec in plan.pipeline.designs]:
        key = (experiment.data, name)
        if key not in plan.designs:
            spec = plan.pipeline.design(name)
            design, why = answerable(dataset, spec, plan.pipeline.policies)
            if design is not None:
                plan.designs[key] = design
            told = f"{design.name} is asked instead" if design else "it is left out"
            note = f"{dataset.title} cannot be asked {name} ({why}): {told}"
            if why and note not in plan.notes:
                plan.notes.append(note)
        if key in plan.designs:
            found.append(name)
    return found


def _source(plan: Plan, variant: Variant, weights: str, sources: Mapping[str, Step]) -> Step:
    """Return the training of weights to start from, on all of a dataset."""
    if variant.axes:
        raise UsageError(f"experiment {variant.experiment.id!r}: folds `all` take no grid")
    names = _designs(plan, variant.experiment)
    if len(names) > 1:
        raise UsageError(f"experiment {variant.experiment.id!r}: folds `all` take one design; {len(names)} came")
    return plan.add(_training(plan, variant, names[0], weights, ALL, plan.seed, sources))


def _unfold_one(plan: Plan, variant: Variant, weights: str, sources: Mapping[str, Step]) -> None:
    experiment = variant.experiment
    names = _designs(plan, experiment)
    for draw in range(experiment.draws):
        seed = plan.seed + draw
        if experiment.train is None:
            features = plan.add(_extraction(plan, variant, weights, sources))
            for folds, some in _by_folds(plan, experiment, names).items():
                _compare(plan, variant, features, some, folds, seed)
            continue
        for name in names:
            folds = _folds(plan, experiment, name)
            training = plan.add(_training(plan, variant, name, weights, folds, seed, sources))
            _compare(plan, variant, training, [name], folds, seed)


def _by_folds(plan: Plan, experiment: Experiment, names: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_folds(plan, experiment, name), []).append(name)
    return found


def _folds(plan: Plan, experiment: Experiment, design: str) -> str:
    given = plan.asked.folds if experiment.data == MAIN else {}
    return given.get(design) or given.get("") or experiment.folds


def _extraction(plan: Plan, variant: Variant, weights: str, sources: Mapping[str, Step]) -> Step:
    experiment = variant.experiment
    about = {**_network(plan, experiment, weights), "layers": list(experiment.layers), "pool": experiment.pool}
    return Step("extract", f"{variant.name}: extract", about, experiment.data, _needs(experiment, sources))


def _training(
    plan: Plan, variant: Variant, design: str, weights: str, folds: str, seed: int, sources: Mapping[str, Step]
) -> Step:
    experiment = variant.experiment
    if experiment.train is None:
        raise ValueError("an experiment without a train block is not trained")
    wanted = [LOGITS] if ARGMAX in experiment.classifiers else []
    about = {
        **_network(plan, experiment, weights),
        "layers": list(dict.fromkeys([*experiment.layers, *wanted])),
        "train": experiment.train.model_dump(),
        "train_share": experiment.train_share,
        "design": plan.designs[experiment.data, design].describe(),
        "folds": stamped(folds),
        "seed": seed,
    }
    told = f"{variant.name}: train, {_asked(plan, experiment, [design])}" + (
        f", draw {seed - plan.seed + 1}" if experiment.draws > 1 else ""
    )
    return Step("train", told, about, experiment.data, _needs(experiment, sources), (design,))


def _compare(plan: Plan, variant: Variant, features: Step, names: list[str], folds: str, seed: int) -> None:
    """Add the comparisons of a variant: classifiers on its layers, and the network's own verdict on its logits."""
    experiment = variant.experiment
    kinds = [[name for name in experiment.classifiers if name != ARGMAX]]
    kinds += [[ARGMAX]] if ARGMAX in experiment.classifiers else []
    for classifiers in filter(None, kinds):
        about = {
            "classifiers": classifiers,
            "layers": list(experiment.layers_for(classifiers[0])),
            "designs": [plan.designs[experiment.data, name].describe() for name in names],
            "folds": stamped(folds),
            "train_share": experiment.train_share,
            "seed": seed,
            "scale": experiment.scale,
            "inner": experiment.inner,
            "params": fixed([*experiment.params, *plan.asked.params], classifiers),
            "accelerate": experiment.accelerate,
            "unit": experiment.unit,
            "policies": dict(plan.pipeline.policies),
            "libraries": versions(LIBRARIES),
        }
        told = f"{variant.name}: compare, {'+'.join(classifiers)} on {_asked(plan, experiment, names)}"
        told += f", draw {seed - plan.seed + 1}" if experiment.draws > 1 else ""
        step = plan.add(Step("compare", told, about, experiment.data, (features,), tuple(names)))
        trained = features if features.kind == "train" else None
        plan.askings.append(Asking(variant, seed - plan.seed, step, trained))


def _asked(plan: Plan, experiment: Experiment, names: Sequence[str]) -> str:
    """Return the designs as they are asked of these data."""
    return "+".join(plan.designs[experiment.data, name].name for name in names)


def _network(plan: Plan, experiment: Experiment, weights: str) -> dict[str, Any]:
    return {
        "backbone": experiment.backbone,
        "weights": None if experiment.start else stamped(weights),
        "transform": experiment.transform.model_dump(),
        "data": plan.identities[experiment.data],
        "libraries": versions(LIBRARIES),
    }


def _needs(experiment: Experiment, sources: Mapping[str, Step]) -> tuple[Step, ...]:
    return (sources[experiment.start],) if experiment.start else ()
