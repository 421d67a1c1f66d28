"""Rows that others computed, looked at before rows of our own are put beside them.

Another version, runtime or processor gives the same features but for the last digits, or it does not. Where a file
has rows of another origin, some of them are computed again and compared; a file of both is made only where they agree.
Knows features and where they come from; never what they are for.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from featx.cache import OK, FeatureFile
from featx.cache.origins import LIBRARIES, Origins, agreed, differences, origins_in, tag_of, tags_of
from featx.errors import CacheMismatch
from featx.extraction.crew import Crew
from featx.extraction.filling import items_of
from featx.extraction.inventory import Held
from featx.extraction.job import Done, Opened
from featx.extraction.request import Request
from featx.provenance import versions
from featx.runtime import agreement
from featx.runtime.precision import LEAST_COSINE

ROWS = 32  # that are computed again
TOLERANCE = 1e-4  # of a row's largest feature, in float32; two runtimes differ by a few 1e-6
FAINT = 0.01  # of the layer's largest feature: what a row counts for at least, since rows of zeros have rounding errors


class Checked(NamedTuple):
    """What may be put into the files, and what it took to know.

    Attributes
    ----------
    tag : str
        What rows computed now are marked with.
    origins : list of dict
        Of each file: what computed its rows, that of now included where it gets any.
    passes, images : int
        Forward passes and images that were gone through.
    notes : tuple of str
        What the user should know.
    """

    tag: str
    origins: list[Origins]
    passes: int = 0
    images: int = 0
    notes: tuple[str, ...] = ()


class _Sample(NamedTuple):
    """Rows of one file that are computed again: those of one other origin."""

    file: int
    tag: str
    rows: list[int]


def what_computes(opened: Opened) -> dict[str, Any]:
    """Return all that may change a feature's last digits."""
    about = {"runtime": opened.runtime, "device": opened.device, "hardware": opened.hardware}
    return {**about, "versions": versions(LIBRARIES)}


def checked(
    request: Request, crew: Crew, cached: Sequence[Held | None], lacking: np.ndarray, *, opened: Opened, size: int
) -> Checked:
    """Compare rows that are kept with what is computed here, where their origin is another.

    Parameters
    ----------
    request : Request
        What is asked for.
    crew : Crew
        Who computes; the network is open.
    cached : sequence of Held or None
        What each file holds.
    lacking : numpy.ndarray of bool, shape (files, rows)
        Rows to compute.
    opened : Opened
        What computes.
    size : int
        Images in a batch.

    Raises
    ------
    CacheMismatch
        Where rows differ by more than the precision allows; no file was touched.
    """
    what = what_computes(opened)
    tag, origin = tag_of(what), {"what": what, "host": platform.node(), "agrees": {}}
    origin["since"] = datetime.now(UTC).isoformat(timespec="seconds")
    origins = [_known(held, lacks, tag, origin) for held, lacks in zip(cached, lacking, strict=True)]
    samples = [*_samples(cached, lacking, tag, origins)]
    rows = sorted({row for sample in samples for row in sample.rows})
    parts = list(crew.work(items_of(request, rows, size=size))) if rows else []
    notes = [_compared(request, sample, parts, tag=tag, origins=origins) for sample in samples]
    return Checked(tag, origins, sum(part.passes for part in parts), len(rows), tuple(dict.fromkeys(notes)))


def _known(held: Held | None, lacks: np.ndarray, tag: str, origin: dict[str, Any]) -> Origins:
    found = origins_in(held.env) if held else {}
    return {**found, tag: found.get(tag, {**origin, "agrees": {}})} if lacks.any() else found


