"""The process that decodes and infers: it does what it is told over a pipe, and dies with whoever started it.

A crash in a decoder or a runtime ends this process only. One thread a core; each reads, decodes and infers whole
batches. Knows nothing of the cache's files.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from featx.backbones.weights import load_network
from featx.errors import ComputeError
from featx.extraction import wire
from featx.extraction.bench import Place, bench_for, decoded_alone
from featx.extraction.job import Item, Task
from featx.extraction.process import NOT_HANDED

SET_PDEATHSIG = 1  # of Linux's prctl


def main(orders: int, replies: int, board: int, threads: int) -> None:
    """Serve until the pipe closes.

    Parameters
    ----------
    orders, replies, board : int
        File descriptors: a pipe to read from, one to write to, and the board's memory.
    threads : int
        How many batches are worked on at once.
    """
    _die_with_the_parent()
    with os.fdopen(board, "r+b", buffering=0) as file:
        shared = wire.Board(file, threads)
    served = Connection(orders, writable=False)
    child = Child(Connection(replies, readable=False), shared, threads)
    with contextlib.suppress(EOFError, OSError):
        while True:
            child.follow(served.recv_bytes())
    os._exit(0)  # not through threads that are still at work


def _die_with_the_parent() -> None:
    """Have the system end this process with its parent, also where a decoder hangs and never lets Python run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(SET_PDEATHSIG, signal.SIGKILL)


def _unpickled(message: bytes) -> Any:
    try:
        return pickle.loads(message)
    except (AttributeError, ImportError) as error:
        raise ComputeError(f"{NOT_HANDED} ({error})") from error


class Child:
    """What the process can be told to do."""

    def __init__(self, replies: Connection, board: wire.Board, threads: int) -> None:
        self._replies, self._board = replies, board
        self._saying = threading.Lock()
        self._batches: queue.SimpleQueue[tuple[Place, int, Sequence[Item]]] = queue.SimpleQueue()
        self._bench: Place | None = None
        self._threads = [threading.Thread(target=self._serve, args=(number,), daemon=True) for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def follow(self, message: bytes) -> None:
        """Do what is ordered; what goes wrong is told."""
        try:
            order, *about = _unpickled(message)
            getattr(self, f"_{order}")(*about)
        except BaseException as error:
            self._say("error", wire.told(error))

    def _say(self, what: str, about: dict[str, Any], done: Any = None) -> None:
        with self._saying:
            wire.send(self._replies, what, about, done)

    def _learn(self, backbone: Any, source: Any, memo: Any) -> None:
        _, facts = load_network(backbone, source, memo=memo)
        self._say("facts", asdict(facts))

    def _open(self, job: Task) -> None:
        self._bench = None  # before the next network comes into memory
        self._bench = bench_for(job, streams=len(self._threads))
        # torch stays in memory once it has converted a network, and is of no more use
        spent = "torch" in sys.modules and self._bench.opened.runtime.startswith("openvino")
        self._say("opened", {**self._bench.opened._asdict(), "spent": spent})

    def _decode(self, job: Task, item: Item) -> None:
        self._board.mark(0, item.row)  # no thread is at work while one image is looked at
        decoded_alone(job, item)
        self._board.mark(0, wire.IDLE)
        self._say("decoded", {})

    def _batch(self, number: int, items: Sequence[Item]) -> None:
        assert self._bench is not None
        self._batches.put((self._bench, number, items))

    def _serve(self, thread: int) -> None:
        """Work on batches as they come; a stream belongs to the thread and to the network that is open."""
        mine, stream = None, None
        while True:
            bench, number, items = self._batches.get()
            try:
                if bench is not mine:
                    mine, stream = bench, bench.stream()
                done = bench.do(items, stream=stream, mark=lambda row: self._board.mark(thread, row))  # type: ignore[arg-type]
                self._board.mark(thread, wire.IDLE)
                self._say("done", {"number": number}, done)
            except BaseException as error:
                self._say("error", wire.told(error))
