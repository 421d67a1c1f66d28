"""Who computes: a process of its own that is started again when it dies, or this process itself.

A death is traced to the image that brought it about; that one is recorded, and its neighbours' features are what they
would be without it. Knows rows and their records; never the cache's files.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from featx import images
from featx.backbones import Backbone
from featx.backbones.weights import WeightsFacts, WeightsSource, load_network
from featx.engine import cores
from featx.errors import ComputeError, ImageError
from featx.extraction.bench import Place, bench_for
from featx.extraction.job import Done, Item, Opened, Task, failure
from featx.extraction.process import Died, Process

Batch = Sequence[Item]


class Crew(Protocol):
    """Who computes."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...

    def learn(self, backbone: Backbone, source: WeightsSource, *, memo: Path) -> WeightsFacts:
        """Return what is known of weights, which are read for it."""
        ...

    def open(self, job: Task) -> Opened:
        """Make a network ready, or what looks at files or decodes them."""
        ...

    def work(self, batches: Sequence[Batch]) -> Iterator[Done]:
        """Yield what became of every row of the batches, in any order; :meth:`open` comes first."""
        ...


class Here:
    """The calling process itself: for debuggers, and for networks that another process cannot import."""

    _bench: Place | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bench = None

    def learn(self, backbone: Backbone, source: WeightsSource, *, memo: Path) -> WeightsFacts:
        """Return what is known of weights, which are read for it."""
        return load_network(backbone, source, memo=memo)[1]

    def open(self, job: Task) -> Opened:
        """Make a network ready, or what looks at files or decodes them."""
        self._bench = bench_for(job, streams=1)
        return self._bench.opened

    def work(self, batches: Sequence[Batch]) -> Iterator[Done]:
        """Yield what became of every batch."""
        assert self._bench is not None
        stream: Any = self._bench.stream()
        for batch in batches:
            yield self._bench.do(batch, stream=stream, mark=lambda _: None)


