"""The figures of a page as files for print. Knows pages, not what they show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from featx import atomic
from featx.charts import PRINTS
from featx.page import Figure, Section


def print_figures(sections: Sequence[Section], folder: str | os.PathLike[str]) -> list[Path]:
    """Write each figure as PDF and as SVG, and its numbers as CSV beside them; return the files.

    Names begin with the figure's place on the page, which tells two of one caption apart.
    """
    figures = [part for section in sections for part in section.parts if isinstance(part, Figure)]
    written = []
    for number, figure in enumerate(figures, start=1):
        stem = f"{number:02d}-{figure.numbers.file_name.removesuffix('.csv')}"
        for kind in PRINTS:
            written.append(atomic.write_bytes(Path(folder) / f"{stem}.{kind}", figure.picture.printed(kind)))
        written.append(atomic.write_text(Path(folder) / f"{stem}.csv", figure.numbers.csv))
    return written
