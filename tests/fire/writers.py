"""Several writers on one cache: one at a time, the next at once when it is killed; and what signals leave behind."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np

from featx.cache import PENDING
from featx.errors import CacheError, CacheLocked
from fire.common import Job, Tally, forked, judge

NEXT_WITHIN = 1.0  # seconds after which the lock of a killed writer must be free
STOPS_WITHIN = 5.0


def contended(folder: Path, rounds: int, *, seed: int = 0, no_lock: bool = False) -> Tally:
    """Start 2 to 16 writers at once, round after round; exactly one may proceed, and is killed while it writes.

    Parameters
    ----------
    no_lock : bool
        Control: nobody takes the lock.
    """
    job, tally, moments = Job(folder / "contended.h5"), Tally(), random.Random(seed)
    saved = np.zeros(0, int)
    while tally.trials < rounds:
        tally.trials += 1
        proceeded, more = _round(job, moments.randint(2, 16), moments, no_lock=no_lock)
        tally.wrong += abs(proceeded - 1)
        begin = time.monotonic()
        _wait_for_lock(job)
        tally.wrong += time.monotonic() - begin > NEXT_WITHIN
        saved = np.union1d(saved, more).astype(int)
        if judge(job, saved, tally):
            job.path.unlink()
            saved = saved[:0]
    return tally


def _round(job: Job, writers: int, moments: random.Random, *, no_lock: bool) -> tuple[int, np.ndarray]:
    """Let writers race; return how many got in, and the rows that were saved before the holder was killed."""
    start, go = os.pipe()
    reader, pipe = os.pipe()
    children = [forked(lambda: _race(job, start, go, pipe, no_lock=no_lock)) for _ in range(writers)]
    os.close(start)
    os.close(pipe)
    os.close(go)  # the end of the pipe is the starting gun
    heard = b""
    with os.fdopen(reader, "rb", buffering=0) as stream:
        while heard.count(b"\n") < writers and (part := stream.read(1 << 12)):
            heard += part
        time.sleep(moments.random() * 0.01)
        for child in children:
            os.kill(child, signal.SIGKILL)
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        heard += stream.read()
    words = heard.decode().split("\n")
    crashed = sum(end not in (0, -signal.SIGKILL) for end in ended)
    rows = [int(word.removeprefix("saved ")) for word in words if word.startswith("saved ")]
    return words.count("in") + crashed, np.array(rows, int)


def _race(job: Job, start: int, go: int, pipe: int, *, no_lock: bool) -> None:
    os.close(go)
    os.read(start, 1)
    try:
        writer = job.open(no_lock=no_lock)
    except CacheLocked:
        os.write(pipe, b"out\n")
        return
    os.write(pipe, b"in\n")
    with writer:
        pending = np.flatnonzero(writer.status() == PENDING)
        for at in range(0, len(pending), job.batch):
            rows = pending[at : at + job.batch]
            job.put(writer, rows)
            writer.sync()
            os.write(pipe, "".join(f"saved {row}\n" for row in rows).encode())
        if len(pending) < job.n // 2:
            writer.finish()
        time.sleep(60)  # holds the lock until it is killed


def _wait_for_lock(job: Job) -> None:
    until = time.monotonic() + 10 * NEXT_WITHIN
    while time.monotonic() < until:
        try:
            job.open().close()
            return
        except CacheLocked:
            time.sleep(0.01)
        except CacheError:
            return


def stopped(folder: Path, times: int, *, seed: int = 0) -> Tally:
    """Send SIGINT and SIGTERM to writers at random moments; saved rows stay, at most a batch is to be done again."""
    job, tally, moments = Job(folder / "stopped.h5", n=2000), Tally(), random.Random(seed)
    for turn in range(times):
        reader, pipe = os.pipe()

        def work(pipe=pipe):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            job.run(lambda what, rows=(): what == "saved" and os.write(pipe, np.asarray(rows, "<u4").tobytes()))

        child = forked(work)
        os.close(pipe)
        time.sleep(moments.random() * 0.05)
        begin = time.monotonic()
        os.kill(child, signal.SIGTERM if turn % 2 else signal.SIGINT)
        os.waitpid(child, 0)
        tally.trials += 1
        tally.wrong += time.monotonic() - begin > STOPS_WITHIN
        with os.fdopen(reader, "rb") as stream:
            saved = np.frombuffer(stream.read(), "<u4").astype(int)
        if job.path.exists():
            judge(job, saved, tally)
            job.run()
            tally.wrong += job.held() != job.whole()
            job.path.unlink()
        else:
            tally.lost += len(saved)
    return tally
