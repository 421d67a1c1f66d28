"""The steps of a plan, one after the other; what is finished is kept, and not done again.

Knows no kind of step but by its line in ``calls``, and makes no table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from featx.cache.places import Places
from featx.errors import FeatxError
from featx.pipeline import keeping
from featx.pipeline.calls import KINDS, Bench
from featx.pipeline.plan import Plan
from featx.pipeline.steps import Step

OnStep = Callable[[Step, int, int, bool], None]


def states(plan: Plan, out: Path) -> list[tuple[Step, bool]]:
    """Return the steps of a plan, each with whether it is done."""
    return [(step, keeping.load(out, step) is not None) for step in plan.steps.values()]


def run_steps(
    plan: Plan,
    *,
    places: Places,
    out: Path,
    on_step: OnStep | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[str, dict[str, Any]], None] | None = None,
) -> dict[str, dict[str, Any]]:
    """Run what is not done; return the results of all steps by digest.

    Parameters
    ----------
    plan : Plan
        The steps, in an order in which they can be run.
    places : Places
        The cache.
    out : pathlib.Path
        The folder of the run.
    on_step : callable, optional
        Told (step, number, how many, whether it was done before) before each step.
    on_progress, on_epoch : callable, optional
        As of the library's calls.

    Raises
    ------
    FeatxError
        What a step raises, with the step's name before it; what was finished before is kept.
    """
    bench = Bench(plan, places, out, {}, on_progress, on_epoch)
    results: dict[str, dict[str, Any]] = {}
    for number, step in enumerate(plan.steps.values(), start=1):
        held = keeping.load(out, step)
        if on_step is not None:
            on_step(step, number, len(plan.steps), held is not None)
        if held is None:
            held = _done(step, replace(bench, results=results))
            keeping.save(out, step, held)
        results[step.digest] = held
    return results


def _done(step: Step, bench: Bench) -> dict[str, Any]:
    try:
        return KINDS[step.kind](step, bench)
    except FeatxError as error:
        error.args = (f"{step.name}: {error}",)
        raise
