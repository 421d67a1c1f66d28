"""Doing what is missing: batches handed to whoever computes, what comes back stored and synced.

What was synced stays, whatever happens next. Knows rows, no pixels, no dataset and no names of weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from featx.backbones import Layer
from featx.cache import FeatureWriter
from featx.cache.origins import stamped
from featx.engine import OnProgress
from featx.errors import TooManyFailures
from featx.extraction.crew import Crew
from featx.extraction.job import Done, Item
from featx.extraction.request import Request

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


class Targets(NamedTuple):
    """The feature files being written, one a layer, which rows each lacks, and the tag of what computes them."""

    layers: Sequence[Layer]
    writers: Sequence[FeatureWriter]
    lacking: np.ndarray
    tag: str

    def put(self, done: Done) -> None:
        """Write rows into the files that lack them, each with what computed it; those without features as failures."""
        records = stamped(done.records, self.tag)
        for layer, writer, lacking in zip(self.layers, self.writers, self.lacking, strict=True):
            if (at := lacking[done.rows]).any():
                found = done.features.get(layer.name)
                if found is None:
                    found = np.full((len(done.rows), writer.dim), np.nan, np.float32)
                writer.write(done.rows[at], found[at], records[at])

    def sync(self) -> None:
        """Return once everything written is on the disk."""
        for writer in self.writers:
            writer.sync()


def fill(
    request: Request,
    crew: Crew,
    targets: Targets,
    todo: Sequence[int],
    *,
    size: int,
    limit: Limit,
    prints: dict[str, list[Any]],
    on_progress: OnProgress | None,
) -> int:
    """Store every row to do as it comes from the crew, and return how many forward passes that took.

    Fingerprints of the files go into ``prints``, by path.
    """
    reasons: dict[str, str] = {}
    synced, finished, passes = monotonic(), 0, 0
    try:
        for done in crew.work(items_of(request, todo, size=size)):
            targets.put(done)
            request.opened += len(done.rows)
            prints |= {request.paths[row]: values for row, values in done.prints.items()}
            finished, passes = finished + len(done.rows), passes + done.passes
            failed = {request.paths[row]: reason for row, reason in done.reasons()}
            reasons |= failed
            limit.failed += len(failed)
            limit.check(reasons)
            if monotonic() - synced > SYNC_SECONDS:
                targets.sync()
                synced = monotonic()
            if on_progress is not None:
                on_progress(finished, len(todo))
    finally:
        targets.sync()
    return passes


def items_of(request: Request, rows: Sequence[int], *, size: int) -> list[list[Item]]:
    """Return rows in batches, each with its image's path."""
    return [[Item(row, request.paths[row]) for row in batch] for batch in batches_of(rows, size=size)]


def batches_of(todo: Sequence[int], *, size: int) -> list[list[int]]:
    """Divide rows into batches in which each has a place of its own, ``row % size``.

    What adds up a row may hang on its place in the batch, in the last bits. So an image has the same place in a run
    that goes on after an interruption, or beside images that failed, and its features are the same to the bit.
    """
    places: list[list[int]] = [[] for _ in range(size)]
    for row in todo:
        places[row % size].append(row)
    return [[row for row in rows if row is not None] for rows in zip_longest(*places)]
