"""Chest X-rays of children (Kermany et al. 2018), as downloaded from Kaggle or Mendeley: folders, no table.

``train/``, ``val/`` and ``test/`` each hold ``NORMAL`` and ``PNEUMONIA``; the cause of a pneumonia and the number of
the patient stand in the names of the files. Never looks at pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from featx.datasets.base import Columns, Dataset, image_files
from featx.datasets.published import PublishedSet, Row
from featx.datasets.table_dataset import SPLIT_WORDS
from featx.errors import DataError, UsageError

CLASSES = ("normal", "pneumonia")
_NAMES = (
    re.compile(r"(?P<kind>person)(?P<number>\d+)_(?P<cause>bacteria|virus)_.+", re.IGNORECASE),
    re.compile(r"(?P<kind>(normal2-)?im)-(?P<number>\d+)-\d.*", re.IGNORECASE),
    # a later version at Mendeley, by what code of others reads
    re.compile(r"(?P<cause>normal|bacteria|virus)-(?P<number>\d+)-\d.*", re.IGNORECASE),
)


class _Film(NamedTuple):
    """What path and name of a file say."""

    path: str
    id: str
    image: str
    home: str
    part: str
    kind: str


class _Name(NamedTuple):
    """What a file's name says: the class, the diagnosis, and the patient."""

    kind: str
    diagnosis: str
    patient: str


class Kermany(PublishedSet):
    """The adapter ``kermany``."""

    name = "kermany"
    expects = "a folder with NORMAL/ and PNEUMONIA/ below train/, val/ and test/, as in chest_xray/"
    tables = ()
    designs = ("pneumonia", "bacteria-vs-virus-vs-normal", "diagnosis")
    lacks = {"": "its images are chest X-rays"}
    published = {
        "train": {"normal": 1341, "pneumonia": 3875},
        "validation": {"normal": 8, "pneumonia": 8},
        "test": {"normal": 234, "pneumonia": 390},
    }
    group_kind = "patient"
    prefer = ()

    def recognise(self, data: Path) -> str | None:
        """Return the class folders where they are these two alone and the names of most files are this set's."""
        if not data.is_dir():
            return None
        files = image_files(data)
        films = [film for path in files if (film := _film(path))]
        named = sum(_read_name(film.id) is not None for film in films)
        if {film.kind for film in films} != set(CLASSES) or _strangers(files, films) or 2 * named < len(films):
            return None
        parts = ", ".join(sorted({film.part for film in films} - {""}))
        return f"NORMAL and PNEUMONIA{' in ' * bool(parts)}{parts}"

    def read(self, data: Path, *, columns: Columns) -> Dataset:
        """Read the samples from the paths.

        Raises
        ------
        DataError
            Where there are no such folders, others beside them, or files whose names say otherwise than their folder.
        UsageError
            Where a table of labels is given.
        """
        if columns.labels is not None:
            raise UsageError("class folders say what these images are; leave --labels out, or take --dataset csv")
        if not data.is_dir():
            raise DataError(f"{data} is a file; {self.expects} was expected")
        files = image_files(data)
        films = [film for path in files if (film := _film(path))]
        if not films:
            raise DataError(f"{data} holds no images in folders NORMAL and PNEUMONIA; {self.expects} was expected")
        if strangers := _strangers(files, films):
            raise DataError(
                f"{data / strangers[0]} lies in a folder beside NORMAL and PNEUMONIA that is no class of {self.name}; "
                "move the folder away, or take --dataset folder"
            )
        placed = {film.path for film in films}
        loose = [Row(path, "", str(data / path)) for path in files if path not in placed]
        found = self._dataset(data.resolve(), [*_rows(data, films), *loose], notes=_notes(films))
        return replace(found, labels_in_paths=True)

    def _counts_told(self, rows: Sequence[Row]) -> list[str]:
        """Hold the counts against the published ones, which are of the two folders and not of the causes."""
        told = [row for row in rows if row.diagnosis]
        return super()._counts_told([replace(row, diagnosis=CLASSES[row.diagnosis != "normal"]) for row in told])


def _film(path: str) -> _Film | None:
    """Return what a path says; None where none of its folders is a class."""
    *folders, name = path.split("/")
    places = [place for place, folder in enumerate(folders) if folder.lower() in CLASSES]
    if not places:
        return None
    place = places[-1]
    part = SPLIT_WORDS.get(folders[place - 1].lower(), "") if place else ""
    image = "/".join([*folders[place - bool(part) :], name])
    return _Film(path, image.rpartition(".")[0], image, "/".join(folders[:place]) or ".", part, folders[place].lower())


def _strangers(files: Iterable[str], films: Iterable[_Film]) -> list[str]:
    """Return the files in folders beside the class folders: of a third class, it seems."""
    placed, homes = {film.path for film in films}, {film.home for film in films}
    above = {path: PurePosixPath(path).parent.parents for path in files if path not in placed}
    return [path for path, folders in above.items() if any(str(folder) in homes for folder in folders)]


def _read_name(name: str) -> _Name | None:
    """Return what the last part of a sample's id says; None for a name that is not this set's."""
    stem = name.rpartition("/")[2]
    for shape in _NAMES:
        if found := shape.fullmatch(stem):
            said = found.groupdict()
            cause = (said.get("cause") or "normal").lower()
            kind = CLASSES[cause != "normal"]
            return _Name(kind, cause, f"{(said.get('kind') or kind).lower()} {said['number']}")
    return None


def _rows(data: Path, films: Iterable[_Film]) -> list[Row]:
    """Return a row for each image; a copy in a nested folder is no second one."""
    rows: dict[str, Row] = {}
    for film in films:
        rows.setdefault(film.id.lower(), _row(film, where=str(data / film.path)))
    return list(rows.values())


def _row(film: _Film, *, where: str) -> Row:
    said = _read_name(film.id)
    if said and said.kind != film.kind:
        raise DataError(
            f"{where}: the name says {said.diagnosis}, the folder {film.kind}; move the file where it belongs"
        )
    diagnosis, patient = (said.diagnosis, said.patient) if said else (film.kind, "")
    return Row(film.id, diagnosis, where, group=patient, image=film.image, part=film.part)


def _notes(films: Iterable[_Film]) -> list[str]:
    """Return what the groups are; how many have none is told with the rest."""
    if not any(_read_name(film.id) for film in films):
        return []
    return [
        "groups: the patient's number in the name of the file, in whichever folder; where numbers start anew in "
        "another folder, two patients are taken for one, never one for two"
    ]


ADAPTER = Kermany()
