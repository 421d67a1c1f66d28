"""ISIC 2017, part 3: melanoma, seborrheic keratosis or nevus, as downloaded from the challenge.

Nothing says which images share a lesion or a patient. Never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from featx.datasets.isic_challenge import NOT_SKIN, IsicChallenge
from featx.datasets.one_hot import OneHot
from featx.datasets.tables import Table

WORDS = {"melanoma": "mel", "seborrheic_keratosis": "seborrheic keratosis"}
PARTS = ("Training", "Validation", r"Test(_v\d)?")


class Isic2017(IsicChallenge):
    """The adapter ``isic2017``."""

    name = "isic2017"
    expects = (
        "a folder with ISIC-2017_Training_Part3_GroundTruth.csv, those for Validation and Test_v2, or some of them, "
        "and their images in any folders below"
    )
    tables = tuple(rf"ISIC-2017_{part}_Part3_GroundTruth( \(\d\))?\.csv" for part in PARTS)
    beside = tuple(rf"ISIC-2017_{part}_Data_metadata\.csv" for part in PARTS)
    designs = ("malignant-vs-benign", "mel-vs-benign", "diagnosis")
    lacks = {
        "bcc-vs-mel-vs-benign": "its truth says melanoma, seborrheic keratosis or nevus only: there is no BCC",
        **NOT_SKIN,
    }
    published = {"train": {"mel": 374, "seborrheic keratosis": 254, "nv": 1372}}

    def labels(self, table: Table) -> list[str]:
        """Return the two columns that say it."""
        return list(_columns(table).columns)

    def diagnoses(self, table: Table) -> Iterator[tuple[int, Mapping[str, str], str]]:
        """Return line, row and diagnosis: a nevus where neither column holds a 1."""
        columns = _columns(table)
        for line, row in table.rows:
            yield line, row, columns.diagnosis(row, where=f"{table.path}, line {line}")


def _columns(table: Table) -> OneHot:
    return OneHot(table, WORDS, rest="nv")


ADAPTER = Isic2017()
