"""Decoded images, kept as bytes of pixels in the cache, so that an epoch does not wait for JPEG.

One file for a dataset and a transform, mapped into memory; each row has a hash that is checked when the file is opened,
and the size and time of the image that it was decoded from. An image that changed is decoded again. This file must
never know diagnoses, groups, or who learns from which row.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash

from featx import atomic, images
from featx.engine import OnProgress, cores
from featx.extraction import pictures
from featx.extraction.inventory import DECODERS
from featx.images import Normalisation, Transform
from featx.provenance import digest_json, versions

FORMAT = 1
PASSING = ("timeout", "unreadable")  # how the reasons begin that may be gone the next time


class Examples(NamedTuple):
    """Rows that a network may learn from, or be watched on: pixels and classes of these rows and of no others.

    Attributes
    ----------
    pixels : callable
        Takes places in ``y``, returns uint8 of shape (b, s, s, 3).
    y : numpy.ndarray of int64, shape (n,)
        Class codes.
    places : numpy.ndarray of int64, shape (n,), or None
        Where each row stands among all images, by which activations of it are kept; None where none are.
    """

    pixels: Callable[[np.ndarray], np.ndarray]
    y: np.ndarray
    places: np.ndarray | None = None


@dataclass(frozen=True)
class Pixels:
    """Decoded images.

    Attributes
    ----------
    values : numpy.ndarray of uint8, shape (n, s, s, 3)
        Mapped into memory; rows that failed are black.
    digests : tuple of str
        sha256 of each image file; empty where it could not be read.
    failed : dict of str to str
        Images that could not be decoded, with the reason.
    decoded : int
        Images decoded now; the others were there.
    name : str
        What this set of decoded images is called in names of files.
    """

    values: np.ndarray
    digests: tuple[str, ...]
    failed: dict[str, str]
    decoded: int
    name: str

    def examples(self, rows: np.ndarray, y: np.ndarray) -> Examples:
        """Return some rows alone, with their classes."""
        rows = rows.copy()
        return Examples(lambda at: self.values[rows[at]], y, rows)


class _Row(NamedTuple):
    """What is known of an image: size and time, sha256, hash of its pixels, and why there are none."""

    size: int
    mtime_ns: int
    sha256: str
    hash: str
    reason: str


def decoded(
    root: Path,
    paths: Sequence[str],
    transform: Transform,
    *,
    folder: Path,
    name: str,
    on_progress: OnProgress | None = None,
) -> Pixels:
    """Return the pixels of images: from the cache where they are unchanged, decoded where not.

    A process of its own decodes on all cores: an image that no decoder survives is one that failed.

    Parameters
    ----------
    root : pathlib.Path
        Where the paths start.
    paths : sequence of str
        The images.
    transform : Transform
        How they become squares.
    folder : pathlib.Path
        Where pixels are kept.
    name : str
        The dataset's name, which the file begins with.
    on_progress : callable, optional
        Told (done, total) images.
    """
    described = [FORMAT, transform.describe(), str(root.resolve()), list(paths)]
    file = folder / f"{name}--{digest_json(described)[:8]}.u8"
    shape = (len(paths), transform.size, transform.size, 3)
    known = _known(file, shape)
    stats = [images.stat_of(root / path) for path in paths]
    todo = [row for row, stat in enumerate(stats) if stat is None or known[row] is None or known[row][:2] != stat]
    if todo:
        known = _decode(root, paths, transform, file, known=known, todo=todo, on_progress=on_progress)
    rows = [row for row in known if row is not None]
    failed = {path: row.reason for path, row in zip(paths, rows, strict=True) if row.reason}
    values = np.memmap(file, dtype=np.uint8, mode="r", shape=shape)
    return Pixels(values, tuple(row.sha256 for row in rows), failed, len(todo), file.stem)


def _known(file: Path, shape: tuple[int, ...]) -> list[Any]:
    """Return what is known of each row whose pixels are those that were written, None for the others.

    What may have passed since is not known: a disk that did not answer, rights, a decoder that died and is another now.
    """
    try:
        index = json.loads(_index(file).read_text(encoding="utf-8"))
        rows = [_Row(*row) for row in index["rows"]]
        again = PASSING if index.get("decoders") == versions(DECODERS) else (*PASSING, "decoder_crash")
        values = np.memmap(file, dtype=np.uint8, mode="r", shape=shape)
    except (OSError, ValueError, KeyError, TypeError):
        return [None] * shape[0]
    if len(rows) != shape[0]:
        return [None] * shape[0]
    with ThreadPoolExecutor(cores()) as pool:
        hashes = list(pool.map(_hash, values))
    kept = [row.hash == own and not row.reason.startswith(again) for row, own in zip(rows, hashes, strict=True)]
    return [row if keep else None for row, keep in zip(rows, kept, strict=True)]


def _index(file: Path) -> Path:
    return file.with_suffix(".json")


def _hash(pixels: np.ndarray) -> str:
    return xxhash.xxh3_64_hexdigest(np.ascontiguousarray(pixels).data)


def _decode(
    root: Path,
    paths: Sequence[str],
    transform: Transform,
    file: Path,
    *,
    known: Sequence[Any],
    todo: Sequence[int],
    on_progress: OnProgress | None,
) -> list[Any]:
    """Write a new file with what is there already and what is decoded now, and put it in the old one's place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    found = list(known)
    try:
        values = np.memmap(fresh, dtype=np.uint8, mode="w+", shape=(len(paths), transform.size, transform.size, 3))
        if any(row is not None for row in known):
            old = np.memmap(file, dtype=np.uint8, mode="r", shape=values.shape)
            for row in set(range(len(paths))) - set(todo):
                values[row] = old[row]
        for done, one in enumerate(pictures.taken(root, paths, todo, transform), start=1):
            values[one.row] = 0 if one.pixels is None else one.pixels
            found[one.row] = _Row(one.size, one.mtime_ns, one.sha256, _hash(values[one.row]), one.reason)
            if on_progress is not None:
                on_progress(done, len(todo))
        values.flush()
        os.replace(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)
    atomic.write_text(_index(file), json.dumps({"format": FORMAT, "decoders": versions(DECODERS), "rows": found}))
    return found


class Feed:
    """Turns pixels into what a network takes: normalised, on its device.

    Parameters
    ----------
    normalise : Normalisation
        What the weights expect.
    device : str
        Where the network is.
    """

    def __init__(self, normalise: Normalisation, *, device: str) -> None:
        import torch

        std = np.asarray(normalise.std)
        scale, shift = normalise.scale / std, -np.asarray(normalise.mean) / std
        self._scale, self._shift = (
            torch.tensor(values, dtype=torch.float32, device=device).view(1, 3, 1, 1) for values in (scale, shift)
        )
        self.normalise, self._bgr, self._device = normalise, normalise.bgr, device

    def __call__(self, pixels: np.ndarray) -> Any:
        """Return a float32 tensor of shape (b, 3, s, s), channels last in memory."""
        import torch

        batch = torch.from_numpy(pixels).to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        batch = batch.flip(1) if self._bgr else batch
        return torch.addcmul(self._shift, batch, self._scale).contiguous(memory_format=torch.channels_last)
