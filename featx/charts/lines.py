"""Charts of curves and of points in a plane. Never knows where the numbers come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featx.charts.svg import BLUE, INK, VERMILION, WIDTH, Svg, figure_of, printable, short, svg, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREEN, PURPLE, ORANGE, SKY, GREY = "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#808080"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY)
STROKES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3)))
MARKERS = "osD^vPX"  # circle, square, diamond, two triangles, a plus, a cross
BANDED = 3  # curves that have their band drawn: more bands than that hide each other
TALL, LEGEND_ROW, LONGEST = 270.0, 16.0, 52  # points, points, letters
SIZE = 3.1  # points from the middle of a point to its rim
SHAPES = {
    "o": "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "s": "m-2.7-2.7h5.4v5.4h-5.4z",
    "D": "m0-3.7l3.7 3.7l-3.7 3.7l-3.7-3.7z",
    "^": "m0-3.6l3.4 6.2h-6.8z",
    "v": "m0 3.6l3.4-6.2h-6.8z",
    "P": "m-1.2-3.6h2.4v2.4h2.4v2.4h-2.4v2.4h-2.4v-2.4h-2.4v-2.4h2.4z",
    "X": "m-3.4-1.7l1.7-1.7l1.7 1.7l1.7-1.7l1.7 1.7l-1.7 1.7l1.7 1.7l-1.7 1.7l-1.7-1.7l-1.7 1.7l-1.7-1.7l1.7-1.7z",
}


class Line(NamedTuple):
    """A curve.

    Attributes
    ----------
    name : str
        What it is of.
    x, y : numpy.ndarray of float, shape (n,)
        Its points.
    low, high : numpy.ndarray of float, shape (n,), optional
        The band around it.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def lines(
    series: Sequence[Line],
    *,
    axes: tuple[str, str],
    says: str,
    diagonal: bool = False,
    unit: bool = True,
    marked: bool = False,
) -> Svg:
    """Draw curves over one another; the first three have their bands.

    Parameters
    ----------
    series : sequence of Line
        At most seven.
    axes : tuple of str
        What runs to the right, and what upwards.
    says : str
        What the picture shows, for those who do not see it.
    diagonal : bool
        Whether the line of equal values is drawn.
    unit : bool
        Whether both axes run from 0 to 1.
    marked : bool
        Whether each point has a dot.

    Returns
    -------
    Svg
    """
    with figure_of(WIDTH, TALL + LEGEND_ROW * len(series)) as figure:
        own = figure.add_subplot()
        if diagonal:
            own.plot([0, 1], [0, 1], color=INK, alpha=0.35, lw=0.8, clip_on=False)
        for at, line in enumerate(series):
            _draw(own, line, at, marked=marked)
        if unit:
            own.set(xlim=(0, 1), ylim=(0, 1))
        own.set_xlabel(axes[0])
        own.set_ylabel(axes[1])
        if not unit and all(np.mod(line.x, 1).max(initial=0) == 0 for line in series):
            _whole(own)
        own.spines[:].set_alpha(0.4)
        _legend(figure)
        return svg(figure, says=says)


def _whole(axes: Axes) -> None:
    """Number an axis of whole numbers (epochs, places in an order) by whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _draw(axes: Axes, line: Line, at: int, *, marked: bool) -> None:
    colour = COLOURS[at]
    if line.low is not None and line.high is not None and at < BANDED:
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.16, lw=0, clip_on=False)
    look: dict[str, Any] = {"marker": MARKERS[at], "ms": 4} if marked or len(line.x) == 1 else {}
    name = short(line.name, LONGEST)
    axes.plot(line.x, line.y, color=colour, ls=STROKES[at], lw=1.6, label=name, clip_on=False, **look)


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside lower left", fontsize=9, handlelength=2.6, labelspacing=0.35, borderpad=0.2)


class Points(NamedTuple):
    """Points in a plane, each of a kind.

    Attributes
    ----------
    xy : numpy.ndarray of float, shape (n, 2)
        Where they lie.
    kinds : numpy.ndarray of int, shape (n,)
        The kind of each.
    names : sequence of str
        Of the kinds; at most seven.
    told : sequence of str, length n
        What is to be said of each.
    """

    xy: np.ndarray
    kinds: np.ndarray
    names: Sequence[str]
    told: Sequence[str]


def points(given: Points, *, says: str) -> Svg:
    """Draw points, each an element of its own that says what it is (``title``); axes without numbers mean nothing.

    Parameters
    ----------
    given : Points
        What to draw.
    says : str
        What the picture shows, for those who do not see it.

    Returns
    -------
    Svg
    """
    with figure_of(WIDTH, WIDTH + LEGEND_ROW * len(given.names)) as figure:
        axes = figure.add_subplot(xticks=[], yticks=[])
        drawn = []
        for kind, name in enumerate(given.names):
            own = given.xy[given.kinds == kind]
            look: dict[str, Any] = {"marker": MARKERS[kind], "color": COLOURS[kind], "lw": 0, "alpha": 0.75}
            label = f"{short(name, LONGEST)} ({len(own):,})"
            drawn.append(axes.scatter(own[:, 0], own[:, 1], s=(2 * SIZE) ** 2, clip_on=False, **look))
            axes.plot([], [], label=label, ms=2 * SIZE, mew=0, **{**look, "ls": ""})
        axes.spines[:].set_visible(False)
        axes.margins(0.03)
        _legend(figure)
        figure.draw_without_rendering()
        places = axes.transData.transform(given.xy) * (72 / figure.dpi)
        for artist in drawn:  # on a page each is an element of its own instead
            artist.set_visible(False)
        picture = svg(figure, says=says, points=_elements(places, given, height=figure.get_figheight() * 72))
        for artist in drawn:
            artist.set_visible(True)
        return picture


def _elements(places: np.ndarray, given: Points, *, height: float) -> str:
    """Return a mark for each point; each shape stands once, for there may be thousands of points."""
    shapes = [
        f'<path id="k{kind}" d="M0 0{SHAPES[MARKERS[kind]]}" fill="{COLOURS[kind]}"/>'
        for kind in sorted(set(given.kinds.tolist()))
    ]
    marks = [
        f'<use href="#k{kind}" x="{x:.1f}" y="{height - y:.1f}"><title>{text(printable(told))}</title></use>'
        for (x, y), kind, told in zip(places.tolist(), given.kinds.tolist(), given.told, strict=True)
    ]
    return f'<defs>{"".join(shapes)}</defs><g fill-opacity=".75">{"".join(marks)}</g>'
