"""The Interactive Atlas of Dermoscopy (Argenziano et al. 2000), as the scripts of Menegola et al. (2017) flatten it.

The pictures are bought; the labels come from files that the authors released, which lie beside them or are given:
``protocol1.csv`` to ``protocol3.csv`` (image, level), one for each of the paper's designs, or ``all-atlas.csv`` of a
later study, which also knows the case that a picture belongs to. Never looks at pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from featx.datasets.atlas_tables import (
    CASES,
    LEVELS,
    Label,
    Lesion,
    Lesions,
    agree,
    coarse,
    has_columns,
    is_cases,
    read_lesions,
    read_protocols,
)
from featx.datasets.base import Columns, Dataset
from featx.datasets.image_index import ImageIndex, find_tables
from featx.datasets.published import PublishedSet, Row
from featx.designs import SKIN
from featx.errors import DataError, UsageError

NAMES = (*(f"{name}.csv" for name in LEVELS), CASES)
FOLDS = r"protocol[123]\.ya?ml"


class Atlas(PublishedSet):
    """The adapter ``atlas``."""

    name = "atlas"
    expects = (
        "a folder with the flattened images (nel026.jpg, ...) and the released protocol1.csv, protocol2.csv or "
        "protocol3.csv, or all-atlas.csv, beside them or given with --labels"
    )
    tables = tuple(map(re.escape, NAMES))
    designs = (*SKIN, "diagnosis")
    lacks = {"": "its images are of skin lesions"}
    published = {
        "protocol1": {"malignant": 307, "benign": 668},
        "protocol2": {"mel": 265, "benign": 668},
        "protocol3": {"bcc": 42, "mel": 265, "benign": 668},
    }
    group_kind = "case"

    def recognise(self, data: Path) -> str | None:
        """Return the names of the label tables; of a fold file too, so that it can be told what it lacks."""
        if data.is_file() and _fold_files(data):
            return data.name
        return super().recognise(data)

    def find_tables(self, place: Path) -> list[Path]:
        """Return the tables of these names and columns, each name's wherever it lies."""
        found = chain.from_iterable(find_tables(place, [pattern]) for pattern in self.tables)
        return [path for path in found if has_columns(path)]

    def rows(self, tables: Sequence[Path]) -> list[Row]:
        """Return the rows: of the protocols where there are some, with what is known of their cases."""
        lesions = read_lesions(tables)
        labels = read_protocols([path for path in tables if not is_cases(path)]) or _labels(lesions, tables)
        groups = _groups(labels, lesions.rows)
        told = {row.id: row.attributes for row in lesions.rows if row.dermoscopic}
        return [
            Row(name, label.word, label.where, group=groups[name], attributes=told.get(name, {}))
            for name, label in labels.items()
        ]

    def look_up(self, row: Row, images: ImageIndex) -> str | None:
        """Find the image; the script leaves the untrimmed ones beside those that are ``ready``."""
        return images.find(row.id, folder="ready") or images.find(row.id)

    def notes(self, tables: Sequence[Path], rows: Sequence[Row]) -> list[str]:
        """Return where the groups are from, and what the two sources do not agree on."""
        lesions = read_lesions(tables)
        notes = [_groups_from(lesions, rows), *(f"{CASES} has no column {name!r}" for name in lesions.lacking)]
        if clinical := sum(not row.dermoscopic for row in lesions.rows):
            notes.append(f"{clinical} rows of {CASES} are of pictures that are not dermoscopic and are left out")
        return [*notes, *_disagreement(lesions, rows)]

    def _tables(self, data: Path, columns: Columns) -> list[Path]:
        place = Path(columns.labels) if columns.labels is not None else data
        folds = _fold_files(place)
        if folds and not (place.is_dir() and self.find_tables(place)):
            _refuse_folds(folds[0])
        tables = super()._tables(data, columns)
        if place.is_file() and place.name.lower() not in NAMES:
            raise UsageError(
                f"{place}: what its labels mean is told by the name of the file; {', '.join(NAMES[:3])} or {CASES} "
                "was expected"
            )
        return tables if any(map(is_cases, tables)) else [*tables, *self._cases(place, data)]

    def _cases(self, place: Path, data: Path) -> list[Path]:
        """Return the table of the cases beside the labels, or else beside the images."""
        folders = [path if path.is_dir() else path.parent for path in (place, data)]
        found = next(filter(None, (find_tables(folder, [re.escape(CASES)]) for folder in folders)), [])
        if len(found) > 1:
            self.refuse_several(found)
        return [path for path in found if has_columns(path)]

    def _dataset(self, root: Path, rows: Sequence[Row], *, notes: Sequence[str]) -> Dataset:
        found = super()._dataset(root, rows, notes=notes)
        lacks = _lacking(rows)
        designs = tuple(design for design in self.designs if design not in lacks)
        return replace(found, designs=designs, lacks={**lacks, **self.lacks}, notes=(*found.notes, *_trimmed(found)))

    def _counts_told(self, rows: Sequence[Row]) -> list[str]:
        """Hold the counts against those of the one protocol that was read."""
        sources = _sources(rows)
        return super()._counts_told([replace(row, part=sources[0]) for row in rows]) if len(sources) == 1 else []


