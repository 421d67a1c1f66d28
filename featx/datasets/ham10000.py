"""HAM10000 (Tschandl et al. 2018), as downloaded from Harvard Dataverse or from Kaggle.

A file ``HAM10000_metadata`` (``.csv``, ``.tab``, ``.tsv`` or no ending) names the images; they lie in any folders
below. A group is a lesion; patients are not published. Never looks at pixels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from featx.datasets.base import SYNTHETIC, Columns, Dataset, Sample, image_files, refuse_repeats, slug
from featx.datasets.tables import Table, read_table
from featx.errors import DataError, UsageError

NAME = "HAM10000_metadata"
DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
JPEG = (".jpg", ".jpeg")
NEEDED = ("lesion_id", "image_id", "dx")


class Ham10000:
    """The adapter ``ham10000``."""

    name = "ham10000"
    expects = f"a folder with {NAME} (.csv, .tab, .tsv or no ending) and its images in any folders below"
    precedence = 2

    def recognise(self, data: Path) -> str | None:
        """Return the metadata file's name where there is one."""
        if data.is_file():
            return data.name if data.name.lower().startswith(NAME.lower()) else None
        return ", ".join(str(path.relative_to(data)) for path in self._tables(data)) or None

    def read(self, data: Path, *, columns: Columns) -> Dataset:
        """Read the metadata and find each row's image.

        Raises
        ------
        UsageError
            Several metadata files that differ.
        DataError
            A missing column, an unknown ``dx``, an id that stands twice, a lesion with two diagnoses, no image at all.
        """
        root = data if data.is_dir() else data.parent
        tables = self._tables(data)
        if not tables:
            raise DataError(f"{data} holds no file {NAME}; {self.expects} was expected")
        if len({path.read_bytes() for path in tables}) > 1:
            told = ", ".join(str(path.relative_to(data)) for path in tables)
            raise UsageError(f"{data} holds several metadata files that differ ({told}); give the path of one of them")
        table = read_table(tables[0])
        if missing := [name for name in NEEDED if name not in table.header]:
            raise DataError(f"{table.path}: no column {missing[0]!r} among {', '.join(table.header)}")
        return self._dataset(root.resolve(), table)

    def _tables(self, data: Path) -> list[Path]:
        """Return the file that was given, or the metadata files of the highest level that has some."""
        if data.is_file():
            return [data]
        names = {NAME.lower() + ending for ending in ("", ".csv", ".tab", ".tsv")}
        levels = (data.glob(pattern) for pattern in ("*", "*/*"))
        found = (sorted(p for p in level if p.name.lower() in names and p.is_file()) for level in levels)
        return next(filter(None, found), [])

    def _dataset(self, root: Path, table: Table) -> Dataset:
        self._check(table)
        by_stem = self._images(root)
        samples = [
            self._sample(row, by_stem[row["image_id"]][0]) for _, row in table.rows if row["image_id"] in by_stem
        ]
        if not samples:
            raise DataError(
                f"none of the {len(table.rows)} images that {table.path} names lies under {root}; "
                "give the folder that holds both"
            )
        self._refuse_unlike_copies(root, [by_stem[sample.id] for sample in samples])
        missing = len(table.rows) - len(samples)
        return Dataset(
            name=slug(root.name),
            adapter=self.name,
            root=root,
            samples=tuple(samples),
            dropped={"no image file": missing} if missing else {},
            group_kind="lesion",
            unit_kind="lesion",
            synthetic=any(sample.attributes.get("dataset") == SYNTHETIC for sample in samples),
            notes=self._notes(by_stem, samples),
        )

    def _images(self, root: Path) -> dict[str, list[str]]:
        """Return the image files by stem; JPEGs stand first, for masks may bear the names of their images."""
        by_stem: dict[str, list[str]] = defaultdict(list)
        for path in sorted(image_files(root), key=lambda path: not path.lower().endswith(JPEG)):
            by_stem[PurePosixPath(path).stem].append(path)
        return by_stem

    def _check(self, table: Table) -> None:
        """Refuse the table where any row is wrong, also one without an image: a broken copy is wrong throughout."""
        diagnosis: dict[str, str] = {}
        for line, row in table.rows:
            lesion, dx = row["lesion_id"], row["dx"]
            if dx not in DIAGNOSES:
                raise DataError(f"{table.path}, line {line}: unknown dx {dx!r}; known: {', '.join(DIAGNOSES)}")
            if not (lesion and row["image_id"]):
                raise DataError(f"{table.path}, line {line}: {'image_id' if lesion else 'lesion_id'} is empty")
            if diagnosis.setdefault(lesion, dx) != dx:
                raise DataError(
                    f"{table.path}, line {line}: lesion {lesion!r} is {dx} here and {diagnosis[lesion]} above; "
                    "a lesion has one dx"
                )
        refuse_repeats(((line, row["image_id"]) for line, row in table.rows), what="image_id", table=table.path)

    def _sample(self, row: Mapping[str, str], path: str) -> Sample:
        attributes = {name: value for name, value in row.items() if name not in NEEDED and name}
        return Sample(row["image_id"], path, row["dx"], row["lesion_id"], row["lesion_id"], attributes)

    def _refuse_unlike_copies(self, root: Path, found: list[list[str]]) -> None:
        """Refuse JPEGs of one name but of different size in bytes: only one of them can be the image."""
        for paths in found:
            twins = [path for path in paths if path.lower().endswith(JPEG)] if len(paths) > 1 else []
            if len({_size(f"{root}/{path}") for path in twins}) > 1:
                raise DataError(
                    f"{twins[0]} and {twins[1]} under {root} bear one name but are different files; "
                    "move those away that are not meant"
                )

    def _notes(self, by_stem: dict[str, list[str]], samples: list[Sample]) -> tuple[str, ...]:
        notes = []
        if copies := sum(map(len, by_stem.values())) - len(by_stem):
            notes.append(f"{copies} further copies of images (same name in another folder) are not used")
        if extra := len(by_stem.keys() - {sample.id for sample in samples}):
            notes.append(f"{extra} images are in no row of the metadata and are not used")
        return tuple(notes)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return -1


ADAPTER = Ham10000()
