"""HAM10000 (Tschandl et al. 2018), as downloaded from Harvard Dataverse or from Kaggle.

A file ``HAM10000_metadata`` (``.csv``, ``.tab``, ``.tsv`` or no ending) names the images; they lie in any folders
below. A group is a lesion; patients are not published. Never looks at pixels.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

from featx.datasets.base import SYNTHETIC, Columns, Dataset, Sample, image_files, refuse_duplicate_ids, slug
from featx.datasets.tables import Table, read_table
from featx.errors import DataError

NAME = "HAM10000_metadata"
DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
NEEDED = ("lesion_id", "image_id", "dx")


class Ham10000:
    """The adapter ``ham10000``."""

    name = "ham10000"
    expects = f"a folder with {NAME} (.csv, .tab, .tsv or no ending) and its images in any folders below"
    precedence = 2

    def recognise(self, data: Path) -> str | None:
        """Return the metadata file's name where there is one."""
        found = self._tables(data)
        return found[0].name if found else None

    def read(self, data: Path, *, columns: Columns) -> Dataset:
        """Read the metadata and find each row's image.

        Raises
        ------
        DataError
            A missing column, an unknown ``dx``, an id that stands twice, a lesion with two diagnoses, no image at all.
        """
        root = data if data.is_dir() else data.parent
        tables = self._tables(data)
        if not tables:
            raise DataError(f"{data} holds no file {NAME}; {self.expects} was expected")
        table = read_table(tables[0])
        if missing := [name for name in NEEDED if name not in table.header]:
            raise DataError(f"{table.path}: no column {missing[0]!r} among {', '.join(table.header)}")
        return self._dataset(root, table)

    def _tables(self, data: Path) -> list[Path]:
        if data.is_file():
            return [data] if data.name.lower().startswith(NAME.lower()) else []
        endings = {NAME.lower() + ending for ending in ("", ".csv", ".tab", ".tsv")}
        levels = (data.glob(pattern) for pattern in ("*", "*/*"))
        return [path for level in levels for path in sorted(level) if path.name.lower() in endings and path.is_file()]

    def _dataset(self, root: Path, table: Table) -> Dataset:
        by_stem: dict[str, str] = {}
        files = image_files(root)
        for path in files:
            by_stem.setdefault(PurePosixPath(path).stem, path)
        samples, dropped = [], Counter[str]()
        for line, row in table.rows:
            self._check(table.path, line, row)
            if row["image_id"] in by_stem:
                samples.append(self._sample(row, by_stem[row["image_id"]]))
            else:
                dropped["no image file"] += 1
        if not samples:
            raise DataError(f"none of the {len(table.rows)} images that {table.path} names lies under {root}")
        refuse_duplicate_ids(samples, where=str(table.path))
        self._refuse_two_diagnoses(table.path, samples)
        return Dataset(
            name=slug(root.resolve().name),
            adapter=self.name,
            root=root,
            samples=tuple(samples),
            dropped=dict(dropped),
            group_kind="lesion",
            unit_kind="lesion",
            synthetic=any(sample.attributes.get("dataset") == SYNTHETIC for sample in samples),
            notes=self._notes(files, by_stem, samples),
        )

    def _check(self, path: Path, line: int, row: dict[str, str]) -> None:
        if row["dx"] not in DIAGNOSES:
            raise DataError(f"{path}, line {line}: unknown dx {row['dx']!r}; known: {', '.join(DIAGNOSES)}")
        for name in ("lesion_id", "image_id"):
            if not row[name]:
                raise DataError(f"{path}, line {line}: {name} is empty")

    def _sample(self, row: dict[str, str], path: str) -> Sample:
        attributes = {name: value for name, value in row.items() if name not in NEEDED and name}
        return Sample(row["image_id"], path, row["dx"], row["lesion_id"], row["lesion_id"], attributes)

    def _refuse_two_diagnoses(self, path: Path, samples: list[Sample]) -> None:
        first: dict[str, str] = {}
        for sample in samples:
            if first.setdefault(sample.group, sample.diagnosis) != sample.diagnosis:
                raise DataError(
                    f"{path}: lesion {sample.group!r} is both {first[sample.group]} and {sample.diagnosis}; "
                    "a lesion has one dx"
                )

    def _notes(self, files: list[str], by_stem: dict[str, str], samples: list[Sample]) -> tuple[str, ...]:
        notes = []
        if copies := len(files) - len(by_stem):
            notes.append(f"{copies} further copies of images (same name in another folder) are not used")
        if extra := len(by_stem.keys() - {sample.id for sample in samples}):
            notes.append(f"{extra} images are in no row of the metadata and are not used")
        return tuple(notes)


ADAPTER = Ham10000()
