"""Learning curves of the networks that a study trained, from the histories that its run kept. Trains nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from featx import charts
from featx.charts import Line
from featx.errors import RunError
from featx.page import Cell, Figure, Part, Section, Table
from featx.report.learning import LOSSES
from featx.report.protocol import STUDY
from featx.report.study import AGAIN, Study

MOST = 24  # trainings that are drawn; each has a picture of its own


def trainings(study: Study) -> Section | None:
    """Return loss by epoch of what the study trained; None where it trained nothing.

    Raises
    ------
    RunError
        Where a history is gone, or is none.
    """
    told = study.record["trainings"]
    if not told:
        return None
    parts: list[Part] = []
    if len(told) > MOST:
        parts.append(f"The first {MOST} of {len(told)} trainings are drawn; the run's folder has all (steps/train-*).")
    try:
        parts += [_figure(str(one["name"]), study.histories(str(one["file"]))) for one in told[:MOST]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{study.folder}: a history is not as featx writes it ({error}); {AGAIN}") from error
    return Section("Learning curves", tuple(parts), STUDY)


def _figure(name: str, networks: Sequence[Mapping[str, Any]]) -> Figure:
    histories = [network["history"] for network in networks]
    length = min(map(len, histories))
    epochs = np.array([row["epoch"] for row in histories[0][:length]], dtype=np.float64)
    losses = {loss: np.array([[_loss(row[loss]) for row in own[:length]] for own in histories]) for loss in LOSSES}
    known = {loss: values for loss, values in losses.items() if np.isfinite(values).all()}
    series = [_line(loss, epochs, values) for loss, values in known.items()]
    caption = f"Loss by epoch, {name}{_several(histories, length)}"
    picture = charts.lines(series, axes=("epoch", "loss"), says=caption, unit=False)
    return Figure(picture, Table(caption, *_numbers(series)))


def _loss(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _several(histories: Sequence[Sequence[Any]], length: int) -> str:
    """Return what a picture of several networks shows."""
    if len(histories) == 1:
        return ""
    shorter = "" if {len(own) for own in histories} == {length} else f", as far as all were trained ({length} epochs)"
    return f": mean of {len(histories)} networks, one a split, and from the lowest to the highest{shorter}"


def _line(loss: str, epochs: np.ndarray, values: np.ndarray) -> Line:
    name = loss.replace("_", " ")
    if len(values) == 1:
        return Line(name, epochs, values[0])
    return Line(name, epochs, values.mean(0), values.min(0), values.max(0))


def _numbers(series: Sequence[Line]) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...]]:
    header, columns = ["epoch"], [series[0].x]
    for line in series:
        header.append(line.name)
        columns.append(line.y)
        if line.low is not None and line.high is not None:
            header += [f"{line.name}, lowest", f"{line.name}, highest"]
            columns += [line.low, line.high]
    return tuple(header), tuple(_row(row) for row in np.column_stack(columns).tolist())


def _row(row: Sequence[float]) -> tuple[Cell, ...]:
    return (int(row[0]), *(round(value, 4) for value in row[1:]))
