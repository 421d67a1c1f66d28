"""What spreads work over the cores: a list of calls in, their results out, in order.

Threads serve here: scikit-learn's solvers let go of Python's lock while they work, so nothing need be copied to other
processes. Linear algebra keeps to one thread a call meanwhile. This file never knows the work that it carries.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
OnProgress = Callable[[int, int], None]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    function: Callable[..., T],
    calls: Iterable[tuple[Any, ...]],
    *,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[T]:
    """Call a function many times, on several threads.

    Parameters
    ----------
    function : callable
        What is called.
    calls : iterable of tuple
        The positional arguments of each call.
    jobs : int, optional
        Threads; all cores by default.
    on_progress : callable, optional
        Told (done, total) after each call.

    Returns
    -------
    list
        The results, in the order of the calls.
    """
    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_limits

    calls = list(calls)
    results: list[T] = []
    with threadpool_limits(limits=1):
        parallel = Parallel(n_jobs=jobs or cores(), prefer="threads", return_as="generator")
        for result in parallel(delayed(function)(*call) for call in calls):
            results.append(result)
            if on_progress is not None:
                on_progress(len(results), len(calls))
    return results
