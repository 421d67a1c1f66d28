"""Learning curves of networks that were trained here, from the history beside their weights. Trains nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from featx import charts
from featx.charts import Line
from featx.page import Figure, Section, Table
from featx.report.shown import RESULTS, Shown

MOST = 10  # networks that are drawn
LOSSES = ("train_loss", "validation_loss")


def learning(one: Shown) -> Section | None:
    """Return loss by epoch of each network behind the features; None where none was trained here."""
    figures = [_figure(one, *history) for history in list(_histories(one))[:MOST]]
    return one.section("Learning curves", figures, chapter=RESULTS) if figures else None


def _histories(one: Shown) -> Iterator[tuple[str, list[Mapping[str, float]]]]:
    if one.features is None:
        return
    members = [(f"split {part.repeat}x{part.half}", part.features) for part in one.features.parts]
    for name, features in members or [(one.features.label, one.features)]:
        rows = _read(features.about["env"].get("weights_file"))
        if rows:
            yield name, rows


def _read(weights: Any) -> list[Mapping[str, float]]:
    """Read the history beside a weights file; nothing where there is none."""
    path = Path(str(weights)).with_suffix(".csv") if weights else None
    if path is None or not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or not {"epoch", *LOSSES} <= set(rows[0]):
        return []
    return [{name: float(row[name]) for name in ("epoch", *LOSSES)} for row in rows]


def _figure(one: Shown, name: str, rows: list[Mapping[str, float]]) -> Figure:
    caption = one.caption(f"Loss by epoch, {name}")
    epochs = np.array([row["epoch"] for row in rows])
    series = [Line(what.replace("_", " "), epochs, np.array([row[what] for row in rows])) for what in LOSSES]
    picture = charts.lines(series, axes=("epoch", "loss"), says=caption, unit=False)
    table = tuple((f"{row['epoch']:g}", round(row["train_loss"], 4), round(row["validation_loss"], 4)) for row in rows)
    return Figure(picture, Table(caption, ("epoch", "train loss", "validation loss"), table))
