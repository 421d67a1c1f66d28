"""Facts as the study's own tables, with the published numbers beside them by the rule that says where they may stand.

They stand beside ours on the study's own dataset alone. On the demo they are withheld; on another real dataset their
head says of which dataset they are. Computes means and deviations, nothing else, and writes no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from featx.errors import UsageError
from featx.pipeline.facts import Fact
from featx.pipeline.plan import Plan
from featx.pipeline.published import headed, value_at
from featx.pipeline.schema import Pipeline
from featx.pipeline.shown import METRIC, Metric, Published, Table
from featx.pipeline.variants import axes_of

HERE = "here"
INTERVAL = "95 % interval"
SUMMARY = "mean ± sd"


@dataclass(frozen=True)
class Made:
    """A table, ready to be written.

    Attributes
    ----------
    id, title : str
        As in the pipeline file.
    heads : tuple of str
        Of its columns, those of the keys first.
    keys : int
        How many columns are keys.
    rows : tuple of tuple of str
        Cells as they are shown.
    values : tuple of tuple
        The same with numbers as numbers, for CSV.
    notes : tuple of str
        What stands below it.
    data : str
        The data that it is of; those of the whole run where it says nothing.
    """

    id: str
    title: str
    heads: tuple[str, ...]
    keys: int
    rows: tuple[tuple[str, ...], ...]
    values: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()
    data: str = ""


@dataclass(frozen=True)
class _Cell:
    """What one place of a table holds, by source: a text and a number."""

    shown: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def put(self, source: str, value: Any, shown: str) -> None:
        self.values[source], self.shown[source] = value, shown


def made(table: Table, plan: Plan, facts: Sequence[Fact]) -> Made | None:
    """Return a table of facts, None where there is not one fact for it."""
    pipeline, material = plan.pipeline, plan.material
    chosen = [fact for fact in facts if _fits(fact, table.where)]
    grid, rows, columns = _grid(table, pipeline, chosen)
    if not any(cell.values for cell in grid.values()):
        return None
    sources = [HERE, *([INTERVAL] if table.interval else [])]
    notes = list(table.notes)
    for published in table.published:
        standing = material.standing(published.data, pipeline.datasets[published.data])
        head, note = headed(published, standing, pipeline)
        notes.append(note)
        if head:
            sources.append(head)
            _put_published(table, published, head, grid, rows, columns)
    sources = [one for one in sources if any(one in cell.values for cell in grid.values())]
    lay = _beside if table.layout == "beside" else _below
    heads, keys, body = lay(table, plan, grid, rows, columns, sources)
    notes += _diverged(chosen)
    return Made(
        table.id,
        table.title,
        tuple(heads),
        keys,
        tuple(tuple(shown for shown, _ in row) for row in body),
        tuple(tuple(value for _, value in row) for row in body),
        tuple(notes),
        ", ".join(dict.fromkeys(material.datasets[fact.data].title for fact in chosen)),
    )


def _fits(fact: Fact, where: Mapping[str, Sequence[str]]) -> bool:
    return all(key == METRIC or fact.dims.get(key) in wanted for key, wanted in where.items())


def _grid(
    table: Table, pipeline: Pipeline, facts: Iterable[Fact]
) -> tuple[dict[tuple[str, ...], _Cell], list[tuple[str, ...]], list[str]]:
    """Return the cells by their keys, and the keys of rows and columns in the order of the file."""
    keys = (*table.rows, table.columns)
    wanted = [metric.name for metric in table.metrics]
    found: dict[tuple[str, ...], _Cell] = {}
    for fact in facts:
        metrics = wanted if fact.dims[METRIC] == "*" else [fact.dims[METRIC]]
        for metric in metrics:
            if metric not in wanted:
                continue
            dims = {**fact.dims, METRIC: metric}
            if METRIC not in keys and metric != wanted[0]:
                continue
            place = tuple(dims.get(key, "") for key in keys)
            cell = found.setdefault(place, _Cell())
            if HERE in cell.values:
                raise UsageError(_ambiguous(table, dims))
            cell.put(HERE, fact.mean, fact.note or _number(fact.mean, metric, table.decimals))
            if fact.interval:
                low, high = fact.interval
                cell.put(INTERVAL, f"{low:.6g} to {high:.6g}", f"{_short(low, 3)} to {_short(high, 3)}")
    orders = [_order(key, pipeline, wanted, [place[at] for place in found]) for at, key in enumerate(keys)]
    rows = [row for row in product(*orders[:-1]) if any(place[:-1] == row for place in found)]
    columns = [one for one in orders[-1] if any(place[-1] == one for place in found)]
    return found, rows, columns


def _order(key: str, pipeline: Pipeline, metrics: Sequence[str], present: Iterable[str]) -> list[str]:
    known: dict[str, list[str]] = {
        "experiment": [one.id for one in pipeline.experiments],
        "design": [one.ask for one in pipeline.designs],
        METRIC: list(metrics),
    }
    names = known.get(key) or axes_of(pipeline).get(key) or []
    return list(dict.fromkeys([*names, *present]))


def _ambiguous(table: Table, dims: Mapping[str, str]) -> str:
    others = sorted(set(dims) - {*table.rows, table.columns, METRIC})
    return (
        f"table {table.id!r}: several results fall into one cell ({', '.join(f'{k} {dims[k]}' for k in others)} "
        "among them); say which with `where`, or make one of them a key of rows or columns"
    )


def _put_published(
    table: Table,
    published: Published,
    head: str,
    grid: dict[tuple[str, ...], _Cell],
    rows: Sequence[tuple[str, ...]],
    columns: Sequence[str],
) -> None:
    for row, column in product(rows, columns):
        value = value_at(table, published, (*row, column))
        if value is not None:
            share = value / 100 if published.unit == "percent" else value
            metric = dict(zip((*table.rows, table.columns), (*row, column), strict=True)).get(METRIC, "")
            grid.setdefault((*row, column), _Cell()).put(head, share, _number(share, metric, table.decimals))


Body = list[list[tuple[str, Any]]]


def _beside(
    table: Table,
    plan: Plan,
    grid: Mapping[tuple[str, ...], _Cell],
    rows: Sequence[tuple[str, ...]],
    columns: Sequence[str],
    sources: Sequence[str],
) -> tuple[list[str], int, Body]:
    """Lay out a table whose published numbers are columns."""
    shown = [(c, s) for c in columns for s in sources if any(s in _at(grid, r, c).values for r in rows)]
    names = {one: title_of(table.columns, one, table.metrics, plan) for one in columns}
    heads = [names[c] if s == HERE else s if len(columns) == 1 else f"{names[c]}, {s}" for c, s in shown]
    body: Body = [
        [*_labels(table, plan, row), *((_at(grid, row, c).shown.get(s, ""), _at(grid, row, c).values.get(s))
                                           for c, s in shown)]
        for row in rows
    ]  # fmt: skip
    if table.summary:
        body.append(_summary(len(table.rows), [[_at(grid, row, c).values.get(s) for row in rows] for c, s in shown],
                             table.decimals))  # fmt: skip
    return [*map(_key_title, table.rows), *heads], len(table.rows), body


def _below(
    table: Table,
    plan: Plan,
    grid: Mapping[tuple[str, ...], _Cell],
    rows: Sequence[tuple[str, ...]],
    columns: Sequence[str],
    sources: Sequence[str],
) -> tuple[list[str], int, Body]:
    """Lay out a table whose published numbers are rows."""
    body: Body = []
    for row in rows:
        for source in sources:
            cells = [(_at(grid, row, c).shown.get(source, ""), _at(grid, row, c).values.get(source)) for c in columns]
            if any(value is not None for _, value in cells):
                body.append([*_labels(table, plan, row), (source, source), *cells])
    if table.summary:
        numbers = [[_at(grid, row, c).values.get(HERE) for row in rows] for c in columns]
        summary = _summary(len(table.rows), numbers, table.decimals)
        body.append([*summary[: len(table.rows)], (HERE, HERE), *summary[len(table.rows) :]])
    heads = [title_of(table.columns, one, table.metrics, plan) for one in columns]
    return [*map(_key_title, table.rows), "from", *heads], len(table.rows) + 1, body


def _at(grid: Mapping[tuple[str, ...], _Cell], row: tuple[str, ...], column: str) -> _Cell:
    return grid.get((*row, column)) or _Cell()


def _labels(table: Table, plan: Plan, row: Sequence[str]) -> list[tuple[str, Any]]:
    told = [title_of(key, word, table.metrics, plan) for key, word in zip(table.rows, row, strict=True)]
    return [(one, one) for one in told]


def title_of(key: str, word: str, metrics: Sequence[Metric], plan: Plan) -> str:
    """Return what a row or a column is called: designs that stand in for the study's own say so."""
    pipeline = plan.pipeline
    if key == METRIC:
        return next((one.title for one in metrics if one.name == word), word)
    if key == "design" and word in [one.ask for one in pipeline.designs]:
        asked = {design.name for (_, name), design in plan.designs.items() if name == word} - {word}
        return pipeline.design(word).shown + (f" (asked here: {', '.join(sorted(asked))})" if asked else "")
    if key == "experiment":
        title = pipeline.experiment(word).title
        told = title if title.startswith(word) else f"{word}: {title}"
        return f"{told} ({plan.random[word]})" if word in plan.random else told
    return word


