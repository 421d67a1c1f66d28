"""``pipeline.json``: what a run was, and everything that a page on it wants, as plain values. Computes nothing.

Paths in it are those inside the run's folder, so that a folder that was moved is still whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.pipeline.calls import DIVERGED
from featx.pipeline.keeping import path_for
from featx.pipeline.plan import Plan
from featx.pipeline.tables import title_of
from featx.provenance import environment

if TYPE_CHECKING:
    from featx.pipeline import Ran

FILE, FORMAT = "pipeline.json", 2  # raised where a page could not read what an older run wrote
Results = Mapping[str, dict[str, Any]]


def record_of(ran: Ran, results: Results) -> dict[str, Any]:
    """Return the record of a run."""
    plan = ran.plan
    return {
        "verb": "run",
        "format": FORMAT,
        "pipeline": plan.pipeline.model_dump(mode="json", by_alias=True),
        "data": ran.title,
        "scale": plan.asked.scale,
        "seed": plan.seed,
        "left_out": plan.left_out,
        "random": plan.random,
        "notes": [*plan.notes, *ran.notes],
        "datasets": {name: _dataset(plan, name) for name in plan.material.datasets},
        "steps": [
            {"kind": step.kind, "name": step.name, "digest": step.digest, "folder": results[step.digest].get("folder")}
            for step in plan.steps.values()
        ],
        "comparisons": list(_comparisons(ran, results)),
        "trainings": list(_trainings(ran, results)),
        "tables": [_plain(vars(table)) for table in ran.tables],
        "figures": [_plain({name: value for name, value in vars(one).items() if name != "picture"})
                    for one in ran.figures],
        "environment": environment(),
    }  # fmt: skip


def _dataset(plan: Plan, name: str) -> dict[str, Any]:
    dataset, spec = plan.material.datasets[name], plan.pipeline.datasets[name]
    return {
        "title": dataset.title,
        "study": spec.title,
        "standing": plan.material.standing(name, spec),
        "found": dataset.found,
        "used": len(dataset.samples),
    }


def _comparisons(ran: Ran, results: Results) -> Iterator[dict[str, Any]]:
    """Yield each comparison once, with the experiment that it is of; what did not learn has none."""
    told: set[str] = set()
    for asking in ran.plan.askings:
        digest = asking.step.digest
        if digest in told or DIVERGED in results[digest]:
            continue
        told.add(digest)
        variant = asking.variant
        draw = f", draw {asking.draw + 1}" if asking.draw else ""
        yield {
            "folder": f"comparisons/{digest[:16]}",
            "experiment": f"{variant.name}{draw}",
            "title": title_of("experiment", variant.experiment.id, (), ran.plan),
            "layers": asking.step.about["layers"],
        }


def _trainings(ran: Ran, results: Results) -> Iterator[dict[str, Any]]:
    """Yield each training, and where its histories stand."""
    for step in ran.plan.steps.values():
        if step.kind == "train" and DIVERGED not in results[step.digest]:
            name = step.name.replace(": train,", ",")
            yield {"name": name, "file": path_for(ran.out, step).relative_to(ran.out).as_posix()}


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it: arrays as lists, and None where there is no finite number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
