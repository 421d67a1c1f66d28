"""Several who compute: a process for each device, all taking batches from one heap, one writer for all of them.

There are no parts to be put together: who takes which batch changes no feature, since a row's place in its batch is the
same whoever computes it. So a run goes on after any end, on any devices. Knows batches; never the cache's files.
"""

from __future__ import annotations

import os
import queue
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Self

from featx.backbones import Backbone
from featx.backbones.weights import WeightsFacts, WeightsSource
from featx.engine import cores
from featx.errors import ComputeError, UsageError
from featx.extraction.crew import Batch, Child
from featx.extraction.job import Done, Opened, Task

CPU = "cpu"
VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
MOST = 64


class Several:
    """A process for each of several devices.

    Parameters
    ----------
    devices : sequence of str
        ``cpu`` each, or numbers of GPUs as torch counts them here. One may come several times.

    Attributes
    ----------
    device : str
        ``cpu`` or ``cuda``: what each process is told to compute on.

    Raises
    ------
    UsageError
        Where a word is neither, or both kinds come together.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self.device = kind_of(devices)
        threads = max(1, cores() // len(devices))
        self._children = [Child(threads, surroundings_of(device)) for device in devices]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        for child in self._children:
            child.__exit__(*about)

    def learn(self, backbone: Backbone, source: WeightsSource, *, memo: Path) -> WeightsFacts:
        """Return what is known of weights, which the first process reads for it."""
        return self._children[0].learn(backbone, source, memo=memo)

    def open(self, job: Task) -> Opened:
        """Make a network ready in each process: in the first alone, so that the others find it converted.

        Raises
        ------
        ComputeError
            Where they are ready with different things, so that their rows would not belong together.
        """
        first = self._children[0].open(job)
        with ThreadPoolExecutor(len(self._children)) as pool:
            opened = [first, *pool.map(lambda child: child.open(job), self._started())]
        for other in opened[1:]:
            if (other.dims, other.runtime, other.device) != (first.dims, first.runtime, first.device):
                raise ComputeError(
                    f"one device runs the network by {first.runtime}, another by {other.runtime}; name a --runtime"
                )
        return first._replace(hardware=" and ".join(dict.fromkeys(one.hardware for one in opened)))

    def _started(self) -> list[Child]:
        """Return all but the first, their processes started here: each dies with the thread that started it."""
        for child in self._children[1:]:
            child.start()
        return self._children[1:]

    def work(self, batches: Sequence[Batch]) -> Iterator[Done]:
        """Yield what became of every row of the batches, in any order, whoever did it."""
        waiting = deque(batches)
        told: queue.Queue[Done | BaseException | None] = queue.Queue(2 * len(self._children))
        threads = [Thread(target=_drive, args=(child, waiting, told), daemon=True) for child in self._children]
        for thread in threads:
            thread.start()
        left = len(threads)
        try:
            while left:
                found = told.get()
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    left -= 1
                else:
                    yield found
        finally:
            if left:  # it was an error, Ctrl-C, or nobody wants more
                for child in self._children:
                    child.stop()
            while left:  # none may wait for room to tell
                left -= told.get() is None
            for child, thread in zip(self._children, threads, strict=True):
                thread.join()
                child.rest()


def _drive(child: Child, waiting: deque[Batch], told: queue.Queue[Done | BaseException | None]) -> None:
    """Have one process work until nothing waits; what goes wrong is for the thread that asked."""
    try:
        with child.kept():
            for done in child.work(waiting):
                told.put(done)
    except BaseException as error:
        told.put(error)
    finally:
        told.put(None)


def kind_of(devices: Sequence[str]) -> str:
    """Return ``cpu`` or ``cuda``, which all devices are.

    Raises
    ------
    UsageError
        Where they are not of one kind, or a word is none.
    """
    words = ", ".join(devices)
    unknown = [word for word in devices if word != CPU and not (word.isascii() and word.isdigit())]
    if not 0 < len(devices) <= MOST or unknown:
        raise UsageError(f"--devices takes cpu,cpu or numbers of GPUs (0,1), 1 to {MOST} of them; {words!r} came")
    if CPU in devices and set(devices) != {CPU}:
        raise UsageError(f"--devices takes processors or GPUs, not both, whose rows would differ; {words!r} came")
    return CPU if CPU in devices else "cuda"


def surroundings_of(device: str) -> dict[str, str]:
    """Return what a process's environment says of its device: one GPU to see, or one thread for each batch.

    Raises
    ------
    UsageError
        Where the environment of this process shows fewer GPUs.
    """
    if device == CPU:
        return dict.fromkeys(THREADS, "1")
    shown = os.environ.get(VISIBLE)
    if shown is None:
        return {VISIBLE: device}
    names = [name.strip() for name in shown.split(",") if name.strip()]
    if int(device) >= len(names):
        raise UsageError(f"--devices {device}: {VISIBLE} shows {len(names)} GPUs, counted from 0")
    return {VISIBLE: names[int(device)]}