def _key_title(key: str) -> str:
    return key.replace("_", " ")


def _summary(keys: int, columns: Sequence[Sequence[Any]], decimals: int) -> list[tuple[str, Any]]:
    """Return a row with mean and population deviation (ddof 0) of each column."""
    told: list[tuple[str, Any]] = [(SUMMARY, SUMMARY), *([("", "")] * (keys - 1))]
    for column in columns:
        values = np.array([value for value in column if isinstance(value, float)])
        if not values.size:
            told.append(("", None))
            continue
        mean, sd = float(values.mean()), float(values.std(ddof=0))
        told.append((f"{_short(mean, decimals)} ± {_short(sd, decimals)}", f"{mean:.6g} ± {sd:.6g}"))
    return told


def _number(value: float | None, metric: str, decimals: int) -> str:
    if value is None:
        return ""
    if metric.rpartition(".")[2] in ("parameters", "learned", "epochs", "best_epoch", "seconds"):
        return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
    return _short(value, decimals)


def _short(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def _diverged(facts: Iterable[Fact]) -> list[str]:
    lost = sorted({" ".join(v for k, v in fact.dims.items() if k != METRIC) for fact in facts if fact.note})
    return [f"did not learn (the loss was not finite): {'; '.join(lost)}"] if lost else []
