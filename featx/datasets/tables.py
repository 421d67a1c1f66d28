"""Reading a delimited text table as it came: encoding mark, delimiter and header sniffed, every oddity refused by line.

Knows nothing of images or diagnoses.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from featx.errors import DataError, UsageError, suggestion

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
DELIMITERS = ",\t;|"


class Table(NamedTuple):
    """A table's header, and its rows with their line numbers."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, str]], ...]

    def column(self, wanted: str | None, *, names: Iterable[str], option: str, what: str) -> str:
        """Return the column that was asked for, or the first of the usual names that the table has.

        Raises
        ------
        UsageError
            Where the table has neither.
        """
        column = self.find(wanted, names=names, option=option)
        if column is None:
            raise UsageError(
                f"{self.path.name} has the columns {', '.join(self.header)}; none is known to hold the {what}, "
                f"so say which with {option}"
            )
        return column

    def find(self, wanted: str | None, *, names: Iterable[str], option: str) -> str | None:
        """Return as :meth:`column` does, or None where nothing was asked for and no usual name is there."""
        if wanted is not None:
            if wanted not in self.header:
                raise UsageError(
                    f"{self.path.name} has no column {wanted!r} ({option}); {suggestion(wanted, self.header)}"
                )
            return wanted
        lower = {name.lower(): name for name in reversed(self.header)}
        return next((lower[name] for name in names if name in lower), None)


def read_table(path: Path) -> Table:
    """Read a delimited text file with a header.

    Parameters
    ----------
    path : pathlib.Path
        UTF-8, with or without byte order mark; comma, tab, semicolon or bar between fields.

    Returns
    -------
    Table
        Fields are stripped of blanks at their ends.

    Raises
    ------
    DataError
        Where the text is no table: wrong encoding, columns that stand twice, rows of another length, open quotes.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    lines = text.splitlines(keepends=True)
    if not lines or "\0" in text:
        raise DataError(f"{path} is {'empty' if not lines else 'no text table (it holds NUL bytes)'}")
    return _parse(path, lines, max(DELIMITERS, key=lines[0].count))


def _parse(path: Path, lines: list[str], delimiter: str) -> Table:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = tuple(name.strip() for name in next(reader))
        if twice := [name for name, count in Counter(header).items() if count > 1 and name]:
            raise DataError(f"{path}: the column {twice[0]!r} stands twice in the header")
        rows = []
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if len(fields) != len(header):
                raise DataError(f"{path}, line {reader.line_num}: {len(fields)} fields, {len(header)} expected")
            rows.append((reader.line_num, dict(zip(header, (field.strip() for field in fields), strict=True))))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    if not rows:
        raise DataError(f"{path} has a header but no rows")
    return Table(path, header, tuple(rows))
