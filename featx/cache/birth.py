"""How a feature file comes into being: whole, under its name, or not at all.

HDF5 only draws the skeleton, on paper: in memory, page by page. It never touches the disk, because a full disk makes
it end the process. The bytes are put on the disk by :func:`featx.cache.layout.write_at`, where a full disk is an error.

This file must never know torch, a dataset by name, what rows hold, or who holds the lock.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from featx.cache.layout import (
    CHUNK,
    DTYPES,
    FINISH_BYTES,
    FORMAT,
    FORMAT_VERSION,
    HASH,
    IN_PLACE,
    LARGEST_BLOCK,
    MAGIC,
    PAGE,
    RECORD,
    SEALED_FROM,
    STATIC,
    Head,
    as_bytes,
    frame,
    plain,
    static_digest,
    write_at,
)
from featx.errors import CacheError, UnknownName
from featx.provenance import digest_bytes, digest_json


def build(
    path: str | os.PathLike[str],
    *,
    spec: Mapping[str, Any],
    paths: Sequence[str],
    table: str,
    dim: int,
    dtype: str,
    env: Mapping[str, Any],
    fill: Callable[[int, Head], None] | None = None,
) -> None:
    """Bring a whole feature file into being under its name, or nothing; only for the holder of the lock.

    Temporary file, room for all of it, skeleton, NaN, seal, fsync, rename, fsync of the folder. Temporary files that
    a killed process left are removed.

    Parameters
    ----------
    path : path-like
        The file; one that is there is replaced.
    spec, paths, table, dim, dtype, env
        As in :func:`featx.cache.create`.
    fill : callable, optional
        Called with the descriptor and the head before the rename, to put rows into the file.

    Raises
    ------
    CacheError
        Where paths or numbers make no file, or the disk is full or refuses; nothing is left behind then.
    UnknownName
        On a dtype other than ``float32``, ``float16`` and ``uint8``.
    """
    path = Path(path)
    names, cargo = _encoded(paths, dtype=dtype, dim=dim), table.encode(errors="surrogatepass")
    head, skeleton = _draw(names, cargo, dim=dim, dtype=dtype, spec=plain(spec), env=_plain_env(env))
    parts = [*skeleton, (head.offsets["path"], as_bytes(names)), (head.offsets["samples"], cargo)]
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        _remove_stale(path)
        _write_whole(temporary, head, parts, fill)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        size = f"{path} ({head.end / 1e6:,.1f} MB)"
        way_on = "free space there or name another folder for the cache"
        raise CacheError(f"cannot make {size}: {error.strerror}; {way_on}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _plain_env(env: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environment as JSON gives it back; unlike a spec it may hold names that are not UTF-8."""
    return json.loads(json.dumps(env, allow_nan=False))


def _encoded(paths: Sequence[str], *, dtype: str, dim: int) -> np.ndarray:
    """Return the paths as an array of bytes, all of one length; refuse what cannot be rows."""
    if dtype not in DTYPES:
        raise UnknownName("stored dtype", dtype, DTYPES)
    if not len(paths) or dim < 1:
        raise CacheError(f"a feature file needs rows and columns, but there are {len(paths)} images x {dim} features")
    try:
        names = [os.fsencode(path) for path in paths]
    except UnicodeEncodeError as error:
        raise CacheError(f"the path {error.object!r} cannot be the name of a file; rename the image") from None
    if not all(names) or any(b"\0" in name for name in names):
        raise CacheError("a path is empty or holds a NUL byte, and no file has such a name; correct the table")
    if len(set(names)) != len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise CacheError(f"the path {os.fsdecode(twice)!r} comes twice, and each row needs its own; drop one of them")
    return np.array(names, dtype=f"S{max(map(len, names))}")


