"""Class folders: the adapter ``folder``. The name of a folder is the diagnosis. Never looks at pixels.

``root/<diagnosis>/...`` or ``root/{train,val,test}/<diagnosis>/...``; the latter is an official split.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from featx.datasets.base import Columns, Dataset, Sample, image_files, slug
from featx.datasets.table_dataset import SPLIT_WORDS
from featx.errors import DataError, UsageError


class Folder:
    """The adapter ``folder``."""

    name = "folder"
    expects = "a folder with one folder of images for each class, or train/, val/, test/ of such"
    precedence = 0
    supersedes: tuple[str, ...] = ()
    designs: tuple[str, ...] = ()

    def recognise(self, data: Path) -> str | None:
        """Return the class folders' names where there are at least two."""
        if not data.is_dir():
            return None
        classes = {sample.diagnosis for sample in self._samples(image_files(data))}
        if any(_says_nothing(name) for name in classes):
            return None
        return ", ".join(sorted(classes)[:8]) if len(classes) > 1 else None

    def read(self, data: Path, *, columns: Columns) -> Dataset:
        """Read the samples from the paths.

        Raises
        ------
        DataError
            Where there are no images in class folders, or where folders of a split stand among others.
        """
        if not data.is_dir():
            raise DataError(f"{data} is a file; {self.expects} was expected")
        if columns.labels is not None:
            raise UsageError("class folders say what their images are; leave --labels out, or take --dataset csv")
        files = image_files(data)
        self._refuse_half_a_split(data, files)
        samples = self._samples(files)
        if not samples:
            raise DataError(f"{data} holds no images in class folders; {self.expects} was expected")
        notes = ("the diagnoses are the names of the folders",)
        loose = Counter("in no class folder" for _ in range(len(files) - len(samples)))
        root = data.resolve()
        return Dataset(slug(root.name), self.name, root, tuple(samples), dict(loose), notes=notes, labels_in_paths=True)

    def _samples(self, files: list[str]) -> list[Sample]:
        parts = [(path, path.split("/")) for path in files]
        splits = all(name.lower() in SPLIT_WORDS for name in _top(files))
        return [_sample(path, p, splits) for path, p in parts if len(p) > 1 + splits]

    def _refuse_half_a_split(self, data: Path, files: list[str]) -> None:
        parts = [name for name in _top(files) if name.lower() in SPLIT_WORDS]
        others = [name for name in _top(files) if name not in parts]
        if parts and others:
            raise DataError(
                f"{data}: the folders {', '.join(parts)} look like a split of the images, {', '.join(others[:8])} do "
                "not; move those that are not meant, or name each image's label in a table"
            )


def _says_nothing(name: str) -> bool:
    """Return whether a folder's name says that images are in it, and not what they show."""
    words = (
        "images?|imgs?|pictures?|photos?|jpe?gs?|pngs?|masks?|labels?|annotations?|originals?|superpixels?|thumbnails?"
    )
    ends = rf".*[_ -]({words}|input|data|part[_ -]?\d+)"
    part = "(train|test|val)(ing|idation)?[_ -].*"
    return re.fullmatch(f"{words}|{ends}|{part}|ground[_ -]?truth", name, re.IGNORECASE) is not None


def _top(files: list[str]) -> list[str]:
    """Return the folders at the top that hold images."""
    return sorted({path.partition("/")[0] for path in files if "/" in path})


def _sample(path: str, parts: list[str], splits: bool) -> Sample:
    attributes = {"split": SPLIT_WORDS[parts[0].lower()]} if splits else {}
    own = f"image {path}"
    return Sample(path, path, parts[int(splits)], own, own, attributes)


ADAPTER = Folder()
