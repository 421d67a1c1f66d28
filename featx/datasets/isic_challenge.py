"""What the ISIC challenge sets have in common: a truth table for each part, and tables beside it on the same images.

Never looks at pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import ClassVar

from featx.datasets.base import Columns, known_name
from featx.datasets.image_index import find_tables
from featx.datasets.patients import LESION, PATIENT
from featx.datasets.published import PublishedSet, Row
from featx.datasets.tables import Table, read_table
from featx.errors import DataError
from featx.images import SUFFIXES

IMAGE = ("image", "image_id", "image_name", "img_id", "isic_id", "name", "id")
COMMON = {  # names that every set's attributes go by
    "age_approx": "age",
    "age_approximate": "age",
    "anatom_site_general": "localization",
    "anatom_site_general_challenge": "localization",
}
KNOWN = {*COMMON.values(), "sex", LESION, PATIENT}
MASKS = r"(?i)_superpixels\.|_segmentation\.|_attribute_|_features?\."
NOT_SKIN = {"": "its images are of skin lesions"}
_PARTS = {"train": r"train(ing)?", "validation": r"val(id|idation)?", "test": r"test(ing)?"}

Told = Mapping[str, Mapping[str, str]]


class TablesBeside(PublishedSet):
    """Base of the adapters of sets with further tables on the images of the label tables.

    Attributes
    ----------
    beside : tuple of str
        Regular expressions of their names.
    """

    beside: ClassVar[tuple[str, ...]] = ()

    def _tables(self, data: Path, columns: Columns) -> list[Path]:
        labels = super()._tables(data, columns)
        places = [Path(path) for path in (columns.labels, data) if path is not None]
        folders = [path if path.is_dir() else path.parent for path in places]
        return labels + [path for pattern in self.beside for path in self._one(pattern, folders)]

    def _one(self, pattern: str, folders: Iterable[Path]) -> list[Path]:
        """Return the table of that name in the first folder that has it."""
        found = next(filter(None, (find_tables(folder, [pattern]) for folder in folders)), [])
        if len({path.read_bytes() for path in found}) > 1:
            self.refuse_several(found)
        return found[:1]

    def parted(self, tables: Sequence[Path]) -> tuple[list[Path], list[Path]]:
        """Return the label tables, and those beside them."""
        shape = re.compile("|".join(self.beside) or "(?!)", re.IGNORECASE)
        labels = [path for path in tables if path == tables[0] or not shape.fullmatch(path.name)]
        return labels, [path for path in tables if path not in labels]


class IsicChallenge(TablesBeside):
    """Base of the adapters of the challenge sets: all parts whose truth is there are read.

    What several tables say of one image is taken from the first, in the order of ``beside``.

    Attributes
    ----------
    untold : tuple of str
        Columns that are no attributes, in small letters.
    """

    untold: ClassVar[tuple[str, ...]] = ()
    skip = MASKS

    def headless(self, fields: Sequence[str]) -> Sequence[str] | None:
        """Return the names of the columns where the first line of a truth table is a row already."""
        return None

    def diagnoses(self, table: Table) -> Iterator[tuple[int, Mapping[str, str], str]]:
        """Return line, row and diagnosis of each row of a truth table."""
        raise NotImplementedError

    def labels(self, table: Table) -> Iterable[str]:
        """Return the columns of a truth table that say the diagnosis: they are no attributes."""
        raise NotImplementedError

    def find_tables(self, place: Path) -> list[Path]:
        """Return the truth tables, each part's wherever it lies."""
        return list(chain.from_iterable(find_tables(place, [pattern]) for pattern in self.tables))

    def rows(self, tables: Sequence[Path]) -> list[Row]:
        """Return the rows of all parts."""
        truths, beside = self.parted(tables)
        told = _told(beside)
        rows = [row for path in truths for row in self._part(path, told)]
        refuse_lesions_of_two(rows)
        return rows

    def _part(self, path: Path, told: Told) -> Iterator[Row]:
        table = read_table(path, headless=self.headless)
        column = table.needed(*IMAGE)
        untold = {column, *self.labels(table)}
        for line, row, diagnosis in self.diagnoses(table):
            where = f"{path}, line {line}"
            name = image_name(row[column], where=where, column=column)
            own = {key: value for key, value in row.items() if key not in untold}
            known = first_told([own, told.get(name, {})])
            yield Row(
                id=name,
                diagnosis=diagnosis,
                where=where,
                group=known_name(known.get(LESION, "")),
                image=row[column],
                part=part_of(path),
                attributes={key: known[key] for key in known if key not in (LESION, *self.untold)},
            )


def first_told(said: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return what is said of one image, by common names: of each thing, the first that is not empty.

    Columns without a name, and such as are called ``split``, are left out: only an official part may be called so.
    """
    told: dict[str, str] = {}
    for row in said:
        for key, value in row.items():
            lower = key.lower()
            name = COMMON.get(lower, lower if lower in KNOWN else key)
            if name and name.lower() != "split":
                told[name] = told.get(name) or value
    return told


def image_name(field: str, *, where: str, column: str) -> str:
    """Return the id of an image from a field of a table: without the ending that copies add."""
    ending = next((suffix for suffix in SUFFIXES if field.lower().endswith(suffix)), "")
    name = field[: len(field) - len(ending)]
    if not name:
        raise DataError(f"{where}: {column} is empty")
    return name


def part_of(table: Path) -> str:
    """Return which part a table holds, by a word of its name; empty where none says it."""
    words = re.split(r"[^a-z]+", table.stem.lower())
    return next((part for part, shape in _PARTS.items() if any(re.fullmatch(shape, word) for word in words)), "")


def refuse_lesions_of_two(rows: Iterable[Row]) -> None:
    """Raise DataError at the first row whose lesion an earlier row says to be of another class."""
    seen: dict[str, str] = {}
    for row in rows:
        if row.group and seen.setdefault(row.group, row.diagnosis) != row.diagnosis:
            raise DataError(
                f"{row.where}: lesion {row.group!r} is {row.diagnosis} here and {seen[row.group]} above; "
                "a lesion has one class"
            )


def _told(paths: Sequence[Path]) -> Told:
    """Return what tables beside the truth say of each image."""
    told: dict[str, dict[str, str]] = {}
    for path in paths:
        table = read_table(path)
        column = table.needed(*IMAGE)
        seen: dict[str, int] = {}
        for line, row in table.rows:
            where = f"{path}, line {line}"
            name = image_name(row[column], where=where, column=column)
            if seen.setdefault(name, line) != line:
                raise DataError(
                    f"{where}: the image {name!r} stands in line {seen[name]} already; take one of the two out"
                )
            own = {key: value for key, value in row.items() if key != column}
            told[name] = first_told([told.get(name, {}), own])
    return told
