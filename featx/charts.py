"""Charts: arrays in, pictures as inline SVG out. Never knows where the numbers come from or on which page they stand.

A picture carries no style sheet, no script and no address, so that a page may forbid all three. Its ink is the colour
of the text around it and its ground is clear: it reads on a light page and on a dark one. The two fills are of the
palette of Okabe and Ito (2008, "Color universal design"), told apart by people who do not see all colours. The same
arrays give the same bytes.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from featx.provenance import digest_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILION = "#0072b2", "#d55e00"
INK = "#000000"  # becomes the colour of the text around the picture
WIDTH = 360.0  # points of a picture that a telephone shows without scrolling
SHADE = 0.55  # opacity of the darkest cell of a heat map: the count in it still reads, light or dark
ROW, CELL, LETTER = 15.0, 34.0, 6.2  # points of the height of a row, and of the widths of a cell and a letter
LONGEST, LONGEST_COLUMN = 26, 22  # letters of a name that are shown
BINS = 24  # of a histogram, at most
STEPS = (1.0, 2.0, 5.0, 10.0)
SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "featx",
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "font.size": 10.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "figure.constrained_layout.w_pad": 0.02,
    "figure.constrained_layout.h_pad": 0.02,
}
METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
INHERITED = {"font-family"}  # the page's own
COORDINATES = {"d", "x", "y", "transform"}
DECIMALS = re.compile(r"-?\d+\.\d+")
OWN_NAMES = re.compile(r'(?<= id=")|(?<= href="#)')  # a page has many pictures, and each id but once


class Svg(str):
    """A picture made here: markup that a page takes as it is, where any other text is escaped.

    Attributes
    ----------
    width : float
        Points that it wants.
    """

    width: float = WIDTH

    def __html__(self) -> str:
        """Return it as markup, as template engines ask for it."""
        return str(self)


def printable(text: str) -> str:
    """Return a text with all that is no visible sign escaped: control signs, turned reading order, lone surrogates."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()


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
    with _figure(WIDTH, ROW * values.size + 6 * len(names) + (20 if series else 6)) as figure:
        axes = figure.add_subplot()
        for at, column in enumerate(values.T):
            rows = np.arange(len(names)) + (at - (values.shape[1] - 1) / 2) * thick
            axes.barh(rows, column, height=thick * 0.92, color=(BLUE, VERMILION)[at], clip_on=False)
            for row, value in zip(rows, column, strict=True):
                _beside(axes, f"{value:,}", at=(value, row), by=(3, 0), va="center", ha="left", fontsize=9)
        axes.set_yticks(range(len(names)), labels=[_short(name, LONGEST) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, max(1, values.max()))
        _bare(axes, keep="left")
        for at, name in enumerate(series):
            place: dict[str, Any] = {"at": (at / 2, 1.0), "xycoords": "axes fraction", "va": "bottom", "ha": "left"}
            _beside(axes, "■", by=(0, 2), color=(BLUE, VERMILION)[at], **place)
            _beside(axes, name, by=(11, 2), **place)
        return _svg(figure, says=says)


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
    with _figure(WIDTH, 190 if single else 44 * len(values) + 34) as figure:
        panels = figure.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, series) in zip(panels, values.items(), strict=True):
            counts = np.histogram(series, at)[0]
            axes.bar(at[:-1], counts, np.diff(at) * 0.94, align="edge", color=BLUE, clip_on=False)
            axes.set_ylim(0, max(1, counts.max()) * (1.25 if single else 1.05))
            _bare(axes, keep="bottom")
            if single:
                _write_above(axes, at, counts)
            else:
                _name_panel(axes, f"{_short(name, LONGEST)} ({len(series):,})")
        panels[-1].set_xlim(at[0], at[-1])
        panels[-1].xaxis.set_visible(True)
        panels[-1].set_xlabel(axis)
        return _svg(figure, says=says)


def _write_above(axes: Axes, at: np.ndarray, counts: np.ndarray) -> None:
    for left, right, count in zip(at[:-1], at[1:], counts, strict=True):
        if count:
            place: dict[str, Any] = {"at": ((left + right) / 2, count), "va": "bottom", "ha": "center"}
            _beside(axes, f"{count:,}", by=(0, 3), rotation=90, fontsize=8, **place)


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
    with _figure(width, ROW * 1.25 * len(rows) + top) as figure:
        axes = figure.add_subplot()
        for (row, column), count in np.ndenumerate(counts):
            dark = SHADE * float(shade[row, column])
            corner = (column - 0.48, row - 0.46)
            look: dict[str, Any] = {"facecolor": (*_rgb(BLUE), dark), "lw": 0, "clip_on": False}
            axes.add_patch(Rectangle(corner, 0.96, 0.92, **look))
            axes.text(column, row, f"{count:,}", ha="center", va="center_baseline", fontsize=9)
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        names = [_short(name, LONGEST_COLUMN) for name in columns]
        upright = LETTER * max(map(len, names)) > (width - left) / len(columns)
        axes.set_xticks(range(len(columns)), labels=names, rotation=90 if upright else 0)
        axes.set_yticks(range(len(rows)), labels=[_short(name, LONGEST) for name in rows])
        axes.xaxis.tick_top()
        axes.spines[:].set_visible(False)
        return _svg(figure, says=says)


