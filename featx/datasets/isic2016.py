"""ISIC 2016 (ISBI 2016), part 3: melanoma or benign, as downloaded from the challenge.

The truth tables have no header, and copies in circulation have one. Nothing says which images share a lesion or a
patient. Never looks at pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from featx.datasets.isic_challenge import IMAGE, NOT_SKIN, IsicChallenge
from featx.datasets.tables import Table
from featx.errors import DataError

LABEL = ("label", "diagnosis", "class", "benign_malignant", "malignant", "ground_truth", "target")
CODES = {"benign": "benign", "malignant": "mel"}  # malignant means melanoma, says the challenge's page


class Isic2016(IsicChallenge):
    """The adapter ``isic2016``."""

    name = "isic2016"
    expects = (
        "a folder with ISBI2016_ISIC_Part3_Training_GroundTruth.csv, the one for Test, or both, and their images in "
        "any folders below"
    )
    tables = tuple(rf"ISBI2016_ISIC_Part3B?_{part}_GroundTruth\.csv" for part in ("Training", "Test"))
    designs = ("malignant-vs-benign", "mel-vs-benign", "diagnosis")
    lacks = {
        "bcc-vs-mel-vs-benign": "its truth says benign or malignant (melanoma) only: there is no BCC",
        **NOT_SKIN,
    }
    published = {"train": {"benign": 727, "mel": 173}, "test": {"benign": 304, "mel": 75}}

    def headless(self, fields: Sequence[str]) -> Sequence[str] | None:
        """Return the names of the two columns where the first line is a row, as in the originals."""
        row = len(fields) == 2 and re.fullmatch(r"ISIC_\d+.*", fields[0])
        return (IMAGE[0], LABEL[0]) if row else None

    def labels(self, table: Table) -> list[str]:
        """Return the one column that says it."""
        return [table.needed(*LABEL)]

    def diagnoses(self, table: Table) -> Iterator[tuple[int, Mapping[str, str], str]]:
        """Return line, row and diagnosis: a word in the training truth, a number in that of the test."""
        (label,) = self.labels(table)
        for line, row in table.rows:
            yield line, row, _diagnosis(row[label], where=f"{table.path}, line {line}")


def _diagnosis(code: str, *, where: str) -> str:
    if (word := CODES.get(code.lower())) is not None:
        return word
    if re.fullmatch(r"[01](\.0*)?", code):
        return "mel" if code[0] == "1" else "benign"
    raise DataError(f"{where}: unknown label {code!r}; known: {', '.join(CODES)}, 0 (benign), 1 (malignant)")


ADAPTER = Isic2016()
