"""ISIC 2020 (SIIM-ISIC), as downloaded from the challenge or from Kaggle.

A group is a patient; two patients with images that the challenge lists as duplicates are one group. For most benign
lesions the diagnosis is not said. Never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from featx.datasets.image_index import find_tables
from featx.datasets.isic_challenge import NOT_SKIN, TablesBeside, first_told, image_name
from featx.datasets.one_hot import flag
from featx.datasets.patients import PatientSet, by_patient
from featx.datasets.published import Row
from featx.datasets.tables import Table, header_of, read_table
from featx.errors import DataError

GENERIC = "train.csv"
MELANOMA = "melanoma"
UNSAID = ("unknown", "atypical melanocytic proliferation")  # benign, says the target, and no more
COUNTS = {
    "benign": 27125,
    "nevus": 5193,
    MELANOMA: 584,
    "seborrheic keratosis": 135,
    "lentigo NOS": 44,
    "lichenoid keratosis": 37,
    "solar lentigo": 7,
    "cafe-au-lait macule": 1,
}


class Isic2020(PatientSet, TablesBeside):
    """The adapter ``isic2020``."""

    name = "isic2020"
    expects = (
        "a folder with ISIC_2020_Training_GroundTruth.csv (or _v2.csv, or Kaggle's train.csv), "
        "ISIC_2020_Training_Duplicates.csv and the images in any folders below"
    )
    tables = (r"ISIC_2020_Training_GroundTruth_v2\.csv", r"ISIC_2020_Training_GroundTruth\.csv", r"train\.csv")
    beside = (r"ISIC_2020_Training_Duplicates\.csv",)
    designs = ("malignant-vs-benign", "mel-vs-benign", "diagnosis")
    lacks = {"bcc-vs-mel-vs-benign": "none of its lesions is a BCC", **NOT_SKIN}
    published = {"": COUNTS}

    def find_tables(self, place: Path) -> list[Path]:
        """Return the first of the truth tables that is there: the second version says the lesions too."""
        found = ([p for p in find_tables(place, [pattern]) if _is_truth(p)] for pattern in self.tables)
        return next(filter(None, found), [])

    def rows(self, tables: Sequence[Path]) -> list[Row]:
        """Return the rows, by patient."""
        truths, duplicates = self.parted(tables)
        rows = [row for path in truths for row in _rows(read_table(path))]
        return by_patient(rows, pairs=[pair for path in duplicates for pair in _pairs(path)])

    def notes(self, tables: Sequence[Path], rows: Sequence[Row]) -> list[str]:
        """Return whether the duplicates are known."""
        if self.parted(tables)[1]:
            return []
        return ["ISIC_2020_Training_Duplicates.csv was not found: its 425 pairs of duplicates are not joined"]


def _is_truth(path: Path) -> bool:
    """Return whether a table is one: a train.csv may be any set's."""
    header = header_of(path)
    ours = {"image_name", "target"} <= {*header} and {"patient_id", "benign_malignant"} & {*header}
    return path.name.lower() != GENERIC or bool(ours)


def _rows(table: Table) -> Iterator[Row]:
    image, target = table.needed("image_name", "image", "isic_id"), table.needed("target")
    text, word = (table.find(None, names=(name,), option="") for name in ("diagnosis", "benign_malignant"))
    for line, row in table.rows:
        where = f"{table.path}, line {line}"
        malignant = flag(row[target], where=where, column=target)
        if word and row[word].lower() != ("malignant" if malignant else "benign"):
            raise DataError(f"{where}: {word} is {row[word]!r} and {target} is {row[target]}; they should agree")
        written = row[text] if text else ""
        told = first_told([{key: value for key, value in row.items() if key not in (image, text)}])
        yield Row(
            id=image_name(row[image], where=where, column=image),
            diagnosis=_diagnosis(written, malignant, where=where),
            where=where,
            image=row[image],
            attributes={**told, "diagnosis_text": written},
        )


def _diagnosis(written: str, malignant: bool, *, where: str) -> str:
    text = written.lower()
    if not text:
        return MELANOMA if malignant else "benign"
    if (text == MELANOMA) != malignant:
        raise DataError(f"{where}: the diagnosis is {written!r} and the target {int(malignant)}; 1 means melanoma here")
    if text in UNSAID:
        return "benign"
    known = {word.lower(): word for word in COUNTS}
    if text not in known:
        raise DataError(f"{where}: unknown diagnosis {written!r}; known: {', '.join([*COUNTS, *UNSAID])}")
    return known[text]


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    table = read_table(path)
    columns = table.needed("image_name_1"), table.needed("image_name_2")
    for line, row in table.rows:
        first, second = (image_name(row[column], where=f"{path}, line {line}", column=column) for column in columns)
        yield first, second


ADAPTER = Isic2020()
