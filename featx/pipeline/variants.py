"""From experiments to variants: what a scale changes is put over each, and its grid is laid out.

Every change is told, in words that stand in the output. Knows no data and runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from pydantic import ValidationError

from featx.errors import UnknownName, UsageError
from featx.pipeline.base import Part, with_value
from featx.pipeline.experiment import Experiment, Point, Train
from featx.pipeline.schema import Pipeline, Scale


@dataclass(frozen=True)
class Variant:
    """One experiment at one point of its grid.

    Attributes
    ----------
    experiment : Experiment
        With everything set, and without a grid.
    axes : dict of str to str
        The label of each axis.
    """

    experiment: Experiment
    axes: dict[str, str]

    @property
    def name(self) -> str:
        """What it is called in lists of steps."""
        return " ".join([self.experiment.id, *self.axes.values()])


def variants(pipeline: Pipeline, scale: str) -> tuple[list[Variant], list[str]]:
    """Return all variants at a scale, in the order of the file, and what the scale changes.

    Raises
    ------
    UsageError
        Where a dotted field is none, or a value makes no sense.
    """
    how = pipeline.scales.get(scale, Scale())
    found: list[Variant] = []
    told: dict[str, list[str]] = {}
    for experiment in pipeline.experiments:
        if experiment.id in how.leave_out:
            continue
        changes = {**_fitting(how.set, experiment), **how.experiments.get(experiment.id, {})}
        changed = _with(experiment, changes)
        for note in _changes_told(experiment, changed, changes):
            told.setdefault(note, []).append(experiment.id)
        found += _laid_out(changed, how.grid)
    notes = [f"{scale}: {note} ({_some(ids, len(pipeline.experiments))})" for note, ids in told.items()]
    notes += [f"{scale}: left out: {', '.join(names)}: {why}" for why, names in by_reason(how.leave_out).items()]
    return found, [*notes, *_grids_told(pipeline, how, scale)]


def by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names that each reason is of."""
    found: dict[str, list[str]] = {}
    for name, why in left_out.items():
        found.setdefault(why, []).append(name)
    return found


def axes_of(pipeline: Pipeline) -> dict[str, list[str]]:
    """Return the labels of every axis of the file, in order."""
    found: dict[str, list[str]] = {}
    for experiment in pipeline.experiments:
        for axes in experiment.grid:
            for axis, points in axes.items():
                known = found.setdefault(axis, [])
                known += [point.label for point in points if point.label not in known]
    return found


def _fitting(changes: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """Return the changes that concern an experiment: those of training only where it trains."""
    return {
        path: value
        for path, value in changes.items()
        if not (path.partition(".")[0] in ("train", "train_share") and experiment.train is None)
        and not (path in ("folds", "draws", "train_share") and experiment.source)
    }


def _with(experiment: Experiment, changes: Mapping[str, Any]) -> Experiment:
    raw = experiment.model_dump(by_alias=True)
    for path, value in changes.items():
        raw = with_value(raw, path, value)
    try:
        return Experiment.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or ", ".join(changes)
        told = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            model: type[Part] = Train if where.startswith("train.") else Experiment
            told = str(UnknownName("field", where.rpartition(".")[2], model.model_fields))
        raise UsageError(f"experiment {experiment.id!r}, {where}: {told}") from None


def _laid_out(experiment: Experiment, kept: Mapping[str, tuple[str, ...]]) -> Iterator[Variant]:
    base = experiment.model_copy(update={"grid": ()})
    if not experiment.grid:
        yield Variant(base, {})
        return
    for axes in experiment.grid:
        points = [[p for p in own if axis not in kept or p.label in kept[axis]] for axis, own in axes.items()]
        for chosen in product(*points):
            yield _at(base, dict(zip(axes, chosen, strict=True)))


def _at(base: Experiment, chosen: Mapping[str, Point]) -> Variant:
    changes = {path: value for point in chosen.values() for path, value in point.set.items()}
    return Variant(_with(base, changes), {axis: point.label for axis, point in chosen.items()})


def _changes_told(before: Experiment, after: Experiment, changes: Mapping[str, Any]) -> list[str]:
    def value(experiment: Experiment, path: str) -> Any:
        at: Any = experiment
        for name in path.split("."):
            at = getattr(at, name, None)
        return at

    pairs = ((path, value(before, path), value(after, path)) for path in changes)
    return [f"{path} {_plain(new)} instead of {_plain(old)}" for path, old, new in pairs if new != old]


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(map(str, value)) or "none"
    return "the network's own" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _some(ids: list[str], count: int) -> str:
    return "all experiments" if len(ids) == count > 1 else ", ".join(ids)


def _grids_told(pipeline: Pipeline, how: Scale, scale: str) -> list[str]:
    known = axes_of(pipeline)
    notes = []
    for axis, kept in how.grid.items():
        if axis not in known:
            raise UsageError(str(UnknownName(f"axis of {pipeline.name}", axis, known)))
        for label in kept:
            if label not in known[axis]:
                raise UsageError(str(UnknownName(f"value of axis {axis!r}", label, known[axis])))
        if len(kept) < len(known[axis]):
            notes.append(f"{scale}: of {axis} only {', '.join(kept)}, {len(kept)} of {len(known[axis])} values")
    return notes
