"""Reading a delimited text table as it came: encoding mark, delimiter and header sniffed, every oddity refused by line.

Knows nothing of images or diagnoses.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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

    def needed(self, *names: str) -> str:
        """Return the first of a column's names, in any case, that the table has.

        Raises
        ------
        DataError
            Where it has none of them.
        """
        column = self.find(None, names=names, option="")
        if column is None:
            raise DataError(f"{self.path}: no column {names[0]!r} among {', '.join(filter(None, self.header))}")
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


Headless = Callable[[Sequence[str]], Sequence[str] | None]


def read_table(path: Path, *, headless: Headless | None = None) -> Table:
    """Read a delimited text file.

    Parameters
    ----------
    path : pathlib.Path
        UTF-8, with or without byte order mark; comma, tab, semicolon or bar between fields.
    headless : callable, optional
        Given the fields of the first line, returns the names of the columns where that line is a row already, else
        None. Without it the first line is the header.

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
    if not text.strip() or "\0" in text:
        raise DataError(f"{path} is {'no text table (it holds NUL bytes)' if text.strip() else 'empty'}")
    return _parse(path, text, headless or (lambda _: None))


def header_of(path: Path) -> tuple[str, ...]:
    """Return the fields of a file's first line in small letters, to see what table it may be; none where not text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(100_000).splitlines()[:1]
        fields = next(csv.reader(line, delimiter=_delimiter(line[0]))) if line else []
    except (OSError, UnicodeDecodeError, csv.Error):
        return ()
    return tuple(field.strip().lower() for field in fields)


def _delimiter(line: str) -> str:
    unquoted = re.sub('"[^"]*"', "", line)
    return max(DELIMITERS, key=unquoted.count)


def _parse(path: Path, text: str, headless: Headless) -> Table:
    # not str.splitlines: vertical tabs and other separators stand inside fields
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text.partition("\n")[0]), strict=True)
    start = 1
    try:
        first = [field.strip() for field in next(reader)]
        names = headless(first)
        header = _header(path, list(names or first))
        rows = [(1, dict(zip(header, first, strict=True)))] if names else []
        while (start := reader.line_num + 1) and (fields := next(reader, None)) is not None:
            if not any(field.strip() for field in fields):
                continue
            if len(fields) != len(header):
                raise DataError(f"{path}, line {start}: {len(fields)} fields, {len(header)} expected")
            rows.append((start, dict(zip(header, (field.strip() for field in fields), strict=True))))
    except csv.Error as error:
        raise DataError(f"{path}, line {start}: {error}") from error
    if not rows:
        raise DataError(f"{path} has a header but no rows")
    return Table(path, header, tuple(rows))


def _header(path: Path, fields: list[str]) -> tuple[str, ...]:
    header = tuple(name.strip() for name in fields)
    if not any(header):
        raise DataError(f"{path}, line 1: the header is empty; the names of the columns were expected")
    if twice := [name for name, count in Counter(header).items() if count > 1 and name]:
        raise DataError(f"{path}: the column {twice[0]!r} stands twice in the header")
    return header
