"""Shard files put together into one, row by row, each after its hash was checked.

Never by an HDF5 virtual dataset: a part that is missing there reads as zeros. This file must never know torch, a
dataset by name, or what the sample table says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx.cache.birth import build
from featx.cache.layout import CHUNK, PENDING, Head
from featx.cache.lock import Lock
from featx.cache.origins import COMPUTED, together
from featx.cache.reader import FeatureFile, named
from featx.cache.shards import shard_of
from featx.cache.writer import FeatureWriter, put_rows
from featx.errors import CacheError, CacheMismatch, UsageError


@dataclass(frozen=True)
class Merged:
    """What came of shard files.

    Attributes
    ----------
    path : pathlib.Path
        The file made.
    rows, failed : int
        Its rows, and those among them whose image failed.
    pending : tuple of str
        Images whose row no shard holds soundly; the file is incomplete where there are any.
    notes : tuple of str
        What the user should know.
    """

    path: Path
    rows: int
    failed: int
    pending: tuple[str, ...]
    notes: tuple[str, ...]


def merge(shards: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str] | None = None) -> Merged:
    """Put shard files together into one feature file, each row after its hash was checked.

    A row that is sound in no shard stays pending, and an extraction computes it. The file appears whole or not at all.

    Parameters
    ----------
    shards : sequence of path-like
        Files of ``featx extract --shard``, in any order.
    out : path-like, optional
        The file to make; by default the one that the shards are named after.

    Returns
    -------
    Merged

    Raises
    ------
    UsageError
        Where a file comes twice, or no name is given and the shards bear none.
    CacheMismatch
        Where shards hold other features (weights, transform ...), other data, or the same image with other bytes.
    CacheError
        Where a part is missing, a file cannot be read, or the file to make is there already.
    """
    paths = [Path(shard) for shard in shards]
    target = Path(out) if out is not None else _named_after(paths)
    if len({path.resolve() for path in paths}) < max(len(paths), 1):
        raise UsageError("the same shard came twice, or none at all; name each shard file once")
    with ExitStack() as stack:
        files = [stack.enter_context(FeatureFile.open(path)) for path in sorted(paths, key=_order)]
        for file in files[1:]:
            _expect_same(files[0], file)
        _expect_all_parts(files)
        lock = Lock(target)
        stack.callback(lock.release)
        if target.exists():
            raise CacheError(f"{target} is there already; move it away, or name another file with -o")
        names, notes = _build(target, files), _notes(files)
    return _finished(target, names, notes)


def _order(path: Path) -> tuple[int, str]:
    found = shard_of(path)
    return (found[1].number if found else 0), str(path)


def _named_after(paths: Sequence[Path]) -> Path:
    """Return the feature file that all shards are a part of."""
    wholes = {found[0] if (found := shard_of(path)) else None for path in paths}
    whole = wholes.pop() if len(wholes) == 1 else None
    if whole is None:
        raise UsageError("these files are not the shards of one feature file; name the file to make with -o")
    return whole


def _expect_same(first: FeatureFile, other: FeatureFile) -> None:
    """Refuse a shard of other features or other data, and say in what they differ."""
    other.expect(first.spec)
    if (other.dim, other.dtype) != (first.dim, first.dtype):
        raise CacheMismatch(
            f"{other.path} holds {other.dim} features a row as {other.dtype}, and {first.path} {first.dim} as "
            f"{first.dtype}; merge shards of one extraction"
        )
    if other.table != first.table:
        raise CacheMismatch(
            f"{other.path} and {first.path} carry different sample tables; extract all shards from the same data with "
            "the same labels"
        )


def _expect_all_parts(files: Sequence[FeatureFile]) -> None:
    """Refuse an incomplete set of shards, as far as their own heads tell how many there should be."""
    said = [file.env.get("shard") for file in files]
    if not all(isinstance(shard, dict) for shard in said):
        return
    parts = {(shard["number"], shard["of"]) for shard in said}  # type: ignore[index]
    counts = {of for _, of in parts}
    if len(counts) > 1:
        raise CacheMismatch(f"shards of {_listed(counts)} parts came together; merge those of one extraction")
    of = counts.pop()
    lacking = sorted({*range(1, of + 1)} - {number for number, _ in parts})
    if lacking:
        raise CacheError(f"of {of} shards, {_listed(lacking)} did not come; name all {of} files, also across machines")


def _listed(numbers: Any) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _build(target: Path, files: Sequence[FeatureFile]) -> list[str]:
    """Make the file from every sound row; return the names of its rows."""
    names = list(dict.fromkeys(name for file in files for name in file.paths))
    places = {name: row for row, name in enumerate(names)}
    digests: dict[int, tuple[bytes, FeatureFile]] = {}

    def fill(descriptor: int, head: Head) -> None:
        for file in files:
            there = np.array([places[name] for name in file.paths])
            for rows, features, records in _sound_blocks(file):
                new = _new_rows(there[rows], records, file, names=names, digests=digests)
                put_rows(descriptor, head, there[rows][new], features[new], records[new])

    first = files[0]
    env = {name: value for name, value in first.env.items() if name != "shard"}
    env[COMPUTED] = together(file.env for file in files)
    env["merged"] = [{"file": file.path.name, "env": file.env} for file in files]
    about: dict[str, Any] = {"spec": first.spec, "dim": first.dim, "dtype": first.dtype, "table": first.table}
    build(target, paths=names, env=env, fill=fill, **about)
    return names


def _sound_blocks(file: FeatureFile) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (rows, features, records) of the rows whose hash fits, some megabytes at a time."""
    step = max(1, CHUNK // file.head.row_bytes)
    records = file.records()
    for first in range(0, file.n, step):
        last = min(first + step, file.n)
        features, fits = file.block(first, last)
        yield np.arange(first, last)[fits], features[fits], records[first:last][fits]


def _new_rows(
    there: np.ndarray,
    records: np.ndarray,
    file: FeatureFile,
    *,
    names: Sequence[str],
    digests: dict[int, tuple[bytes, FeatureFile]],
) -> np.ndarray:
    """Return which rows no shard before held; refuse an image that two shards read with different bytes."""
    new = np.ones(len(there), bool)
    for at, (row, record) in enumerate(zip(there.tolist(), records, strict=True)):
        digest = bytes(record["sha256"])
        before, holder = digests.setdefault(row, (digest, file))
        if before != digest and any(before) and any(digest):  # zeros: an image that could not be read at all
            raise CacheMismatch(
                f"{names[row]} had other bytes in {file.path} than in {holder.path}; extract the shards again from the "
                "same images"
            )
        new[at] = holder is file
    return new


def _notes(files: Sequence[FeatureFile]) -> list[str]:
    """Tell in what the machines differed that computed the shards."""
    notes = []
    for what in ("versions", "device", "runtime", "machine"):
        told = {str(file.env.get(what)) for file in files}
        if len(told) > 1:
            notes.append(f"shards were computed with different {what}: {'; '.join(sorted(told))}")
    return notes


def _finished(target: Path, names: Sequence[str], notes: Sequence[str]) -> Merged:
    """Read the file made once more, finish it where every row is there, and say what it holds."""
    with FeatureWriter.open(target) as writer:
        status = writer.status()
        pending = np.flatnonzero(status == PENDING)
        if not pending.size:
            writer.finish()
    failed = int((status > 1).sum())
    told = [f"not in any shard, or damaged there: {named(pending, names)}"] if pending.size else []
    return Merged(target, len(names), failed, tuple(names[row] for row in pending.tolist()), (*notes, *told))
