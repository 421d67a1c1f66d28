"""derm7pt (Kawahara et al. 2019): the cases of the Interactive Atlas of Dermoscopy with their seven-point checklist.

A file ``meta.csv`` has a row for each case; its column ``derm`` names the dermoscopic picture, which is the sample, and
``clinic`` the clinical one, which is not used. The official split stands in files beside it that name rows by their
place, counted from 0. Never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from featx.datasets.image_index import ImageIndex, find_tables
from featx.datasets.published import PublishedSet, Row
from featx.datasets.tables import Table, header_of, read_table
from featx.designs import SKIN
from featx.errors import DataError

COUNTS = {
    "clark nevus": 399,
    "melanoma (less than 0.76 mm)": 102,
    "reed or spitz nevus": 79,
    "melanoma (in situ)": 64,
    "melanoma (0.76 to 1.5 mm)": 53,
    "seborrheic keratosis": 45,
    "basal cell carcinoma": 42,
    "dermal nevus": 33,
    "vascular lesion": 29,
    "blue nevus": 28,
    "melanoma (more than 1.5 mm)": 28,
    "lentigo": 24,
    "dermatofibroma": 20,
    "congenital nevus": 17,
    "melanosis": 16,
    "combined nevus": 13,
    "miscellaneous": 8,
    "recurrent nevus": 6,
    "melanoma metastasis": 4,
    "melanoma": 1,
}
PARTS = {"train": "train_indexes.csv", "validation": "valid_indexes.csv", "test": "test_indexes.csv"}
CASES = ("case_id", "case_num")
COMMON = {"location": "localization", "sex": "sex", "clinic": "clinic"}  # names that attributes go by


class Derm7pt(PublishedSet):
    """The adapter ``derm7pt``."""

    name = "derm7pt"
    expects = "a folder with meta/meta.csv (derm, diagnosis), the files *_indexes.csv beside it, and images/"
    tables = (r"meta\.csv",)
    designs = (*SKIN, "diagnosis")
    lacks = {"": "its images are of skin lesions"}
    published = {"": COUNTS}
    group_kind = "case"

    def find_tables(self, place: Path) -> list[Path]:
        """Return the tables of that name that have this set's columns."""
        return [path for path in super().find_tables(place) if _is_meta(header_of(path))]

    def rows(self, tables: Sequence[Path]) -> Iterator[Row]:
        """Return a row for each case."""
        table = read_table(tables[0])
        derm, diagnosis = table.needed("derm"), table.needed("diagnosis")
        cases = [column for name in CASES if (column := table.find(None, names=(name,), option=""))]
        part_of = _parts(table)
        for place, (line, row) in enumerate(table.rows):
            where = f"{table.path}, line {line}"
            if not row[derm]:
                raise DataError(f"{where}: {derm} is empty")
            yield Row(
                id=PurePosixPath(row[derm].replace("\\", "/")).stem.lower(),
                diagnosis=_diagnosis(row[diagnosis], where=where),
                where=where,
                group=_case(row, cases),
                image=row[derm],
                part=part_of.get(place, ""),
                attributes=_told(row, without=(derm, diagnosis, *cases)),
            )

    def look_up(self, row: Row, images: ImageIndex) -> str | None:
        """Find the dermoscopic picture; the clinical one is known too, and so nothing to be told of."""
        if row.attributes.get("clinic"):
            images.find(row.attributes["clinic"])
        return super().look_up(row, images)

    def notes(self, tables: Sequence[Path], rows: Sequence[Row]) -> list[str]:
        """Return what is missing of the official split."""
        missing = [name for part, name in PARTS.items() if not _index_file(tables[0], part)]
        lone = sum(not row.part for row in rows)
        if len(missing) == len(PARTS):
            return [f"no {', '.join(PARTS.values())} beside {tables[0].name}: no official split"]
        notes = [f"no {name} beside {tables[0].name}: that part of the official split is missing" for name in missing]
        return [*notes, f"{lone} rows are in none of the *_indexes.csv and so in no part"] if lone else notes


def _is_meta(header: Sequence[str]) -> bool:
    return {"derm", "diagnosis"} <= set(header) and bool({"clinic", "seven_point_score"} & set(header))


def _diagnosis(text: str, *, where: str) -> str:
    if text and text.lower() not in COUNTS:
        raise DataError(f"{where}: unknown diagnosis {text!r}; known: {', '.join(sorted(COUNTS))}")
    return text.lower()


def _case(row: Mapping[str, str], columns: Sequence[str]) -> str:
    """Return the first of the case columns that is not empty, with its name: the numbers of two may be alike."""
    return next((f"{column.lower()} {row[column]}" for column in columns if row[column]), "")


def _told(row: Mapping[str, str], *, without: Sequence[str]) -> dict[str, str]:
    kept = {key: value for key, value in row.items() if key and key not in without and key.lower() != "split"}
    return {COMMON.get(key.lower(), key): value for key, value in kept.items()}


def _index_file(meta: Path, part: str) -> Path | None:
    found = find_tables(meta.parent, [PARTS[part].replace(".", r"\.")], depth=1)
    return found[0] if found else None


def _parts(meta: Table) -> dict[int, str]:
    """Return the official part of each row of the table, by its place counted from 0."""
    parts: dict[int, str] = {}
    for part in PARTS:
        path = _index_file(meta.path, part)
        for line, place in _places(path) if path else ():
            if place >= len(meta.rows):
                raise DataError(
                    f"{path}, line {line}: there is no row {place} in {meta.path.name}, which has {len(meta.rows)}, "
                    "counted from 0; take both files from one release"
                )
            if place in parts:
                raise DataError(f"{path}, line {line}: row {place} is in the part {parts[place]!r} already")
            parts[place] = part
    return parts


def _places(path: Path) -> Iterator[tuple[int, int]]:
    table = read_table(path)
    column = table.needed("indexes")
    for line, row in table.rows:
        number = row[column].removesuffix(".0")
        if not (number.isascii() and number.isdecimal()):
            raise DataError(f"{path}, line {line}: {row[column]!r} is no place of a row; a whole number was expected")
        yield line, int(number)


ADAPTER = Derm7pt()
