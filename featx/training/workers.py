"""Threads that compute side by side, one operation each at a time. Knows nothing of what they compute.

Operations of torch that are spread over the cores wait for the slowest core at the end of each, and burn time meanwhile
where others use the cores too. Threads that have their own rows wait once a pass. Results come in the order of the
calls, so that sums over them do not depend on which thread was first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Self, TypeVar

T = TypeVar("T")


class Workers:
    """Threads with some cores each; the calling thread itself where there is one.

    Parameters
    ----------
    count : int
        Calls at once.
    each : int
        Cores of one operation.
    """

    def __init__(self, count: int, *, each: int = 1) -> None:
        self.count, self.each = count, each
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        import torch

        self._all = torch.get_num_threads()
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        self.spread_caller(over_all=True)  # what a thread sets is what threads after it begin with

    def spread_caller(self, *, over_all: bool) -> None:
        """Have operations of the calling thread go over all cores, or over no more than those of the others.

        What it spreads between two calls of :meth:`map` leaves threads behind that wait for more, busily, on the cores
        of those that compute: three times the processor time on a machine that others use too.
        """
        import torch

        torch.set_num_threads(self._all if over_all else self.each)

    def map(self, function: Callable[[int], T], calls: int) -> Iterator[T]:
        """Yield ``function(0)``, ``function(1)`` ... in this order; the first error comes once all calls have ended."""
        if self.count == 1 or calls == 1:
            yield from map(function, range(calls))
            return
        futures = [self._ready().submit(function, number) for number in range(calls)]
        try:
            while futures:
                yield futures.pop(0).result()
        finally:  # nothing goes on behind the back of whoever deals with an error
            self._end(futures)

    def _end(self, futures: list[Future[T]]) -> None:
        for future in futures:
            future.cancel()
        wait(futures)

    def _ready(self) -> ThreadPoolExecutor:
        if self._pool is None:
            import torch

            self._pool = ThreadPoolExecutor(self.count, "featx-training", lambda: torch.set_num_threads(self.each))
        return self._pool
