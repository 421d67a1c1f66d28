"""Any table that names images and labels: the adapter ``csv``. Never looks at pixels.

Columns are given, or found by their usual names. An image is named by a path, with or without its ending, relative to
the table's folder; or by its bare name, wherever it lies below.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath

from featx.datasets.base import SYNTHETIC, Columns, Dataset, Sample, image_files, refuse_duplicate_ids, slug
from featx.datasets.tables import TABLE_SUFFIXES, Table, read_table
from featx.errors import DataError, UsageError

IMAGE_NAMES = ("image", "image_id", "image_name", "isic_id", "file", "file_name", "filename", "path", "image_path")
LABEL_NAMES = ("label", "diagnosis", "dx", "class", "target")
GROUP_NAMES = ("patient_id", "patient", "lesion_id", "lesion", "case_id", "case", "group", "group_id")
SPLIT_NAMES = ("split",)
SPLIT_WORDS = {"train": "train", "test": "test", "val": "validation", "valid": "validation", "validation": "validation"}


class TableDataset:
    """The adapter ``csv``."""

    name = "csv"
    expects = (
        "a table (.csv, .tsv, .tab), or a folder with one, that names images and labels "
        "(--image-column, --label-column, --group-column, --unit-column, --split-column)"
    )
    precedence = 1

    def recognise(self, data: Path) -> str | None:
        """Return the tables' names where there are some."""
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
        tables = self._tables(data)
        if not tables:
            raise DataError(f"{data} holds no table; {self.expects} was expected")
        if len(tables) > 1:
            told = ", ".join(path.name for path in tables)
            raise UsageError(f"{data} holds several tables ({told}); give the path of the one that is meant")
        table = read_table(tables[0])
        return self._dataset(table, self._columns(table, columns))

    def _tables(self, data: Path) -> list[Path]:
        if data.is_file():
            return [data] if data.suffix.lower() in TABLE_SUFFIXES else []
        return sorted(p for p in data.glob("*") if p.suffix.lower() in TABLE_SUFFIXES[:3] and p.is_file())

    def _columns(self, table: Table, wanted: Columns) -> Columns:
        return Columns(
            image=table.column(wanted.image, names=IMAGE_NAMES, option="--image-column", what="image"),
            label=table.column(wanted.label, names=LABEL_NAMES, option="--label-column", what="label"),
            group=table.find(wanted.group, names=GROUP_NAMES, option="--group-column"),
            unit=table.find(wanted.unit, names=(), option="--unit-column"),
            split=table.find(wanted.split, names=SPLIT_NAMES, option="--split-column"),
        )

    def _dataset(self, table: Table, columns: Columns) -> Dataset:
        root = table.path.parent
        find = _Finder(root)
        samples, dropped = [], Counter[str]()
        for line, row in table.rows:
            where = f"{table.path}, line {line}"
            path = find(row[columns.image], where=where)
            if not row[columns.label]:
                dropped["no label"] += 1
            elif path is None:
                dropped["no image file"] += 1
            else:
                samples.append(_sample(row, path, columns, where=where))
        if not samples:
            raise DataError(
                f"none of the {len(table.rows)} rows of {table.path} has both a label ({columns.label}) and an image "
                f"file named by {columns.image}; dropped: {dict(dropped)}"
            )
        refuse_duplicate_ids(samples, where=str(table.path))
        return Dataset(
            name=slug(root.resolve().name),
            adapter=self.name,
            root=root,
            samples=tuple(samples),
            dropped=dict(dropped),
            group_kind=_kind(columns.group),
            unit_kind=_kind(columns.unit or columns.group),
            synthetic=any(sample.attributes.get("dataset") == SYNTHETIC for sample in samples),
            notes=(_told(columns),),
        )


def _sample(row: dict[str, str], path: str, columns: Columns, *, where: str) -> Sample:
    name = row[columns.image]
    used = {columns.image, columns.label, columns.group, columns.unit, columns.split}
    attributes = {key: value for key, value in row.items() if key and key not in used}
    if columns.split and row[columns.split]:
        word = row[columns.split].lower()
        if word not in SPLIT_WORDS:
            raise DataError(f"{where}: split {row[columns.split]!r} is none of {', '.join(SPLIT_WORDS)}")
        attributes["split"] = SPLIT_WORDS[word]
    # an empty group is an image of its own: never one big group of all that nothing is known of
    group = (columns.group and row[columns.group]) or f"image {name}"
    unit = (columns.unit and row[columns.unit]) or group
    return Sample(name, path, row[columns.label], group, unit, attributes)


def _kind(column: str | None) -> str | None:
    return column.lower().removesuffix("_id") if column else None


def _told(columns: Columns) -> str:
    group = f"group {columns.group!r}" if columns.group else "no group column (name one with --group-column)"
    return f"columns: image {columns.image!r}, label {columns.label!r}, {group}"


class _Finder:
    """Finds the file that a table's field names, under a root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        files = image_files(root)
        self._paths = set(files)
        self._without_ending = {str(PurePosixPath(path).with_suffix("")): path for path in reversed(files)}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for path in files:
            self._by_name[PurePosixPath(path).name].append(path)
            self._by_name[PurePosixPath(path).stem].append(path)

    def __call__(self, field: str, *, where: str) -> str | None:
        """Return the path, or None; a name that several files bear, or a path that climbs out, is a DataError."""
        if field.startswith("/"):
            return field if Path(field).is_file() else None
        path = str(PurePosixPath(field))
        if ".." in PurePosixPath(path).parts:
            raise DataError(f"{where}: the path {field!r} leads out of {self._root}")
        if path in self._paths:
            return path
        if path in self._without_ending:
            return self._without_ending[path]
        named = self._by_name.get(path, [])
        if len(named) > 1:
            raise DataError(f"{where}: {field!r} may be any of {', '.join(named[:3])}; write its path")
        return named[0] if named else None


ADAPTER = TableDataset()
