"""The page that shows what a dataset is, before anybody learns from it: counts, missing values, copies, shortcuts.

Shows no picture of a patient, fills nothing, and never knows features.
"""

from __future__ import annotations

from collections.abc import Sequence

from featx.datasets import SYNTHETIC, Dataset
from featx.eda import attributes, files, rows
from featx.eda.parts import count
from featx.eda.view import View
from featx.fingerprints import Fingerprints
from featx.near_duplicates import Pair
from featx.page import Bullets, Section, render
from featx.provenance import version
from featx.shortcuts import Shortcut

__all__ = ["page_of"]


def page_of(
    dataset: Dataset,
    *,
    fingerprints: Fingerprints | None = None,
    pairs: Sequence[Pair] | None = None,
    shortcuts: Sequence[Shortcut] | None = None,
    date: str | None = None,
) -> str:
    """Return the page on a dataset.

    Parameters
    ----------
    dataset : Dataset
        Its samples.
    fingerprints : Fingerprints, optional
        Of its image files.
    pairs : sequence of Pair, optional
        Near-duplicates; empty where none were found, None where nobody looked.
    shortcuts : sequence of Shortcut, optional
        How well the label is told without the picture; None where nobody looked.
    date : str, optional
        Told at the end; without it the page of the same data is the same, byte for byte.

    Returns
    -------
    str
        One HTML file. What it has no section on, for want of data, it says in one line each.
    """
    view = View(dataset, fingerprints)
    told = [
        rows.flow(view),
        rows.questions(view),
        rows.classes(view),
        rows.groups(view),
        attributes.ages(view),
        attributes.sexes(view),
        attributes.sites(view),
        attributes.confirmed(view),
        attributes.others(view),
        attributes.missing(view),
        files.files(view),
        files.twins(view),
        files.near(view, pairs),
        files.shortcuts(view, shortcuts),
    ]
    sections = [one for one in told if isinstance(one, Section)]
    lines = tuple(one for one in told if isinstance(one, str))
    if lines:
        sections.append(Section("What is not shown, and why", (Bullets(lines),)))
    return render(f"What is in {dataset.title}", lead=_lead(view), sections=sections, foot=_foot(dataset, date))


def _lead(view: View) -> str:
    known = f" in {count(len(set(view.groups)), view.group_word)}" if view.dataset.group_kind else ""
    diagnoses = count(len(view.order), "diagnosis", "diagnoses")
    return f"{count(len(view.diagnoses), 'image')} of {diagnoses}{known}, read as {view.dataset.adapter}."


def _foot(dataset: Dataset, date: str | None) -> tuple[str, ...]:
    made = f"Made by featx {version('featx') or '(not installed)'}" + (f" on {date}" if date else "")
    use = "Research use; not a medical device."
    return f"{made}. {use}", *([f"{SYNTHETIC.capitalize()}: no clinical result."] if dataset.synthetic else [])
