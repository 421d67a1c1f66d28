"""Tables, figures and ``methods.md`` as files: CSV, Markdown, LaTeX, SVG, PDF. Computes nothing.

Everything that is made of synthetic data says so in itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from featx import atomic, runs
from featx.charts import PRINTS
from featx.pipeline.figures import Drawn
from featx.pipeline.tables import Made

_MARKDOWN, _LATEX = r"([|*_`<>])", r"([&%$#_{}])"


def write_tables(out: Path, tables: Sequence[Made], *, title: str) -> list[Path]:
    """Write each table as ``.csv``, ``.md`` and ``.tex``; the title of the data stands in each."""
    written = []
    for table in tables:
        stem = out / "tables" / table.id
        own = table.data or title
        rows = [[*row, own] for row in table.values]
        written.append(runs.write_csv(stem.with_name(f"{table.id}.csv"), [*table.heads, "dataset"], rows))
        written.append(atomic.write_text(stem.with_name(f"{table.id}.md"), markdown(table, title=own)))
        written.append(atomic.write_text(stem.with_name(f"{table.id}.tex"), latex(table, title=own)))
    return written


def write_figures(out: Path, figures: Sequence[Drawn], *, title: str) -> list[Path]:
    """Write each figure as PDF and SVG, and its numbers as CSV."""
    written = []
    for figure in figures:
        folder = out / "figures"
        for kind in PRINTS:
            written.append(atomic.write_bytes(folder / f"{figure.id}.{kind}", figure.picture.printed(kind)))
        rows = [[*row, title] for row in figure.rows]
        written.append(runs.write_csv(folder / f"{figure.id}.csv", [*figure.heads, "dataset"], rows))
    return written


def markdown(table: Made, *, title: str) -> str:
    """Return a table as Markdown, with its notes."""

    def plain(row: Sequence[str]) -> str:
        return f"| {' | '.join(_escaped(cell, _MARKDOWN) for cell in row)} |"

    rule = "|" + "---|" * table.keys + "---:|" * (len(table.heads) - table.keys)
    lines = [f"**{_escaped(table.title, _MARKDOWN)}** ({_escaped(title, _MARKDOWN)})", ""]
    lines += [plain(table.heads), rule, *map(plain, table.rows), ""]
    return "\n".join([*lines, *(f"- {_escaped(note, _MARKDOWN)}" for note in table.notes)]) + "\n"


def latex(table: Made, *, title: str) -> str:
    """Return a table as LaTeX, for ``booktabs``."""

    def line(row: Sequence[str]) -> str:
        return " & ".join(_escaped(cell, _LATEX).replace("±", r"$\pm$") for cell in row) + r" \\"

    kinds = "l" * table.keys + "r" * (len(table.heads) - table.keys)
    lines = [f"% {_comment(table.title)}", f"% {_comment(title)}", rf"\begin{{tabular}}{{{kinds}}}", r"\toprule"]
    lines += [
        line(table.heads),
        r"\midrule",
        *map(line, table.rows),
        r"\bottomrule",
        _of_data(title, len(table.heads)),
        r"\end{tabular}",
    ]
    return "\n".join([*lines, *(f"% {_comment(note)}" for note in table.notes)]) + "\n"


def _of_data(title: str, columns: int) -> str:
    """Return a last line with the data, which stays with the table wherever it is put."""
    return rf"\multicolumn{{{columns}}}{{l}}{{\footnotesize {_escaped(title, _LATEX)}}} \\"


def _escaped(text: str, special: str) -> str:
    return re.sub(special, r"\\\1", text.replace("\\", "/").replace("\n", " "))


def _comment(text: str) -> str:
    return " ".join(text.split())
