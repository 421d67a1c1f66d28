"""What the adapters of published sets have in common: from the rows of label tables to a dataset, every oddity told.

An adapter says how its files look and what a row means (:meth:`PublishedSet.rows`); here each row finds its image,
keeps or loses it with a reason, and the counts are held against the published ones. Never looks at pixels.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from featx.datasets.base import SYNTHETIC, Columns, Dataset, Sample, slug
from featx.datasets.image_index import ImageIndex, find_tables
from featx.errors import DataError, UsageError


@dataclass(frozen=True)
class Row:
    """One row of a published label table, as its adapter understands it.

    Attributes
    ----------
    id : str
        The sample's id.
    diagnosis : str
        What the table says; empty where it says nothing (dropped: ``no label``).
    where : str
        Table and line, for messages.
    group, unit : str
        Empty where the table says nothing: the image then is a group of its own, and the unit is the group.
    image : str
        Name or path of the image file, where it is not the id.
    part : str
        ``train``, ``validation`` or ``test`` of an official split, or empty.
    attributes : mapping of str to str
        Whatever else the table says.
    folder : str
        A word that a folder above the image holds, where the set uses one name in several (``train``).
    """

    id: str
    diagnosis: str
    where: str
    group: str = ""
    unit: str = ""
    image: str = ""
    part: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""


class PublishedSet:
    """Base of the adapters of published sets.

    Attributes
    ----------
    name, expects, precedence, supersedes, designs
        As of :class:`featx.datasets.base.Adapter`.
    lacks : mapping of str to str
        As of :class:`featx.datasets.base.Dataset`.
    tables : tuple of str
        Regular expressions of the names of the files that say what a folder is.
    published : mapping of str to mapping of str to int
        Published rows of each diagnosis, by part (``train``, ``test``; the empty name where there are no parts).
    group_kind, unit_kind : str or None
        What a group and a unit are, where the set has groups.
    prefer, skip
        As of :class:`featx.datasets.image_index.ImageIndex`.
    """

    name: ClassVar[str]
    expects: ClassVar[str]
    precedence: ClassVar[int] = 2
    supersedes: ClassVar[tuple[str, ...]] = ()
    designs: ClassVar[tuple[str, ...]]
    lacks: ClassVar[Mapping[str, str]] = {}
    tables: ClassVar[tuple[str, ...]]
    published: ClassVar[Mapping[str, Mapping[str, int]]] = {}
    group_kind: ClassVar[str | None] = None
    unit_kind: ClassVar[str | None] = None
    prefer: ClassVar[tuple[str, ...]] = (".jpg", ".jpeg")
    skip: ClassVar[str | None] = None

    def recognise(self, data: Path) -> str | None:
        """Return the names of the label tables where there are some."""
        return ", ".join(path.name for path in self.find_tables(data)) or None

    def read(self, data: Path, *, columns: Columns) -> Dataset:
        """Read the label tables and find each row's image.

        Raises
        ------
        DataError
            A missing table or column, an unknown code, an id that stands twice, no image at all.
        UsageError
            Several tables of one name that differ, or a table given that this format does not take.
        """
        tables = self._tables(data, columns)
        root = data if data.is_dir() else data.parent
        rows = list(self.rows(tables))
        return self._dataset(root.resolve(), rows, notes=self.notes(tables, rows))

    def find_tables(self, place: Path) -> list[Path]:
        """Return the label tables below a folder, or the file given where it is one by its name."""
        return find_tables(place, self.tables)

    def rows(self, tables: Sequence[Path]) -> Iterable[Row]:
        """Return the rows of the label tables."""
        raise NotImplementedError

    def look_up(self, row: Row, images: ImageIndex) -> str | None:
        """Return the path of a row's image, relative to the root, or None."""
        return images.find(row.image or row.id, folder=row.folder)

    def notes(self, tables: Sequence[Path], rows: Sequence[Row]) -> list[str]:
        """Return what the user should know beyond what holds for every set."""
        return []

    def _tables(self, data: Path, columns: Columns) -> list[Path]:
        place = Path(columns.labels) if columns.labels is not None else data
        tables = [place] if place.is_file() else self.find_tables(place)
        if not tables:
            raise DataError(f"{place} is not {self.name} as it is downloaded; {self.expects} was expected")
        if twice := [name for name, count in Counter(path.name for path in tables).items() if count > 1]:
            self.refuse_several([path for path in tables if path.name == twice[0]])
        return tables

    def refuse_several(self, tables: Sequence[Path]) -> None:
        """Raise UsageError: only one of these tables can be meant."""
        told = ", ".join(map(str, tables))
        raise UsageError(f"several label tables that differ were found ({told}); move away those that are not meant")

    def _dataset(self, root: Path, rows: Sequence[Row], *, notes: Sequence[str]) -> Dataset:
        _refuse_repeats(rows)
        images = ImageIndex(root, prefer=self.prefer, skip=self.skip)
        samples, dropped, missing = [], Counter[str](), list[str]()
        for row in rows:
            path = self.look_up(row, images)
            if not row.diagnosis:
                dropped["no label"] += 1
            elif path is None:
                dropped["no image file"] += 1
                missing.append(row.image or row.id)
            else:
                samples.append(self._sample(row, path))
        if not samples:
            raise DataError(_nothing_told(rows, root))
        _refuse_one_image_twice(samples)
        grouped = any(row.group for row in rows)
        synthetic = any(sample.attributes.get("dataset") == SYNTHETIC for sample in samples)
        return Dataset(
            name=slug(root.name),
            adapter=self.name,
            root=root,
            samples=tuple(samples),
            dropped=dict(dropped),
            group_kind=self.group_kind if grouped else None,
            unit_kind=(self.unit_kind or self.group_kind) if grouped else None,
            synthetic=synthetic,
            notes=(
                *([] if synthetic else self._counts_told(rows)),
                *self._groups_told(rows),
                *_images_told(images, missing),
                *notes,
            ),
            designs=self.designs,
            lacks=self.lacks,
        )

    def _sample(self, row: Row, path: str) -> Sample:
        attributes = {**row.attributes, **({"split": row.part} if row.part else {})}
        group = row.group or f"image {row.id}"
        return Sample(row.id, path, row.diagnosis, group, row.unit or group, attributes)

    def _counts_told(self, rows: Sequence[Row]) -> list[str]:
        """Hold the counts against the published ones, part by part."""
        parts: dict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            parts[row.part if row.part in self.published else ""][row.diagnosis] += 1
        return [
            _held_against(self.published[part], counts, what=" ".join(filter(None, (self.name, part))))
            for part, counts in parts.items()
            if part in self.published
        ]

    def _groups_told(self, rows: Sequence[Row]) -> list[str]:
        lone = sum(not row.group for row in rows)
        if self.group_kind is None or not lone:
            return []
        if lone == len(rows):
            return [f"no table that says which images share a {self.group_kind} was found: each is a group of its own"]
        return [f"{lone} images have no {self.group_kind}: each is a group of its own, and what they share is unknown"]