class Child:
    """A process of its own.

    Parameters
    ----------
    threads : int, optional
        Batches at once; as many as there are cores by default.
    surroundings : mapping, optional
        Variables of its environment: which GPU it sees, for one.
    """

    def __init__(self, threads: int | None = None, surroundings: Mapping[str, str] | None = None) -> None:
        self._threads = threads or cores()
        self._surroundings = surroundings
        self._stopped = False
        self._process: Process | None = None
        self._job: Task | None = None
        self._opened: Opened | None = None
        self._opened_in: Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def learn(self, backbone: Backbone, source: WeightsSource, *, memo: Path) -> WeightsFacts:
        """Return what is known of weights, which are read for it: there, unless torch is here already."""
        if "torch" in sys.modules:
            return load_network(backbone, source, memo=memo)[1]
        return WeightsFacts(**self._asked("learn", backbone, source, memo))

    def open(self, job: Task) -> Opened:
        """Make ready what computes; a process that had to import torch to convert it gives way to one without."""
        if job != self._job or self._opened is None or self._opened_in is not self._process:
            self._job = job
            about = self._made_ready()
            if about["spent"]:
                self._end()
                about = {**self._made_ready(), "notes": about["notes"]}
            dims, runtime, device, hardware = (about[name] for name in ("dims", "runtime", "device", "hardware"))
            self._opened = Opened(dims, runtime, device, hardware, tuple(about["notes"]))
        return self._opened

    def _made_ready(self) -> dict[str, Any]:
        about = self._asked("open", self._job)
        self._opened_in = self._process
        return about

    def work(self, batches: Sequence[Batch]) -> Iterator[Done]:
        """Yield what became of every row of the batches, in any order; of a deque, several children may take."""
        waiting = batches if isinstance(batches, deque) else deque(batches)
        under_way: dict[int, Batch] = {}
        number = 0
        while (waiting or under_way) and not self._stopped:
            try:
                # one more a thread, so that none waits for its next batch, and no more, so that memory is bounded
                while len(under_way) < 2 * self._threads and self._handed_over(number, waiting, under_way):
                    number += 1
                if under_way:
                    yield self._next(under_way)
            except Died as died:
                lost = list(under_way.values())
                under_way.clear()
                yield from self._after(died, lost, waiting)

    def start(self) -> None:
        """Start the process, where there is none: it dies with the thread that starts it."""
        self._running()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Be worked with by a thread that will end: a process that was started meanwhile is ended before it does."""
        before = self._process
        try:
            yield
        finally:
            if self._process is not before:
                self._end()

    def stop(self) -> None:
        """End the process, from any thread; whoever works with it finds nothing more to do."""
        self._stopped = True
        if (process := self._process) is not None:
            process.kill()

    def rest(self) -> None:
        """Be ready for other work after having been stopped."""
        if self._stopped:
            self._end()
        self._stopped = False

    def _handed_over(self, number: int, waiting: deque[Batch], under_way: dict[int, Batch]) -> bool:
        """Hand the next batch to the process; return whether there was one."""
        process = self._ready()
        try:
            batch = waiting.popleft()
        except IndexError:  # another child took the last
            return False
        try:
            process.tell("batch", number, batch)
        except Died:
            waiting.appendleft(batch)
            raise
        under_way[number] = batch
        return True

    def _next(self, under_way: dict[int, Batch]) -> Done:
        reply = self._ready().listen()
        assert reply.done is not None
        del under_way[reply.about["number"]]
        return reply.done

    def _after(self, died: Died, lost: Sequence[Batch], waiting: deque[Batch]) -> Iterator[Done]:
        """Find which image a death came of; where none that was being decoded did it, go on more carefully."""
        self._process = None
        if self._stopped:
            return
        suspects = {item.row: item for batch in lost for item in batch if item.row in died.rows}
        guilty = {row: reason for row, item in suspects.items() if (reason := self._deadly(item))}
        for batch in lost:
            bad = [item for item in batch if item.row in guilty]
            good = [item for item in batch if item.row not in guilty]
            if bad:
                yield self._failed(bad, [guilty[item.row] for item in bad])
            if good and guilty:
                waiting.appendleft(good)
            elif good:
                yield from self._alone(good)

    def _deadly(self, item: Item) -> str | None:
        """Return what a process dies of that decodes nothing but one image, or None where it lives."""
        try:
            assert self._job is not None
            self._running().tell("decode", self._job, item)
            self._running().listen()
        except Died as died:
            self._process = None
            return died.reason
        return None

    def _alone(self, batch: Batch) -> Iterator[Done]:
        """Do a batch with nothing beside it; where that is deadly too, one image after the other."""
        try:
            self._ready().tell("batch", 0, batch)
            yield self._next({0: batch})
        except Died as died:
            self._process = None
            if len(batch) == 1:
                yield self._failed(batch, [died.reason])
                return
            for item in batch:
                yield from self._alone([item])

    def _failed(self, batch: Batch, reasons: Sequence[str]) -> Done:
        assert self._job is not None
        records = [_unread(self._job.root / item.path, why) for item, why in zip(batch, reasons, strict=True)]
        return Done(np.array([item.row for item in batch], dtype=np.int64), np.stack(records), {}, 0, {})

    def _ready(self) -> Process:
        """Return the process with the network open, started again where it died."""
        if self._process is None or self._opened_in is not self._process:
            self._made_ready()
        return self._running()

    def _running(self) -> Process:
        if self._stopped:
            raise ComputeError("stopped")
        if self._process is None:
            self._process = Process(self._threads, self._surroundings)
        return self._process

    def _asked(self, order: str, *about: Any) -> dict[str, Any]:
        """Return the answer to an order that no image is at fault for."""
        try:
            self._running().tell(order, *about)
            return self._running().listen().about
        except Died as died:
            self._process = None
            told = died.reason.partition(": ")[2]
            raise ComputeError(f"{told} before the first image; try another --runtime, or featx doctor") from died

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
        self._process = None


def _unread(path: Path, reason: str) -> np.ndarray:
    """Return the record of an image that no process survives."""
    before = images.stat_of(path)
    try:
        return failure(before, reason, source=images.read(path))
    except ImageError:
        return failure(before, reason)
