"""How a picture becomes markup: figures of matplotlib as inline SVG for a page, and as PDF or SVG for print.

Never knows what a picture shows.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping
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
PRINTS = ("pdf", "svg")
CAPTION_LETTER, CAPTION_LINE = 5.0, 12.0  # points of a letter's width, and of a line, at nine points
SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "featx",
    "pdf.fonttype": 42,  # whole letters, as journals ask for
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "font.size": 10.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "figure.constrained_layout.w_pad": 0.02,
    "figure.constrained_layout.h_pad": 0.02,
}
METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
PDF_METADATA = {"CreationDate": None, "Creator": None, "Producer": None}
INHERITED = {"font-family"}  # the page's own
COORDINATES = {"d", "x", "y", "transform"}
DECIMALS = re.compile(r"-?\d+\.\d+")
AGAIN = re.compile(r"(?<!z) L ")  # a path goes on in straight lines without being told so each time
LONG = 8  # points of a straight path from which on it is told by its steps
NEAR = 1.5  # tenths of a point by which a path may pass by a point that it leaves out
DEFAULTS = {"text-anchor": "start", "stroke-linejoin": "miter", "stroke-dashoffset": "0", "font-size": "10px"}
OWN_NAMES = re.compile(r'(?<= id=")|(?<= href="#)')  # a page has many pictures, and each id but once


class Svg(str):
    """A picture made here: markup that a page takes as it is, where any other text is escaped.

    Attributes
    ----------
    width : float
        Points that it wants.
    figure : matplotlib.figure.Figure or None
        What it was made of, for print.
    """

    width: float = WIDTH
    figure: Figure | None = None

    def __html__(self) -> str:
        """Return it as markup, as template engines ask for it."""
        return str(self)

    def printed(self, kind: str) -> bytes:
        """Return the picture for print on a white ground: ``pdf`` with its letters inside, or ``svg``.

        It is as wide as it wants: 127 mm with letters of 8 to 10 points, which at 70 % fills a column of 89 mm. The
        same picture gives the same bytes.
        """
        if self.figure is None or kind not in PRINTS:
            raise ValueError(f"a picture made here is printed as {' or '.join(PRINTS)}; {kind!r} was asked for")
        stream = io.BytesIO()
        with _own_settings():
            self.figure.set_facecolor("white")
            metadata = PDF_METADATA if kind == "pdf" else METADATA
            _canvas(kind)(self.figure).print_figure(stream, format=kind, metadata=metadata)
            self.figure.set_facecolor("none")
        return stream.getvalue()


def printable(text: str) -> str:
    """Return a text with all that is no visible sign escaped: control signs, turned reading order, lone surrogates."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()


def short(name: str, longest: int) -> str:
    """Return a name as it is shown: nothing invisible in it, and cut where it is long."""
    name = printable(name)
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def beside(axes: Axes, text: str, *, at: tuple[float, float], by: tuple[float, float], **settings: Any) -> None:
    """Write a text so many points from a place."""
    axes.annotate(text, at, xytext=by, textcoords="offset points", annotation_clip=False, **settings)


def bare(axes: Axes, *, keep: str) -> None:
    """Leave one axis of a chart: its bars have their numbers beside them."""
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.spines[keep].set(visible=True, alpha=0.4)
    (axes.xaxis if keep == "left" else axes.yaxis).set_visible(False)


