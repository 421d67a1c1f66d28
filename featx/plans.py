"""The plan of folds of a dataset: drawn once on all of its samples, or read from a file and held against its groups.

Whoever compares and whoever trains takes the plan from here, so that both speak of the same splits. Knows no features
and no classifiers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from featx import folds
from featx.datasets import Dataset
from featx.errors import SplitError, UsageError, suggestion


def plan_of(
    dataset: Dataset, groups: Sequence[str], scheme: str, *, seed: int, folder: Path
) -> tuple[folds.Folds, Path]:
    """Draw the folds of a dataset once, on all of its samples, or read them from a file.

    Parameters
    ----------
    dataset : Dataset
        Its samples.
    groups : sequence of str
        Group of each, byte-identical images joined.
    scheme : str
        A scheme of :func:`featx.folds.draw`, or a ``.json`` or ``.yml`` file.
    seed : int
        Of the draw.
    folder : pathlib.Path
        Where plans are kept.

    Returns
    -------
    folds : Folds
        The plan.
    path : pathlib.Path
        Its file.

    Raises
    ------
    SplitError
        Where the plan divides a group, or none can be drawn.
    UsageError
        Where the scheme or the file is none.
    """
    ids = [sample.id for sample in dataset.samples]
    if scheme.endswith(".json"):
        return _plan_from(Path(scheme), ids, groups), Path(scheme)
    if scheme.endswith((".yml", ".yaml")):
        files = [sample.path for sample in dataset.samples]
        return folds.released(Path(scheme), ids, groups=groups, files=files), Path(scheme)
    if scheme.endswith(".csv"):
        raise UsageError(f"--folds {scheme}: a table of labels holds no folds; give the .yml beside it")
    return folds.drawn_once(
        scheme,
        ids,
        groups=groups,
        strata=[sample.diagnosis for sample in dataset.samples],
        seed=seed,
        folder=folder,
        about={"dataset": dataset.name, "data": dataset.title, "grouping": dataset.grouping},
        parts=_parts(dataset, scheme),
    )


def _parts(dataset: Dataset, scheme: str) -> list[str] | None:
    """Return the column of the samples that a plan goes by: the official part, or the one named."""
    kind, _, detail = scheme.partition(":")
    if kind not in ("official", "by"):
        return None
    column = "split" if kind == "official" else detail
    known = sorted({name for sample in dataset.samples for name in sample.attributes})
    if kind == "by" and column not in known:
        told = suggestion(column, known)
        raise UsageError(f"--folds {scheme}: {dataset.name} has no column {column!r}; {told}")
    return [sample.attributes.get(column, "") for sample in dataset.samples]


def _plan_from(path: Path, ids: Sequence[str], groups: Sequence[str]) -> folds.Folds:
    """Read a plan, and refuse it where it divides a group that these data know (the plan may know others, or none)."""
    plan = folds.load(path)
    known = dict(zip(ids, groups, strict=True))
    own = tuple(known.get(name, group) for name, group in zip(plan.ids, plan.groups, strict=True))
    try:
        folds.refuse_straddling(replace(plan, groups=own))
    except SplitError as error:
        raise SplitError(f"{path} was drawn for other groups than these data have: {error}") from None
    return plan
