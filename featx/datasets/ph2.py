"""PH2 (Mendonça et al. 2013), as downloaded from the ADDI project: 200 dermoscopic images of melanocytic lesions.

``PH2_dataset.txt`` is read, or else ``PH2_dataset.xlsx``: they say the same. The images lie beside masks of the lesion
and of its colours, which are no images of the set. Patients are not published. Never looks at pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from featx.datasets.image_index import find_first
from featx.datasets.published import PublishedSet, Row
from featx.datasets.sheets import SHEET_SUFFIXES, read_sheet
from featx.datasets.tables import Table, read_table
from featx.errors import DataError

COUNTS = {"common nevus": 80, "atypical nevus": 80, "melanoma": 40}
WORDS = tuple(COUNTS)
CODES = {**dict(zip("012", WORDS, strict=True)), **{word: word for word in WORDS}}
MARKS = {"x": True, "1": True, "": False, "0": False}
IMAGE_NAMES = ("image name", "name", "image_name", "image_id", "image")
LABEL_NAMES = ("clinical diagnosis", "clinical_diagnosis", "diagnosis")


class Ph2(PublishedSet):
    """The adapter ``ph2``."""

    name = "ph2"
    expects = "a folder with PH2_dataset.txt or PH2_dataset.xlsx and its images IMD*.bmp in any folders below"
    tables = (r"PH2[ _-]?dataset\.txt", r"PH2[ _-]?(simple[ _-]?)?dataset\.csv", r"PH2[ _-]?dataset\.xlsx?")
    designs = ("malignant-vs-benign", "mel-vs-benign", "diagnosis")
    lacks = {
        "bcc-vs-mel-vs-benign": "it has no basal cell carcinoma",
        "": "its images are of skin lesions",
    }
    published = {"": COUNTS}
    prefer = (".bmp",)
    skip = r"(?i)_lesion(\.\w+$|/)|_roi/|_R\d+_Label\d+\."

    def find_tables(self, place: Path) -> list[Path]:
        """Return the tables of the first pattern that has some."""
        return find_first(place, self.tables)

    def rows(self, tables: Sequence[Path]) -> Iterator[Row]:
        """Return the rows."""
        table = _read(tables[0])
        image = table.needed(*IMAGE_NAMES)
        columns = [table.find(None, names=(word,), option="") for word in WORDS]
        marked = [column for column in columns if column is not None]
        used = [image, *marked] if len(marked) == len(WORDS) else [image, table.needed(*LABEL_NAMES)]
        for line, row in table.rows:
            where = f"{table.path}, line {line}"
            if not row[image]:
                raise DataError(f"{where}: {image} is empty; the name of an image was expected")
            diagnosis = _marked(row, used[1:], where=where) if len(used) > 2 else _coded(row, used[1], where=where)
            told = {_plain(name): value for name, value in row.items() if name and name not in used}
            yield Row(row[image], diagnosis, where, attributes=told)


def _read(path: Path) -> Table:
    if path.suffix.lower() in SHEET_SUFFIXES:
        return read_sheet(path, header=WORDS)
    return read_bars(path) if path.suffix.lower() == ".txt" else read_table(path)


def read_bars(path: Path) -> Table:
    """Read the set's own text table: lines that begin with a bar, one or two bars between fields, legends below.

    Raises
    ------
    DataError
        Where no line begins with a bar, or one has another number of fields than the first.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()  # no label has other letters
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    barred = [(number, _fields(line)) for number, line in enumerate(lines, start=1) if line.lstrip().startswith("|")]
    if len(barred) < 2:
        raise DataError(f"{path} has no rows; lines such as '|| IMD003 || ... ||' were expected")
    header = tuple(barred[0][1])
    for number, fields in barred:
        if len(fields) != len(header):
            raise DataError(f"{path}, line {number}: {len(fields)} fields, {len(header)} expected")
    return Table(path, header, tuple((line, dict(zip(header, fields, strict=True))) for line, fields in barred[1:]))


def _fields(line: str) -> list[str]:
    inner = re.sub(r"^\|{1,2}|\|{1,2}$", "", line.strip())
    return [" ".join(field.split()) for field in re.split(r"\|{1,2}", inner)]


def _marked(row: Mapping[str, str], columns: Sequence[str], *, where: str) -> str:
    """Return the word of the one column that is marked with an X."""
    marks = {column: row[column].lower().removesuffix(".0") for column in columns}
    if strange := [column for column, mark in marks.items() if mark not in MARKS]:
        raise DataError(f"{where}: {strange[0]} is {row[strange[0]]!r}; X or nothing was expected")
    words = [column.lower() for column, mark in marks.items() if MARKS[mark]]
    if len(words) != 1:
        raise DataError(f"{where}: {len(words)} of {', '.join(columns)} are marked; one was expected")
    return words[0]


def _coded(row: Mapping[str, str], column: str, *, where: str) -> str:
    """Return the word of a code, or of the word itself."""
    code = " ".join(row[column].lower().split()).removesuffix(".0")
    if code not in CODES:
        raise DataError(f"{where}: unknown {column} {row[column]!r}; known: {', '.join(CODES)}")
    return CODES[code]


def _plain(name: str) -> str:
    """Return a column's name without its legend: ``Asymmetry (0/1/2)`` is ``Asymmetry``."""
    return re.sub(r"\s*\([^)]*\)$", "", name)


ADAPTER = Ph2()