def _fold_files(place: Path) -> list[Path]:
    return find_tables(place, [FOLDS])


def _refuse_folds(path: Path) -> None:
    raise UsageError(
        f"{path} says which images are in the folds, but not what they show; give {path.stem}.csv, which holds the "
        "labels, with --labels, and this file with --folds"
    )


def _labels(lesions: Lesions, tables: Sequence[Path]) -> dict[str, Label]:
    if "diagnosis" in lesions.lacking:
        raise DataError(f"{tables[0]}: no column 'diagnosis'; take its labels from protocol3.csv")
    return {row.id: Label(row.diagnosis, row.where) for row in lesions.rows if row.dermoscopic}


def _own_case(name: str) -> str:
    """Return an image's name without the word for a second or third picture."""
    return re.sub(r"(?<=\d)(bis|ter)$", "", name)


def _groups(names: Iterable[str], lesions: Iterable[Lesion]) -> dict[str, str]:
    """Return each image's case: as it is told, as that of its first picture is, or by its name."""
    cases = {row.id: row.case for row in lesions if row.case}
    siblings = {_own_case(name): case for name, case in reversed(cases.items())}
    return {name: cases.get(name) or siblings.get(_own_case(name)) or _own_case(name) for name in names}


def _groups_from(lesions: Lesions, rows: Sequence[Row]) -> str:
    known = {row.id for row in lesions.rows if row.case}
    by_name = "what bears one name, bis and ter left off, is taken for one"
    if not known:
        return f"groups: no {CASES}, which knows the cases, was found; {by_name}"
    lone = sum(row.id not in known for row in rows)
    return f"groups: the cases of {CASES}" + (f"; of the {lone} images without a case there, {by_name}" * bool(lone))


def _disagreement(lesions: Lesions, rows: Iterable[Row]) -> Iterator[str]:
    """Tell of the images on which the protocols and the table of the cases do not agree."""
    later = {row.id: word for row in lesions.rows if row.dermoscopic and (word := coarse(row.diagnosis))}
    protocols = [row for row in rows if _source(row) in LEVELS]
    unlike = [row.id for row in protocols if not agree(row.diagnosis, later.get(row.id, row.diagnosis))]
    if unlike:
        yield (
            f"{CASES} says otherwise of {len(unlike)} images ({', '.join(unlike[:3])}{', ...' * (len(unlike) > 3)}); "
            "the protocols are taken"
        )


def _source(row: Row) -> str:
    return Path(row.where.rpartition(", line")[0]).stem.lower()


def _sources(rows: Iterable[Row]) -> list[str]:
    return sorted({_source(row) for row in rows})


def _lacking(rows: Sequence[Row]) -> dict[str, str]:
    """Return the skin designs that the labels that were read do not answer, each with the reason."""
    malignant, melanoma, three = SKIN
    words = {coarse(row.diagnosis) for row in rows}
    sources = _sources(rows)
    if sources == ["protocol1"]:
        reason = "protocol1.csv says benign or malignant only; protocol3.csv says more"
        return {melanoma: reason, three: reason}
    if sources == ["protocol2"]:
        reason = "protocol2.csv leaves the basal cell carcinomas out; protocol3.csv has them"
        return {malignant: reason, three: reason}
    missing = {
        melanoma: "" if "mel" in words else "no row says melanoma",
        three: "" if {"mel", "bcc"} <= words else "no row says melanoma, or none basal cell carcinoma",
    }
    return {design: reason for design, reason in missing.items() if reason}


def _trimmed(found: Dataset) -> list[str]:
    paths = [f"/{sample.path.lower()}" for sample in found.samples]
    if (found.root / "originals").is_dir() and any("ready/" in path for path in paths):
        return ["the pictures of the folder ready, trimmed by the authors' script, are used, not those of originals"]
    return []


ADAPTER = Atlas()