def _samples(
    cached: Sequence[Held | None], lacking: np.ndarray, tag: str, origins: Sequence[Origins]
) -> Iterator[_Sample]:
    """Yield what is to be compared: of each file that gets rows, some that it keeps of each origin not yet compared."""
    for file, (held, lacks) in enumerate(zip(cached, lacking, strict=True)):
        if held is None or not lacks.any():
            continue
        kept = (held.status == OK) & ~lacks
        tags = tags_of(held.records)
        there = [name.decode(errors="replace") for name in np.unique(tags[kept]).tolist()]
        others = [other for other in there if not agreed(origins[file], tag, other)]
        rows = {other: np.flatnonzero(kept & (tags == other.encode())) for other in others}
        left = ROWS
        for at, (other, own) in enumerate(sorted(rows.items(), key=lambda item: len(item[1]))):
            some = drawn(own, -(-left // (len(rows) - at)))  # what the few do not fill, the many may
            left -= len(some)
            yield _Sample(file, other, some)


def drawn(rows: np.ndarray, count: int, *, seed: int = 0) -> list[int]:
    """Return some of many rows, one from each of as many stretches of equal length.

    Parameters
    ----------
    rows : ndarray of int, shape (n,)
        In ascending order.
    count : int
        How many; all of them where there are no more.
    seed : int
        Which row of a stretch is taken.
    """
    count = min(count, len(rows))
    edges = np.linspace(0, len(rows), count + 1).astype(int)
    if not count:
        return []
    return rows[np.random.default_rng(seed).integers(edges[:-1], edges[1:])].tolist()


def _compared(request: Request, sample: _Sample, parts: Sequence[Done], *, tag: str, origins: Sequence[Origins]) -> str:
    """Hold what was computed now against what the file holds, and write down that it agrees."""
    layer, path = request.layers[sample.file].name, request.files[sample.file]
    mine = _computed(parts, layer)
    lost = [row for row in sample.rows if row not in mine]
    rows = [row for row in sample.rows if row in mine]
    now = np.array([mine[row] for row in rows], np.float32)
    then = _stored(request, path, rows)
    off, told = _apart(then, now, request.precision) if rows else (np.zeros(0, bool), "none could be computed")
    here, there = origins[sample.file][tag], origins[sample.file].get(sample.tag, {"what": {}})
    if lost or off.any():
        bad = [*lost, *(row for row, wrong in zip(rows, off.tolist(), strict=True) if wrong)]
        raise CacheMismatch(
            f"{path} holds rows of another origin ({differences(there, here)}), and of {len(sample.rows)} of them "
            f"computed again {len(bad)} are not the same ({request.paths[bad[0]]} for one; {told}): go on with what "
            "computed them, or compute all of them again, in another --cache or after deleting the file"
        )
    here["agrees"] = {**here["agrees"], sample.tag: {"rows": len(rows), "worst": told}}
    return f"{len(rows)} finished rows of another origin ({differences(there, here)}) computed again agree: {told}"


def _computed(parts: Sequence[Done], layer: str) -> dict[int, np.ndarray]:
    """Return the features of a layer by row, of the rows that have any."""
    found = {}
    for part in parts:
        for at in np.flatnonzero(part.records["status"] == OK).tolist():
            found[int(part.rows[at])] = part.features[layer][at]
    return found


def _stored(request: Request, path: Any, rows: Sequence[int]) -> np.ndarray:
    with FeatureFile.open(path) as file:
        places = {name: place for place, name in enumerate(file.paths)}
        held = [places[request.paths[row]] for row in rows]
        return np.array([file.block(place, place + 1)[0][0] for place in held], np.float32)


def _apart(then: np.ndarray, now: np.ndarray, precision: str) -> tuple[np.ndarray, str]:
    """Return which rows differ by more than a precision allows, and in words how far the worst are apart."""
    if precision == "bf16":
        cosines = np.array([agreement({"": a[None]}, {"": b[None]}).worst for a, b in zip(then, now, strict=True)])
        return cosines < LEAST_COSINE, f"worst cosine {cosines.min():.5f}, at least {LEAST_COSINE} is asked for"
    scale = np.maximum(np.abs(then).max(1), FAINT * np.abs(then).max())
    difference = np.abs(then - now).max(1) / np.maximum(scale, np.finfo(np.float32).tiny)
    told = f"largest difference {difference.max():.1e} of a row's largest feature, at most {TOLERANCE:.0e} is allowed"
    return ~(difference <= TOLERANCE), told
