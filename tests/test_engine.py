"""The engine returns results in order, whatever carries the calls."""

from __future__ import annotations

import os
import threading
import warnings

import pytest

from featx import engine
from featx.errors import UnknownName


@pytest.mark.parametrize("jobs", [None, 1, 2, 5])
def test_results_come_in_the_order_of_the_calls(jobs):
    assert engine.run(lambda a, b: a * b, [(i, 2) for i in range(20)], jobs=jobs) == [2 * i for i in range(20)]


def test_no_calls_give_no_results():
    assert engine.run(print, []) == []


def test_progress_is_told_after_each_call():
    told = []
    engine.run(abs, [(-1,), (-2,), (-3,)], jobs=2, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_two_jobs_run_at_once():
    meeting = threading.Barrier(2, timeout=20)
    assert sorted(engine.run(lambda _: meeting.wait(), [(0,), (0,)], jobs=2)) == [0, 1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_a_call_reaches_the_caller(jobs):
    def fail(at):
        raise KeyError(at)

    with pytest.raises(KeyError, match="7"):
        engine.run(fail, [(7,)], jobs=jobs)


def test_linear_algebra_keeps_to_one_thread_meanwhile():
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    before = [pool["num_threads"] for pool in threadpool_info()]
    inside = engine.run(lambda: [pool["num_threads"] for pool in threadpool_info()], [(), ()], jobs=2)
    assert all(inside) and {threads for own in inside for threads in own} == {1}
    assert [pool["num_threads"] for pool in threadpool_info()][: len(before)] == before


def test_a_call_that_is_alone_has_all_threads_that_it_may_have():
    from threadpoolctl import threadpool_info, threadpool_limits

    with threadpool_limits(limits=2):
        (inside,) = engine.run(lambda: [pool["num_threads"] for pool in threadpool_info()], [()], jobs=1)
        assert set(inside) == {1}
        (inside,) = engine.run(lambda: [pool["num_threads"] for pool in threadpool_info()], [()], jobs=2)
        assert 2 in inside


def test_there_is_a_core():
    assert engine.cores() >= 1


def test_processes_carry_calls_where_they_are_asked_for():
    with engine.using("loky"):
        found = engine.run(lambda number: (number, os.getpid()), [(number,) for number in range(4)], jobs=2)
    assert [number for number, _ in found] == [0, 1, 2, 3]
    assert os.getpid() not in {process for _, process in found}


def test_another_process_ignores_the_warnings_that_the_caller_does():
    def warn():
        warnings.warn("told", RuntimeWarning, stacklevel=1)
        return 1

    with engine.using("loky"):
        with pytest.raises(RuntimeWarning):  # the tests' own filter
            engine.run(warn, [()], jobs=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            assert engine.run(warn, [()], jobs=2) == [1]


def test_an_unknown_engine_is_refused():
    with pytest.raises(UnknownName, match="threading"):
        engine.using("treading")
