"""Extraction: one pass over the images, into the cache, from where it was left.

``request`` settles what is asked for, ``settling`` the precision, ``inventory`` finds what is there, ``spotcheck`` sees
whether rows of another origin may stand beside new ones, ``filling`` stores what is missing into ``files`` as the
``crew`` computes it: a ``process`` whose other end is ``child``, at a ``bench``, or ``several``, one a device.
``looks`` finds what image files are.
What is done is found without opening an image or importing torch. The sample table is carried as opaque cargo: this
package never knows diagnoses, groups or classes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from featx import fingerprints, images
from featx.cache import OK, FeatureFile, FeatureWriter
from featx.cache.origins import origins_in
from featx.cache.places import Places
from featx.cache.shards import Shard
from featx.datasets import Columns, Dataset, open_dataset
from featx.engine import OnProgress, cores
from featx.errors import UsageError
from featx.extraction import looks, spotcheck
from featx.extraction.crew import Child, Crew, Here
from featx.extraction.files import Ready, made_ready, writers_for
from featx.extraction.filling import Limit, Targets, fill
from featx.extraction.inventory import Held, failed_earlier, look, missing
from featx.extraction.request import Request, folder_name, settle, size_for
from featx.extraction.settling import Settled, job_of, precision_settled
from featx.extraction.several import Several
from featx.extraction.spotcheck import Checked
from featx.seen import backbone_for

DEMO_IMAGES, DEMO_SIZE = 300, (300, 400)


@dataclass(frozen=True)
class Extraction:
    """What an extraction did.

    Attributes
    ----------
    dataset : Dataset
        What it read.
    files : tuple of pathlib.Path
        The feature files, one a layer.
    computed, reused : int
        Images that went through the network now, and images whose rows were there already.
    passes : int
        Forward passes of the network.
    opened : int
        Image files that were opened.
    failed : dict of str to str
        Images without features, with the reason.
    notes : tuple of str
        What the user should know.
    precision : str
        ``fp32`` or ``bf16``, as it was settled.
    runtime : str or None
        What ran the network, with its version; None where nothing had to.
    checked : int
        Finished images computed again, to see whether what computes now agrees with what computed them.
    """

    dataset: Dataset
    files: tuple[Path, ...]
    computed: int
    reused: int
    passes: int
    opened: int
    failed: dict[str, str]
    notes: tuple[str, ...]
    precision: str = "fp32"
    runtime: str | None = None
    checked: int = 0


def extract(
    data: str | os.PathLike[str] | Dataset | None = None,
    *,
    backbone: str = "vgg16",
    layers: Sequence[str] = (),
    weights: str | None = None,
    precision: str = "auto",
    pool: str = "avg",
    size: int | None = None,
    resize: str = "squash",
    interpolation: str = "bilinear",
    antialias: bool = True,
    trim: bool = False,
    normalise: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    devices: Sequence[str] = (),
    runtime: str = "auto",
    cache: str | os.PathLike[str] | None = None,
    adapter: str | None = None,
    columns: Columns | None = None,
    name: str | None = None,
    shard: str | None = None,
    verify_images: bool = False,
    retry_failed: bool = False,
    max_failures: float = 0.05,
    isolate: bool = True,
    on_progress: OnProgress | None = None,
) -> Extraction:
    """Extract deep features of a dataset into the cache, or find them there.

    Parameters
    ----------
    data : path-like or Dataset, optional
        A folder or a table, or a dataset that is open already; the built-in demo dataset where none is given.
    backbone : str
        A name of the shelf (``featx info --backbone NAME`` tells its layers).
    layers : sequence of str
        Layers by readable name or dotted path, all in one forward pass; the penultimate one by default.
    weights : str, optional
        ``imagenet`` (the default), ``random``, ``random:SEED`` or a file.
    precision : {"auto", "fp32", "bf16"}
        Precision of the network; features are stored as float32, pixels as uint8. ``auto`` takes bf16 where the
        hardware multiplies it fast and the features of the first 64 images point the same way to 0.999, else fp32;
        where the cache holds either, it goes on with that. Pixels are fp32 then.
    pool : {"avg", "max", "flatten", "gem"}
        How maps become vectors.
    size : int, optional
        Side of the image in pixels; the backbone's only size, or 224.
    resize, interpolation, antialias, trim
        As in :class:`featx.images.Transform`.
    normalise : str, optional
        A normalisation by name; what the weights expect by default.
    batch_size : int, optional
        Images in a forward pass, 16 on a processor and 256 on a GPU by default; short batches are padded.
    device : {"auto", "cpu", "cuda"}
        Where the network runs.
    devices : sequence of str
        A process for each of several devices, instead: ``cpu`` each, or numbers of GPUs. Rows are those of one run on
        one such device, to the bit on processors.
    runtime : {"auto", "torch", "openvino"}
        What runs it; ``auto`` takes OpenVINO on a processor where it is installed.
    cache : path-like, optional
        The cache's folder; ``FEATX_CACHE`` or ``features_cache`` by default.
    adapter : str, optional
        The dataset's format, where it is not to be found out.
    columns : Columns, optional
        Columns of a table.
    name : str, optional
        The dataset's folder in the cache; its own name by default.
    shard : str, optional
        ``2/8`` for the second of eight parts, in a file of its own beside the whole's, to be put together by
        :func:`featx.cache.merging.merge`.
    verify_images : bool
        Hash every image again instead of trusting size and time.
    retry_failed : bool
        Try images again that failed in an earlier run. Without it they are tried again when their bytes change, and
        those of which the process died that decodes, or that took it too long, when a decoder has another version.
    max_failures : float
        Largest share of images that may fail, 0 to 1.
    isolate : bool
        Decode and infer in a process of its own, so that a crash costs one image; False: in this process and one
        image after the other, for a debugger, or a network that no module holds.
    on_progress : callable, optional
        Told (done, total) images.

    Returns
    -------
    Extraction

    Raises
    ------
    FeatxError
        Whatever is wrong, in one sentence; rows that were finished are kept.
    """
    if not 0 <= max_failures <= 1:
        raise UsageError(f"--max-failures takes a share from 0 to 1 (or 0% to 100%); {max_failures} came")
    if batch_size is not None and not 1 <= batch_size <= 4096:
        raise UsageError(f"--batch-size takes 1 to 4096 images; {batch_size} came")
    part = Shard.parse(shard) if shard else None
    places = Places.at(cache)
    dataset = dataset_for(data, places, adapter=adapter, columns=columns)
    dataset = replace(dataset, name=folder_name(name)) if name else dataset
    shelf = backbone_for(backbone, weights, places)
    transform = images.Transform(size_for(shelf, size), resize, interpolation, antialias, trim)
    crew, device = crew_for(devices, device, isolate=isolate)
    with crew:
        request = settle(
            dataset,
            places,
            shelf,
            layers=layers,
            weights=weights,
            transform=transform,
            normalise=normalise,
            learn=crew.learn,
            pool=pool,
            precision=precision,
            batch_size=batch_size,
            device=device,
            runtime=runtime,
        )
        settled = precision_settled(request, crew)
        if part is not None:  # the precision is settled on the whole's first images, so that all parts have one
            size = job_of(settled.request).batch_size
            settled = settled._replace(request=settled.request.part(part, batch_size=size))
        return _run(
            settled,
            crew,
            verify_images=verify_images,
            retry_failed=retry_failed,
            max_failures=max_failures,
            on_progress=on_progress,
        )


def crew_for(devices: Sequence[str], device: str, *, isolate: bool) -> tuple[Crew, str]:
    """Return who computes, and on what.

    Raises
    ------
    UsageError
        Where several devices are asked for together with one, or in this process.
    """
    if not devices:
        return Child() if isolate else Here(), device
    if device != "auto" or not isolate:
        other = f"--device {device}" if device != "auto" else "isolate=False"
        raise UsageError(f"--devices starts a process for each device, and does not go with {other}; leave one out")
    several = Several(devices)
    return several, several.device


def dataset_for(
    data: str | os.PathLike[str] | Dataset | None,
    places: Places,
    *,
    adapter: str | None = None,
    columns: Columns | None = None,
) -> Dataset:
    """Return the dataset that a user means: one that is open, one at a path, or the built-in demo."""
    if isinstance(data, Dataset):
        return data
    return open_dataset(data, adapter=adapter, columns=columns) if data else demo_dataset(places)


def demo_dataset(places: Places, *, on_progress: OnProgress | None = None) -> Dataset:
    """Return the built-in demo dataset, drawn on first use."""
    from featx.datasets import demo

    if not (places.demo_data / demo.TABLE).exists():
        demo.generate(places.demo_data, images=DEMO_IMAGES, size=DEMO_SIZE, jobs=cores(), on_progress=on_progress)
    return replace(open_dataset(places.demo_data), name="demo")


def _run(
    settled: Settled,
    crew: Crew,
    *,
    verify_images: bool,
    retry_failed: bool,
    max_failures: float,
    on_progress: OnProgress | None,
) -> Extraction:
    request = settled.request
    cached = [look(path, request) for path in request.files]
    lacking, stale = missing(request, cached, verify_images=verify_images, retry_failed=retry_failed)
    todo = np.flatnonzero(lacking.any(0)).tolist()
    ready = made_ready(request, crew, settled) if todo else None
    checked = _checked(request, crew, cached, lacking, ready)
    passes = checked.passes
    if todo or stale or not all(held and held.current for held in cached):
        with ExitStack() as stack:
            opening = writers_for(request, cached, ready, origins=checked.origins)
            writers = [stack.enter_context(writer) for writer in opening]
            _restamp(writers, stale, lacking)
            if ready is not None:
                limit = Limit(len(request.paths), max_failures, failed=failed_earlier(cached, lacking))
                limit.check({})
                targets = Targets(request.layers, writers, lacking, checked.tag)
                passes += _filled(request, crew, targets, todo, ready, limit=limit, on_progress=on_progress)
            for writer in writers:
                writer.finish()
    if request.shard is None:
        request.places.remember_last(request.files)
    failed = _failures(request)
    fingerprints.restamp(request.dataset, {request.paths[row]: s for row, s in stale.items()}, places=request.places)
    # those of rows that an earlier run computed, while the images are at hand: comparing never opens one
    looks.take(request.dataset, places=request.places, crew=crew, skip=failed)
    Limit(len(request.paths), max_failures, failed=len(failed)).check(failed)
    return Extraction(
        request.dataset,
        tuple(request.files),
        computed=len(todo),
        reused=len(request.paths) - len(todo),
        passes=passes,
        opened=request.opened,
        checked=checked.images,
        failed=failed,
        notes=tuple(request.notes),
        precision=request.precision,
        runtime=ready.opened.runtime if ready else None,
    )


def _checked(
    request: Request, crew: Crew, cached: Sequence[Held | None], lacking: np.ndarray, ready: Ready | None
) -> Checked:
    """Compare what computes now with what computed the rows that are kept, where anything is to compute."""
    if ready is None:
        return Checked("", [origins_in(held.env) if held else {} for held in cached])
    checked = spotcheck.checked(request, crew, cached, lacking, opened=ready.opened, size=ready.job.batch_size)
    request.opened += checked.images
    request.notes.extend(checked.notes)
    return checked


def _filled(request: Request, crew: Crew, targets: Targets, todo: Sequence[int], ready: Ready, **rest: Any) -> int:
    prints: dict[str, list[Any]] = {}
    try:
        return fill(request, crew, targets, todo, size=ready.job.batch_size, prints=prints, **rest)
    finally:
        fingerprints.keep(request.dataset, prints, places=request.places)


def _restamp(writers: Sequence[FeatureWriter], stale: dict[int, images.Source], lacking: np.ndarray) -> None:
    """Give rows whose image has the same bytes its new time, without a forward pass."""
    for writer, lacks in zip(writers, lacking, strict=True):
        # a row that is lacking may be torn or damaged: hashing it again would pass it for sound
        rows = np.array([row for row in sorted(stale) if not lacks[row]], dtype=np.intp)
        if not rows.size:
            continue
        features, records = writer.load(verify=False)[rows], writer.records()[rows].copy()
        records["size"] = [stale[row].stat.size for row in rows.tolist()]
        records["mtime_ns"] = [stale[row].stat.mtime_ns for row in rows.tolist()]
        writer.write(rows, features, records)
        writer.sync()


def _failures(request: Request) -> dict[str, str]:
    with FeatureFile.open(request.files[0]) as file:
        records = file.records()
        return {
            request.paths[row]: bytes(records["reason"][row]).decode(errors="replace")
            for row in np.flatnonzero(records["status"] != OK).tolist()
        }
