"""Results as a list of facts: one number of one experiment, with everything that it is of. Makes no table.

A fact has dimensions (``experiment``, ``design``, ``classifier``, ``layer``, ``metric``, and the axes of a grid) by
which tables and figures choose. What a training leaves is a fact too: ``training.validation_accuracy`` and the like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from featx.pipeline.calls import DIVERGED
from featx.pipeline.plan import Asking, Plan

TRAINING = "training."
KEPT = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_auc")


@dataclass(frozen=True)
class Fact:
    """One number.

    Attributes
    ----------
    dims : dict of str to str
        What it is of, by dimension; a dimension that does not apply is missing.
    values : tuple of float
        Of each split and draw; empty where a network did not learn.
    interval : tuple of float, optional
        Its 95 % interval, where one draw was made and one is valid.
    note : str
        What a reader must know (``diverged``).
    data : str
        The dataset, by its name in the pipeline.
    """

    dims: dict[str, str]
    values: tuple[float, ...]
    interval: tuple[float, float] | None = None
    note: str = ""
    data: str = field(default="main")

    @property
    def mean(self) -> float | None:
        """Mean over splits and draws."""
        return float(np.mean(self.values)) if self.values else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over splits and draws (ddof 1), where there are several."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None


def facts_of(plan: Plan, results: Mapping[str, dict[str, Any]]) -> list[Fact]:
    """Return all facts of a run; those of several draws are put together."""
    together: dict[tuple[tuple[str, str], ...], Fact] = {}
    for asking in plan.askings:
        for fact in _of_asking(asking, results):
            key = tuple(sorted(fact.dims.items()))
            held = together.get(key)
            together[key] = fact if held is None else _joined(held, fact)
    return list(together.values())


def _joined(first: Fact, second: Fact) -> Fact:
    if first.note == second.note == "" and first.dims["metric"] in _SAME:
        return first
    note = ", ".join(dict.fromkeys(filter(None, (first.note, second.note))))
    return Fact(first.dims, first.values + second.values, None, note, first.data)


_SAME = (f"{TRAINING}parameters", f"{TRAINING}learned")


def _of_asking(asking: Asking, results: Mapping[str, dict[str, Any]]) -> Iterator[Fact]:
    dims = {"experiment": asking.variant.experiment.id, **asking.variant.axes}
    data, result = asking.step.data, results[asking.step.digest]
    if DIVERGED in result:
        for name in asking.step.designs:
            for classifier in asking.step.about["classifiers"]:
                yield Fact({**dims, "design": name, "classifier": classifier, "metric": "*"}, (), None, DIVERGED, data)
        return
    for cell in result["cells"]:
        own = {**dims, "design": cell["design"], "classifier": cell["classifier"], "layer": cell["layer"]}
        trained = _of_training(results[asking.training.digest]) if asking.training else {}
        for metric, values in {**cell["metrics"], **trained}.items():
            interval = tuple(cell["interval"]) if metric == "main" and cell["interval"] else None
            yield Fact({**own, "metric": metric}, tuple(values), interval, "", data)  # type: ignore[arg-type]


def _of_training(result: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return what a training leaves: of the epoch that was kept, its number, epochs and seconds, and sizes."""
    networks = result["networks"]
    kept = [one["history"][one["best_epoch"] - 1] for one in networks]
    found = {name: [float(row[name]) for row in kept] for name in KEPT}
    found |= {f"last_{name}": [float(one["history"][-1][name]) for one in networks] for name in KEPT}
    found |= {
        "best_epoch": [float(one["best_epoch"]) for one in networks],
        "epochs": [float(len(one["history"])) for one in networks],
        "seconds": [sum(row["seconds"] for row in one["history"]) for one in networks],
        "learned": [float(result["learned"])],
        "parameters": [float(result["parameters"])],
    }
    return {f"{TRAINING}{name}": values for name, values in found.items()}


def confusions(plan: Plan, results: Mapping[str, dict[str, Any]]) -> Iterator[tuple[dict[str, str], list[str], Any]]:
    """Yield dimensions, classes and counts (true, predicted) of every cell, summed over splits and draws."""
    together: dict[tuple[tuple[str, str], ...], tuple[dict[str, str], list[str], np.ndarray]] = {}
    for asking in plan.askings:
        for cell in results[asking.step.digest]["cells"]:
            dims = {"experiment": asking.variant.experiment.id, **asking.variant.axes,
                    **{name: cell[name] for name in ("design", "classifier", "layer")}}  # fmt: skip
            key, counts = tuple(sorted(dims.items())), np.array(cell["confusion"])
            held = together.get(key)
            together[key] = (dims, cell["classes"], counts if held is None else held[2] + counts)
    yield from together.values()


def histories(plan: Plan, results: Mapping[str, dict[str, Any]]) -> Iterator[tuple[dict[str, str], str, list[Any]]]:
    """Yield dimensions, split and history of every network that was trained."""
    seen: set[str] = set()
    for asking in plan.askings:
        if asking.training is None or asking.training.digest in seen or DIVERGED in results[asking.training.digest]:
            continue
        seen.add(asking.training.digest)
        dims = {"experiment": asking.variant.experiment.id, **asking.variant.axes, "design": asking.step.designs[0]}
        for network in results[asking.training.digest]["networks"]:
            yield dims, f"{network['name']}{f' draw {asking.draw + 1}' if asking.draw else ''}", network["history"]
