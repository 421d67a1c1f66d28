"""Facts as the study's figures, through :mod:`featx.charts`; the numbers of each stand beside it as CSV.

A new kind is one function here and one line in ``KINDS``. Writes no file.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx import charts
from featx.charts import Svg
from featx.errors import UnknownName, UsageError
from featx.pipeline.facts import Fact, confusions, facts_of, histories
from featx.pipeline.plan import Plan
from featx.pipeline.schema import Pipeline
from featx.pipeline.shown import METRIC, Figure
from featx.pipeline.tables import title_of
from featx.pipeline.variants import axes_of

MOST = 7  # curves that a chart tells apart
Results = Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Drawn:
    """A figure, ready to be written.

    Attributes
    ----------
    id, title : str
        Its name, and what it shows.
    heads : tuple of str
        Columns of its numbers.
    rows : tuple of tuple
        Its numbers.
    kind : str
        The chart, as :func:`featx.charts.draw` knows it.
    given : dict
        What the chart is made of, as plain values.
    picture : Svg
        The picture.
    """

    id: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    kind: str
    given: dict[str, Any]
    picture: Svg


def drawn(figure: Figure, plan: Plan, results: Results) -> list[Drawn]:
    """Return the pictures of a figure; none where nothing is there for it."""
    return [_captioned(one, plan) for one in KINDS[figure.kind](figure, plan, results)]


def _captioned(one: Drawn, plan: Plan) -> Drawn:
    """Write what a picture shows, and of which data, into the picture: it will be seen without its page."""
    caption = f"{one.title} · {plan.title}"
    return replace(one, picture=charts.captioned(one.picture, caption, says=caption))


def _made(
    name: str, title: str, kind: str, given: dict[str, Any], *, heads: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> Drawn:
    """Draw a chart and keep what it is made of beside it, so that a page can draw it again."""
    return Drawn(name, title, tuple(heads), tuple(rows), kind, given, charts.draw(kind, given, says=title))


def check_figures(pipeline: Pipeline) -> None:
    """Refuse figures of a kind or with keys that are not known.

    Raises
    ------
    UnknownName
        With the nearest that is.
    """
    known = ["experiment", "design", "classifier", "layer", METRIC, *axes_of(pipeline)]
    for figure in pipeline.figures:
        if figure.kind not in KINDS:
            raise UnknownName(f"kind of figure {figure.id!r}", figure.kind, KINDS)
        for key in filter(None, (figure.x, figure.series, *figure.where)):
            if key not in known:
                raise UnknownName(f"key of figure {figure.id!r}", key, known)


def _chosen(figure: Figure, facts: Sequence[Fact]) -> list[Fact]:
    return [
        fact
        for fact in facts
        if fact.mean is not None and all(fact.dims.get(k) in v for k, v in figure.where.items() if k != METRIC)
    ]


def _title(key: str, word: str, figure: Figure, plan: Plan) -> str:
    return title_of(key, word, figure.metrics, plan)


def _lines(figure: Figure, plan: Plan, results: Results) -> list[Drawn]:
    """A metric against an axis, one curve for each value of another key."""
    x, (metric, *_) = figure.x or "experiment", figure.metrics
    facts = [fact for fact in _chosen(figure, facts_of(plan, results)) if fact.dims[METRIC] == metric.name]
    by_series: dict[str, dict[str, Fact]] = {}
    for fact in facts:
        if x in fact.dims and figure.series in fact.dims:
            own = by_series.setdefault(fact.dims[figure.series], {})
            if fact.dims[x] in own:
                raise UsageError(
                    f"figure {figure.id!r}: several results have {x} {fact.dims[x]} in one curve; say which with "
                    "`where`, or take another key for `series`"
                )
            own[fact.dims[x]] = fact
    if not by_series:
        return []
    places, numeric = _places(x, plan, [label for own in by_series.values() for label in own], log=figure.log)
    series, rows = [], []
    for name, own in list(by_series.items())[:MOST]:
        told = _title(figure.series, name, figure, plan)
        points = sorted(own.items(), key=lambda point: places[point[0]])
        series.append({"name": told, "x": [places[label] for label, _ in points],
                       "y": [fact.mean for _, fact in points]})  # fmt: skip
        rows += [(told, label, fact.mean, fact.spread) for label, fact in points]
    under = x if numeric else f"{x} (in order: {', '.join(places)})"
    under = f"log10 of {x}" if numeric and figure.log else under
    heads, axes = (figure.series, x, metric.title, "sd over splits"), [_wrapped(under), metric.title]
    given = {"series": series, "axes": axes, "marked": True}
    return [_made(figure.id, figure.title, "lines", given, heads=heads, rows=rows)]


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 58))


def _places(x: str, plan: Plan, present: Sequence[str], *, log: bool) -> tuple[dict[str, float], bool]:
    """Return where each label stands, and whether by its number: where all are numbers; else by order in the file."""
    labels = [one for one in axes_of(plan.pipeline).get(x, []) if one in present]
    labels = list(dict.fromkeys([*labels, *present]))
    try:
        numbers = {label: float(label) for label in labels}
    except ValueError:
        return {label: float(at) for at, label in enumerate(labels, start=1)}, False
    return {label: math.log10(number) if log else number for label, number in numbers.items()}, True


def _intervals(figure: Figure, plan: Plan, results: Results) -> list[Drawn]:
    """The main metric of each result with its 95 % interval, one picture for each design."""
    facts = [fact for fact in _chosen(figure, facts_of(plan, results)) if fact.dims[METRIC] == "main" and fact.interval]
    found = []
    for design in dict.fromkeys(fact.dims["design"] for fact in facts):
        own = [fact for fact in facts if fact.dims["design"] == design]
        names = [_name(fact, figure, plan) for fact in own]
        values = np.array([[fact.mean, *(fact.interval or ())] for fact in own], dtype=float)
        low = min(0.4, math.floor(values.min() * 10) / 10)
        ticks = [tick / 10 for tick in range(round(low * 10), 11)]
        title = f"{figure.title}: {_title('design', design, figure, plan)}"
        rows = [(name, *row) for name, row in zip(names, values.tolist(), strict=True)]
        given = {"names": names, "values": values.tolist(), "span": [low, 1.0], "marks": [0.5], "ticks": ticks}
        heads = ("result", "mean", "low", "high")
        found.append(_made(f"{figure.id}-{design}", title, "intervals", given, heads=heads, rows=rows))
    return found


def _name(fact: Fact, figure: Figure, plan: Plan) -> str:
    """Return a short name of a result: charts have little room, and the tables tell what it stands for."""
    beside = [
        fact.dims[key] for key in ("layer", "classifier") if key in (figure.x, figure.series) and key in fact.dims
    ]
    axes = [word for key, word in fact.dims.items() if key in axes_of(plan.pipeline)]
    random = " (random)" if fact.dims["experiment"] in plan.random else ""
    return " ".join([fact.dims["experiment"], *axes, *beside]) + random


def _confusion(figure: Figure, plan: Plan, results: Results) -> list[Drawn]:
    """Counts of true and predicted classes, summed over splits, one picture for each result."""
    found = []
    for dims, classes, counts in confusions(plan, results):
        if any(dims.get(key) not in wanted for key, wanted in figure.where.items() if key != METRIC):
            continue
        title = f"{figure.title}: {', '.join(dims.values())}; rows are true classes, columns predicted ones"
        shade = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        rows = [(name, *row) for name, row in zip(classes, counts.tolist(), strict=True)]
        name = "-".join([figure.id, *dims.values()]).replace(" ", "-").replace("/", "-")
        given = {"counts": counts.tolist(), "shade": shade.tolist(), "rows": classes, "columns": classes}
        found.append(_made(name, title, "heat_map", given, heads=("true class", *classes), rows=rows))
    return found


def _curves(figure: Figure, plan: Plan, results: Results) -> list[Drawn]:
    """A column of the training histories by epoch, one curve for each network, the first seven of a picture."""
    column = figure.metrics[0].name.removeprefix("training.")
    by_design: dict[str, list[tuple[str, list[Any]]]] = {}
    for dims, split, history in histories(plan, results):
        if all(dims.get(key) in wanted for key, wanted in figure.where.items() if key != METRIC):
            told = " ".join(word for key, word in dims.items() if key != "design")
            by_design.setdefault(dims["design"], []).append((f"{told}, split {split}", history))
    found = []
    for design, networks in by_design.items():
        some = networks[:MOST]
        series = [
            {"name": name, "x": [row["epoch"] for row in history], "y": [row[column] for row in history]}
            for name, history in some
        ]
        title = f"{figure.title}: {_title('design', design, figure, plan)}"
        rows = [(name, row["epoch"], row[column]) for name, history in networks for row in history]
        heads, axes = ("network", "epoch", column), ["epoch", figure.metrics[0].title]
        given = {"series": series, "axes": axes}
        found.append(_made(f"{figure.id}-{design}", title, "lines", given, heads=heads, rows=rows))
    return found


def _classes(figure: Figure, plan: Plan, results: Results) -> list[Drawn]:
    """Images of each class, one picture for each dataset and design."""
    found: dict[str, Drawn] = {}
    for asking in plan.askings:
        dims = {"experiment": asking.variant.experiment.id, **asking.variant.axes}
        if any(key in dims and dims[key] not in wanted for key, wanted in figure.where.items()):
            continue
        dataset = plan.material.datasets[asking.step.data]
        for one in results[asking.step.digest]["counts"]:
            title = f"{figure.title}: {dataset.title}, {one['asked']}"
            name, rows = f"{figure.id}-{asking.step.data}-{one['asked']}", list(one["classes"].items())
            given = {"names": list(one["classes"]), "values": list(one["classes"].values())}
            found.setdefault(name, _made(name, title, "bars", given, heads=("class", "images"), rows=rows))
    return list(found.values())


KINDS: dict[str, Callable[[Figure, Plan, Results], list[Drawn]]] = {
    "lines": _lines,
    "intervals": _intervals,
    "confusion": _confusion,
    "curves": _curves,
    "classes": _classes,
}
