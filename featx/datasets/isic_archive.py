"""An export of the ISIC Archive: ``metadata.csv`` as its website and its command line tool write it, and its images.

Which columns an export has depends on what is known of its images; the fields are described at
https://github.com/ImageMarkup/isic-metadata and written by ``image_metadata_csv`` of
https://github.com/ImageMarkup/isic. A diagnosis is said on up to five levels, from ``Malignant`` to the kind of
melanoma, and in older exports in one column. Never looks at pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from featx.datasets.base import Columns
from featx.datasets.image_index import find_tables
from featx.datasets.isic_challenge import NOT_SKIN, first_told, image_name
from featx.datasets.patients import LESION, PATIENT, PatientSet, by_patient
from featx.datasets.published import Row
from featx.datasets.tables import Table, header_of, read_table
from featx.designs import SKIN
from featx.designs.skin import WORDS
from featx.errors import DataError

IMAGE = "isic_id"
ALWAYS = ("attribution", "copyright_license")  # columns that every export has
LEVELS = tuple((f"diagnosis_{level}", f"iddx_{level}") for level in (1, 2, 3, 4, 5))
ONE_COLUMN, MALIGNANCY = "diagnosis", "benign_malignant"
USUAL = ("age_approx", "sex", "anatom_site_general", LESION, PATIENT)
DERMOSCOPIC = "dermoscopic"
FAMILIES = ("benign", "malignant", "indeterminate")
UNKNOWN = "unknown"


class _Said(NamedTuple):
    """The columns of an export that say the diagnosis.

    Attributes
    ----------
    texts : tuple of str
        Those with a text, the best first: the third level names the disease, the second the family.
    malignancy : tuple of str
        Those that say benign, malignant or indeterminate.
    """

    texts: tuple[str, ...]
    malignancy: tuple[str, ...]


class IsicArchive(PatientSet):
    """The adapter ``isic-archive``."""

    name = "isic-archive"
    expects = "a folder with metadata.csv of the ISIC Archive (column isic_id) and its images in any folders below"
    tables = (r".*metadata.*(\.csv|\.tsv|\.tab)",)
    designs = (*SKIN, "diagnosis")
    lacks = NOT_SKIN

    def find_tables(self, place: Path) -> list[Path]:
        """Return the tables that are exports, by their headers."""
        return [path for path in find_tables(place, self.tables) if _is_export(path)]

    def _tables(self, data: Path, columns: Columns) -> list[Path]:
        """Return all exports: one of nevi and one of melanomas, both called metadata.csv, add up."""
        place = Path(columns.labels) if columns.labels is not None else data
        exports = [place] if place.is_file() else self.find_tables(place)
        return exports or super()._tables(data, columns)

    def rows(self, tables: Sequence[Path]) -> list[Row]:
        """Return the rows, by patient."""
        return by_patient([row for path in tables for row in _rows(read_table(path))])

    def notes(self, tables: Sequence[Path], rows: Sequence[Row]) -> list[str]:
        """Return what the export lacks, what is not dermoscopic, and which diagnoses were told by their family."""
        return [*_lacking(rows), *_other_images(rows), *_coarse(rows)]


def _is_export(path: Path) -> bool:
    header = {*header_of(path)}
    said = {ONE_COLUMN, MALIGNANCY, *(name for level in LEVELS for name in level)}
    return IMAGE in header and bool(header & {*said, *ALWAYS})


def _rows(table: Table) -> Iterator[Row]:
    image, said = table.needed(IMAGE), _said(table)
    for line, row in table.rows:
        where = f"{table.path}, line {line}"
        text = next((row[column] for column in said.texts if row[column]), "")
        told = first_told([{key: value for key, value in row.items() if key != image}])
        yield Row(
            id=image_name(row[image], where=where, column=image),
            diagnosis=_diagnosis(row, said, where=where),
            where=where,
            image=row[image],
            attributes={**told, "diagnosis_text": text},
        )


def _said(table: Table) -> _Said:
    levels = [table.find(None, names=level, option="") for level in LEVELS]
    one, word = (table.find(None, names=(name,), option="") for name in (ONE_COLUMN, MALIGNANCY))
    found = _Said(
        texts=tuple(filter(None, (levels[2], levels[3], levels[4], one, levels[1]))),
        malignancy=tuple(filter(None, (levels[0], word))),
    )
    if not any(found):
        raise DataError(
            f"{table.path}: no column {ONE_COLUMN!r}, {LEVELS[0][0]!r} or {MALIGNANCY!r} among "
            f"{', '.join(filter(None, table.header))}: this export says no diagnosis"
        )
    return found


def _diagnosis(row: Mapping[str, str], said: _Said, *, where: str) -> str:
    """Return the best text that is a common word, else how malignant it is, else that it is unknown; empty without."""
    texts = [row[column] for column in said.texts if row[column]]
    families = [(column, row[column]) for column in said.malignancy if row[column]]
    family = _family(*families[0], where=where) if families else ""
    common = next((text for text in texts if text.casefold() in WORDS), "")
    if family == "benign" and WORDS.get(common.casefold()) == "mel":
        raise DataError(f"{where}: the diagnosis is {common!r} and the lesion benign; one of them is wrong")
    return common or family or (UNKNOWN if texts else "")


def _family(column: str, value: str, *, where: str) -> str:
    """Return one of the families; ``indeterminate/malignant`` is indeterminate."""
    family = value.lower().partition("/")[0]
    if family not in FAMILIES:
        raise DataError(f"{where}: unknown {column} {value!r}; known: {', '.join(FAMILIES)}")
    return family


def _lacking(rows: Sequence[Row]) -> list[str]:
    common = {name for row in rows for name in row.attributes}
    missing = [name for name in USUAL if not {*first_told([{name: "x"}])} <= common]
    return [f"the export has no column {', '.join(missing)}"] if missing else []


def _other_images(rows: Sequence[Row]) -> list[str]:
    kinds = Counter(row.attributes.get("image_type", "") for row in rows)
    others = {kind: count for kind, count in kinds.most_common() if kind not in ("", DERMOSCOPIC)}
    told = ", ".join(f"{count:,} {kind}" for kind, count in others.items())
    return [f"not all images are dermoscopic: {told}"] if others else []


def _coarse(rows: Sequence[Row]) -> list[str]:
    """Return how many diagnoses are no common words, so that only benign, malignant or less is told of them."""
    coarse = (*FAMILIES, UNKNOWN)
    texts = Counter(row.attributes["diagnosis_text"] for row in rows if row.diagnosis in coarse)
    del texts[""]
    if not texts:
        return []
    told = ", ".join(text for text, _ in texts.most_common(3))
    count = f"{texts.total():,} rows have a diagnosis that the designs do not know by name ({told})"
    return [f"{count}: they count as benign, malignant, indeterminate or unknown, whichever the archive says"]


ADAPTER = IsicArchive()
