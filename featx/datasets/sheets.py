"""Reading a sheet of a spreadsheet (.xlsx, .xls) as the same table that a delimited text gives.

python-calamine, of the extra ``excel``, reads the file. Knows nothing of images or diagnoses.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from featx.datasets.tables import Table
from featx.errors import DataError, UsageError

SHEET_SUFFIXES = (".xlsx", ".xls")


def read_sheet(path: Path, *, header: Iterable[str]) -> Table:
    """Read the one sheet that has a row with these columns.

    Parameters
    ----------
    path : pathlib.Path
        A spreadsheet.
    header : iterable of str
        Columns by which the header is known, in any case and order; it need not be the first row.

    Returns
    -------
    Table
        Its rows below the header that are not empty, with their numbers in the sheet. Cells are text: numbers that are
        whole stand without a point, dates as in ISO 8601, and blanks and line ends in a cell are one blank each.

    Raises
    ------
    UsageError
        Where the extra ``excel`` is not installed.
    DataError
        Where the file is no spreadsheet, is damaged or locked, or where not exactly one sheet has such a header.
    """
    wanted = tuple(header)
    found = [(rows, at) for rows in _sheets(path) if (at := _header_at(rows, wanted)) is not None]
    if len(found) != 1:
        count = f"{len(found)} sheets have" if found else "no sheet has"
        raise DataError(f"{path}: {count} a row with the columns {', '.join(wanted)}; one was expected")
    rows, at = found[0]
    names = rows[at]
    if twice := [name for name, count in Counter(names).items() if count > 1 and name]:
        raise DataError(f"{path}, line {at + 1}: the column {twice[0]!r} stands twice in the header")
    below = enumerate(rows[at + 1 :], start=at + 2)
    body = tuple((line, dict(zip(names, row, strict=True))) for line, row in below if any(row))
    if not body:
        raise DataError(f"{path} has a header but no rows")
    return Table(path, names, body)


def _header_at(rows: Sequence[tuple[str, ...]], wanted: Sequence[str]) -> int | None:
    """Return the place of the first row that holds all these columns."""
    names = {name.lower() for name in wanted}
    return next((at for at, row in enumerate(rows) if names <= {cell.lower() for cell in row}), None)


def _sheets(path: Path) -> list[list[tuple[str, ...]]]:
    """Return the cells of each sheet as text."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ModuleNotFoundError:
        raise UsageError(f"{path} is a spreadsheet; to read it, pip install 'featx[excel]'") from None
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes()))
        sheets = [book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except CalamineError as error:
        raise _unreadable(path, str(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how calamine takes a file that was cut short
            raise
        raise _unreadable(path, "it is damaged or was cut short") from error
    return [[tuple(_text(cell) for cell in row) for row in rows] for rows in sheets]


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is no spreadsheet that can be read ({why}); download it again, or save it anew as .xlsx without a "
        "password"
    )


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if hasattr(cell, "isoformat"):
        return str(cell.isoformat())
    return " ".join(str(cell).split())
