"""Label tables with a column for each class and a 1 in the column of the row's own, and other codes of 0 and 1.

Knows nothing of images, and of diagnoses only the words that an adapter gives to the columns.
"""

from __future__ import annotations

from collections.abc import Mapping

from featx.datasets.tables import Table
from featx.errors import DataError

LESIONS = {"mel": "mel", "nv": "nv", "bcc": "bcc", "akiec": "akiec", "bkl": "bkl", "df": "df", "vasc": "vasc"}


class OneHot:
    """The columns of a table that hold a 1 for one class and a 0 for each other.

    Parameters
    ----------
    table : Table
        The table.
    words : mapping of str to str
        The diagnosis that each column stands for, by the column's name in small letters. All must be there, but one of
        several columns for one diagnosis is enough.
    optional : sequence of str
        Columns that copies leave out.
    rest : str, optional
        The diagnosis of a row without any 1; by default such a row is damaged.

    Raises
    ------
    DataError
        A column that is not there.
    """

    def __init__(
        self, table: Table, words: Mapping[str, str], *, optional: tuple[str, ...] = (), rest: str | None = None
    ) -> None:
        names: dict[str, list[str]] = {}
        for name, word in words.items():
            names.setdefault(word, []).append(name)
        self._rest = rest
        self.columns = {
            table.needed(*alike): word
            for word, alike in names.items()
            if not (set(alike) <= set(optional) and table.find(None, names=alike, option="") is None)
        }

    def diagnosis(self, row: Mapping[str, str], *, where: str) -> str:
        """Return the diagnosis of a row.

        Raises
        ------
        DataError
            A value that is neither 0 nor 1, or not exactly one 1.
        """
        told = [word for column, word in self.columns.items() if flag(row[column], where=where, column=column)]
        if not told and self._rest is not None:
            return self._rest
        if len(told) != 1:
            wanted = "exactly one" if self._rest is None else "one or none"
            raise DataError(f"{where}: {len(told)} of the columns {', '.join(self.columns)} are 1; {wanted} may be")
        return told[0]


def flag(value: str, *, where: str, column: str) -> bool:
    """Return whether a field that holds 0 or 1, however written (``0``, ``1.0``), holds 1; DataError for all else."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if number not in (0.0, 1.0):
        raise DataError(f"{where}: {column} is {value!r}; 0 or 1 was expected")
    return number == 1.0
