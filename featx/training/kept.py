"""Activations of a frozen beginning, kept in files, so that each image goes through it once and not in every epoch.

A file belongs to one beginning (operations and weights), one set of decoded images and one way to lay them. Images have
their places, and go through in the same batches at whatever time and for whichever rows, so that a training that goes
on after a kill finds the same bits. Each batch has hashes of its pixels and of its activations, which are checked.
This file must never know diagnoses, or who learns from which row.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from featx import atomic, augment
from featx.provenance import digest_arrays, digest_json, versions
from featx.training.pixels import Feed
from featx.training.prefix import Divided

if TYPE_CHECKING:
    import torch

FORMAT = 1
TOGETHER = 32  # images in one pass
NOTED = 30.0  # seconds after which what is there so far is noted, for a run that is killed
SPARED = 0.5  # of the free disk, which is left to others
_STORED = {"float32": np.float32, "bfloat16": np.int16, "float16": np.float16}


class TooLarge(Exception):
    """Activations would take more room than they may."""


@dataclass(frozen=True)
class Bank:
    """Where activations are kept, and of which images.

    Attributes
    ----------
    folder : pathlib.Path
        The folder.
    name : str
        What the images are called; files begin with it.
    pixels : numpy.ndarray of uint8, shape (n, s, s, 3)
        All images, decoded, by place.
    most : float
        Bytes that one training may ask for.
    """

    folder: Path
    name: str
    pixels: np.ndarray
    most: float


class Kept:
    """Activations of images by place.

    Parameters
    ----------
    divided : Divided
        The beginning.
    bank : Bank
        Where they are kept.
    feed : Feed
        Turns pixels into what the network takes.
    ways : tuple of int
        How images may be laid, of :func:`featx.augment.every_way`.
    together : int
        Images in one pass.
    device, precision : str
        Where the network is, and whether activations are in bf16.

    Raises
    ------
    TooLarge
        Where there is not so much room.
    """

    def __init__(
        self,
        divided: Divided,
        bank: Bank,
        feed: Feed,
        *,
        ways: tuple[int, ...],
        together: int = TOGETHER,
        device: str,
        precision: str,
    ) -> None:
        self.divided, self.bank, self.feed = divided, bank, feed
        self.together, self.device, self.precision = together, device, precision
        n, shape = len(bank.pixels), _last(divided.shape)
        stored = np.dtype(_STORED[divided.dtype])
        _refuse_beyond(len(ways) * n * int(np.prod(shape)) * stored.itemsize, bank)
        stem = f"{bank.name}--{self._key()[:16]}"
        self._files = {way: _File(bank.folder / f"{stem}-{way}.act", (n, *shape), stored) for way in ways}

    def _key(self) -> str:
        """Return the digest of all that decides what the activations of given pixels are."""
        about = {
            "format": FORMAT,
            "code": self.divided.code,
            "weights": digest_arrays(self.divided.tensors()),
            "normalise": asdict(self.feed.normalise),
            "together": self.together,
            "device": self.device,
            "precision": self.precision,
            "versions": versions(("featx", "torch", "torchvision")),
        }
        return digest_json(about)

    def fill(self, wanted: Mapping[int, np.ndarray]) -> int:
        """Compute what is not there; return how many images went through.

        Parameters
        ----------
        wanted : mapping of int to numpy.ndarray of int64
            Places of images, by the way that they are laid. What shares a batch with them is computed too.
        """
        passed, noted = 0, monotonic()
        for way, places in wanted.items():
            file = self._files[way]
            for batch in np.unique(places // self.together).tolist():
                rows = slice(batch * self.together, min((batch + 1) * self.together, len(self.bank.pixels)))
                pixels = np.ascontiguousarray(self.bank.pixels[rows])
                if file.holds(batch, rows, pixels):
                    continue
                file.put(batch, rows, pixels, self._computed(pixels, way))
                passed += len(pixels)
                if monotonic() - noted > NOTED:
                    file.note()
                    noted = monotonic()
            file.note()
        return passed

    def _computed(self, pixels: np.ndarray, way: int) -> np.ndarray:
        """Put one batch through, filled up to its full size."""
        import torch

        full = np.zeros((self.together, *pixels.shape[1:]), dtype=np.uint8)
        full[: len(pixels)] = pixels
        batch = augment.laid(self.feed(full), way).contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            value = self.divided.before(batch)[: len(pixels)]
        value = value.permute(0, 2, 3, 1) if value.ndim == 4 else value
        value = value.contiguous().cpu()
        return (value.view(torch.int16) if value.dtype == torch.bfloat16 else value).numpy()

    def take(self, ways: np.ndarray, places: np.ndarray) -> torch.Tensor:
        """Return activations of images that were filled in, as the rest of the network takes them.

        Parameters
        ----------
        ways, places : numpy.ndarray of int, shape (b,)
            How each image is laid, and its place.
        """
        import torch

        first = self._files[int(ways[0])].values
        rows = np.empty((len(places), *first.shape[1:]), dtype=first.dtype)
        for way in np.unique(ways).tolist():
            at = ways == way
            rows[at] = self._files[way].values[places[at]]
        value = torch.from_numpy(rows).view(getattr(torch, self.divided.dtype)).to(self.device, non_blocking=True)
        return value.permute(0, 3, 1, 2) if value.ndim == 4 else value


class _File:
    """Activations of all images, laid one way, mapped into memory; and what is known of each batch."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.path, self.index = path, path.with_suffix(".json")
        size = int(np.prod(shape)) * dtype.itemsize
        _reserve(path, size)
        self.values = np.memmap(path, dtype=dtype, mode="r+", shape=shape)
        self.known = self._read()

    def _read(self) -> dict[str, list[str]]:
        try:
            told = json.loads(self.index.read_text(encoding="utf-8"))
            return dict(told["batches"]) if told["format"] == FORMAT else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def holds(self, batch: int, rows: slice, pixels: np.ndarray) -> bool:
        """Return whether a batch is there: from these pixels, and as it was written."""
        return self.known.get(str(batch)) == [_hash(pixels), _hash(self.values[rows])]

    def put(self, batch: int, rows: slice, pixels: np.ndarray, values: np.ndarray) -> None:
        """Write a batch."""
        self.values[rows] = values
        self.known[str(batch)] = [_hash(pixels), _hash(values)]

    def note(self) -> None:
        """Note which batches are there, once they are on the disk."""
        self.values.flush()
        atomic.write_text(self.index, json.dumps({"format": FORMAT, "batches": self.known}))


def _last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a map with its channels last, as it is kept."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def _refuse_beyond(size: int, bank: Bank) -> None:
    bank.folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(bank.folder).free * SPARED
    if size > bank.most:
        raise TooLarge(f"its activations would take {size / 1e9:.1f} GB, more than the {bank.most / 1e9:g} allowed")
    if size > free:
        raise TooLarge(f"its activations would take {size / 1e9:.1f} GB, more than half of what the disk has free")


def _reserve(path: Path, size: int) -> None:
    """Make a file of a size, its room reserved: a disk that is full is then told here and not by a signal."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if os.fstat(handle).st_size != size:
            os.ftruncate(handle, 0)
            os.posix_fallocate(handle, 0, size)
    except OSError as error:
        raise TooLarge(f"its activations have no room on the disk ({error.strerror})") from error
    finally:
        os.close(handle)


def _hash(values: np.ndarray) -> str:
    return xxhash.xxh3_64_hexdigest(np.ascontiguousarray(values).data)
