"""Threads: results in order, errors after all have ended, and torch's threads as they were."""

import threading
import time

import pytest
import torch

from featx.training.workers import Workers


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_calls(count):
    with Workers(count) as workers:
        assert list(workers.map(lambda at: time.sleep(0.01 * (4 - at)) or at, 5)) == [0, 1, 2, 3, 4]


def test_calls_go_on_at_the_same_time_with_one_core_each():
    meet = threading.Barrier(3, timeout=10)
    with Workers(3) as workers:
        assert list(workers.map(lambda _: meet.wait() >= 0 and torch.get_num_threads(), 3)) == [1, 1, 1]


def test_an_error_comes_once_nothing_goes_on():
    ended = []

    def call(at):
        if at == 0:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        time.sleep(0.05)
        ended.append(at)

    with Workers(2) as workers:
        with pytest.raises(RuntimeError, match="memory"):
            list(workers.map(call, 8))
        there = list(ended)
        time.sleep(0.1)
        assert ended == there and len(there) < 8


def test_threads_after_it_have_as_many_as_before():
    def told():
        found = []
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        return found

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with Workers(2, each=1) as workers:
            list(workers.map(lambda _: torch.ones(10).sum(), 4))
            assert torch.get_num_threads() == 3
            workers.spread_caller(over_all=False)
            assert torch.get_num_threads() == 1
        assert (torch.get_num_threads(), told()) == (3, [3])
    finally:
        torch.set_num_threads(before)
