"""Tables as CSV text that a spreadsheet takes as it was meant. Never knows what is in them or where they go.

Texts from data (names, labels) are written so that no spreadsheet takes one for a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]], *, quoted: bool = True) -> str:
    """Return a table as CSV: texts quoted and harmless to a spreadsheet, numbers plain, None empty.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence
        Texts, numbers and None.
    quoted : bool
        Whether all texts are quoted, or only those that have to be.

    Returns
    -------
    str
        Always text that UTF-8 can hold: what it cannot (parts of file names) is escaped, as JSON would.
    """
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerow([_harmless(name) for name in header])
    writer.writerows([_harmless(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace").decode()


def _harmless(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
