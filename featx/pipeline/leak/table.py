"""Measured leaks of a pipeline as tables: the arms, and what each leak adds. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from featx.pipeline.leak.arms import STEPS
from featx.pipeline.leak.protocols import PROTOCOLS
from featx.pipeline.leak.scoring import Optimism, metrics_of
from featx.pipeline.leak.spec import LeakSpec
from featx.pipeline.leak.steps import KIND
from featx.pipeline.leak.telling import ESTIMATES, TITLES, signed
from featx.pipeline.steps import Step
from featx.pipeline.tables import Made
from featx.pipeline.unfolding import Plan


def tables(plan: Plan, results: Mapping[str, dict[str, Any]]) -> list[Made]:
    """Return a table for each leak and classifier: the arms, and what each leak adds."""
    specs = {spec.id: spec for spec in plan.pipeline.leaks}
    return [
        _table(specs[step.designs[1]], step, results[step.digest]) for step in plan.steps.values() if step.kind == KIND
    ]


def told(plan: Plan, results: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Yield how each leak was measured, and what it adds in all, in words."""
    for step in plan.steps.values():
        if step.kind != KIND:
            continue
        result, protocol = results[step.digest], PROTOCOLS[step.about["protocol"]]
        whole = next(row for row in map(_row, result["optimism"]) if row.leak == STEPS[0].leak)
        yield (
            f"{result['title']}, {result['classifier']} on {result['features']}: {protocol.says}. Images and copies: "
            f"{result['images']}. {step.about['repeats']} stratified hold-outs "
            f"({' : '.join(f'{share:.1%}' for share in protocol.shares)}) in each of three arms; the published way has "
            f"{TITLES.get(whole.metric, whole.metric)} {whole.leaky:.3f}, by group with copies of train images alone "
            f"{whole.honest:.3f}: {signed(whole)}. {ESTIMATES}"
        )


def _row(values: Mapping[str, Any]) -> Optimism:
    return Optimism(**values)


def _table(spec: LeakSpec, step: Step, result: Mapping[str, Any]) -> Made:
    metrics = metrics_of(result["classes"])
    rows = [_arm(name, own, metrics) for name, own in result["scores"].items()]
    paired = list(map(_row, result["optimism"]))
    rows += [_leak(one.leak, [row for row in paired if row.leak == one.leak]) for one in STEPS]
    protocol = PROTOCOLS[spec.protocol]
    about = f"{result['images']} (images + copies); {result['classifier']} on {result['features']}"
    notes = (f"the leak of {protocol.study}: {protocol.says}", f"{about}; {step.about['repeats']} hold-outs", ESTIMATES)
    return Made(
        f"{spec.id}-{result['classifier']}",
        f"{spec.title} ({result['classifier']})",
        ("", *(TITLES.get(metric, metric) for metric in metrics)),
        1,
        tuple(tuple(shown for shown, _ in row) for row in rows),
        tuple(tuple(value for _, value in row) for row in rows),
        notes,
    )


def _arm(name: str, scores: list[dict[str, float]], metrics: tuple[str, ...]) -> list[tuple[str, Any]]:
    means = [float(np.mean([one[metric] for one in scores])) for metric in metrics]
    return [(name, name), *((f"{mean:.3f}", mean) for mean in means)]


def _leak(name: str, rows: list[Optimism]) -> list[tuple[str, Any]]:
    told = f"added: {name}"
    return [(told, told), *((signed(row), signed(row)) for row in rows)]
