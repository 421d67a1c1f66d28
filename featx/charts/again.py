"""Charts by the name of their kind and plain values, as JSON holds them: a picture that is kept can be drawn again.

Never knows where the values were kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from featx.charts.lines import COLOURS, Line, lines
from featx.charts.plain import bars, heat_map, intervals
from featx.charts.svg import Svg


def draw(kind: str, given: Mapping[str, Any], *, says: str) -> Svg:
    """Draw a chart.

    Parameters
    ----------
    kind : {"lines", "intervals", "heat_map", "bars"}
        The function of this package that draws it.
    given : mapping of str to plain values
        What the function takes: lists, texts and numbers; of ``lines`` each of ``series`` is a mapping.
    says : str
        What the picture shows, for those who do not see it.

    Returns
    -------
    Svg

    Raises
    ------
    KeyError, TypeError, ValueError
        Where the values are not those of such a chart.

    Examples
    --------
    >>> draw("bars", {"names": ["nv", "mel"], "values": [5, 2]}, says="Images of each class").width
    360.0
    """
    return KINDS[kind](given, says)


def _lines(given: Mapping[str, Any], says: str) -> Svg:
    series = [Line(str(one["name"]), _numbers(one["x"]), _numbers(one["y"])) for one in given["series"][: len(COLOURS)]]
    across, upwards = map(str, given["axes"])
    about = {"unit": bool(given.get("unit", False)), "marked": bool(given.get("marked", False))}
    return lines(series, axes=(across, upwards), says=says, **about)


def _intervals(given: Mapping[str, Any], says: str) -> Svg:
    low, high = map(float, given["span"])
    names, values = list(map(str, given["names"])), _numbers(given["values"]).reshape(-1, 3)
    marks, ticks = (list(map(float, given[name])) for name in ("marks", "ticks"))
    return intervals(names, values, span=(low, high), marks=marks, ticks=ticks, says=says)


def _heat_map(given: Mapping[str, Any], says: str) -> Svg:
    rows, columns = (list(map(str, given[name])) for name in ("rows", "columns"))
    counts = np.asarray(given["counts"], dtype=np.int64).reshape(len(rows), len(columns))
    return heat_map(counts, shade=_numbers(given["shade"]).reshape(counts.shape), rows=rows, columns=columns, says=says)


def _bars(given: Mapping[str, Any], says: str) -> Svg:
    return bars(list(map(str, given["names"])), np.asarray(given["values"], dtype=np.int64), says=says)


def _numbers(values: Any) -> np.ndarray:
    """Return numbers; None is where nothing is known."""
    return np.array([np.nan if value is None else value for value in np.asarray(values, dtype=object).ravel()],
                    dtype=np.float64).reshape(np.shape(values))  # fmt: skip


KINDS: dict[str, Callable[[Mapping[str, Any], str], Svg]] = {
    "lines": _lines, "intervals": _intervals, "heat_map": _heat_map, "bars": _bars,
}  # fmt: skip
