"""The disk where the cache is or would be: its room, its locks, and whether it keeps its word.

Writes only into a folder of its own there, which it removes. This file must never know networks or pixels.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from featx.cache import FeatureFile, FeatureWriter, new_record
from featx.cache.lock import Lock
from featx.doctor.finding import NOTE, OK, WRONG, Finding
from featx.errors import CacheError

NETWORK_DISKS = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "lustre", "9p", "beegfs", "gpfs", "ceph")
ROW_BYTES = 128 + 8 + 260  # what a row takes beside its features: record, hash, name, its part of the table
FILE_BYTES = 1 << 16
FULL = 0.95  # of a disk, that a cache may take


class Plan(NamedTuple):
    """What is to be extracted, as far as it takes room on the disk.

    Attributes
    ----------
    images : int
        Rows.
    dims : tuple of int
        Features of a row, one number a layer.
    """

    images: int
    dims: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes that the feature files will take, about."""
        return sum(self.images * (4 * dim + ROW_BYTES) + FILE_BYTES for dim in self.dims)


def look(root: Path, plan: Plan | None) -> Iterator[Finding]:
    """Look at the disk of a cache."""
    folder = next(parent for parent in (root.absolute(), *root.absolute().parents) if parent.is_dir())
    yield room(root, folder, plan)
    try:
        with tempfile.TemporaryDirectory(prefix=".featx-doctor-", dir=folder) as trial:
            yield _store(Path(trial))
            yield _locks(Path(trial), _kind(folder))
    except OSError as error:
        yield Finding(
            "cache",
            WRONG,
            f"{folder} cannot be written to: {error.strerror}",
            "name another with --cache or FEATX_CACHE",
        )


def room(root: Path, folder: Path, plan: Plan | None) -> Finding:
    """Hold the room on a disk against what is to be extracted."""
    free = shutil.disk_usage(folder).free
    told = f"{free / 1e9:,.1f} GB free for {root} ({_kind(folder) or 'unknown file system'})"
    if plan is None:
        images = free // (4 * 4096 + ROW_BYTES)
        return Finding(
            "disk", OK if images > 10_000 else NOTE, f"{told}, enough for {images:,} images of 4,096 features"
        )
    told += (
        f"; {plan.images:,} images of {' + '.join(f'{dim:,}' for dim in plan.dims)} features take {_size(plan.size)}"
    )
    if plan.size > free * FULL:
        return Finding("disk", WRONG, told, "free space there, or name another folder with --cache")
    return Finding("disk", OK, told)


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _kind(folder: Path) -> str:
    """Return the kind of file system that a folder lies on, where the system tells."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    mounts = {where.replace("\\040", " "): kind for _, where, kind, *_ in map(str.split, lines)}
    above = [str(folder.resolve()), *map(str, folder.resolve().parents)]
    return next((mounts[where] for where in above if where in mounts), "")


def _store(trial: Path) -> Finding:
    """Write a feature file, damage a bit of it, and see that it is noticed."""
    path, features = trial / "trial.h5", np.random.default_rng(0).random((8, 64), np.float32)
    try:
        about = {"spec": {"trial": 1}, "paths": [str(row) for row in range(8)], "table": "", "dim": 64, "env": {}}
        with FeatureWriter.open_or_create(path, **about) as writer:  # type: ignore[arg-type]
            writer.write(np.arange(8), features, np.stack([new_record()] * 8))
            writer.finish()
            damaged = writer.head.offsets["features"] + 700
        with FeatureFile.open(path) as file:
            same = bool((file.load() == features).all())
        _flip(path, damaged)
        with FeatureFile.open(path) as file:
            noticed = [row for row, fits in enumerate(file.valid().tolist()) if not fits] == [2]
    except CacheError as error:
        return Finding("cache", WRONG, str(error), "name another folder with --cache or FEATX_CACHE")
    if same and noticed:
        return Finding("cache", OK, "rows come back as they were written, and a flipped bit is noticed")
    return Finding("cache", WRONG, "rows do not come back as they were written", "name a folder on another disk")


def _flip(path: Path, offset: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 1]))


_ASK = """
import sys
from featx.cache.lock import Lock
from featx.errors import CacheLocked
try:
    Lock(sys.argv[1])
except CacheLocked:
    print("refused")
"""


def _locks(trial: Path, kind: str) -> Finding:
    """See that a second process is refused what this one holds."""
    try:
        lock = Lock(trial / "locked.h5")
    except CacheError as error:
        return Finding("locks", WRONG, str(error), "name a folder on a local disk for the cache")
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, str(lock.path)], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        lock.release()
    if asked.stdout.strip() != "refused":
        told = "a second process got what this one holds"
        return Finding("locks", WRONG, told, "name a folder on a local disk, or see that only one process writes")
    if kind in NETWORK_DISKS:
        told = f"a second process here is refused; locks of other machines may not reach this disk ({kind})"
        return Finding("locks", NOTE, told, "write each cache from one machine only")
    forced = os.environ.get("HDF5_USE_FILE_LOCKING")
    told = "a second writer is refused" + (f" (HDF5_USE_FILE_LOCKING={forced} changes nothing)" if forced else "")
    return Finding("locks", OK, told)