def _held_against(published: Mapping[str, int], counts: Counter[str], *, what: str) -> str:
    """Return one sentence on how the counts of a table lie to the published ones."""
    total, wanted = sum(counts.values()), sum(published.values())
    if dict(counts) == dict(published):
        return f"{what}: the {total:,} rows and their classes are the published ones"
    beyond = sorted(word for word in counts if word and counts[word] > published.get(word, 0))
    if total < wanted and beyond:
        told = ", ".join(f"{word} {counts[word]:,} (published {published.get(word, 0):,})" for word in beyond)
        return f"{what}: no part of the set as published: {told}"
    if total < wanted:
        return f"{what}: {total:,} of the {wanted:,} published rows: a part of the set"
    if total > wanted:
        return f"{what}: {total:,} rows where {wanted:,} were published: not the set as published (added copies?)"
    differing = sorted(word for word in {*published, *counts} if published.get(word, 0) != counts[word])
    told = ", ".join(f"{word} {counts[word]:,} (published {published.get(word, 0):,})" for word in differing)
    return f"{what}: the counts are not the published ones: {told}"


def _nothing_told(rows: Sequence[Row], root: Path) -> str:
    if not rows:
        return f"the label tables under {root} hold no rows"
    table = rows[0].where.partition(", line")[0]
    return (
        f"none of the {len(rows)} rows of {table} has a label and an image under {root}; "
        "give the folder that holds tables and images, or the tables with --labels"
    )


def _images_told(images: ImageIndex, missing: Sequence[str]) -> list[str]:
    notes = []
    if missing:
        notes.append(f"{len(missing)} rows name images that are not there ({missing[0]}, ...)")
    if copies := images.copies():
        notes.append(f"{copies} further copies of images (same name in another folder) are not used")
    if extra := images.unused():
        notes.append(f"{len(extra)} image files are in no row of the tables and are not used ({extra[0]}, ...)")
    return notes


def _refuse_repeats(rows: Sequence[Row]) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        if (first := seen.setdefault(row.id, row.where)) != row.where:
            first = first.removeprefix(f"{row.where.rpartition(', ')[0]}, ")
            raise DataError(f"{row.where}: the id {row.id!r} stands in {first} already; take one of the two out")


def _refuse_one_image_twice(samples: Sequence[Sample]) -> None:
    seen: dict[str, str] = {}
    for sample in samples:
        if (first := seen.setdefault(sample.path, sample.id)) != sample.id:
            raise DataError(f"the image {sample.path} is meant by two rows, {first!r} and {sample.id!r}; take one out")
