"""Any folder with a ``metadata.csv`` beside its images, as an ImageFolder of the Hugging Face Hub has it.

The column ``file_name`` names an image by its path from the table's own folder; the other columns are found as the
adapter ``csv`` finds them. There may be one table for all, or one in each of ``train/``, ``validation/`` and ``test/``.
Never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from featx.datasets.base import SKIPPED_FOLDERS, Columns, Dataset, known_name
from featx.datasets.image_index import ImageIndex, listing
from featx.datasets.published import PublishedSet, Row
from featx.datasets.table_dataset import LABEL_NAMES, SPLIT_NAMES, SPLIT_WORDS, Finder, group_names, kind_of
from featx.datasets.tables import Table, header_of, read_table
from featx.errors import DataError, UsageError

IMAGE = ("file_name",)
TABLE = "metadata.csv"


class _Found(NamedTuple):
    """The columns of a table that are read."""

    image: str
    label: str | None
    group: str | None
    unit: str | None
    split: str | None


class ImageFolder(PublishedSet):
    """The adapter ``imagefolder``."""

    name = "imagefolder"
    expects = "a folder with metadata.csv (file_name and a label), or train/, validation/, test/ with one each"
    tables = (r"metadata\.csv",)
    designs = ()

    def recognise(self, data: Path) -> str | None:
        """Return the tables where there are some of that name with a column ``file_name``."""
        if data.is_file():
            return data.name if data.name.lower() == TABLE and _is_ours(data) else None
        return ", ".join(str(path.relative_to(data)) for path in self.find_tables(data)) or None

    def find_tables(self, place: Path) -> list[Path]:
        """Return the tables of the highest level that has some; alike ones too: they name images of other folders."""
        for level in (1, 2, 3):
            named = [path for path in listing(place, level) if path.name.lower() == TABLE and path.is_file()]
            if found := [path for path in named if not _hidden(path.relative_to(place)) and _is_ours(path)]:
                return found
        return []

    def read(self, data: Path, *, columns: Columns) -> Dataset:
        """Read the tables and find each row's image.

        Raises
        ------
        UsageError
            Where a column is neither given nor known, or two tables have groups of two kinds.
        DataError
            Where there is no table, a path is empty or stands twice, a part is unknown, or no image is found.
        """
        tables = [read_table(path) for path in self._tables(data, columns)]
        root = (data if data.is_dir() else data.parent).resolve()
        found = _columns(tables, columns)
        find = Finder(root)
        rows = [row for table, names in zip(tables, found, strict=True) for row in _rows(table, names, root, find)]
        group = next((names.group for names in found if names.group), None)
        unit = next((names.unit for names in found if names.unit), None)
        dataset = self._dataset(root, rows, notes=_notes(found, rows))
        return replace(dataset, group_kind=kind_of(group), unit_kind=kind_of(unit or group))

    def look_up(self, row: Row, images: ImageIndex) -> str | None:
        """Return the path that was found by the table's folder."""
        if row.image:
            images.take(row.image)
        return row.image or None

    def _tables(self, data: Path, columns: Columns) -> list[Path]:
        place = Path(columns.labels) if columns.labels is not None else data
        tables = [place] if place.is_file() else self.find_tables(place)
        if not tables:
            raise DataError(f"{place} has no {TABLE} with a column file_name; {self.expects} was expected")
        return tables


def _is_ours(table: Path) -> bool:
    header = header_of(table)
    return IMAGE[0] in header and "isic_id" not in header


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part in SKIPPED_FOLDERS for part in path.parts)


def _columns(tables: Sequence[Table], wanted: Columns) -> list[_Found]:
    """Return the columns of each table; a part may come without labels, the whole may not."""
    labels = [_label(table, wanted.label) for table in tables]
    if not any(labels):
        labels[0] = tables[0].column(wanted.label, names=LABEL_NAMES, option="--label-column", what="label")
    found = [_found(table, label, wanted) for table, label in zip(tables, labels, strict=True)]
    if len(kinds := sorted({names.group for names in found if names.group})) > 1:
        raise UsageError(f"the tables have groups of several kinds ({', '.join(kinds)}); say which with --group-column")
    return found


def _label(table: Table, wanted: str | None) -> str | None:
    if wanted is not None:
        return wanted if wanted in table.header else None
    return table.find(None, names=LABEL_NAMES, option="--label-column")


def _found(table: Table, label: str | None, wanted: Columns) -> _Found:
    image = table.column(wanted.image, names=IMAGE, option="--image-column", what="image")
    rest = [name for name in table.header if name not in (image, label)]
    return _Found(
        image=image,
        label=label,
        group=table.find(wanted.group, names=group_names(rest), option="--group-column"),
        unit=table.find(wanted.unit, names=(), option="--unit-column"),
        split=table.find(wanted.split, names=SPLIT_NAMES, option="--split-column"),
    )


def _rows(table: Table, names: _Found, root: Path, find: Finder) -> Iterator[Row]:
    folder = table.path.parent.resolve()
    inside = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else ""
    for line, row in table.rows:
        where = f"{table.path}, line {line}"
        if not row[names.image]:
            raise DataError(f"{where}: {names.image} is empty")
        image = (PurePosixPath(inside) / row[names.image]).as_posix()
        said = row[names.split] if names.split else ""
        yield Row(
            id=image,
            diagnosis=row[names.label] if names.label else "",
            where=where,
            group=known_name(row[names.group]) if names.group else "",
            unit=known_name(row[names.unit]) if names.unit else "",
            image=find(image, where=where) or "",
            part=_part(image, said, where=where),
            attributes={key: value for key, value in row.items() if _is_told(key, names)},
        )


def _is_told(column: str, names: _Found) -> bool:
    return bool(column) and column not in names and column.lower() != "split"


def _part(image: str, said: str, *, where: str) -> str:
    """Return the official part: what the split column says, or else the first folder that is called as a part."""
    if said and said.lower() not in SPLIT_WORDS:
        raise DataError(f"{where}: split {said!r} is none of {', '.join(SPLIT_WORDS)}")
    folders = (SPLIT_WORDS.get(folder.lower(), "") for folder in PurePosixPath(image).parts[:-1])
    lies_in, told = next(filter(None, folders), ""), SPLIT_WORDS.get(said.lower(), "")
    if lies_in and told and lies_in != told:
        raise DataError(f"{where}: split says {said!r}, but {image} lies in the part {lies_in!r}; correct one of them")
    return told or lies_in


def _notes(found: Sequence[_Found], rows: Sequence[Row]) -> list[str]:
    """Return which columns were read, and how many rows have no group."""
    label = next(names.label for names in found if names.label)
    group = next((names.group for names in found if names.group), None)
    told = f"group {group!r}" if group else "no group column (name one with --group-column)"
    lone = sum(not row.group for row in rows) if group else 0
    columns = f"columns: image {found[0].image!r}, label {label!r}, {told}"
    return [columns, f"{lone} images have no {group}: each is a group of its own"] if lone else [columns]


ADAPTER = ImageFolder()
