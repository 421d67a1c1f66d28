"""Pictures and their copies on the disk, as a dataset like any other: lossless files and one table.

The table says of each file what it shows, which lesion or patient, and which image it was made from; which of those
may not be divided is for whoever reads it. Copies are made of what a network takes, after resizing, so that a turned
picture is the very picture turned. This file must never know classes, splits or networks.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from featx import runs
from featx.augment import turned
from featx.cache.places import Places
from featx.datasets import SYNTHETIC, Columns, Dataset, open_dataset
from featx.datasets.base import slug
from featx.engine import OnProgress, cores
from featx.pipeline.leak.protocols import Version
from featx.provenance import digest_json

RULES = 1  # raised whenever a change here writes other files
TABLE, IMAGES = "metadata.csv", "images"
HEADER = ("image", "diagnosis", "lesion", "original", "copy", "dataset")
APART = {"published": "image", "image": "original", "group": "lesion"}  # columns, by what an arm holds apart
LONGEST = 60  # characters of a sample's id in a file's name


def names_of(dataset: Dataset, versions: Sequence[Version]) -> list[str]:
    """Return the file of each version: row, id, and what was done."""
    width = len(str(len(dataset.samples)))
    stems = [f"{row:0{width}d}-{slug(sample.id)[-LONGEST:]}" for row, sample in enumerate(dataset.samples)]
    return [f"{stems[v.of]}{f'~{v.copy}-{v.name}' * bool(v.copy)}.png" for v in versions]


def written(
    dataset: Dataset,
    versions: Sequence[Version],
    pixels: Callable[[int], np.ndarray],
    *,
    groups: Sequence[str],
    about: Any,
    places: Places,
    called: str,
    on_progress: OnProgress | None = None,
) -> Path:
    """Write each picture and each copy, and return the table; what was written before is found.

    Parameters
    ----------
    dataset : Dataset
        The pictures.
    versions : sequence of Version
        What is made of them; the pictures themselves first.
    pixels : callable
        Takes the number of a picture, returns it as a network takes it: uint8 of shape (s, s, 3).
    groups : sequence of str
        What may not be divided, one a picture.
    about : plain value
        Where the pixels come from: digests of the images and the transform.
    places : Places
        The cache: files go to ``leak/`` there.
    called : str
        What the folder is called after the dataset.
    on_progress : callable, optional
        Told (done, total) pictures.
    """
    names = names_of(dataset, versions)
    key = digest_json([RULES, about, names, [list(v) for v in versions], list(groups)])
    folder = places.root / "leak" / f"{dataset.name}-{called}-{key[:8]}"
    table = folder / TABLE
    if table.exists():
        return table
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped: its table would have come last
    (folder / IMAGES).mkdir(parents=True)
    own: dict[int, list[int]] = {}
    for at, version in enumerate(versions):
        own.setdefault(version.of, []).append(at)

    def make(row: int) -> None:
        for at in own[row]:
            data = _png(turned(pixels(row), versions[at].moves), names[at])
            (folder / IMAGES / names[at]).write_bytes(data)

    with ThreadPoolExecutor(cores()) as pool:
        for done, _ in enumerate(pool.map(make, own), start=1):
            if on_progress is not None:
                on_progress(done, len(own))
    rows = [_row(dataset, version, names, groups) for version in versions]
    runs.write_csv(table, HEADER, [[name, *row] for name, row in zip(names, rows, strict=True)])
    return table


def _row(dataset: Dataset, version: Version, names: Sequence[str], groups: Sequence[str]) -> list[Any]:
    """Return the table's row of a version without its own name; the first names are those of the pictures."""
    sample = dataset.samples[version.of]
    source = SYNTHETIC if dataset.synthetic else dataset.name
    return [sample.diagnosis, groups[version.of], names[version.of], version.copy, source]


def _png(pixels: np.ndarray, name: str) -> bytes:
    """Return a PNG that carries its name: files of equal pixels would else count as one image, joined in one group."""
    from PIL import Image, PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text("Title", name)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG", pnginfo=text, compress_level=1)
    return stream.getvalue()


def columns(apart: str) -> Columns:
    """Return which columns of the table say what, for an arm.

    Parameters
    ----------
    apart : {"published", "image", "group"}
        Each file is its own group; all versions of an image are one; all of a lesion or patient are.
    """
    return Columns(image="image", label="diagnosis", group=APART[apart])


def read(table: Path, *, apart: str = "group") -> Dataset:
    """Return what was written as a dataset, with that for its groups which an arm holds apart."""
    return open_dataset(table, adapter="csv", columns=columns(apart))
