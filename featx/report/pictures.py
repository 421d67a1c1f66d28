"""The curves of a design: ROC, precision-recall, calibration, confusion, F1. Draws what the predictions say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from featx import charts
from featx.charts import Line
from featx.page import Figure, Part, Section, Table
from featx.report import curves
from featx.report.curves import GRID, Band
from featx.report.reading import Design, Key
from featx.report.results import ranges
from featx.report.shown import MOST_CELLS, RESULTS, Shown

BINARY = 2
MOST_CLASSES = 12  # of a table of confusion
MOST_POINTS = 4  # of a curve that the page tells in numbers: they show what the file holds


def curves_of(one: Shown, design: Design) -> Section:
    """Return the pictures of a design."""
    parts: list[Part] = [*_said(one, design)]
    makers = (_ranking, _confusions, _f1) if len(design.classes) > BINARY else (_binary, _calibration, _confusions, _f1)
    parts += [part for make in makers for part in make(one, design)]
    return one.section(f"Curves and errors, {design.name}", parts, chapter=RESULTS)


def _said(one: Shown, design: Design) -> Iterator[str]:
    keys = one.run.keys(design)
    if len(keys) > MOST_CELLS:
        yield f"The best {MOST_CELLS} of {len(keys)} by their mean on test rows are drawn; the table above has all."
    sides = len(one.run.sides[keys[0]])
    if sides > 1:
        yield f"Curves are means over the {sides} test sides; a band reaches from the lowest of them to the highest."
    if one.unit != one.run.unit:
        yield f"Drawn by image, although the scores are by {one.run.unit}: {one.lacking}."


def _binary(one: Shown, design: Design) -> Iterator[Figure]:
    """Draw the curves of two classes, one a cell."""
    named = [(f"{one.run.name(key)}, {one.run.mean(key, 'auc'):.3f}", key, 1) for key in one.drawn(design)]
    positive = design.classes[1]
    yield _roc(one, named, f"{design.name}: ROC of {positive} (mean AUC beside the name)")
    named = [
        (f"{one.run.name(key)}, {one.run.mean(key, 'average_precision'):.3f}", key, 1) for key in one.drawn(design)
    ]
    yield _precision(one, named, f"{design.name}: precision and recall of {positive} (mean average precision)")


def _ranking(one: Shown, design: Design) -> Iterator[Figure]:
    """Draw the curves of the best cell, one a class against the rest."""
    best = one.run.keys(design)[0]
    named = [(name, best, code) for code, name in enumerate(design.classes)][: len(charts.COLOURS)]
    yield _roc(one, named, f"{design.name}: ROC of each class against the rest, {one.run.name(best)}")
    yield _precision(one, named, f"{design.name}: precision and recall of each class, {one.run.name(best)}")


def _roc(one: Shown, named: list[tuple[str, Key, int]], caption: str) -> Figure:
    bands = {name: _band(one, key, code, of=curves.roc, grid=GRID) for name, key, code in named}
    starts = {name: Band(*(np.concatenate([[0.0], part]) for part in own)) for name, own in bands.items()}
    return _curves(starts, one.caption(caption), axes=("false positive rate", "sensitivity"), diagonal=True)


def _precision(one: Shown, named: list[tuple[str, Key, int]], caption: str) -> Figure:
    bands = {name: _band(one, key, code, of=curves.precision_recall, grid=GRID[1:]) for name, key, code in named}
    return _curves(bands, one.caption(caption), axes=("recall", "precision"))


def _band(one: Shown, key: Key, code: int, *, of: Callable[..., np.ndarray], grid: np.ndarray) -> Band:
    return curves.band(grid, [of(rows.y == code, rows.scores[:, code]) for rows in one.rows(key)])


def _curves(bands: dict[str, Band], caption: str, *, axes: tuple[str, str], diagonal: bool = False) -> Figure:
    series = [Line(name, own.x, own.mean, own.low, own.high) for name, own in bands.items()]
    picture = charts.lines(series, axes=axes, says=caption, diagonal=diagonal)
    return Figure(picture, Table(caption, *_numbers(bands, axes), most=MOST_POINTS))


def _numbers(bands: dict[str, Band], axes: tuple[str, str]) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
    """Return the curves as a table: what runs to the right stands once, and a band where there is one."""
    header, columns = [axes[0]], [next(iter(bands.values())).x]
    for name, own in bands.items():
        header.append(f"{name}: mean {axes[1]}")
        columns.append(own.mean)
        if (own.low < own.high).any():
            header += [f"{name}: lowest", f"{name}: highest"]
            columns += [own.low, own.high]
    return tuple(header), tuple(map(tuple, np.round(np.column_stack(columns), 3).tolist()))


def _calibration(one: Shown, design: Design) -> Iterator[Part]:
    found = {}
    for key in one.drawn(design):
        rows = [rows for rows in one.rows(key) if rows.probabilities is not None]
        told = np.concatenate([r.probabilities[:, 1] for r in rows if r.probabilities is not None]) if rows else ()
        positive = np.concatenate([r.y == 1 for r in rows]) if rows else np.zeros(0, dtype=bool)
        known = np.isfinite(told)
        if known.any():
            found[one.run.name(key)] = curves.reliability(positive[known], np.asarray(told)[known])
    if not found:
        yield "No calibration curve: the run kept no probabilities (`featx compare --probabilities` does)."
        return
    caption = one.caption(f"{design.name}: calibration of {design.classes[1]}, all test sides together")
    series = [Line(name, own.told, own.came) for name, own in found.items()]
    axes = ("probability told", "share that came")
    picture = charts.lines(series, axes=axes, says=caption, diagonal=True, marked=True)
    table = tuple((name, *np.round(at, 4).tolist()) for name, own in found.items() for at in np.column_stack(own))
    yield Figure(picture, Table(caption, ("classifier", *axes, "rows"), table))


def _confusions(one: Shown, design: Design) -> Iterator[Part]:
    classes = design.classes
    if len(classes) > MOST_CLASSES:
        yield f"No table of confusion: {len(classes)} classes are more than a picture holds."
        return
    for key in one.drawn(design):
        sides = [(rows.y, rows.called) for rows in one.rows(key)]
        counts = curves.confusion(sides, classes=len(classes))
        shade = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        said = f"{design.name}: true class (rows) and class called (columns) by {one.run.name(key)}"
        caption = one.caption(f"{said}, {len(sides)} test side{'s' * (len(sides) > 1)}")
        picture = charts.heat_map(counts, shade=shade, rows=classes, columns=classes, says=caption)
        rows = tuple((name, *own) for name, own in zip(classes, counts.tolist(), strict=True))
        yield Figure(picture, Table(caption, ("true class", *classes), rows))


def _f1(one: Shown, design: Design) -> Iterator[Figure]:
    cells: list[tuple[str, float, float, float]] = []
    for key, name in product(one.drawn(design), design.classes):
        values = one.run.scores[key][f"f1_{name}"]
        mean, low, high = float(values.mean()), float(values.min()), float(values.max())
        cells.append((f"{name}, {one.run.name(key)}", mean, low, high))
    cells.sort(key=lambda cell: cell[0])
    caption = one.caption(f"{design.name}: F1 of each class, mean, lowest and highest test side")
    yield from ranges(cells, caption=caption, name="class, classifier", marks=(0.0, 0.5))
