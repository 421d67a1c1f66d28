"""Doing what is missing: images loaded ahead on all cores, inferred in static batches, stored and synced.

What was synced stays, whatever happens next. Knows rows and pixels, no dataset and no names of weights.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from featx import images
from featx.backbones import Layer
from featx.cache import OK, FeatureWriter, new_record
from featx.engine import OnProgress, cores
from featx.errors import ImageError, TooManyFailures
from featx.extraction.request import Request

if TYPE_CHECKING:
    from featx.runtime import TorchRuntime

FAILED = 2
SYNC_SECONDS = 1.0


@dataclass
class Limit:
    """How many images may fail."""

    total: int
    share: float
    failed: int = 0

    def check(self, reasons: dict[str, str]) -> None:
        """Raise TooManyFailures beyond the limit."""
        if self.failed > self.share * self.total:
            told = self._told(reasons) if reasons else "in an earlier run"
            raise TooManyFailures(
                f"{self.failed} of {self.total} images failed, more than the {self.share:.1%} allowed ({told}); "
                "look at them, or allow more with --max-failures"
            )

    def _told(self, reasons: dict[str, str]) -> str:
        common = Counter(reason.partition(":")[0] for reason in reasons.values()).most_common(3)
        path, reason = next(iter(reasons.items()))
        return f"{', '.join(f'{count} {why}' for why, count in common)}; for instance {path!r}: {reason}"


class _Loaded(NamedTuple):
    """An image on its way: its pixels, or why there are none."""

    row: int
    record: np.ndarray
    pixels: np.ndarray | None


def _load(request: Request, row: int) -> _Loaded:
    stat = images.stat_of(request.full(row)) or images.Stat(0, 0)
    sha256 = bytes(32).hex()
    try:
        source = images.read(request.full(row))
        stat, sha256 = source.stat, source.sha256
        return _Loaded(row, _record(OK, stat, sha256), request.transform(source.data))
    except ImageError as error:
        return _Loaded(row, _record(FAILED, stat, sha256, reason=str(error)), None)


def _record(status: int, stat: images.Stat, sha256: str, *, reason: str = "") -> np.ndarray:
    return new_record(status=status, size=stat.size, mtime_ns=stat.mtime_ns, sha256=sha256, reason=reason)


def _ahead(load: Callable[[int], _Loaded], rows: Sequence[int], *, window: int) -> Iterator[_Loaded]:
    """Load images on all cores, at most ``window`` ahead, so that memory does not grow with their number."""
    pool = ThreadPoolExecutor(cores())
    try:
        waiting = deque(pool.submit(load, row) for row in rows[:window])
        for row in rows[window:]:
            yield waiting.popleft().result()
            waiting.append(pool.submit(load, row))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class Targets(NamedTuple):
    """The feature files being written, one a layer, and which rows each lacks."""

    layers: Sequence[Layer]
    writers: Sequence[FeatureWriter]
    lacking: np.ndarray

    def put(self, batch: Sequence[_Loaded], features: dict[str, np.ndarray] | None) -> None:
        """Write images into the files that lack them; without features, as failures."""
        rows = np.array([loaded.row for loaded in batch])
        records = np.stack([loaded.record for loaded in batch])
        for layer, writer, lacking in zip(self.layers, self.writers, self.lacking, strict=True):
            if (at := lacking[rows]).any():
                blank = np.full((len(rows), writer.dim), np.nan, np.float32)
                writer.write(rows[at], (features[layer.name] if features else blank)[at], records[at])

    def sync(self) -> None:
        """Return once everything written is on the disk."""
        for writer in self.writers:
            writer.sync()


def fill(
    request: Request,
    runtime: TorchRuntime,
    targets: Targets,
    todo: Sequence[int],
    *,
    limit: Limit,
    on_progress: OnProgress | None,
) -> None:
    """Load, infer and store every row to do; what was synced stays whatever happens."""
    batches = batches_of(todo, size=request.batch_size)
    ends = {rows[-1] for rows in batches}
    batch: list[_Loaded] = []
    reasons: dict[str, str] = {}
    synced = monotonic()
    try:
        rows = [row for rows in batches for row in rows]
        for done, loaded in enumerate(_ahead(lambda row: _load(request, row), rows, window=3 * request.batch_size), 1):
            request.opened += 1
            if loaded.pixels is None:
                targets.put([loaded], None)
                limit.failed += 1
                reasons[request.paths[loaded.row]] = loaded.record["reason"].item().decode(errors="replace")
                limit.check(reasons)
            else:
                batch.append(loaded)
            if loaded.row in ends and batch:
                targets.put(batch, _infer(runtime, batch))
                batch.clear()
            if monotonic() - synced > SYNC_SECONDS:
                targets.sync()
                synced = monotonic()
            if on_progress is not None:
                on_progress(done, len(todo))
    finally:
        targets.sync()


def batches_of(todo: Sequence[int], *, size: int) -> list[list[int]]:
    """Divide rows into batches in which each has a place of its own, ``row % size``.

    What adds up a row may hang on its place in the batch, in the last bits. So an image has the same place in a run
    that goes on after an interruption, or beside images that failed, and its features are the same to the bit.
    """
    places: list[list[int]] = [[] for _ in range(size)]
    for row in todo:
        places[row % size].append(row)
    return [[row for row in rows if row is not None] for rows in zip_longest(*places)]


def _infer(runtime: TorchRuntime, batch: Sequence[_Loaded]) -> dict[str, np.ndarray]:
    places = [loaded.row % runtime.batch_size for loaded in batch]
    return runtime(np.stack([loaded.pixels for loaded in batch]), places=places)  # type: ignore[misc]
