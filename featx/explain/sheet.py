"""Panels side by side as one PNG, with what each shows under it. Never knows what is explained.

Every pixel of a panel is a pixel of the sheet, and the same panels give the same bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from featx.charts import printable
from featx.charts.svg import figure_of, short
from featx.explain.panels import Panel

DPI = 100
MARGIN = 20  # pixels around panels and texts
LONGEST = 160  # letters of a heading


class Row(NamedTuple):
    """Panels beside one another under a heading and what there is to say of them all."""

    heading: str
    panels: tuple[Panel, ...]
    told: tuple[str, ...] = ()


class _Style(NamedTuple):
    """How words are written: points, weight, pixels of a letter's width and of a line's height."""

    size: float
    weight: str
    letter: float
    line: int


HEADING, NAME, WORDS = _Style(11, "bold", 9.0, 22), _Style(8.5, "bold", 7.4, 17), _Style(8.5, "normal", 6.5, 16)


class _Text(NamedTuple):
    """Lines of words at a place: x and y in pixels from the upper left corner."""

    x: int
    y: int
    lines: tuple[str, ...]
    style: _Style


def sheet(rows: Sequence[Row], *, title: str, foot: Sequence[str] = ()) -> bytes:
    """Return rows of panels as a PNG file.

    Parameters
    ----------
    rows : sequence of Row
        From top to bottom.
    title : str
        What the sheet is.
    foot : sequence of str
        Paragraphs at its end.
    """
    width = 2 * MARGIN + max(sum(panel.pixels.shape[1] + MARGIN for panel in row.panels) - MARGIN for row in rows)
    texts: list[_Text] = []
    placed: list[tuple[int, int, Panel]] = []
    inside = width - 2 * MARGIN
    y = _words(texts, [title], HEADING, x=MARGIN, y=MARGIN, width=inside)
    for row in rows:
        y = _row(row, texts, placed, y=y + MARGIN // 2, width=inside)
    y = _words(texts, foot, WORDS, x=MARGIN, y=y + MARGIN // 2, width=inside)
    return _drawn(placed, texts, width=width, height=y + MARGIN)


def _row(row: Row, texts: list[_Text], placed: list[tuple[int, int, Panel]], *, y: int, width: int) -> int:
    """Place a row, and return where the next begins."""
    y = _words(texts, [row.heading], HEADING, x=MARGIN, y=y, width=width)
    y = _words(texts, row.told, WORDS, x=MARGIN, y=y, width=width) + MARGIN // 4
    x, below = MARGIN, y + max(panel.pixels.shape[0] for panel in row.panels) + MARGIN // 4
    ends = [below]
    for panel in row.panels:
        own = panel.pixels.shape[1]
        placed.append((x, y, panel))
        under = _words(texts, [panel.name], NAME, x=x, y=below, width=own)
        ends.append(_words(texts, [panel.says], WORDS, x=x, y=under, width=own))
        x += own + MARGIN
    return max(ends) + MARGIN // 2


def _words(texts: list[_Text], paragraphs: Sequence[str], style: _Style, *, x: int, y: int, width: int) -> int:
    """Place paragraphs, and return where they end."""
    for text in paragraphs:
        text = short(text, LONGEST) if style is HEADING else printable(text)
        lines = tuple(textwrap.wrap(text, max(12, int(width / style.letter))))
        texts.append(_Text(x, y, lines, style))
        y += style.line * len(lines)
    return y


def _drawn(placed: Sequence[tuple[int, int, Panel]], texts: Sequence[_Text], *, width: int, height: int) -> bytes:
    """Return the sheet as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with figure_of(width * 72 / DPI, height * 72 / DPI) as figure:
        figure.set_layout_engine("none")
        figure.set(dpi=DPI, facecolor="white")
        for text in texts:
            _write(figure, text, width=width, height=height)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        page = np.array(canvas.buffer_rgba())[..., :3]
    for x, y, panel in placed:
        page[y : y + panel.pixels.shape[0], x : x + panel.pixels.shape[1]] = panel.pixels
    return _png(page)


def _write(figure: Any, text: _Text, *, width: int, height: int) -> None:
    about = {"va": "top", "fontsize": text.style.size, "fontweight": text.style.weight}
    for number, line in enumerate(text.lines):
        figure.text(text.x / width, 1 - (text.y + number * text.style.line) / height, line, **about)


def _png(page: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(page).save(stream, "PNG", optimize=True)
    return stream.getvalue()
