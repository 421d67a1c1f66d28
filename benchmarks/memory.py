"""The memory of a process and all that it started, looked at again and again while it runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


class Largest:
    """The largest sum seen so far, in bytes."""

    bytes = 0


@contextmanager
def watched(pid: int, held: Callable[[int], int], *, every: float) -> Iterator[Largest]:
    """Look, every so many seconds, at what a process and its children hold, by a measure of one process."""
    largest, ended = Largest(), threading.Event()

    def look() -> None:
        while not ended.wait(every):
            largest.bytes = max(largest.bytes, sum(map(held, family(pid))))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield largest
    finally:
        ended.set()
        watcher.join()


def family(pid: int) -> list[int]:
    """Return a process and all that it started; none once it has ended."""
    try:
        told = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:
        return []
    return [pid, *(one for child in told.split() for one in family(int(child)))]


def resident(pid: int) -> int:
    """Return the memory that a process holds, pages that it shares too; one that has ended holds nothing."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def proportional(pid: int) -> int:
    """Return the memory that a process holds, shared pages divided among those who share them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
