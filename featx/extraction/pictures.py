"""Pixels of images, decoded in a process of its own: a decoder that crashes, loops or eats memory costs that image.

Knows files and how they become squares; never a network, features or the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from featx.cache import OK
from featx.extraction.crew import Child, Crew
from featx.extraction.job import PIXELS, Item, Picture
from featx.images import Transform

AT_ONCE = 16  # images handed over together


class Decoded(NamedTuple):
    """An image that was gone through.

    Attributes
    ----------
    row : int
        Which.
    size, mtime_ns : int
        Of the file, 0 where there is none.
    sha256 : str
        Of its bytes; empty where they could not be read.
    reason : str
        Why there are no pixels; empty where there are.
    pixels : numpy.ndarray of uint8, shape (s, s, 3), or None
        The square.
    """

    row: int
    size: int
    mtime_ns: int
    sha256: str
    reason: str
    pixels: np.ndarray | None


def taken(
    root: Path, paths: Sequence[str], rows: Sequence[int], transform: Transform, *, crew: Crew | None = None
) -> Iterator[Decoded]:
    """Yield images as they come, in any order.

    Parameters
    ----------
    root : pathlib.Path
        Where the paths start.
    paths : sequence of str
        The images.
    rows : sequence of int
        Which of them are wanted.
    transform : Transform
        How they become squares.
    crew : Crew, optional
        Who decodes; a process of its own by default, on all cores.
    """
    if crew is None:
        with Child() as own:
            yield from taken(root, paths, rows, transform, crew=own)
        return
    items = [Item(row, paths[row]) for row in rows]
    crew.open(Picture(root.absolute(), transform))
    for done in crew.work([items[at : at + AT_ONCE] for at in range(0, len(items), AT_ONCE)]):
        reasons = dict(done.reasons())
        for at, (row, record) in enumerate(zip(done.rows.tolist(), done.records, strict=True)):
            digest = bytes(record["sha256"]).hex() if record["sha256"].any() else ""
            pixels = done.features[PIXELS][at] if record["status"] == OK else None
            yield Decoded(row, int(record["size"]), int(record["mtime_ns"]), digest, reasons.get(row, ""), pixels)
