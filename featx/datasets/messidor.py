"""Messidor (Decencière et al. 2014), as downloaded from ADCIS: twelve bases, each with a spreadsheet of grades.

A file ``Annotation_Base11.xls`` names the images of ``Base11``, and so on; a copy saved as ``.csv`` is read in its
place, and so is a corrected one (``Annotation_Base11_update20161024.xls``). Patients are not published, but Messidor-2
came with a list of the images that are the two eyes of one examination: where that file is there, a group is such a
visit. Never looks at pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from featx.datasets.base import Columns
from featx.datasets.graded import GradedSet, without_ending
from featx.datasets.image_index import find_tables
from featx.datasets.published import Row
from featx.datasets.sheets import SHEET_SUFFIXES, read_sheet
from featx.datasets.tables import Table, header_of, read_table
from featx.errors import DataError, UsageError
from featx.images import SUFFIXES

COUNTS = {"0": 546, "1": 153, "2": 247, "3": 254}
IMAGE, GRADE = "image name", "retinopathy grade"
PAIRS = r"messidor([-_ ]?2|[-_ ]?2?[-_ ]pairs?)\.(csv|txt)"
BASE = re.compile(r"base *(\d\d)", re.IGNORECASE)
UPDATE = re.compile(r"update[_ ]?(\d+)", re.IGNORECASE)
EYES = ("left", "right")


class Messidor(GradedSet):
    """The adapter ``messidor``."""

    name = "messidor"
    expects = "a folder with Annotation_Base11.xls to Annotation_Base34.xls and the images below it"
    tables = (r"Annotation[_ ]?Base ?\d\d.*\.(xlsx?|csv)",)
    image_names = (IMAGE,)
    grade_names = (GRADE,)
    grades = ("0", "1", "2", "3")
    designs = ("any-dr", "referable-dr", "diagnosis")
    lacks = {
        "dr-grade": "its grades, 0 to 3, are a scale of its own",
        "": "its images are of the back of the eye",
    }
    published = {"": COUNTS}
    prefer = (".tif", ".tiff")
    group_kind = "visit"

    def recognise(self, data: Path) -> str | None:
        """Return the names of the tables: no other set has such."""
        return ", ".join(path.name for path in self.find_tables(data)) or None

    def rows(self, tables: Sequence[Path]) -> Iterator[Row]:
        """Return the rows of one table a base, each with its visit and eye where the pairs are there."""
        pairs = [path for path in tables if _is_pairs(path)]
        eyes = _eyes(pairs[0]) if pairs else {}
        for path in _one_each(tables):
            for found in self.graded(_read(path)):
                visit, eye = eyes.get(found.image.lower(), ("", ""))
                told = {**found.told, "base": _base(path), **({"eye": eye} if eyes else {})}
                yield Row(found.image, found.grade, found.where, group=visit, attributes=told)

    def notes(self, tables: Sequence[Path], rows: Sequence[Row]) -> list[str]:
        """Return which tables were not read, and what is said of one base."""
        read = _one_each(tables)
        left = [path.name for path in tables if path not in read and not _is_pairs(path)]
        notes = [f"{', '.join(left)}: not read, as a corrected or plainer copy is there"] if left else []
        if any(row.attributes["base"] == "Base33" for row in rows):
            notes.append("Base33 is said to hold some images twice, under two names: look for near duplicates first")
        return notes

    def _tables(self, data: Path, columns: Columns) -> list[Path]:
        named = find_tables(data if data.is_dir() else data.parent, [PAIRS])
        pairs = [path for path in named if _begins_with_pairs(header_of(path))]
        if len(pairs) > 1:
            self.refuse_several(pairs)
        return [*super()._tables(data, columns), *pairs]


def _read(path: Path) -> Table:
    return read_sheet(path, header=(IMAGE, GRADE)) if path.suffix.lower() in SHEET_SUFFIXES else read_table(path)


def _base(path: Path) -> str:
    found = BASE.search(path.name)
    return f"Base{found[1]}" if found else ""


def _is_pairs(path: Path) -> bool:
    return re.fullmatch(PAIRS, path.name, re.IGNORECASE) is not None


def _one_each(tables: Sequence[Path]) -> list[Path]:
    """Return one table for each base: the one corrected last, text before a spreadsheet."""
    ranked = sorted(tables, key=lambda path: (_corrected(path), path.suffix.lower() == ".csv", path))
    latest: dict[str, Path] = {}
    for path in ranked:
        held = latest.get(_base(path) or path.name)
        if held is not None and not _is_pairs(path) and _rank(held) == _rank(path):
            raise UsageError(
                f"{held.name} and {path.name} are both tables of {_base(path)} and neither is marked as the later one; "
                "move the one away that is not meant"
            )
        if not _is_pairs(path):
            latest[_base(path) or path.name] = path
    return sorted(latest.values())


def _rank(path: Path) -> tuple[int, bool]:
    return _corrected(path), path.suffix.lower() == ".csv"


def _corrected(path: Path) -> int:
    found = UPDATE.search(path.name)
    return int(found[1]) if found else 0


def _eyes(path: Path) -> dict[str, tuple[str, str]]:
    """Return the visit and the eye of each image, by its name in small letters without ending."""
    table = read_table(path, headless=_without_header)
    left, right = (table.needed(eye) for eye in EYES)
    eyes: dict[str, tuple[str, str]] = {}
    for line, row in table.rows:
        names = [without_ending(row[column]) for column in (left, right)]
        for name, eye in zip(names, EYES, strict=True):
            told = (f"{names[0]} {names[1]}", eye)
            if name and eyes.setdefault(name.lower(), told) != told:
                raise DataError(f"{path}, line {line}: {name!r} stands in another pair too; take one of the two out")
    return eyes


def _without_header(first: Sequence[str]) -> Sequence[str] | None:
    """Return names for the columns of a file of pairs that begins with a pair."""
    return (*EYES, *[""] * (len(first) - len(EYES))) if _is_pair(first) else None


def _begins_with_pairs(first: Sequence[str]) -> bool:
    return _is_pair(first) or all(eye in first for eye in EYES)


def _is_pair(fields: Sequence[str]) -> bool:
    return len(fields) >= len(EYES) and all(field.lower().endswith(SUFFIXES) for field in fields[: len(EYES)])


ADAPTER = Messidor()
