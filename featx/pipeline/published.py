"""Published numbers: where they may stand, what their head says, and whether their keys are places of their table.

They stand beside ours on the study's own dataset alone. On the demo they are withheld; on another real dataset their
head says of which dataset they are. Knows no results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featx.errors import UnknownName, UsageError
from featx.pipeline.given import OTHER, WITHHELD
from featx.pipeline.schema import Pipeline
from featx.pipeline.shown import METRIC, Published, Table
from featx.pipeline.variants import axes_of


def headed(published: Published, standing: str, pipeline: Pipeline) -> tuple[str, str]:
    """Return the head of published numbers (none where they are withheld), and the note on them."""
    title = pipeline.datasets[published.data].title
    if standing == WITHHELD:
        return "", f"{published.head} numbers ({published.source}) are of {title}: withheld here"
    if standing == OTHER:
        head = f"{published.head}, on {title} (another dataset)"
        return head, f"{head}: {published.source}; not to be compared number by number"
    return published.head, f"{published.head}: {published.source}"


def value_at(table: Table, published: Published, place: Sequence[str]) -> float | None:
    """Return what was published for a place of a table, in its own unit; None where nothing was."""
    keys = (*table.rows, table.columns)
    at: Any = published.values
    for key, word in zip(keys, place, strict=True):
        if key == METRIC and published.metric is not None:
            if word != published.metric:
                return None
            continue
        if not isinstance(at, Mapping) or word not in at:
            return None
        at = at[word]
    return None if isinstance(at, Mapping) or at is None else float(at)


def check_published(pipeline: Pipeline) -> None:
    """Refuse published numbers whose keys are no rows and columns of their table.

    Raises
    ------
    UsageError
        With the key, and the nearest that is known.
    """
    axes = axes_of(pipeline)
    for table in pipeline.tables:
        for key in (*table.rows, table.columns, *table.where):
            known = ["experiment", "design", "classifier", "layer", METRIC, *axes]
            if key not in known:
                raise UsageError(f"table {table.id!r}: {UnknownName('key', key, known)}")
        for published in table.published:
            _check_values(table, published, pipeline, axes)


def _check_values(table: Table, published: Published, pipeline: Pipeline, axes: Mapping[str, list[str]]) -> None:
    known = {
        "experiment": [one.id for one in pipeline.experiments],
        "design": [one.ask for one in pipeline.designs],
        METRIC: [one.name for one in table.metrics],
        **axes,
    }
    keys = [key for key in (*table.rows, table.columns) if key != METRIC or published.metric is None]

    def walk(values: Any, depth: int) -> None:
        if depth == len(keys):
            if isinstance(values, bool) or not isinstance(values, (int, float)):
                raise UsageError(f"table {table.id!r}, {published.head}: a number is expected; {values!r} came")
            return
        if not isinstance(values, Mapping):
            raise UsageError(
                f"table {table.id!r}, {published.head}: a map by {keys[depth]} is expected; {values!r} came"
            )
        for word, below in values.items():
            if keys[depth] in known and word not in known[keys[depth]]:
                raise UsageError(f"table {table.id!r}, {published.head}: "
                                 f"{UnknownName(keys[depth], str(word), known[keys[depth]])}")  # fmt: skip
            walk(below, depth + 1)

    if published.metric is not None and published.metric not in known[METRIC]:
        raise UsageError(f"table {table.id!r}: {UnknownName('metric', published.metric, known[METRIC])}")
    walk(published.values, 0)
