"""Any table that names images and labels: the adapter ``csv``. Never looks at pixels.

Columns are given, or found by their usual names. An image is named by a path, with or without its ending, relative to
the table's folder; or by its bare name, wherever it lies below.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from featx.datasets.base import SYNTHETIC, Columns, Dataset, Sample, image_files, known_name, refuse_repeats, slug
from featx.datasets.tables import TABLE_SUFFIXES, Table, read_table
from featx.errors import DataError, UsageError

IMAGE_NAMES = ("image", "image_id", "image_name", "isic_id", "file", "file_name", "filename", "path", "image_path")
LABEL_NAMES = ("label", "diagnosis", "dx", "class", "target")
GROUP_NAMES = ("patient", "subject", "lesion", "case", "group")  # the coarsest first
SPLIT_NAMES = ("split",)
SPLIT_WORDS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


class _Found(NamedTuple):
    """The columns of a table that are read."""

    image: str
    label: str
    group: str | None
    unit: str | None
    split: str | None


class TableDataset:
    """The adapter ``csv``."""

    name = "csv"
    expects = (
        "a table (.csv, .tsv, .tab), or a folder with one, that names images and labels "
        "(--image-column, --label-column, --group-column, --unit-column, --split-column)"
    )
    precedence = 1
    supersedes: tuple[str, ...] = ()
    designs: tuple[str, ...] = ()

    def recognise(self, data: Path) -> str | None:
        """Return the tables' names where there are some."""
        if data.is_file():
            return data.name if data.suffix.lower() in TABLE_SUFFIXES else None
        return ", ".join(path.name for path in self._tables(data)) or None

    def read(self, data: Path, *, columns: Columns) -> Dataset:
        """Read the table and find each row's image.

        Raises
        ------
        UsageError
            Where several tables are there, or a column is neither given nor known.
        DataError
            Where ids stand twice, labels are empty, or no image is found.
        """
        tables = self._tables(data if columns.labels is None else Path(columns.labels))
        if not tables:
            raise DataError(f"{data} holds no table; {self.expects} was expected")
        if len(tables) > 1:
            told = ", ".join(path.name for path in tables)
            raise UsageError(f"{data} holds several tables ({told}); give the path of the one that is meant")
        table = read_table(tables[0])
        root = data if data.is_dir() else table.path.parent
        return self._dataset(table, self._columns(table, columns), root.resolve())

    def _tables(self, data: Path) -> list[Path]:
        if data.is_file():
            return [data]
        return sorted(p for p in data.glob("*") if p.suffix.lower() in TABLE_SUFFIXES[:3] and p.is_file())

    def _columns(self, table: Table, wanted: Columns) -> _Found:
        image = table.column(wanted.image, names=IMAGE_NAMES, option="--image-column", what="image")
        label = table.column(wanted.label, names=LABEL_NAMES, option="--label-column", what="label")
        rest = [name for name in table.header if name not in (image, label)]
        return _Found(
            image=image,
            label=label,
            group=table.find(wanted.group, names=group_names(rest), option="--group-column"),
            unit=table.find(wanted.unit, names=(), option="--unit-column"),
            split=table.find(wanted.split, names=SPLIT_NAMES, option="--split-column"),
        )

    def _dataset(self, table: Table, columns: _Found, root: Path) -> Dataset:
        find = Finder(root)
        samples, dropped = [], Counter[str]()
        for line, row in table.rows:
            where = f"{table.path}, line {line}"
            path = find(row[columns.image], where=where)
            if not row[columns.label]:
                dropped["no label"] += 1
            elif path is None:
                dropped["no image file"] += 1
            else:
                samples.append((line, _sample(row, path, columns, where=where)))
        if not samples:
            raise DataError(
                f"none of the {len(table.rows)} rows of {table.path} has both a label ({columns.label}) and an image "
                f"file named by {columns.image}; dropped: {dict(dropped)}"
            )
        refuse_repeats(((line, sample.id) for line, sample in samples), what="id", table=table.path)
        refuse_repeats(((line, sample.path) for line, sample in samples), what="image", table=table.path)
        return Dataset(
            name=slug(root.name),
            adapter=self.name,
            root=root,
            samples=tuple(sample for _, sample in samples),
            dropped=dict(dropped),
            group_kind=kind_of(columns.group),
            unit_kind=kind_of(columns.unit or columns.group),
            synthetic=any(sample.attributes.get("dataset") == SYNTHETIC for _, sample in samples),
            notes=_notes(columns, [sample for _, sample in samples]),
        )


