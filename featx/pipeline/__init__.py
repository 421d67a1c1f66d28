"""Pipelines: a published study's protocol as one YAML file, run from data to tables.

``schema`` says what a file may hold, ``reading`` reads it, ``unfolding`` lays it out to steps, ``running`` runs them
through ``calls`` and keeps what is finished, ``facts``, ``tables``, ``pairs`` and ``figures`` make of it what the study
shows, ``methods`` says what was done, ``record`` keeps all for a page, ``writing`` writes. This package must never know
the command line; torch is imported where a step works.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx import atomic, runs
from featx.cache.places import Places
from featx.errors import UnknownName
from featx.pipeline import pairs, reading, shipped
from featx.pipeline.facts import facts_of
from featx.pipeline.figures import Drawn, check_figures, drawn
from featx.pipeline.given import Asked, gathered
from featx.pipeline.leak import table as leaks
from featx.pipeline.methods import methods
from featx.pipeline.plan import Plan
from featx.pipeline.published import check_published
from featx.pipeline.record import FILE, record_of
from featx.pipeline.running import OnStep, run_steps, states
from featx.pipeline.schema import FULL, SMOKE, Pipeline
from featx.pipeline.shortcuts import table as shortcuts
from featx.pipeline.tables import Made, made
from featx.pipeline.unfolding import unfold
from featx.pipeline.variants import variants
from featx.pipeline.writing import write_figures, write_tables

SCALES = (SMOKE, FULL)

__all__ = ["SCALES", "Asked", "Pipeline", "Plan", "Ran", "opened", "planned", "run", "states"]


@dataclass(frozen=True)
class Ran:
    """What a run of a pipeline made.

    Attributes
    ----------
    plan : Plan
        What was run.
    tables : tuple of Made
        The study's tables.
    figures : tuple of Drawn
        The study's figures.
    notes : tuple of str
        What the user should know, beside the plan's.
    out : pathlib.Path
        Where everything lies.
    reused, done : int
        Steps that were finished before, and all of them.
    """

    plan: Plan
    tables: tuple[Made, ...]
    figures: tuple[Drawn, ...]
    notes: tuple[str, ...]
    out: Path
    reused: int
    done: int

    @property
    def title(self) -> str:
        """The data that were used; synthetic ones say so in it."""
        return self.plan.title


def opened(text: str) -> Pipeline:
    """Return the pipeline of a name or of a file, checked as a whole.

    Raises
    ------
    UsageError
        Where there is none, or something in it makes no sense.
    """
    pipeline = reading.read(shipped.find(text))
    check_published(pipeline)
    check_figures(pipeline)
    pairs.check_pairs(pipeline)
    for scale in SCALES:
        variants(pipeline, scale)
    return pipeline


def planned(pipeline: Pipeline, asked: Asked, *, cache: str | os.PathLike[str] | None = None) -> Plan:
    """Return the steps of a run.

    Raises
    ------
    FeatxError
        Whatever is wrong with what is given, in one sentence.
    """
    if asked.scale not in SCALES:
        raise UnknownName("scale", asked.scale, SCALES)
    seed = pipeline.seed if asked.seed is None else asked.seed
    return unfold(pipeline, asked, gathered(pipeline, asked, Places.at(cache), seed=seed), seed=seed)


def folder_for(plan: Plan, out: str | os.PathLike[str] | None, places: Places) -> Path:
    """Return where a run lies: where it was asked for, or under the name of study, scale and data in the cache."""
    name = f"{plan.pipeline.name}-{plan.asked.scale}-{plan.material.datasets['main'].name}"
    return runs.folder_for(out, runs=places.runs, run_id=name) if out else places.runs / name


def run(
    plan: Plan,
    *,
    out: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    on_step: OnStep | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[str, dict[str, Any]], None] | None = None,
) -> Ran:
    """Run a plan, from where it was left, and write tables, figures, ``methods.md`` and ``pipeline.json``.

    Parameters
    ----------
    plan : Plan
        As :func:`planned` returns it.
    out, cache : path-like, optional
        The run's folder (one of its own in the cache by default), and the cache's.
    on_step, on_progress, on_epoch : callable, optional
        As of :func:`featx.pipeline.running.run_steps`.

    Raises
    ------
    FeatxError
        Whatever is wrong, in one sentence; finished steps are kept.
    """
    places = Places.at(cache)
    folder = folder_for(plan, out, places)
    runs.make_ready(folder, roots=[str(one.root) for one in plan.material.datasets.values()])
    reused = sum(done for _, done in states(plan, folder))
    results = run_steps(plan, places=places, out=folder, on_step=on_step, on_progress=on_progress, on_epoch=on_epoch)
    facts = facts_of(plan, results)
    tables = [one for table in plan.pipeline.tables if (one := made(table, plan, facts)) is not None]
    differences, why_none = pairs.tables(plan, results)
    tables += [*differences, *leaks.tables(plan, results), *shortcuts.tables(plan, results)]
    figures = [one for figure in plan.pipeline.figures for one in drawn(figure, plan, results)]
    notes = list(dict.fromkeys([*why_none, *(note for result in results.values() for note in result["notes"])]))
    ran = Ran(plan, tuple(tables), tuple(figures), tuple(notes), folder, reused, len(results))
    write_tables(folder, tables, title=ran.title)
    write_figures(folder, figures, title=ran.title)
    atomic.write_text(folder / "methods.md", methods(plan, results, notes=notes))
    runs.write_json(folder / FILE, record_of(ran, results))
    return ran
