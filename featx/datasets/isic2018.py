"""ISIC 2018, task 3: seven diagnoses, as downloaded from the challenge.

Its training images are those of HAM10000. A group is a lesion, from the challenge's own table of lesions or, where that
is not there, from HAM10000's metadata. Never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from featx.datasets.ham10000 import COUNTS, Ham10000
from featx.datasets.image_index import find_tables
from featx.datasets.isic_challenge import MASKS, NOT_SKIN, IsicChallenge, part_of
from featx.datasets.one_hot import LESIONS, OneHot
from featx.datasets.published import Row
from featx.datasets.tables import Table
from featx.designs import SKIN
from featx.errors import DataError


class Isic2018(IsicChallenge):
    """The adapter ``isic2018``."""

    name = "isic2018"
    expects = (
        "a folder with ISIC2018_Task3_Training_GroundTruth.csv, those for Validation and Test, or some of them, "
        "ISIC2018_Task3_Training_LesionGroupings.csv (or HAM10000_metadata), and the images in any folders below"
    )
    supersedes = ("ham10000",)  # its truth beside HAM10000's metadata, which say the lesions, is this set
    tables = tuple(
        rf"ISIC2018_Task3_{part}_GroundTruth(\.csv|\.tab|\.tsv)" for part in ("Training", "Validation", "Test")
    )
    beside = (r"ISIC2018_Task3_Training_LesionGroupings\.csv", *Ham10000.tables)
    untold = ("dx",)  # the diagnosis once more
    skip = rf"{MASKS}|ISIC2018_Task(1-2|1|2)_"
    designs = (*SKIN, "diagnosis")
    lacks = NOT_SKIN
    published = {"train": COUNTS}
    group_kind = "lesion"

    def recognise(self, data: Path) -> str | None:
        """Return the names of the truth tables; HAM10000 comes with the truth of the test part and is not this set."""
        truths = self.find_tables(data)
        if "train" not in map(part_of, truths) and find_tables(data, Ham10000.tables):
            return None
        return ", ".join(path.name for path in truths) or None

    def labels(self, table: Table) -> list[str]:
        """Return the columns that say it."""
        return [_dx(table)] if _dx(table) else list(OneHot(table, LESIONS).columns)

    def diagnoses(self, table: Table) -> Iterator[tuple[int, Mapping[str, str], str]]:
        """Return line, row and diagnosis; the truth of the test part may be laid out as HAM10000's metadata are."""
        dx = _dx(table)
        columns = None if dx else OneHot(table, LESIONS)
        for line, row in table.rows:
            where = f"{table.path}, line {line}"
            yield line, row, columns.diagnosis(row, where=where) if columns else _known(row[dx], where=where)

    def notes(self, tables: Sequence[Path], rows: Sequence[Row]) -> list[str]:
        """Return what else is made of the same images."""
        if not any(row.part == "train" for row in rows):
            return []
        return ["the training images are those of HAM10000: never train on the one and test on the other"]


def _dx(table: Table) -> str:
    return table.find(None, names=("dx",), option="") or ""


def _known(dx: str, *, where: str) -> str:
    if dx not in COUNTS:
        raise DataError(f"{where}: unknown dx {dx!r}; known: {', '.join(sorted(COUNTS))}")
    return dx


ADAPTER = Isic2018()