def group_names(header: list[str]) -> list[str]:
    """Return the columns that by their names say what may not be divided: patient_id, Patient ID, patient_or_case."""
    words = "|".join(GROUP_NAMES)
    shape = re.compile(rf"({words})(or({words}))*(id|no|nr|num|number)?")
    plain = {name.lower(): re.sub("[^a-z]", "", name.lower()) for name in header}
    fitting = [name for name, letters in plain.items() if shape.fullmatch(letters)]
    return sorted(
        fitting, key=lambda name: next(n for n, word in enumerate(GROUP_NAMES) if plain[name].startswith(word))
    )


def _sample(row: Mapping[str, str], path: str, columns: _Found, *, where: str) -> Sample:
    name = row[columns.image]
    used = {columns.image, columns.label, columns.group, columns.unit, columns.split}
    attributes = {key: value for key, value in row.items() if key and key not in used}
    if columns.split and row[columns.split]:
        word = row[columns.split].lower()
        if word not in SPLIT_WORDS:
            raise DataError(f"{where}: split {row[columns.split]!r} is none of {', '.join(SPLIT_WORDS)}")
        attributes["split"] = SPLIT_WORDS[word]
    # an empty group is an image of its own: never one big group of all that nothing is known of
    group = (columns.group and known_name(row[columns.group])) or _own(name)
    unit = (columns.unit and known_name(row[columns.unit])) or group
    return Sample(name, path, row[columns.label], group, unit, attributes)


def kind_of(column: str | None) -> str | None:
    """Return what a group is, by the name of its column: ``patient`` for ``patient_id``."""
    return re.sub("[ _-]?id$", "", column.lower()) or column if column else None


def _notes(columns: _Found, samples: list[Sample]) -> tuple[str, ...]:
    group = f"group {columns.group!r}" if columns.group else "no group column (name one with --group-column)"
    told = f"columns: image {columns.image!r}, label {columns.label!r}, {group}"
    lone = sum(sample.group == _own(sample.id) for sample in samples) if columns.group else 0
    return (told, f"{lone} images have no {columns.group}: each is a group of its own") if lone else (told,)


def _own(name: str) -> str:
    return f"image {name}"


class Finder:
    """Finds the file that a table's field names, under a root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        files = image_files(root)
        self._paths = set(files)
        self._without_ending: dict[str, list[str]] = defaultdict(list)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._folded: dict[str, list[str]] = defaultdict(list)
        for path in files:
            pure = PurePosixPath(path)
            self._without_ending[str(pure.with_suffix(""))].append(path)
            for name in {pure.name, pure.stem}:
                self._by_name[name].append(path)
            for name in {_folded(text) for text in (path, str(pure.with_suffix("")), pure.name, pure.stem)}:
                self._folded[name].append(path)

    def __call__(self, field: str, *, where: str) -> str | None:
        """Return the path, or None; a name that several files bear, or a path that climbs out, is a DataError."""
        if field.startswith("/"):
            return field if Path(field).is_file() else None
        path = str(PurePosixPath(field.replace("\\", "/") if "/" not in field else field))
        if ".." in PurePosixPath(path).parts:
            raise DataError(
                f"{where}: the path {field!r} may lead out of {self._root}; put the table above its images and leave "
                "out the '..'"
            )
        if path in self._paths:
            return path
        # other systems write other capitals, accents and slashes for one file
        named = self._without_ending.get(path) or self._by_name.get(path) or self._folded.get(_folded(path), [])
        if len(named) > 1:
            raise DataError(f"{where}: {field!r} may be any of {', '.join(named[:3])}; write its path")
        return named[0] if named else None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


ADAPTER = TableDataset()
