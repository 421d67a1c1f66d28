"""How a process that computes tells what it did: plain JSON and raw bytes, nothing that could be run.

The images that it decodes come from anywhere. What goes the other way is pickled, since the parent is trusted. Knows
the shape of messages, not what is done about them.
"""

from __future__ import annotations

import json
import mmap
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from featx import errors
from featx.cache import RECORD
from featx.extraction.job import Done

IDLE = -1
KINDS: dict[str, np.dtype[Any]] = {"f4": np.dtype(np.float32), "u1": np.dtype(np.uint8)}  # of features and of pixels


class Reply(NamedTuple):
    """A message of the child.

    Attributes
    ----------
    what : str
        ``facts``, ``opened``, ``done``, ``decoded`` or ``error``.
    about : dict
        What it says.
    done : Done or None
        The rows that were gone through.
    """

    what: str
    about: dict[str, Any]
    done: Done | None = None


def send(pipe: Connection, what: str, about: dict[str, Any], done: Done | None = None) -> None:
    """Write a message."""
    parts = [done.rows, done.records, *done.features.values()] if done else []
    shapes = {name: [found.dtype.str[1:], *found.shape] for name, found in done.features.items()} if done else {}
    more = {"passes": done.passes, "prints": list(done.prints.items())} if done else {}
    head = {"what": what, "about": about, "parts": len(parts), "features": shapes, **more}
    pipe.send_bytes(json.dumps(head).encode())
    for part in parts:
        pipe.send_bytes(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)


def receive(pipe: Connection) -> Reply:
    """Read a message; EOFError or OSError where the child died in the middle of it."""
    head = json.loads(pipe.recv_bytes())
    if not head["parts"]:
        return Reply(head["what"], head["about"])
    rows = np.frombuffer(pipe.recv_bytes(), np.int64)
    records = np.frombuffer(pipe.recv_bytes(), RECORD)
    features = {
        name: np.frombuffer(pipe.recv_bytes(), KINDS[kind]).reshape(shape)
        for name, (kind, *shape) in head["features"].items()
    }
    prints = {int(row): values for row, values in head["prints"]}
    return Reply(head["what"], head["about"], Done(rows, records, features, head["passes"], prints))


def told(error: BaseException) -> dict[str, str]:
    """Describe an error for the parent."""
    import traceback

    return {
        "kind": type(error).__name__,
        "text": str(error),
        "trace": "".join(traceback.format_exception(error)),
    }


def as_error(about: dict[str, str]) -> BaseException:
    """Return the error that the child told of, as one of featx's own where it was one."""
    kind, text = about["kind"], about["text"]
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, errors.FeatxError):
        error = known.__new__(known)  # past constructors that take more than the message
        error.args = (text,)
        return error
    if kind == "MemoryError":
        return MemoryError(text)
    failed = errors.ComputeError(f"what computes the features failed ({kind}: {text[:300]}); try another --runtime")
    failed.add_note(about["trace"])
    return failed


class Board:
    """Memory that both processes see, in which each thread of the child keeps what it is at.

    Parameters
    ----------
    file : binary file
        As long as :meth:`size` says.
    threads : int
        Its lines.
    """

    def __init__(self, file: BinaryIO, threads: int) -> None:
        self._memory = mmap.mmap(file.fileno(), self.size(threads))
        self._lines = np.frombuffer(self._memory, np.int64).reshape(threads, 2)

    @staticmethod
    def size(threads: int) -> int:
        """Return the bytes that it takes."""
        return threads * 2 * 8

    def mark(self, thread: int, row: int) -> None:
        """Write down that a thread begins with a row now, or a number under zero for what is no row."""
        self._lines[thread, 0] = IDLE  # a row is never seen with the time of the one before
        self._lines[thread, 1] = time.monotonic_ns()
        self._lines[thread, 0] = row

    def clear(self) -> None:
        """Write down that no thread does anything."""
        self._lines[:] = IDLE

    def decoding(self) -> list[int]:
        """Return the rows that are being decoded."""
        return [row for row in self._lines[:, 0].tolist() if row >= 0]

    def overdue(self, seconds: float) -> list[int]:
        """Return the rows whose decoding takes longer than it may."""
        now: int = time.monotonic_ns()
        lines: Sequence[Sequence[int]] = self._lines.tolist()
        return [row for row, since in lines if row >= 0 and now - since > seconds * 1e9]