class _Paper:
    """A file-like object in memory that holds only the pages written: HDF5 draws on it, however large the file."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.size = self.at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        return self.at

    def tell(self) -> int:
        return self.at

    def flush(self) -> None:
        """Nothing waits anywhere."""

    def truncate(self, size: int) -> int:
        self.size = size
        return size

    def read(self, size: int) -> bytes:
        data = bytearray(size)
        self.readinto(data)
        return bytes(data)

    def readinto(self, into: Any) -> int:
        view = memoryview(into).cast("B")
        for page, inside, part in self._parts(len(view)):
            view[part] = self.pages.get(page, bytes(PAGE))[inside]
        self.at += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        for page, inside, part in self._parts(len(view)):
            self.pages.setdefault(page, bytearray(PAGE))[inside] = view[part]
        self.at += len(view)
        self.size = max(self.size, self.at)
        return len(view)

    def _parts(self, length: int) -> Iterator[tuple[int, slice, slice]]:
        done = 0
        while done < length:
            page, inside = divmod(self.at + done, PAGE)
            count = min(PAGE - inside, length - done)
            yield page, slice(inside, inside + count), slice(done, done + count)
            done += count


def _draw(
    names: np.ndarray, cargo: bytes, *, dim: int, dtype: str, spec: dict[str, Any], env: dict[str, Any]
) -> tuple[Head, list[tuple[int, bytearray]]]:
    """Let HDF5 lay out the file on paper; return its head (not yet sealed) and the pages that HDF5 wrote."""
    import h5py

    key, created = digest_json(spec), datetime.now(UTC).isoformat(timespec="seconds")
    few: dict[str, Any] = {"n": len(names), "dim": dim, "dtype": dtype}
    few |= {"path_len": names.itemsize, "table_len": len(cargo)}
    about: dict[str, Any] = {"key": key, "spec": spec, "env": env, "created": created}
    widest = dict.fromkeys([*STATIC, *IN_PLACE], 1 << 62)
    longest = Head(**few, **about, block=1 << 62, end=1 << 62, offsets=widest).to_json()
    block = 1 << max(PAGE - 1, SEALED_FROM + 16 + len(longest) - 1).bit_length()
    if block > LARGEST_BLOCK:
        raise CacheError(f"spec and environment take {len(longest):,} bytes, which is more than a feature file carries")
    paper = _Paper()
    options: dict[str, Any] = {"alignment_threshold": PAGE, "alignment_interval": PAGE, "userblock_size": block}
    with h5py.File(paper, "w", libver=("v108", "v108"), **options) as file:
        offsets = {name: _place(file, name, shape, kind) for name, shape, kind in _datasets(few)}
        file.attrs.update({"format": FORMAT, "format_version": FORMAT_VERSION, "cache_key": key})
        file.attrs.update({"spec": json.dumps(spec, sort_keys=True), "env": json.dumps(env, sort_keys=True)})
        file.attrs["paths_sha256"] = digest_bytes(names.tobytes())
    head = Head(**few, **about, block=block, end=paper.size, offsets=offsets)
    return head, [(page * PAGE, data[: paper.size - page * PAGE]) for page, data in sorted(paper.pages.items())]


def _datasets(few: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    import h5py

    rows = (few["n"],)
    yield "path", rows, h5py.string_dtype("utf-8", few["path_len"])
    yield "samples", (few["table_len"],), np.dtype("u1")
    yield "features", (few["n"], few["dim"]), DTYPES[few["dtype"]]
    yield "meta", rows, RECORD
    yield "row_hash", rows, HASH
    yield "finish", (FINISH_BYTES,), np.dtype("u1")


def _place(file: Any, name: str, shape: tuple[int, ...], kind: Any) -> int:
    """Make room for a dataset without writing it, and return where it begins."""
    from h5py import h5d, h5p, h5s, h5t

    plan = h5p.create(h5p.DATASET_CREATE)
    plan.set_layout(h5d.CONTIGUOUS)
    plan.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5d.FILL_TIME_NEVER)
    dataset = h5d.create(file.id, name.encode(), h5t.py_create(kind, logical=True), h5s.create_simple(shape), plan)
    return dataset.get_offset() if all(shape) else file.userblock_size  # an empty dataset has no place of its own


def _remove_stale(path: Path) -> None:
    for entry in path.parent.iterdir():
        if entry.name.startswith(f"{path.name}.tmp"):
            entry.unlink()


def _write_whole(
    temporary: Path,
    head: Head,
    parts: list[tuple[int, Any]],
    fill: Callable[[int, Head], None] | None,
) -> None:
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        os.ftruncate(descriptor, head.end)
        if hasattr(os, "posix_fallocate"):  # a full disk speaks now and not hours later
            os.posix_fallocate(descriptor, 0, head.end)
        for offset, data in parts:
            write_at(descriptor, data, offset)
        if head.numpy_dtype.kind == "f":
            _write_nan(descriptor, head)
        sealed = replace(head, static=static_digest(descriptor, head))
        write_at(descriptor, MAGIC + frame(sealed.to_json(), head.block - len(MAGIC)), 0)
        if fill is not None:
            fill(descriptor, sealed)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_nan(descriptor: int, head: Head) -> None:
    """Let no row look like features before it is one: zeros would."""
    first, last = head.span("features")
    nan = np.full(CHUNK // head.numpy_dtype.itemsize, np.nan, head.numpy_dtype).view(np.uint8)
    for at in range(first, last, CHUNK):
        write_at(descriptor, nan[: last - at], at)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
