"""What the cache holds of what is asked for, and what is missing: found without torch, and mostly without an image.

Reads only; a row counts as there when its hash fits and its image is unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import images
from featx.cache import OK, PENDING, FeatureFile, differences
from featx.cache.origins import origins_in
from featx.errors import CacheError, CacheMismatch, ImageError
from featx.extraction.request import Request
from featx.provenance import versions

DECODERS = ("featx", "pillow", "pydicom", "simplejpeg")
DEADLY = (b"decoder_crash", b"timeout")  # how the reasons begin that ``process`` gives for a death


class Held(NamedTuple):
    """What a feature file holds of the rows wanted: status and record of each, and whether it is whole and current."""

    status: np.ndarray
    records: np.ndarray
    current: bool
    env: dict[str, Any]


def look(path: Path, request: Request) -> Held | None:
    """Return what a feature file holds of the rows wanted, or None where there is no file yet."""
    if not path.exists():
        _tell_others(path, request)
        return None
    with FeatureFile.open(path) as file:
        file.expect(request.spec(request.layers[request.files.index(path)]))
        _refuse_other_data(file, request)
        status, records = file.status(), file.records()
        current = file.complete and file.paths == request.paths and file.table == request.table
        if file.paths != request.paths:
            place = {name: row for row, name in enumerate(file.paths)}
            at = np.array([place.get(name, -1) for name in request.paths])
            status = np.where(at >= 0, status[at], PENDING)
            records = records[at]
        return Held(status, records, current, file.env)


def _refuse_other_data(file: FeatureFile, request: Request) -> None:
    """Refuse a file under this dataset's name that holds the images of another folder."""
    root = str(request.dataset.root.resolve())
    lost = set(file.paths) - set(request.paths)
    if file.env.get("root") != root and lost:
        raise CacheMismatch(
            f"{file.path} holds features of other data, {file.env.get('root')} ({len(lost)} of its {file.n} images are "
            f"not in {root}); give these data a name of their own with --name, or take another --cache"
        )


def _tell_others(path: Path, request: Request) -> None:
    """Note in what the features asked for differ from those that are cached for the same backbone and layer."""
    layer = request.layers[request.files.index(path)]
    for other in request.places.feature_files(request.dataset.name):
        if other.name.startswith(f"{request.backbone.name}@") and f"--{layer.name}--" in other.name:
            # a damaged neighbour is no reason not to extract
            with suppress(CacheError), FeatureFile.open(other) as file:
                request.notes.append(
                    f"new features, not those of {other.name}: {differences(file.spec, request.spec(layer))}"
                )


def missing(
    request: Request, cached: Sequence[Held | None], *, verify_images: bool, retry_failed: bool = False
) -> tuple[np.ndarray, dict[int, images.Source]]:
    """Return which file lacks which row, and the rows whose image has another time but the very same bytes.

    Returns
    -------
    lacking : numpy.ndarray of bool, shape (files, rows)
        Rows to compute.
    stale : dict of int to Source
        Rows that need but a new time.
    """
    blank = np.full(len(request.paths), PENDING)
    lacking = np.stack([held.status if held else blank for held in cached]) == PENDING
    lacking |= np.stack([_to_try_again(held, all_of_them=retry_failed) if held else blank > OK for held in cached])
    stale = {}
    moved = _elsewhere(request, cached)
    held_rows = others = 0
    for row in np.flatnonzero(~lacking.all(0)).tolist():
        # of a pending row, the record means nothing
        records = [held.records[row] for held, lacks in zip(cached, lacking[:, row], strict=True) if held and not lacks]
        now = images.stat_of(request.full(row))
        stamps = {(int(record["size"]), int(record["mtime_ns"])) for record in records}
        if not (verify_images or moved) and stamps == {now or (0, 0)} and not _readable_now(request, row, records):
            continue
        source = _same_bytes(request, row, records)
        held_rows += 1
        others += source is None and now is not None
        if source is None or _readable_now(request, row, records):
            lacking[:, row] = True
        elif stamps != {tuple(source.stat)}:
            stale[row] = source
    if moved and 2 * others > held_rows:
        raise CacheMismatch(
            f"the cache holds features of other data under the name {request.dataset.name!r}, from {moved}: {others} "
            f"of {held_rows} images here are others; give these data a name of their own with --name, or take another "
            "--cache"
        )
    return lacking, stale


def _to_try_again(held: Held, *, all_of_them: bool) -> np.ndarray:
    """Return which failed rows are to be tried again, an array of bool of shape (rows,).

    What a process died of may do so again, and cost a minute or all memory once more: not unless it is asked for, or
    what decodes is another version by now, and has not tried it yet.
    """
    failed = held.status > OK
    if all_of_them or not failed.any():
        return failed
    now = versions(DECODERS)
    tried = [origin["what"].get("versions") or {} for origin in origins_in(held.env).values()]
    if any(all(then.get(name) == version for name, version in now.items()) for then in tried):
        return np.zeros_like(failed)
    return failed & np.array([reason.startswith(DEADLY) for reason in held.records["reason"].tolist()])


def _elsewhere(request: Request, cached: Sequence[Held | None]) -> str | None:
    """Return the other folder that the rows in the cache came from: size and time of a file there mean nothing here."""
    root = str(request.dataset.root.resolve())
    return next((str(held.env["root"]) for held in cached if held and held.env.get("root", root) != root), None)


def _readable_now(request: Request, row: int, records: Sequence[np.ndarray]) -> bool:
    """Return whether an image may be read that could not be: rights and decoders change neither size nor time."""
    return any(bytes(record["reason"]).startswith(b"unreadable") for record in records) and os.access(
        request.full(row), os.R_OK
    )


def _same_bytes(request: Request, row: int, records: Sequence[np.ndarray]) -> images.Source | None:
    """Return the image as it is now where its bytes are those that the row was computed from."""
    request.opened += 1
    try:
        source = images.read(request.full(row))
    except ImageError:
        return None
    digests = {bytes(record["sha256"]).hex() for record in records}
    return source._replace(data=b"") if digests == {source.sha256} else None


def failed_earlier(cached: Sequence[Held | None], lacking: np.ndarray) -> int:
    """Return how many images failed in an earlier run and are not tried again."""
    failed = [np.isin(held.status, (PENDING, OK), invert=True) for held in cached if held]
    return int((np.any(failed, axis=0) & ~lacking.any(0)).sum()) if failed else 0
