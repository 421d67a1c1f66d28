"""HAM10000 (Tschandl et al. 2018), as downloaded from Harvard Dataverse or from Kaggle.

A file ``HAM10000_metadata`` (``.csv``, ``.tab``, ``.tsv`` or no ending) names the images; they lie in any folders
below. A group is a lesion; patients are not published. Never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from featx.datasets.published import PublishedSet, Row
from featx.datasets.tables import read_table
from featx.designs import SKIN
from featx.errors import DataError

COUNTS = {"nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115}
NEEDED = ("lesion_id", "image_id", "dx")


class Ham10000(PublishedSet):
    """The adapter ``ham10000``."""

    name = "ham10000"
    expects = "a folder with HAM10000_metadata (.csv, .tab, .tsv or no ending) and its images in any folders below"
    tables = (r"HAM10000_metadata(\.csv|\.tab|\.tsv)?",)
    designs = (*SKIN, "diagnosis")
    lacks = {"": "its images are of skin lesions"}
    published = {"": COUNTS}
    group_kind = "lesion"

    def rows(self, tables: Sequence[Path]) -> Iterator[Row]:
        """Return the rows; a broken copy is wrong throughout, so one without an image is checked too."""
        if len({path.read_bytes() for path in tables}) > 1:
            self.refuse_several(tables)
        table = read_table(tables[0])
        lesion, image, dx = (table.needed(name) for name in NEEDED)
        diagnosis: dict[str, str] = {}
        for line, row in table.rows:
            where = f"{table.path}, line {line}"
            if row[dx] not in COUNTS:
                raise DataError(f"{where}: unknown dx {row[dx]!r}; known: {', '.join(sorted(COUNTS))}")
            if not (row[lesion] and row[image]):
                raise DataError(f"{where}: {image if row[lesion] else lesion} is empty")
            if diagnosis.setdefault(row[lesion], row[dx]) != row[dx]:
                raise DataError(
                    f"{where}: lesion {row[lesion]!r} is {row[dx]} here and {diagnosis[row[lesion]]} above; "
                    "a lesion has one dx"
                )
            told = {name: value for name, value in row.items() if name and name not in (lesion, image, dx, "split")}
            yield Row(row[image], row[dx], where, group=row[lesion], attributes=told)


ADAPTER = Ham10000()
