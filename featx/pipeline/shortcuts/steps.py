"""The steps that ask what tells the classes of a dataset without the picture: one a dataset. Makes no table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from featx import fingerprints, shortcuts
from featx.designs import DESIGNS
from featx.errors import DataError, SplitError
from featx.pipeline.steps import Step
from featx.shortcuts import Shortcut

if TYPE_CHECKING:
    from featx.pipeline.calls import Bench
    from featx.pipeline.unfolding import Plan

KIND = "shortcuts"
OF_SOURCES = ("source", "file", "names")  # what shows where a picture comes from, and nothing of who is on it
CONFOUNDED = "as where sources are confounded with classes: take numbers on these data for mechanics, not for results"


def steps(plan: Plan, libraries: Mapping[str, Any]) -> Iterator[Step]:
    """Yield a step for each dataset that is to be asked, with the designs of the shelf that the run asks of it."""
    for name, spec in plan.pipeline.datasets.items():
        asked = {design.name: key for (data, key), design in plan.designs.items() if data == name}
        known = [one for one in asked if one in DESIGNS]
        if spec.shortcuts and known:
            about = {"data": plan.identities[name], "designs": known, "seed": plan.seed, "libraries": dict(libraries)}
            yield Step(KIND, f"{name}: what tells the classes without the picture", about, name, (),
                       tuple(asked[one] for one in known))  # fmt: skip


def run(step: Step, bench: Bench) -> dict[str, Any]:
    """Ask a dataset, one design after the other; one with too few groups is told of."""
    dataset = bench.dataset(step)
    held = fingerprints.take(dataset, places=bench.places, on_progress=bench.on_progress).of
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for name in step.about["designs"]:
        try:
            found = shortcuts.find(dataset, fingerprints=held, only=[name], seed=step.about["seed"])
        except (DataError, SplitError) as error:
            notes.append(f"{dataset.title}: what tells the classes without the picture cannot be asked: {error}")
            continue
        rows += [_row(one) for one in found]
        notes += [f"{dataset.title}, {name}: {_told(one)}" for one in found if one.level != "green"]
    return {"files": [], "rows": rows, "notes": notes}


def _row(one: Shortcut) -> dict[str, Any]:
    facts = {"design": one.design, "what": f"{one.what}: {', '.join(one.columns)}", "exposed": one.exposed}
    return facts | {"auc": one.auc, "low": one.low, "high": one.high, "exposed_auc": one.exposed_auc,
                    "level": one.level, "told": _told(one)}  # fmt: skip


def _told(one: Shortcut) -> str:
    apart = one.what in OF_SOURCES and one.level != "green"
    return f"{one.level.upper()}, AUC {one.exposed_auc:.3f}: {one.note}" + f"; {CONFOUNDED}" * apart
