"""The report: runs as one self-contained page, in three chapters: Results, Checks, Data; before them a study's own.

Reads what runs and studies wrote, and the feature files behind them where they are at hand. Never fits a classifier
again and never knows how a score was made; shows no picture of a patient unless it is asked to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.datasets import SYNTHETIC
from featx.errors import UsageError
from featx.page import Section, render
from featx.provenance import version
from featx.report.checks import checks
from featx.report.data import data
from featx.report.learning import learning
from featx.report.pictures import curves_of
from featx.report.printing import print_figures
from featx.report.protocol import protocol
from featx.report.reading import Run
from featx.report.results import clinical, comparison, differences, subgroups
from featx.report.shown import Shown
from featx.report.source import source_of
from featx.report.study import Study, read
from featx.report.trainings import trainings

LARGE = 2_000_000  # bytes of a page from which on that is told

__all__ = ["Report", "report"]


@dataclass(frozen=True)
class Report:
    """What :func:`report` made.

    Attributes
    ----------
    html : str
        The page.
    sections : tuple of Section
        Its content.
    notes : tuple of str
        What could not be shown, and why; and where the page is large.
    """

    html: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...]

    def print_figures(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write every figure into a folder: PDF and SVG of print size, and its numbers as CSV."""
        return print_figures(self.sections, folder)


def report(
    runs: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    cache: str | os.PathLike[str] | None = None,
    maps: bool = True,
    thumbnails: bool = False,
    date: str | None = None,
) -> Report:
    """Make the page on one or several runs.

    Parameters
    ----------
    runs : path-like or sequence of path-like
        Folders of runs (of ``featx compare``, ``fit`` or ``evaluate``) or of studies (of ``featx run``).
    cache : path-like, optional
        Where the feature files are looked for; by default where the runs say, and around the runs.
    maps : bool
        Whether to draw maps of the features; the first map of 2,000 images takes some seconds.
    thumbnails : bool
        Whether the tables of hard images show them, small. They are pictures of patients: think where the page goes.
    date : str, optional
        Told at the end; without it the same runs give the same page, byte for byte.

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        No run, or one run twice.
    RunError
        Where a folder holds no whole run, and no whole study.
    """
    paths = [runs] if isinstance(runs, (str, os.PathLike)) else list(runs)
    if not paths:
        raise UsageError("a report takes at least one run's folder")
    found = [read(path) for path in paths]
    studies = [one for one in found if isinstance(one, Study)]
    shown = _shown([run for one in found for run in (one.runs if isinstance(one, Study) else (one,))], cache)
    sections = tuple(_sections(studies, shown, maps=maps, thumbnails=thumbnails))
    about: dict[str, Any] = {"lead": _lead(studies, shown), "foot": _foot(studies, shown, date)}
    html = render(_title(studies, shown), sections=sections, **about)
    notes = [f"{one.run.folder}: {one.lacking}" for one in shown if one.lacking]
    if len(html) > LARGE:
        notes.append(
            f"the page has {len(html) / 1e6:.1f} MB, too much for many mail boxes; fewer runs make a smaller one"
        )
    return Report(html, sections, tuple(notes))


def _shown(runs: Sequence[Run], cache: str | os.PathLike[str] | None) -> list[Shown]:
    ids = [name for run in runs for name in run.ids]
    if len(set(ids)) < len(ids):
        raise UsageError("one run was given twice; give each run once")
    found = []
    for number, run in enumerate(runs, start=1):
        features, place = source_of(run, cache=cache), number if len(runs) > 1 else 0
        if isinstance(features, str):
            found.append(Shown(run, None, features, place))
        else:
            found.append(Shown(run, features, "", place))
    return found


def _title(studies: Sequence[Study], shown: Sequence[Shown]) -> str:
    """Return what the page is on: studies by their title, and the data that were used."""
    data = dict.fromkeys([str(one.record["data"]) for one in studies] + [one.run.title for one in shown])
    told = ", ".join(one.title for one in studies)
    return "Report on " + ": ".join(filter(None, (told, ", ".join(data))))


def _sections(studies: Sequence[Study], shown: Sequence[Shown], *, maps: bool, thumbnails: bool) -> Iterator[Section]:
    for study in studies:
        yield from protocol(study)
        yield from filter(None, (trainings(study),))
    if not shown:  # nothing that a study trained has learned
        return
    yield comparison(shown)
    for one in shown:
        yield from (curves_of(one, design) for design in one.run.designs)
        own = None if one.run.members else learning(one)  # those of a study stand with it
        yield from filter(None, (differences(one), clinical(one), subgroups(one), own))
    yield from checks(shown)
    yield from data(shown, maps=maps, thumbnails=thumbnails)


def _lead(studies: Sequence[Study], shown: Sequence[Shown]) -> str:
    cells = sum(len(one.run.scores) for one in shown)
    designs = list(dict.fromkeys(design.name for one in shown for design in one.run.designs))
    count = sum(len(one.run.ids) for one in shown)
    runs = "one run" if count == 1 else f"{count} runs"
    protocols = "".join(f"featx runs the protocol of {one.cite}. " for one in studies)
    return (
        f"{protocols}{cells} cell{'s' * (cells != 1)} (features with a classifier, under a design) of {runs}; "
        f"design{'s' * (len(designs) != 1)} {', '.join(designs)}. Research use; not a medical device."
    )


def _foot(studies: Sequence[Study], shown: Sequence[Shown], date: str | None) -> tuple[str, ...]:
    made = f"Made by featx {version('featx') or '(not installed)'}" + (f" on {date}" if date else "")
    ids = [str(one.record["pipeline"]["name"]) for one in studies] + [str(one.run.record["id"]) for one in shown]
    synthetic = any(one.run.record.get("note") == SYNTHETIC for one in shown)
    lines = (f"{made} from {', '.join(ids)}. Research use; not a medical device.",)
    return (*lines, f"{SYNTHETIC.capitalize()}: no clinical result.") if synthetic else lines
