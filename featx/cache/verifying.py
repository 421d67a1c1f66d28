"""A feature file looked at from end to end: every row, its key, and the image that it came from, where that is there.

Nothing is changed. What is bad is named; an extraction computes just those rows again. This file must never know
torch, what is in an image, or what the sample table says.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featx import images
from featx.cache.layout import OK, PENDING
from featx.cache.reader import FeatureFile
from featx.engine import OnProgress, cores
from featx.errors import ImageError

DAMAGED = "its bytes are not what was written"
NEVER = "not computed yet"
OTHER_BYTES = "its image has other bytes now"
AT_ONCE = 64


@dataclass(frozen=True)
class Verification:
    """What a look at every row of a feature file found.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    rows, ok, failed : int
        Its rows; those with features; those whose image failed, with the reason recorded.
    bad : dict of str to str
        Images whose row cannot be used, with what is wrong with it.
    images : int
        Images that were there and had the bytes that their row was computed from.
    absent : tuple of str
        Images that are not there (any more); their rows are sound.
    root : pathlib.Path or None
        The folder where images were looked for; None where they were not.
    finish : str
        What is wrong with the finish record, empty where nothing is.
    name : str
        What is wrong with the file's name, empty where nothing is.
    """

    path: Path
    rows: int
    ok: int
    failed: int
    bad: dict[str, str]
    images: int
    absent: tuple[str, ...]
    root: Path | None
    finish: str
    name: str

    @property
    def sound(self) -> bool:
        """Whether every row may be used, and the file is finished and called by its key."""
        return not (self.bad or self.finish or self.name)


def verify(
    path: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    look_at_images: bool = True,
    on_progress: OnProgress | None = None,
) -> Verification:
    """Check every row of a feature file, its key, and its images where they are there.

    Parameters
    ----------
    path : path-like
        The feature file.
    root : path-like, optional
        Where its images lie; by default where they lay when the features were computed.
    look_at_images : bool
        Read every image again and compare its digest with the one recorded.
    on_progress : callable, optional
        Told (done, total) images.

    Returns
    -------
    Verification

    Raises
    ------
    CacheError
        Where the file cannot be read, or its head is not what was written (CacheDamaged).
    """
    with FeatureFile.open(path) as file:
        records, fits, blank = file.records(), file.valid(), file.never_written()
        status = np.where(fits, records["status"], np.uint16(PENDING))
        bad = {file.paths[row]: NEVER if blank[row] else DAMAGED for row in np.flatnonzero(~fits).tolist()}
        where = _root(file, root) if look_at_images else None
        found: dict[str, str] = {}
        if where is not None:
            rows = np.flatnonzero(status == OK).tolist()
            found = _looked_at([file.paths[row] for row in rows], records[rows]["sha256"], where, on_progress)
        bad |= {name: what for name, what in found.items() if what not in (_SAME, _ABSENT)}
        return Verification(
            path=file.path,
            rows=file.n,
            ok=int((status == OK).sum()),
            failed=int((status > OK).sum()),
            bad=bad,
            images=sum(what == _SAME for what in found.values()),
            absent=tuple(name for name, what in found.items() if what == _ABSENT),
            root=where,
            finish=_finish_of(file, all_there=bool(fits.all())),
            name=_name_of(file),
        )


_SAME, _ABSENT = "same", "absent"


def _root(file: FeatureFile, root: str | os.PathLike[str] | None) -> Path | None:
    """Return the folder of the images: the one given, or the one in the file's environment where it still is."""
    if root is not None:
        return Path(root)
    told = file.env.get("root")
    return Path(told) if isinstance(told, str) and Path(told).is_dir() else None


def _looked_at(names: Sequence[str], digests: np.ndarray, root: Path, on_progress: OnProgress | None) -> dict[str, str]:
    """Return of each image whether it has the bytes recorded, is absent, or what is wrong with it."""
    found: dict[str, str] = {}
    with ThreadPoolExecutor(cores()) as pool:
        for at in range(0, len(names), AT_ONCE):
            some = names[at : at + AT_ONCE]
            told = pool.map(lambda name, digest: _image(root / name, bytes(digest)), some, digests[at : at + AT_ONCE])
            found |= zip(some, told, strict=True)
            if on_progress is not None:
                on_progress(len(found), len(names))
    return found


def _image(path: Path, digest: bytes) -> str:
    try:
        return _SAME if images.read(path).sha256 == digest.hex() else OTHER_BYTES
    except ImageError as error:
        return _ABSENT if error.reason == "missing" else f"its image cannot be read now ({error})"


def _finish_of(file: FeatureFile, *, all_there: bool) -> str:
    """Return what is wrong with the finish record."""
    if file.complete:
        return ""
    if file.finished is not None:
        return "" if not all_there else "the row hashes are not those that it was finished with"
    return "it was never finished, or its finish record is damaged"


def _name_of(file: FeatureFile) -> str:
    """Return what is wrong with the name: one that ends in another key would be served for other features."""
    told = file.path.name.partition(".h5")[0].rpartition("--")[2]
    if len(told) != 8 or set(told) - set("0123456789abcdef") or file.key.startswith(told):
        return ""
    return f"its name ends in the key {told}, and what it holds has the key {file.key[:8]}"
