"""The reading half of the feature store: a file is believed as far as its hashes fit.

No HDF5 code is touched. This file must never know torch, a dataset by name, what the sample table says, or how a
row is written.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from featx.cache.layout import (
    HASH,
    OK,
    PENDING,
    RECORD,
    Head,
    UnsoundError,
    as_bytes,
    hash_rows,
    key_of,
    nothing,
    read_at,
    read_head,
    unframe,
)
from featx.errors import CacheDamaged, CacheError, CacheMismatch
from featx.provenance import canonical_json, digest_bytes

BLOCK = 1 << 24  # bytes that a thread reads and hashes in one go: smaller ones cost hand-overs, a quarter of the time


class FeatureFile:
    """A feature file for reading; a context manager.

    Opening checks the seal and every byte that never changes, without HDF5. Rows are checked when they are read.

    Attributes
    ----------
    path : pathlib.Path
    head : featx.cache.layout.Head
        What the seal says.
    """

    _flags = os.O_RDONLY

    def __init__(self, path: Path, descriptor: int, *, head: Head, seal: str) -> None:
        self.path = path
        self.head = head
        self._seal = seal
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a feature file.

        Raises
        ------
        CacheDamaged
            Where its head, its size or the bytes that never change are not what was written.
        CacheError
            Where it cannot be read at all.
        """
        return cls(Path(path), **opened(Path(path), cls._flags))

    def close(self) -> None:
        """Close the file; again is no error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path} ({self.n:,} x {self.dim:,} {self.dtype})>"

    @property
    def n(self) -> int:
        """Rows."""
        return self.head.n

    @property
    def dim(self) -> int:
        """Features of a row."""
        return self.head.dim

    @property
    def dtype(self) -> str:
        """How features are stored: ``float32``, ``float16`` or ``uint8``."""
        return self.head.dtype

    @property
    def key(self) -> str:
        """The sha256 of the spec, 64 hex digits."""
        return self.head.key

    @property
    def spec(self) -> dict[str, Any]:
        """Everything that changes a feature."""
        return dict(self.head.spec)

    @property
    def env(self) -> dict[str, Any]:
        """What made the file."""
        return dict(self.head.env)

    @cached_property
    def paths(self) -> list[str]:
        """The identity of each row, in the order of rows."""
        stored = np.frombuffer(self._bytes("path"), f"S{self.head.path_len}")
        return [os.fsdecode(name) for name in stored.tolist()]

    @cached_property
    def table(self) -> str:
        """The sample table, as it was given."""
        return self._bytes("samples").decode(errors="surrogatepass")

    @property
    def finished(self) -> dict[str, Any] | None:
        """What the finish record says (rows, ok, failed, content, created, finished), or None without a sound one."""
        try:
            fields = unframe(bytes(self._bytes("finish")))
        except UnsoundError:
            return None
        return fields if fields.get("seal") == self._seal and fields.get("rows") == self.n else None

    @property
    def complete(self) -> bool:
        """Whether the file was finished, and its row hashes are still those that it was finished with."""
        finished = self.finished
        return finished is not None and finished.get("content") == digest_bytes(bytes(self._bytes("row_hash")))

    def expect(self, spec: Mapping[str, Any]) -> None:
        """Refuse a file that holds other features than those of a spec.

        Raises
        ------
        CacheMismatch
            It names every entry that differs.
        """
        if key_of(spec) != self.key:
            raise CacheMismatch(
                f"{self.path} holds other features than asked for ({differences(self.spec, spec)}); "
                "ask for these, or name another file"
            )

    def records(self) -> np.ndarray:
        """Return the records as stored, an array of RECORD of shape (n,); those of pending rows mean nothing."""
        return np.frombuffer(self._bytes("meta"), RECORD)

    def valid(self, threads: int | None = None) -> np.ndarray:
        """Return whether the hash of each row fits its bytes, an array of bool of shape (n,).

        Parameters
        ----------
        threads : int, optional
            Threads that read and hash; by default two, where there are two processors.
        """
        return self._checked(None, self.records(), threads=threads)

    def status(self) -> np.ndarray:
        """Return the status of each row, an array of uint16 of shape (n,): PENDING wherever the hash does not fit."""
        records = self.records()
        valid = self._checked(None, records)
        return np.where(valid, records["status"], np.uint16(PENDING))

    def load(self, *, verify: bool = True) -> np.ndarray:
        """Return the features; rows that are not ok (pending, failed) are NaN, or 0 where features are whole numbers.

        Parameters
        ----------
        verify : bool
            Hash every row. Without it, a row is taken at its record's word, torn or damaged as it may be.

        Returns
        -------
        ndarray of float32, float16 or uint8, shape (n, dim)

        Raises
        ------
        CacheDamaged
            Where a row of a finished file does not hold what was written.
        """
        features = self._empty(self.n)
        records = self.records()
        if verify:
            valid = self._checked(features, records)
            self._refuse_damage(valid)
        else:
            valid = ~self.never_written()
            self._read("features", as_bytes(features))
        features[~valid | (records["status"] != OK)] = nothing(features.dtype)
        return features

    def block(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the features of some consecutive rows as stored, and whether the hash of each fits.

        Parameters
        ----------
        first, last : int
            The first row, and the row after the last.

        Returns
        -------
        features : ndarray of float32, float16 or uint8, shape (last - first, dim)
        fits : ndarray of bool, shape (last - first,)
            Rows that do not fit hold anything.
        """
        features, records, hashes = (
            self._empty(last - first),
            np.empty(last - first, RECORD),
            np.empty(last - first, HASH),
        )
        for name, values in (("features", features), ("meta", records), ("row_hash", hashes)):
            self._read(name, as_bytes(values), first)
        return features, hash_rows(self.key, np.arange(first, last), features, records) == hashes

    def _refuse_damage(self, valid: np.ndarray) -> None:
        # Asked only now: a writer that changes a finished file withdraws the finish record before it changes a row.
        if self.finished is None:
            return
        if not valid.all():
            raise CacheDamaged(
                f"{self.path} is damaged in {named(np.flatnonzero(~valid), self.paths)}; "
                "run the extraction again to compute just these"
            )
        if not self.complete:
            raise CacheDamaged(
                f"the row hashes of {self.path} are not those that it was finished with; "
                "run the extraction again to check its rows and finish it"
            )

    def never_written(self) -> np.ndarray:
        """Return whether a row was never written (its hash is 0), an array of bool of shape (n,)."""
        return self._hashes() == 0

    def _checked(self, features: np.ndarray | None, records: np.ndarray, *, threads: int | None = None) -> np.ndarray:
        """Return which rows are valid; fill ``features`` with all rows on the way, where it is given."""
        hashes, threads = self._hashes(), threads or min(2, os.cpu_count() or 1)
        step = max(1, min(BLOCK // self.head.row_bytes, -(-self.n // threads)))

        def check(first: int) -> np.ndarray:
            last = min(first + step, self.n)
            block = (
                np.empty((last - first, self.dim), self.head.numpy_dtype) if features is None else features[first:last]
            )
            self._read("features", as_bytes(block), first)
            return hash_rows(self.key, np.arange(first, last), block, records[first:last]) == hashes[first:last]

        with ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(check, range(0, self.n, step))))

    def _empty(self, rows: int) -> np.ndarray:
        return np.empty((rows, self.dim), self.head.numpy_dtype)

    def _hashes(self) -> np.ndarray:
        return np.frombuffer(self._bytes("row_hash"), HASH)

    def _bytes(self, name: str) -> bytearray:
        first, last = self.head.span(name)
        data = bytearray(last - first)
        self._read(name, data)
        return data

    def _read(self, name: str, into: Any, row: int = 0) -> None:
        """Fill a buffer of bytes from a row of a dataset on."""
        if self._descriptor < 0:
            raise CacheError(f"{self.path} is closed; open it again")
        with told("read", self.path):
            read_at(self._descriptor, into, self.head.offsets[name] + row * self.head.item_bytes(name))


