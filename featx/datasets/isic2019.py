"""ISIC 2019: eight diagnoses and one for the rest, as downloaded from the challenge.

It holds all of HAM10000. A group is a lesion; the lesions of some images are not said. Never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from featx.datasets.isic_challenge import NOT_SKIN, IsicChallenge
from featx.datasets.one_hot import LESIONS, OneHot
from featx.datasets.published import Row
from featx.datasets.tables import Table
from featx.designs import SKIN

WORDS = {**LESIONS, "ak": "akiec", "scc": "scc", "unk": "unk"}


class Isic2019(IsicChallenge):
    """The adapter ``isic2019``."""

    name = "isic2019"
    expects = (
        "a folder with ISIC_2019_Training_GroundTruth.csv (the one for Test, or both), ISIC_2019_Training_Metadata.csv "
        "and the images in any folders below"
    )
    tables = tuple(rf"ISIC_2019_{part}_GroundTruth\.csv" for part in ("Training", "Test"))
    beside = tuple(rf"ISIC_2019_{part}_Metadata\.csv" for part in ("Training", "Test"))
    designs = (*SKIN, "diagnosis")
    lacks = NOT_SKIN
    published = {
        "train": {
            "mel": 4522, "nv": 12875, "bcc": 3323, "akiec": 867, "bkl": 2624, "df": 239, "vasc": 253, "scc": 628
        }
    }  # fmt: skip
    group_kind = "lesion"

    def labels(self, table: Table) -> list[str]:
        """Return the columns that say it."""
        return list(_columns(table).columns)

    def diagnoses(self, table: Table) -> Iterator[tuple[int, Mapping[str, str], str]]:
        """Return line, row and diagnosis."""
        columns = _columns(table)
        for line, row in table.rows:
            yield line, row, columns.diagnosis(row, where=f"{table.path}, line {line}")

    def notes(self, tables: Sequence[Path], rows: Sequence[Row]) -> list[str]:
        """Return how many of the images are another set's."""
        count = sum(row.group.startswith("HAM_") for row in rows)
        told = f"{count:,} of the images are those of HAM10000: never train on the one and test on the other"
        return [told] if count else []


def _columns(table: Table) -> OneHot:
    return OneHot(table, WORDS, optional=("unk",))


ADAPTER = Isic2019()
