"""Where features are made: images read, decoded into a buffer that is used again and again, and put through a network.

The same code runs in a process of its own and in this one. Knows rows and pixels, nothing of the cache's files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from featx import fingerprints, images
from featx.backbones.weights import load_network
from featx.cache import OK
from featx.errors import CacheMismatch, ConversionError, ImageError
from featx.extraction.job import PIXELS, Done, Item, Job, Look, Opened, Picture, Task, drawn, failure, record_of
from featx.provenance import processor
from featx.runtime import OpenVINORuntime, Runtime, Stream, TorchRuntime
from featx.runtime.conversion import Plan
from featx.runtime.folding import fold_batch_norm

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")

INFERRING = -2  # no row: the network is at work


class Bench:
    """A network that is ready for images.

    Parameters
    ----------
    job : Job
        What is computed.
    streams : int
        Threads that will work here side by side.

    Attributes
    ----------
    opened : Opened
        What was made ready.
    """

    def __init__(self, job: Job, *, streams: int) -> None:
        self.job = job
        self._runtime, notes = _runtime(job, streams)
        runtime, device = self._runtime, self._runtime.device
        self.opened = Opened(runtime.dims, runtime.name, device, _hardware(device), notes)

    def stream(self) -> Stream:
        """Return a stream for one thread."""
        return self._runtime.stream()

    def do(self, items: Sequence[Item], *, stream: Stream, mark: Callable[[int], None]) -> Done:
        """Read, decode and infer a batch, each row at the place ``row % batch_size``.

        Parameters
        ----------
        items : sequence of Item
            Rows whose places differ.
        stream : Stream
            This thread's.
        mark : callable
            Told the row that is being decoded, and ``INFERRING``, so that it is known what a crash came of.
        """
        stream.pixels[...] = 0  # blanks where no image is, not those of the batch before
        records = []
        prints: dict[int, list[Any]] = {}
        for item in items:
            mark(item.row)
            record, fingerprint = load(self.job, item, out=stream.pixels[item.row % self.job.batch_size])
            records.append(record)
            prints |= {item.row: fingerprint} if fingerprint else {}
        mark(INFERRING)
        rows, stacked = np.array([item.row for item in items], dtype=np.int64), np.stack(records)
        features = self._features(rows, stacked["status"] == OK, stream)
        return Done(rows, stacked, features, int(bool(features)), prints)

    def _features(self, rows: np.ndarray, good: np.ndarray, stream: Stream) -> dict[str, np.ndarray]:
        if not good.any():
            return {}
        places = rows % self.job.batch_size
        return {name: np.where(good[:, None], found[places], np.float32(np.nan)) for name, found in stream().items()}


class Looks:
    """Image files looked at by themselves: decoded as for a network, and nothing kept but what each file is.

    Parameters
    ----------
    job : Look
        Where they lie.
    """

    opened = Opened({}, "", "", "")

    def __init__(self, job: Look) -> None:
        self.job = job

    def stream(self) -> None:
        """Return what a thread needs of its own: nothing."""

    def do(self, items: Sequence[Item], *, stream: None, mark: Callable[[int], None]) -> Done:
        """Read, decode and look at a batch, as :meth:`Bench.do`; there are no features."""
        records = []
        prints: dict[int, list[Any]] = {}
        for item in items:
            mark(item.row)
            record, fingerprint = looked_at(self.job, item)
            records.append(record)
            prints |= {item.row: fingerprint} if fingerprint else {}
        return Done(np.array([item.row for item in items], dtype=np.int64), np.stack(records), {}, 0, prints)


class Pictures:
    """Image files decoded as for a network, whose pixels are what is wanted.

    Parameters
    ----------
    job : Picture
        Where they lie, and how they become squares.
    """

    opened = Opened({}, "", "", "")

    def __init__(self, job: Picture) -> None:
        self.job = job

    def stream(self) -> None:
        """Return what a thread needs of its own: nothing."""

    def do(self, items: Sequence[Item], *, stream: None, mark: Callable[[int], None]) -> Done:
        """Read and decode a batch, as :meth:`Bench.do`; what it leaves is pixels."""
        pixels = np.zeros((len(items), self.job.transform.size, self.job.transform.size, 3), np.uint8)
        records = []
        for item, out in zip(items, pixels, strict=True):
            mark(item.row)
            records.append(pictured(self.job, item, out=out)[0])
        rows = np.array([item.row for item in items], dtype=np.int64)
        return Done(rows, np.stack(records), {PIXELS: pixels}, 0, {})


Place = Bench | Looks | Pictures


def bench_for(job: Task, *, streams: int) -> Place:
    """Return where a job is done."""
    if isinstance(job, Job):
        return Bench(job, streams=streams)
    return Looks(job) if isinstance(job, Look) else Pictures(job)


def decoded_alone(job: Task, item: Item) -> None:
    """Decode one image as a batch would, for nothing but to see whether a process lives through it."""
    if isinstance(job, Look):
        looked_at(job, item)
        return
    out = np.empty((job.transform.size, job.transform.size, 3), np.uint8)
    (load if isinstance(job, Job) else pictured)(job, item, out=out)  # type: ignore[arg-type]


def looked_at(job: Look, item: Item) -> tuple[np.ndarray, list[Any] | None]:
    """Return the record of an image and its fingerprint; one that fails has a reason instead."""
    return _tried(job.root / item.path, fingerprints.row_or_refusal)


def load(job: Job, item: Item, *, out: np.ndarray) -> tuple[np.ndarray, list[Any] | None]:
    """Decode an image into ``out``; return its record and its fingerprint. One that fails leaves blanks and a reason.

    The fingerprint is taken here since it decodes the image too, which may be the death of a process.
    """
    if item.pixels is not None:
        out[...] = item.pixels
        return drawn(), None
    record, source = pictured(job, item, out=out)
    return record, fingerprints.row_of(source) if source else None


def pictured(job: Job | Picture, item: Item, *, out: np.ndarray) -> tuple[np.ndarray, images.Source | None]:
    """Decode an image into ``out``; return its record and what was read. One that fails leaves a reason and no more."""

    def decode(source: images.Source) -> images.Source:
        job.transform.into(source.data, out)
        return source

    return _tried(job.root / item.path, decode)


def _tried(path: Path, use: Callable[[images.Source], T]) -> tuple[np.ndarray, T | None]:
    """Read an image and use it; return its record and what came of it, or the record of its failure."""
    before, source = images.stat_of(path), None
    try:
        source = images.read(path)
        found = use(source)
        return record_of(source), found
    except ImageError as error:
        return failure(before, str(error), source=source), None


def _hardware(device: str) -> str:
    """Return the name of what multiplies."""
    if device == "cpu":
        return processor()
    import torch

    return torch.cuda.get_device_name()


def _runtime(job: Job, streams: int) -> tuple[Runtime, tuple[str, ...]]:
    """Return a runtime, and what the user should know: that a network cannot be converted, for one."""
    if job.runtime == "torch":
        return _torch(job, streams), ()
    plan = Plan(
        job.weights,
        f"{job.backbone.name} {job.backbone.code_version}",
        job.layers,
        size=job.transform.size,
        normalise=job.normalise,
        pool=job.pool,
        batch_size=job.batch_size,
    )
    try:
        runtime = OpenVINORuntime(
            lambda: network(job), plan=plan, folder=job.graphs, precision=job.precision, streams=streams
        )
        return runtime, ()
    except ConversionError as error:
        if job.strict:
            raise ConversionError(f"{error}; take --runtime torch") from error
        return _torch(job, streams), (f"{job.backbone.name} goes through torch: {error}",)


def _torch(job: Job, streams: int) -> TorchRuntime:
    import torch

    if streams > 1:
        torch.set_num_threads(1)  # each stream has a core of its own
    size = job.transform.size
    net = network(job)
    if job.device == "cpu" and job.precision == "fp32":
        net = fold_batch_norm(net, layers=job.layers, size=size)
    return TorchRuntime(
        net,
        layers=job.layers,
        size=size,
        normalise=job.normalise,
        pool=job.pool,
        batch_size=job.batch_size,
        precision=job.precision,
        device=job.device,
    )


def network(job: Job) -> nn.Module:
    """Return the network with the weights that the job is of.

    Raises
    ------
    CacheMismatch
        Where the weights are others by now.
    """
    net, facts = load_network(job.backbone, job.source, memo=Path(job.memo))
    if facts.digest != job.weights:
        raise CacheMismatch(f"the weights {job.source.label} changed while they were read; run this again")
    return net