@contextmanager
def figure_of(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of so many points, under settings that no file of the user's changes and none outlives."""
    from matplotlib.figure import Figure

    with _own_settings():
        yield Figure(figsize=(width / 72, height / 72), layout="constrained")


@contextmanager
def _own_settings() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has its own fonts
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def _canvas(kind: str) -> Any:
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    return FigureCanvasPdf if kind == "pdf" else FigureCanvasSVG


def svg(figure: Figure, *, says: str, points: str = "") -> Svg:
    """Return a figure as markup for the middle of a page: without ids of its own, styles, fonts and addresses.

    ``points`` is markup of ours that comes on top.
    """
    stream = io.StringIO()
    _canvas("svg")(figure).print_svg(stream, metadata=METADATA)
    root = ElementTree.fromstring(stream.getvalue())
    width, height = root.attrib["viewBox"].split()[2:]
    inside = "".join(_markup(child) for child in root) + points
    label = _attributes({"viewBox": root.attrib["viewBox"], "width": width, "height": height, "fill": "currentColor",
                         "font-size": DEFAULTS["font-size"], "role": "img", "aria-label": printable(says)})  # fmt: skip
    own = digest_bytes(f"{label}{inside}".encode())[:8]
    inside = OWN_NAMES.sub(f"c{own}-", inside)
    picture = Svg(f"<svg{label}>{inside}</svg>")
    picture.width = float(width)
    figure.set_layout_engine("none")  # print has the places of the page: laid out again they would move a little
    picture.figure = figure
    return picture


def captioned(picture: Svg, caption: str, *, says: str) -> Svg:
    """Return a picture with a caption above it, for one that leaves its page alone; it grows by the caption's lines.

    Parameters
    ----------
    picture : Svg
        As the charts return it.
    caption : str
        What it shows, and of which data.
    says : str
        As of the charts.

    Raises
    ------
    ValueError
        Where the picture was not made by a chart.
    """
    if picture.figure is None:
        raise ValueError("only a picture that a chart has made can be captioned")
    lines = textwrap.wrap(printable(caption), max(20, int(picture.width / CAPTION_LETTER)))
    figure = picture.figure
    with _own_settings():
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + (len(lines) + 0.5) * CAPTION_LINE / 72)
        figure.set_layout_engine("constrained")
        figure.suptitle("\n".join(lines), fontsize=9, x=0.01, ha="left")
        return svg(figure, says=says)


def _markup(node: ElementTree.Element) -> str:
    """Return an element of a figure, rid of what says nothing."""
    name = node.tag.rpartition("}")[2]
    given = _presentation(name, node.attrib)
    inside = "".join(_markup(child) for child in node) or text(node.text if name == "text" else "")
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
    given = {key: value for key, value in given.items() if DEFAULTS.get(key) != value}
    return {key: _compact(key, value) for key, value in given.items()}


def _compact(key: str, value: str) -> str:
    if key in COORDINATES:
        # a tenth of a point is seen by nobody in a line; the curves of a marker are drawn within three points
        straight = key == "d" and not set("CQ") & set(value)
        places = 1 if straight or key in "xy" else 2
        value = DECIMALS.sub(lambda found: f"{float(found[0]):.{places}f}".rstrip("0").rstrip("."), value)
        value = " ".join(value.split())
        return _stepped(AGAIN.sub(" ", value)) if straight else value
    return "currentColor" if value == INK else value


def _stepped(path: str) -> str:
    """Return a straight path whose long parts are told by their steps, without points that lie on the way to others."""
    parts = [part for part in path.split("M ") if part]
    return " ".join(_steps(part) for part in parts)


def _steps(part: str) -> str:
    closed = part.rstrip().endswith("z")
    numbers = [round(10 * float(number)) for number in part.replace("z", " ").split()]
    whole = list(zip(numbers[::2], numbers[1::2], strict=True))
    if len(whole) <= LONG:
        return f"M {part.strip()}"
    kept = _thinned(whole)
    steps = [at - before for (x, y), (left, top) in zip(kept[1:], kept, strict=False)
             for at, before in ((x, left), (y, top))]  # fmt: skip
    told = " ".join(map(_tenths, steps)).replace(" -", "-")
    return f"M{_tenths(kept[0][0])} {_tenths(kept[0][1])}l{told}{'z' * closed}"


def _tenths(number: int) -> str:
    return f"{number / 10:g}".replace("0.", ".", 1) if abs(number) < 10 else f"{number / 10:g}"


def _thinned(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the points of a path without those that a line between two others passes by closely, and in its way."""
    kept, start = [points[0]], 0
    for end in range(2, len(points)):
        if not all(_between(points[start], points[at], points[end]) for at in range(start + 1, end)):
            start = end - 1
            kept.append(points[start])
    return [*kept, points[-1]]


def _between(first: tuple[int, int], middle: tuple[int, int], last: tuple[int, int]) -> bool:
    (x, y), (across, down) = ((one[0] - first[0], one[1] - first[1]) for one in (middle, last))
    length, along = float(np.hypot(across, down)), x * across + y * down
    if length == 0:
        return x == y == 0
    return abs(x * down - y * across) <= NEAR * length and 0 <= along <= length**2


def _attributes(given: Mapping[str, str]) -> str:
    return "".join(f' {key}="{text(value)}"' for key, value in given.items())


def text(value: str | None) -> str:
    """Return a text as markup shows it."""
    return html.escape(value or "")
