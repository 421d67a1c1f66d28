"""The writing half of the feature store: rows in place, saved when synced, finished when every row is sound.

This file must never know torch, a dataset by name, or what the sample table says: it carries the table unread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from featx.cache.birth import build
from featx.cache.layout import (
    CHUNK,
    FINISH_BYTES,
    OK,
    PENDING,
    RECORD,
    Head,
    as_bytes,
    flush,
    frame,
    hash_rows,
    nothing,
    write_at,
)
from featx.cache.lock import Lock
from featx.cache.reader import FeatureFile, named, opened, told
from featx.errors import CacheError, CacheIncomplete, CacheMismatch
from featx.provenance import canonical_json, digest_bytes


def create(
    path: str | os.PathLike[str],
    *,
    spec: Mapping[str, Any],
    paths: Sequence[str],
    table: str,
    dim: int,
    dtype: str = "float32",
    env: Mapping[str, Any],
    no_lock: bool = False,
) -> None:
    """Make a feature file in which every row is pending.

    Parameters
    ----------
    path : path-like
        The file, ending in ``.h5``; missing folders are made.
    spec : mapping
        Everything that changes a feature (weights, layer, transform, precision ...), as JSON values; it makes the key.
    paths : sequence of str
        The identity of each row: the image's path relative to the root of its dataset. Distinct.
    table : str
        The sample table, carried unread.
    dim : int
        Features of a row.
    dtype : str
        How they are stored: ``float32``, ``float16``, or ``uint8`` for whole numbers from 0 to 255.
    env : mapping
        What computes (versions, machine, command), as JSON values; no part of the key.
    no_lock : bool
        Take no lock: on a file system without locks, where nobody else writes.

    Raises
    ------
    CacheError
        Where the file is there already, the disk is full, or paths or numbers make no file.
    CacheLocked
        Where another process is writing it.
    UnknownName
        On another dtype.
    """
    lock = Lock(path, no_lock=no_lock)
    try:
        if Path(path).exists():
            raise CacheError(f"{path} is there already; open it, or name another file")
        build(path, spec=spec, paths=paths, table=table, dim=dim, dtype=dtype, env=env)
    finally:
        lock.release()


def renew(
    path: str | os.PathLike[str], *, paths: Sequence[str], table: str, env: Mapping[str, Any], no_lock: bool = False
) -> int:
    """Replace a feature file by one with other rows or another sample table; see :meth:`FeatureWriter.renew`."""
    with FeatureWriter.open(path, no_lock=no_lock) as writer:
        return writer.renew(paths=paths, table=table, env=env)


class FeatureWriter(FeatureFile):
    """A feature file for writing too; it holds the lock as long as it is open.

    Rows that were written count as saved once :meth:`sync` has returned.
    """

    _flags = os.O_RDWR
    _lock: Lock
    _untrusted = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, no_lock: bool = False) -> Self:
        """Take the lock and open a feature file.

        Raises
        ------
        CacheLocked
            Where another process is writing it.
        CacheDamaged, CacheError
            As :meth:`FeatureFile.open`.
        """
        with told("open", Path(path)):
            there = Path(path).exists()
        if not there:
            raise CacheError(f"there is no feature file {path}; create it, or correct the name")
        return cls._open_under(Lock(path, no_lock=no_lock))

    @classmethod
    def open_or_create(
        cls,
        path: str | os.PathLike[str],
        *,
        spec: Mapping[str, Any],
        paths: Sequence[str],
        table: str,
        dim: int,
        dtype: str = "float32",
        env: Mapping[str, Any],
        no_lock: bool = False,
    ) -> Self:
        """Take the lock and open the file of just these rows: made, resumed or renewed.

        A file that is not there is created; one with other rows or another table is renewed, which keeps every row
        that it holds; one of another spec is refused. Parameters as in :func:`create`.

        Raises
        ------
        CacheMismatch
            Where the file holds features of another spec, width or dtype.
        CacheLocked, CacheDamaged, CacheError, UnknownName
            As :func:`create` and :meth:`open`.
        """
        lock = Lock(path, no_lock=no_lock)
        try:
            if not Path(path).exists():
                build(path, spec=spec, paths=paths, table=table, dim=dim, dtype=dtype, env=env)
        except BaseException:
            lock.release()
            raise
        writer = cls._open_under(lock)
        try:
            writer.expect(spec)
            writer._expect_shape(dim, dtype)
            if writer.paths != list(paths) or writer.table != table:
                writer.renew(paths=paths, table=table, env=env)
        except BaseException:
            writer.close()
            raise
        return writer

    @classmethod
    def _open_under(cls, lock: Lock) -> Self:
        try:
            writer = super().open(lock.path)
        except BaseException:
            lock.release()
            raise
        writer._lock = lock
        return writer

    def close(self) -> None:
        """Close the file and give back the lock; what was not synced is left to the operating system."""
        super().close()
        if hasattr(self, "_lock"):
            self._lock.release()

    def write(self, rows: np.ndarray, features: np.ndarray, records: np.ndarray) -> None:
        """Put rows in their places; a finished file becomes unfinished first.

        Parameters
        ----------
        rows : ndarray of int, shape (B,)
            Which rows, each once, in any order.
        features : ndarray of float, shape (B, dim)
            Stored as the file's dtype; those of failed rows are not looked at and become NaN, or 0 as whole numbers.
        records : ndarray of RECORD, shape (B,)
            Status of each row (OK, or 2 and more for a failure) and its image.

        Raises
        ------
        CacheError
            Where the numbers are no rows of this file, an OK row cannot be stored as it is, or the disk refuses.
        """
        rows, records = np.asarray(rows), np.asarray(records)
        self._expect_rows(rows, records, np.shape(features))
        stored = self._as_stored(rows, features, records["status"] == OK)
        self._trusted()
        with told("write to", self.path):
            self._withdraw_finish()
            put_rows(self._descriptor, self.head, rows, stored, records)

    def sync(self) -> None:
        """Return once everything that was written is on the disk; only then do rows count as saved.

        Raises
        ------
        CacheError
            Where the disk refuses. The writer takes nothing more then: open the file again, and the rows that
            arrived will show themselves.
        """
        self._trusted()
        self._untrusted = True  # until the disk has answered: after a failure the system calls lost pages clean
        with told("save", self.path):
            flush(self._descriptor)
        self._untrusted = False

    def finish(self) -> None:
        """Write the finish record, after every row was read back and found sound; again is no error.

        Raises
        ------
        CacheIncomplete
            Where rows are pending.
        CacheError
            As :meth:`sync`.
        """
        status = self.status()
        pending = np.flatnonzero(status == PENDING)
        if pending.size:
            raise CacheIncomplete(f"{self.path} lacks {named(pending, self.paths)}; run the extraction to its end")
        if self.complete:
            return
        self.sync()
        ok = int((status == OK).sum())
        record: dict[str, Any] = {"seal": self._seal, "rows": self.n, "ok": ok, "failed": self.n - ok}
        record["content"] = digest_bytes(bytes(self._bytes("row_hash")))
        record |= {"created": self.head.created, "finished": datetime.now(UTC).isoformat(timespec="seconds")}
        self._write_finish(frame(canonical_json(record), FINISH_BYTES))

    def renew(self, *, paths: Sequence[str], table: str, env: Mapping[str, Any]) -> int:
        """Replace the file by one of the same spec with these rows and this table, and go on with that.

        Rows are carried over by path, each after its hash was checked, failed rows too; all others are pending. The
        new file appears whole or not at all, and is unfinished.

        Parameters
        ----------
        paths, table, env
            As in :func:`create`. What computed the carried rows stood in the old ``env``: hand on what is to be kept.

        Returns
        -------
        int
            How many rows were carried over.
        """
        self._trusted()
        places = {name: row for row, name in enumerate(self.paths)}
        pairs = np.array([(new, places[name]) for new, name in enumerate(paths) if name in places], np.int64)
        carried = 0

        def fill(descriptor: int, head: Head) -> None:
            nonlocal carried
            carried = self._carry(descriptor, head, pairs.reshape(-1, 2))

        about: dict[str, Any] = {"spec": self.spec, "dim": self.dim, "dtype": self.dtype}
        build(self.path, paths=paths, table=table, env=env, fill=fill, **about)
        self._reopen()
        return carried

    def _carry(self, descriptor: int, head: Head, pairs: np.ndarray) -> int:
        """Copy sound rows into another file of the same key; ``pairs`` holds (row there, row here)."""
        records, hashes, carried = self.records(), self._hashes(), 0
        step = max(1, CHUNK // head.row_bytes)
        for at in range(0, len(pairs), step):
            there, here = pairs[at : at + step].T
            features = self._empty(len(here))
            for first, last in _runs(here):
                self._read("features", as_bytes(features[first:last]), int(here[first]))
            fits = hash_rows(self.key, here, features, records[here]) == hashes[here]
            put_rows(descriptor, head, there[fits], features[fits], records[here[fits]])
            carried += int(fits.sum())
        return carried

    def _reopen(self) -> None:
        """Turn to the file that now bears the name; the lock is held all along."""
        now = opened(self.path, self._flags)
        os.close(self._descriptor)
        self._descriptor, self.head, self._seal = now["descriptor"], now["head"], now["seal"]
        for cached in ("paths", "table"):
            self.__dict__.pop(cached, None)

    def _write_finish(self, block: bytes) -> None:
        self._untrusted = True
        with told("save", self.path):
            write_at(self._descriptor, block, self.head.offsets["finish"])
            os.fsync(self._descriptor)
        self._untrusted = False

    def _withdraw_finish(self) -> None:
        """Make a finished file unfinished, on the disk too, before a row of it changes."""
        if any(self._bytes("finish")):
            self._write_finish(bytes(FINISH_BYTES))

    def _trusted(self) -> None:
        if self._descriptor < 0 or self._untrusted:
            state = "closed" if self._descriptor < 0 else "not to be written to after the disk refused"
            raise CacheError(f"{self.path} is {state}; open it again")

    def _expect_shape(self, dim: int, dtype: str) -> None:
        if (self.dim, self.dtype) != (dim, dtype):
            raise CacheMismatch(
                f"{self.path} holds {self.dim} features a row as {self.dtype}, not {dim} as {dtype}; name another file"
            )

    def _expect_rows(self, rows: np.ndarray, records: np.ndarray, shape: tuple[int, ...]) -> None:
        """Refuse what cannot be rows of this file."""
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or records.dtype != RECORD or records.shape != rows.shape:
            raise CacheError(
                f"rows are indices with one record each, but {rows.dtype} {rows.shape} came "
                f"with {records.dtype} {records.shape}; hand over whole numbers and records of featx.cache.RECORD"
            )
        if shape != (len(rows), self.dim):
            raise CacheError(
                f"{len(rows)} rows of {self.dim} features were expected, but {shape} came; check the layer"
            )
        if rows.size and (rows.min() < 0 or rows.max() >= self.n or np.unique(rows).size < rows.size):
            raise CacheError(f"rows are distinct indices from 0 to {self.n - 1}, but {rows.tolist()} came; check them")
        if (records["status"] == PENDING).any():
            raise CacheError("a row cannot be written as pending; give it the status OK or the code of its failure")

    def _as_stored(self, rows: np.ndarray, features: np.ndarray, ok: np.ndarray) -> np.ndarray:
        """Return features as they are to be stored: contiguous, NaN (or 0) where a row failed, sound elsewhere."""
        with np.errstate(over="ignore", invalid="ignore"):
            stored = np.ascontiguousarray(features, self.head.numpy_dtype)
        if not ok.all():
            stored = np.where(ok[:, None], stored, nothing(stored.dtype))
        whole = stored.dtype.kind == "u"  # a cast cuts off what is beyond, so that only the comparison shows it
        sound = stored == features if whole else np.isfinite(stored)
        wrong = ok & ~sound.all(axis=1)
        if wrong.any():
            what = "whole numbers from 0 to 255" if whole else "finite"
            raise CacheError(
                f"features of {named(rows[wrong], self.paths)} are not {what} as {self.dtype}; "
                "compute or store them with more precision"
            )
        return stored


def put_rows(descriptor: int, head: Head, rows: np.ndarray, features: np.ndarray, records: np.ndarray) -> None:
    """Write rows in place. Nothing depends on the order: a torn row does not hash."""
    hashes = hash_rows(head.key, rows, features, records)
    for first, last in _runs(rows):
        for name, values in (("features", features), ("meta", records), ("row_hash", hashes)):
            place = head.offsets[name] + int(rows[first]) * head.item_bytes(name)
            write_at(descriptor, as_bytes(values[first:last]), place)


def _runs(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the stretches of consecutive rows, as slices."""
    if rows.size:
        breaks = np.flatnonzero(np.diff(rows.astype(np.int64)) != 1) + 1
        yield from pairwise([0, *breaks.tolist(), rows.size])
