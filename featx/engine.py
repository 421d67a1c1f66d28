"""What spreads work over the cores: a list of calls in, their results out, in order.

Threads serve by default: scikit-learn's solvers let go of Python's lock while they work, so nothing need be copied to
other processes. Linear algebra keeps to one thread a call meanwhile; a call that is alone has all of them. Any other of
joblib's backends that a program has configured around a call is taken instead. This file never knows the work that it
carries.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from featx.errors import UnknownName

T = TypeVar("T")
ENGINES = ("threading", "loky")
OnProgress = Callable[[int, int], None]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def using(name: str) -> AbstractContextManager[Any]:
    """Return a context in which :func:`run` spreads its calls over threads, or over processes (``loky``).

    Raises
    ------
    UnknownName
        Where the name is neither.
    """
    from joblib import parallel_config

    if name not in ENGINES:
        raise UnknownName("engine", name, ENGINES)
    return parallel_config(backend=name, **({"inner_max_num_threads": 1} if name == "loky" else {}))


def run(
    function: Callable[..., T],
    calls: Iterable[tuple[Any, ...]],
    *,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[T]:
    """Call a function many times, several calls at once.

    Parameters
    ----------
    function : callable
        What is called.
    calls : iterable of tuple
        The positional arguments of each call.
    jobs : int, optional
        Calls at once; as many as there are cores by default.
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
    with threadpool_limits(limits=1 if len(calls) > 1 else jobs or cores()):
        parallel = Parallel(n_jobs=jobs or cores(), prefer="threads", return_as="generator")
        told = (os.getpid(), list(warnings.filters))
        for result in parallel(delayed(_called)(told, function, call) for call in calls):
            results.append(result)
            if on_progress is not None:
                on_progress(len(results), len(calls))
    return results


def _called(told: tuple[int, list[Any]], function: Callable[..., T], call: tuple[Any, ...]) -> T:
    """Call a function; in another process, with the caller's filters of warnings, which it does not inherit."""
    caller, filters = told
    if os.getpid() != caller:
        warnings.filters[:] = filters  # type: ignore[index]
    return function(*call)
