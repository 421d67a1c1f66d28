"""What the sets of fundus photographs have in common: a column with a grade of diabetic retinopathy.

Never looks at pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from featx.datasets.image_index import find_first
from featx.datasets.published import PublishedSet
from featx.datasets.tables import Table, header_of
from featx.errors import DataError
from featx.images import SUFFIXES

FUNDUS = ("any-dr", "referable-dr", "dr-grade")
UNNAMED = re.compile(r"unnamed:.*|split", re.IGNORECASE)  # a row's number that a copy kept; what is no official part


class Graded(NamedTuple):
    """One row of a table of grades.

    Attributes
    ----------
    where : str
        Table and line.
    image : str
        The image's name, without the ending of an image file.
    grade : str
        One of the set's grades, or empty.
    told : dict of str to str
        Whatever else the row says.
    """

    where: str
    image: str
    grade: str
    told: dict[str, str]


class GradedSet(PublishedSet):
    """Base of the adapters of fundus photographs with grades.

    Attributes
    ----------
    image_names, grade_names : tuple of str
        Usual names of the two columns, in small letters.
    grades : tuple of str
        The grades that there are.
    """

    image_names: ClassVar[tuple[str, ...]]
    grade_names: ClassVar[tuple[str, ...]]
    grades: ClassVar[tuple[str, ...]] = ("0", "1", "2", "3", "4")
    designs: ClassVar[tuple[str, ...]] = (*FUNDUS, "diagnosis")
    lacks = {"": "its images are of the back of the eye"}

    def recognise(self, data: Path) -> str | None:
        """Return the names of the tables whose header holds the two columns: other sets use their names too."""
        return ", ".join(path.name for path in self.find_tables(data) if self.fits(header_of(path))) or None

    def find_tables(self, place: Path) -> list[Path]:
        """Return the tables of the first pattern that has some."""
        return find_first(place, self.tables)

    def fits(self, header: tuple[str, ...]) -> bool:
        """Tell whether a table with these columns is one of this set's."""
        return any(name in header for name in self.image_names) and any(name in header for name in self.grade_names)

    def graded(self, table: Table) -> Iterator[Graded]:
        """Return the rows of a table.

        Raises
        ------
        DataError
            Where a column is missing, an image has no name, or a grade is none of the set's.
        """
        image, grade = table.needed(*self.image_names), table.needed(*self.grade_names)
        for line, row in table.rows:
            where = f"{table.path}, line {line}"
            value = row[grade].removesuffix(".0")
            if not row[image]:
                raise DataError(f"{where}: {image} is empty; the name of an image was expected")
            if value and value not in self.grades:
                raise DataError(f"{where}: unknown {grade} {row[grade]!r}; known: {', '.join(self.grades)}")
            told = {
                name: cell
                for name, cell in row.items()
                if name and name not in (image, grade) and not UNNAMED.fullmatch(name)
            }
            yield Graded(where, without_ending(row[image]), value, told)


def without_ending(name: str) -> str:
    """Return a file's name without the ending of an image."""
    ending = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(ending)]
