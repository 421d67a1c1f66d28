"""A page: sections of words, tables and figures as one HTML file that needs nothing else.

No network, no font of its own, one style sheet inside, and a Content-Security-Policy that forbids all others. A script
of its own, allowed by its digest, is there only where a table can be sorted or a picture explored; without it the page
says the same. Every text is escaped; the only markup taken as it is comes from ``charts``. Each table and each figure
has its numbers as CSV behind a link. The same parts give the same bytes. Never knows what the words are about.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from featx.charts import WIDTH, Svg, printable
from featx.spreadsheet import csv_text

TEMPLATES = Path(__file__).parent / "templates"
LEVELS = {"red": "Serious", "amber": "Caution", "green": "Fine"}  # in the order in which they are told
MOST_ROWS = 40  # of a table that the page shows; its CSV has all
MOST_BEHIND = 12  # of the numbers behind a figure: who wants more takes the CSV
LONGEST_NAME = 60  # letters of the name of a CSV file

Cell = str | int | float | None


class Share(float):
    """A number from 0 to 1 that a page shows in per cent; plain in CSV."""


class Thumbnail(str):
    """A small picture in a cell; the text is what it shows, and all that CSV has of it."""

    jpeg: bytes = b""

    @property
    def link(self) -> str:
        """The picture as an address."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


@dataclass(frozen=True)
class Verdict:
    """A judgement in words, ``red``, ``amber`` or ``green``; those that are not green stand at the page's head too."""

    level: str
    text: str
    kind: ClassVar[str] = "verdict"

    @property
    def word(self) -> str:
        """The level for those who do not see the colour."""
        return LEVELS[self.level]


@dataclass(frozen=True)
class Bullets:
    """A list of short texts."""

    texts: tuple[str, ...]
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    caption : str
        What it shows.
    header : tuple of str
        Names of the columns; the first names the rows.
    rows : tuple of tuple
        Texts, numbers and None (nothing known).
    sortable : bool
        Whether a reader can sort it.
    most : int
        Rows that the page shows; the CSV has all.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sortable: bool = False
    most: int = MOST_ROWS
    kind: ClassVar[str] = "table"

    @property
    def shown(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows that the page shows."""
        return self.rows[: self.most]

    @cached_property
    def numeric(self) -> tuple[bool, ...]:
        """Whether a column holds numbers alone."""
        columns = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.header)
        return tuple(not any(isinstance(cell, str) for cell in column) for column in columns)

    @property
    def wordy(self) -> str:
        """Classes of its columns of words but the first, ``w2`` for the second: one for a table, not one for a cell."""
        return " ".join(f"w{at}" for at, numeric in enumerate(self.numeric, start=1) if at > 1 and not numeric)

    @property
    def file_name(self) -> str:
        """Name of its CSV file."""
        return f"{re.sub(r'[^a-z0-9]+', '-', self.caption.lower()).strip('-')[:LONGEST_NAME] or 'table'}.csv"

    @property
    def link(self) -> str:
        """Its CSV, whole, as an address: numbers are shorter as they are, words in base64."""
        plain, coded = quote(self.csv, safe=",()*!;:@$"), base64.b64encode(self.csv.encode()).decode()
        return f"data:text/csv;charset=utf-8{f',{plain}' if len(plain) < len(coded) else f';base64,{coded}'}"

    @property
    def csv(self) -> str:
        """All its rows as CSV."""
        return csv_text(self.header, self.rows, quoted=False)


@dataclass(frozen=True)
class Figure:
    """A picture of ``charts`` and the table of its numbers, whose caption is its own.

    Where it is ``explored``, its points say what they are when pointed at, or reached by the arrow keys.
    """

    picture: Svg
    numbers: Table
    explored: bool = False
    kind: ClassVar[str] = "figure"

    @property
    def behind(self) -> Table:
        """Its numbers as the page shows them."""
        return replace(self.numbers, most=min(self.numbers.most, MOST_BEHIND))

    @property
    def wide(self) -> bool:
        """Whether it wants a row of the page for itself."""
        return self.picture.width > WIDTH


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side, each with a text under it."""

    each: tuple[tuple[Thumbnail, str], ...]
    kind: ClassVar[str] = "pictures"


Part = str | Verdict | Bullets | Table | Figure | Pictures


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; a text is a paragraph. Sections may be gathered in chapters."""

    heading: str
    parts: tuple[Part, ...]
    chapter: str = ""


def render(
    title: str, *, lead: str, sections: Sequence[Section], foot: Sequence[str] = (), alerts: Sequence[Verdict] = ()
) -> str:
    """Return a page as HTML.

    Parameters
    ----------
    title : str
        Its title.
    lead : str
        What it is, in a sentence or two.
    sections : sequence of Section
        Its content; what is red or amber in there is told once more at the head.
    foot : sequence of str
        Lines at the end.
    alerts : sequence of Verdict
        What stands at the head alone: it is of no section.

    Returns
    -------
    str
        A whole document that any encoding to UTF-8 takes.
    """
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    parts = [part for section in sections for part in section.parts]
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8") if any(map(_moves, parts)) else ""
    return _template().render(
        title=title,
        lead=lead,
        sections=sections,
        foot=foot,
        told=[*((0, alert) for alert in alerts), *_standing_out(sections)],
        style=_Own(style),
        script=_Own(script),
        policy=_policy(style, script=script, pictures=any(map(_pictured, parts))),
    )


class _Own(str):
    """Text of this package's own, taken as it is."""

    def __html__(self) -> str:
        return str(self)


def _standing_out(sections: Sequence[Section]) -> list[tuple[int, Verdict]]:
    """Return what is red, then what is amber, with the number of its section."""
    verdicts = [
        (number, part)
        for number, section in enumerate(sections, start=1)
        for part in section.parts
        if isinstance(part, Verdict) and part.level != "green"
    ]
    return sorted(verdicts, key=lambda one: list(LEVELS).index(one[1].level))


def _moves(part: Part) -> bool:
    return (isinstance(part, Table) and part.sortable) or (isinstance(part, Figure) and part.explored)


def _pictured(part: Part) -> bool:
    if isinstance(part, Pictures):
        return True
    return isinstance(part, Table) and any(isinstance(cell, Thumbnail) for row in part.shown for cell in row)


def _policy(style: str, *, script: str, pictures: bool) -> str:
    """Return a policy that allows the one style sheet, the script and the pictures that are there, and nothing else."""
    allowed = ["default-src 'none'", f"style-src '{_digest(style)}'"]
    allowed += [f"script-src '{_digest(script)}'"] if script else []
    allowed += ["img-src data:"] if pictures else []
    return "; ".join([*allowed, "base-uri 'none'", "form-action 'none'"])


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _template() -> Any:
    import jinja2

    world = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, finalize=_visible
    )
    world.filters["told"] = _told
    world.tests["thumbnail"] = lambda cell: isinstance(cell, Thumbnail)
    return world.get_template("page.html")


def _visible(value: Any) -> Any:
    """Return a value with what no person can see escaped, unless it is markup."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _told(cell: Cell) -> str:
    """Return a cell for a person."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Share):
        return f"{100 * cell:.1f} %"
    return f"{cell + 0:,.0f}" if float(cell).is_integer() else f"{cell:,.3f}"