def intervals(
    names: Sequence[str], values: np.ndarray, *, span: tuple[float, float], marks: Sequence[float], says: str
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

    Returns
    -------
    Svg
    """
    with _figure(WIDTH, ROW * 1.4 * len(names) + 30) as figure:
        axes = figure.add_subplot()
        axes.vlines(marks, -0.6, len(names) - 0.4, color=INK, alpha=0.35, lw=0.8, clip_on=False)
        for row, (value, low, high) in enumerate(np.asarray(values, dtype=float)):
            axes.plot([low, high], [row, row], color=BLUE, lw=2.4, clip_on=False)
            axes.plot([value], [row], "o", color=VERMILION, ms=6, clip_on=False)
        axes.set_yticks(range(len(names)), labels=[_short(name, LONGEST) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(*span)
        axes.set_xticks(marks, labels=[f"{mark:g}" for mark in marks])
        axes.spines[:].set_visible(False)
        return _svg(figure, says=says)


def _short(name: str, longest: int) -> str:
    name = printable(name)
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _beside(axes: Axes, text: str, *, at: tuple[float, float], by: tuple[float, float], **settings: Any) -> None:
    """Write a text so many points from a place."""
    axes.annotate(text, at, xytext=by, textcoords="offset points", annotation_clip=False, **settings)


def _bare(axes: Axes, *, keep: str) -> None:
    """Leave one axis of a chart: its bars have their numbers beside them."""
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.spines[keep].set(visible=True, alpha=0.4)
    (axes.xaxis if keep == "left" else axes.yaxis).set_visible(False)


def _rgb(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of so many points, under settings that no file of the user's changes and none outlives."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has its own fonts
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield Figure(figsize=(width / 72, height / 72), layout="constrained")


def _svg(figure: Figure, *, says: str) -> Svg:
    """Return a figure as markup for the middle of a page: without ids of its own, styles, fonts and addresses."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream = io.StringIO()
    FigureCanvasSVG(figure).print_svg(stream, metadata=METADATA)
    root = ElementTree.fromstring(stream.getvalue())
    width, height = root.attrib["viewBox"].split()[2:]
    inside = "".join(_markup(child) for child in root)
    label = _attributes({"viewBox": root.attrib["viewBox"], "width": width, "height": height,
                         "role": "img", "aria-label": printable(says)})  # fmt: skip
    own = digest_bytes(f"{label}{inside}".encode())[:8]
    inside = OWN_NAMES.sub(f"c{own}-", inside)
    picture = Svg(f"<svg{label}>{inside}</svg>")
    picture.width = float(width)
    return picture


def _markup(node: ElementTree.Element) -> str:
    """Return an element of a figure, rid of what says nothing."""
    name = node.tag.rpartition("}")[2]
    given = _presentation(name, node.attrib)
    inside = "".join(_markup(child) for child in node) or _text(node.text if name == "text" else "")
    nothing = given.get("fill") == "none" and "stroke" not in given
    if name in ("style", "metadata") or (name in ("g", "defs") and not inside) or (name == "path" and nothing):
        return ""
    return inside if name == "g" and not given else f"<{name}{_attributes(given)}>{inside}</{name}>"


def _presentation(name: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """Return attributes with the style taken apart into attributes of its own, so that a page may forbid styles."""
    given = {key.rpartition("}")[2]: value for key, value in attributes.items()}
    style = [part.partition(":") for part in given.pop("style", "").split(";") if part.strip()]
    given |= {key.strip(): value.strip() for key, _, value in style if key.strip() not in INHERITED}
    if name == "g" or given.get("transform", "").startswith("rotate(-0 "):
        given = {key: value for key, value in given.items() if key not in ("id", "transform")}
    if name == "text":
        given.setdefault("fill", "currentColor")
    return {key: _compact(key, value) for key, value in given.items()}


def _compact(key: str, value: str) -> str:
    if key in COORDINATES:
        return DECIMALS.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), " ".join(value.split()))
    return "currentColor" if value == INK else value


def _attributes(given: Mapping[str, str]) -> str:
    return "".join(f' {key}="{_text(value)}"' for key, value in given.items())


def _text(value: str | None) -> str:
    return html.escape(value or "")
