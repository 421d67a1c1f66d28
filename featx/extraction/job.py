"""What computes needs to know: a network, what is taken from it, how an image becomes pixels. It travels to a process.

Knows rows by their number and their image's path; never the dataset, the cache's files or the sample table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import images
from featx.backbones import Backbone, Layer
from featx.backbones.weights import WeightsSource
from featx.cache import OK, new_record

FAILED = 2
PIXELS = "pixels"  # what is made of a picture


@dataclass(frozen=True)
class Job:
    """What a run computes, whichever process does.

    Attributes
    ----------
    root : pathlib.Path
        The folder that the images' paths start from.
    backbone, source, weights, layers
        The network, where its weights come from, their digest, and where features are taken.
    transform, normalise, pool, precision, batch_size
        As in :func:`featx.extraction.extract`, settled.
    runtime, device : str
        ``torch`` or ``openvino``, and ``cpu`` or ``cuda``.
    strict : bool
        Whether the runtime was asked for by name, so that no other will do.
    memo, graphs : pathlib.Path
        Where digests of weights are remembered, and where converted networks are kept.
    """

    root: Path
    backbone: Backbone
    source: WeightsSource
    weights: str
    layers: tuple[Layer, ...]
    transform: images.Transform
    normalise: images.Normalisation
    pool: str
    precision: str
    batch_size: int
    runtime: str
    device: str
    strict: bool
    memo: Path
    graphs: Path


@dataclass(frozen=True)
class Look:
    """What is wanted of image files by themselves, without a network: what each file is.

    Attributes
    ----------
    root : pathlib.Path
        The folder that the images' paths start from.
    """

    root: Path


@dataclass(frozen=True)
class Picture:
    """What is wanted of image files as networks take them, without a network: their pixels.

    Attributes
    ----------
    root : pathlib.Path
        The folder that the images' paths start from.
    transform : Transform
        How an image becomes a square.
    """

    root: Path
    transform: images.Transform


Task = Job | Look | Picture


class Item(NamedTuple):
    """A row to compute, and its image's path from the root, or its pixels as the network takes them."""

    row: int
    path: str
    pixels: np.ndarray | None = None


class Opened(NamedTuple):
    """A network that is ready: the length of each layer's features, what runs it and where, and what to tell of it."""

    dims: dict[str, int]
    runtime: str
    device: str
    hardware: str
    notes: tuple[str, ...] = ()


class Done(NamedTuple):
    """Rows that were gone through.

    Attributes
    ----------
    rows : numpy.ndarray of int64, shape (n,)
        Which.
    records : numpy.ndarray of RECORD, shape (n,)
        The image that each came from, or why there are no features.
    features : dict of str to numpy.ndarray of float32, shape (n, D)
        By layer, NaN where there are none; empty where no row has any. Of a :class:`Picture`, ``PIXELS`` alone: uint8
        of shape (n, s, s, 3), black where there are none.
    passes : int
        Forward passes.
    prints : dict of int to list
        Fingerprints of the files, by row, as :func:`featx.fingerprints.row_of` gives them.
    """

    rows: np.ndarray
    records: np.ndarray
    features: dict[str, np.ndarray]
    passes: int
    prints: dict[int, list[Any]]

    def reasons(self) -> Iterator[tuple[int, str]]:
        """Yield each row that failed, with the reason."""
        for row, record in zip(self.rows.tolist(), self.records, strict=True):
            if record["status"] != OK:
                yield row, record["reason"].item().decode(errors="replace")


def drawn() -> np.ndarray:
    """Return the record of pixels that came from no file."""
    return new_record(status=OK, size=0, mtime_ns=0, sha256=bytes(32).hex())


def record_of(source: images.Source) -> np.ndarray:
    """Return the record of an image that was read."""
    return new_record(status=OK, size=source.stat.size, mtime_ns=source.stat.mtime_ns, sha256=source.sha256)


def failure(stat: images.Stat | None, reason: str, *, source: images.Source | None = None) -> np.ndarray:
    """Return the record of an image that failed, with its size, time and, where it was read, digest.

    Size and time are those before it was looked at, None where there was no file: what came since is to be looked at.
    """
    stat = source.stat if source else stat or images.Stat(0, 0)
    sha256 = source.sha256 if source else bytes(32).hex()
    return new_record(status=FAILED, size=stat.size, mtime_ns=stat.mtime_ns, sha256=sha256, reason=reason)
