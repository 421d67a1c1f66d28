"""Charts of counts and ranges: bars, histograms, heat maps, intervals. Never knows where the numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.charts.svg import BLUE, INK, VERMILION, WIDTH, Svg, bare, beside, figure_of, short, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHADE = 0.55  # opacity of the darkest cell of a heat map: the count in it still reads, light or dark
ROW, CELL, LETTER = 15.0, 34.0, 6.2  # points of the height of a row, and of the widths of a cell and a letter
LONGEST, LONGEST_COLUMN = 26, 22  # letters of a name that are shown
BINS = 24  # of a histogram, at most
STEPS = (1.0, 2.0, 5.0, 10.0)


def edges(values: np.ndarray, *, least: float = 0.0) -> np.ndarray:
    """Return the edges of at most 24 bins of one round width (1, 2 or 5 times a power of ten) around all values.

    Parameters
    ----------
    values : numpy.ndarray of float, shape (n,)
        Finite, at least one.
    least : float
        The narrowest bin.

    Returns
    -------
    numpy.ndarray of float, shape (bins + 1,)
        Ascending; each bin holds its lower edge, the last its upper one too.
    """
    low, high = float(np.min(values)), float(np.max(values))
    rough = max((high - low) / (BINS - 2), least, np.spacing(max(abs(low), abs(high), 1.0)) * 16)
    power = 10.0 ** np.floor(np.log10(rough))
    step = max(next(power * times for times in STEPS if power * times >= rough * (1 - 1e-9)), least)
    first, last = np.floor(low / step), np.floor(high / step) + 1
    at = np.arange(first, last + 1) * step
    at[0], at[-1] = min(at[0], low), max(at[-1], high)  # rounding may leave the ends out
    return at


def bars(names: Sequence[str], values: np.ndarray, *, says: str, series: Sequence[str] = ()) -> Svg:
    """Draw horizontal bars, the first at the top, each with its number.

    Parameters
    ----------
    names : sequence of str, length n
        What each bar is of.
    values : numpy.ndarray of int, shape (n,) or (n, s)
        Their lengths; one or two bars a name.
    says : str
        What the picture shows, for those who do not see it.
    series : sequence of str, length s
        What the bars of a name are, where there are several.

    Returns
    -------
    Svg
    """
    values = np.asarray(values).reshape(len(names), -1)
    thick = 0.78 / values.shape[1]
    with figure_of(WIDTH, ROW * values.size + 6 * len(names) + (20 if series else 6)) as figure:
        axes = figure.add_subplot()
        for at, column in enumerate(values.T):
            rows = np.arange(len(names)) + (at - (values.shape[1] - 1) / 2) * thick
            axes.barh(rows, column, height=thick * 0.92, color=(BLUE, VERMILION)[at], clip_on=False)
            for row, value in zip(rows, column, strict=True):
                beside(axes, f"{value:,}", at=(value, row), by=(3, 0), va="center", ha="left", fontsize=9)
        axes.set_yticks(range(len(names)), labels=[short(name, LONGEST) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, max(1, values.max()))
        bare(axes, keep="left")
        for at, name in enumerate(series):
            place: dict[str, Any] = {"at": (at / 2, 1.0), "xycoords": "axes fraction", "va": "bottom", "ha": "left"}
            beside(axes, "■", by=(0, 2), color=(BLUE, VERMILION)[at], **place)
            beside(axes, name, by=(11, 2), **place)
        return svg(figure, says=says)


def histograms(values: Mapping[str, np.ndarray], *, at: np.ndarray, axis: str, says: str) -> Svg:
    """Draw one histogram for each series, one above the other over the same axis; a single one with its counts.

    Parameters
    ----------
    values : mapping of str to numpy.ndarray of float
        The series by name; each is drawn to its own height.
    at : numpy.ndarray of float, shape (bins + 1,)
        Edges of the bins.
    axis : str
        What the values are, with their unit.
    says : str
        What the picture shows, for those who do not see it.

    Returns
    -------
    Svg
    """
    single = len(values) == 1
    with figure_of(WIDTH, 190 if single else 44 * len(values) + 34) as figure:
        panels = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, series) in zip(panels, values.items(), strict=True):
            counts = np.histogram(series, at)[0]
            axes.bar(at[:-1], counts, np.diff(at) * 0.94, align="edge", color=BLUE, clip_on=False)
            axes.set_ylim(0, max(1, counts.max()) * (1.25 if single else 1.05))
            bare(axes, keep="bottom")
            if single:
                _write_above(axes, at, counts)
            else:
                _name_panel(axes, f"{short(name, LONGEST)} ({len(series):,})")
        panels[-1].set_xlim(at[0], at[-1])
        panels[-1].xaxis.set_visible(True)
        panels[-1].set_xlabel(axis)
        return svg(figure, says=says)


def _write_above(axes: Axes, at: np.ndarray, counts: np.ndarray) -> None:
    for left, right, count in zip(at[:-1], at[1:], counts, strict=True):
        if count:
            place: dict[str, Any] = {"at": ((left + right) / 2, count), "va": "bottom", "ha": "center"}
            beside(axes, f"{count:,}", by=(0, 3), rotation=90, fontsize=8, **place)


def _name_panel(axes: Axes, name: str) -> None:
    axes.text(0, 1.0, name, transform=axes.transAxes, va="bottom", ha="left", fontsize=9)


def heat_map(counts: np.ndarray, *, shade: np.ndarray, rows: Sequence[str], columns: Sequence[str], says: str) -> Svg:
    """Draw a table of counts whose cells are shaded.

    Parameters
    ----------
    counts : numpy.ndarray of int, shape (r, c)
        Written into the cells.
    shade : numpy.ndarray of float, shape (r, c)
        How dark each cell is, 0 to 1.
    rows, columns : sequences of str, lengths r and c
        Their names.
    says : str
        What the picture shows, for those who do not see it.

    Returns
    -------
    Svg
        Wider than a telephone where there are many columns.
    """
    from matplotlib.patches import Rectangle

    left = LETTER * min(max(map(len, rows)), LONGEST) + 8
    top = LETTER * min(max(map(len, columns)), LONGEST_COLUMN) + 10
    width = max(WIDTH, left + CELL * len(columns))
    with figure_of(width, ROW * 1.25 * len(rows) + top) as figure:
        axes = figure.add_subplot()
        for (row, column), count in np.ndenumerate(counts):
            dark = SHADE * float(shade[row, column])
            corner = (column - 0.48, row - 0.46)
            look: dict[str, Any] = {"facecolor": (*_rgb(BLUE), dark), "lw": 0, "clip_on": False}
            axes.add_patch(Rectangle(corner, 0.96, 0.92, **look))
            axes.text(column, row, f"{count:,}", ha="center", va="center_baseline", fontsize=9)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        names = [short(name, LONGEST_COLUMN) for name in columns]
        upright = LETTER * max(map(len, names)) > (width - left) / len(columns)
        axes.set_xticks(range(len(columns)), labels=names, rotation=90 if upright else 0)
        axes.set_yticks(range(len(rows)), labels=[short(name, LONGEST) for name in rows])
        axes.xaxis.tick_top()
        axes.spines[:].set_visible(False)
        return svg(figure, says=says)


def intervals(
    names: Sequence[str],
    values: np.ndarray,
    *,
    span: tuple[float, float],
    marks: Sequence[float],
    says: str,
    ticks: Sequence[float] | None = None,
) -> Svg:
    """Draw a point and its range for each name, over lines at marked values.

    Parameters
    ----------
    names : sequence of str, length n
        What each point is of.
    values : numpy.ndarray of float, shape (n, 3)
        The point, the low and the high end of its range.
    span : tuple of float
        Ends of the axis.
    marks : sequence of float
        Where the lines stand.
    says : str
        What the picture shows, for those who do not see it.
    ticks : sequence of float, optional
        What the axis is numbered at; the marks by default.

    Returns
    -------
    Svg
    """
    ticks = marks if ticks is None else ticks
    with figure_of(WIDTH, ROW * 1.4 * len(names) + 30) as figure:
        axes = figure.add_subplot()
        axes.vlines(marks, -0.6, len(names) - 0.4, color=INK, alpha=0.35, lw=0.8, clip_on=False)
        for row, (value, low, high) in enumerate(np.asarray(values, dtype=float)):
            axes.plot([low, high], [row, row], color=BLUE, lw=2.4, clip_on=False)
            axes.plot([value], [row], "o", color=VERMILION, ms=6, clip_on=False)
        axes.set_yticks(range(len(names)), labels=[short(name, LONGEST) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(*span)
        axes.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        axes.spines[:].set_visible(False)
        return svg(figure, says=says)


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