def opened(path: Path, flags: int) -> dict[str, Any]:
    """Open a file and check its head; return descriptor, head and seal."""
    with told("open", path):
        # Not blocking: a pipe of that name would hold the caller for ever.
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        with told("read", path):
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnsoundError("it is no regular file")
            head, seal = read_head(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return {"descriptor": descriptor, "head": head, "seal": seal}


@contextlib.contextmanager
def told(what: str, path: Path) -> Iterator[None]:
    """Turn what the system or the bytes say into one sentence about the file."""
    try:
        yield
    except UnsoundError as error:
        raise CacheDamaged(
            f"{path} is no sound feature file: {error}; put back a copy, or delete it and extract again"
        ) from None
    except OSError as error:
        way_on = "rows that were saved are safe; extract again when that is mended"
        raise CacheError(f"cannot {what} {path}: {error.strerror}; {way_on}") from error


def named(rows: np.ndarray, paths: Sequence[str], *, most: int = 5) -> str:
    """Name some rows of many: ``2 rows: 3 (a.jpg), 17 (b.jpg)``."""
    some = ", ".join(f"{row} ({paths[row]})" for row in rows[:most].tolist())
    return f"{len(rows)} row{'s' * (len(rows) != 1)}: {some}{' ...' * (len(rows) > most)}"


def differences(held: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Name the entries in which two specs differ, with both values."""
    here, there = dict(_flat(held)), dict(_flat(asked))
    names = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    return ", ".join(f"{name} is {_short(here.get(name))}, not {_short(there.get(name))}" for name in names)


def _short(value: str | None) -> str | None:
    """Return the beginning of a digest, which is enough to tell two apart, and any other value whole."""
    return f"{value[1:9]}..." if value and re.fullmatch(r'"[0-9a-f]{64}"', value) else value


def _flat(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in spec.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", canonical_json(value)
