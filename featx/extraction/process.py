"""A process that computes, as its parent sees it: started, told what to do, listened to, and seen to die.

Knows how a process is kept; never what a row or a feature is for.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait
from time import monotonic
from typing import Any

from featx.errors import ComputeError
from featx.extraction import wire

IMAGE_SECONDS = 60.0  # that one image may take to be read and decoded
LOOK_SECONDS = 0.5  # between looks at the board
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from featx.extraction.child import main; main(*map(int, sys.argv[2:]))"
)
NOT_HANDED = (
    "this network cannot be handed to another process; define it in a module that can be imported, or call extract "
    "with isolate=False"
)
# torch allocates and frees the same large blocks in every pass; kept, they cost no page faults: 5 to 9 % of its time
MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(2**26)}


class Died(Exception):
    """The process is gone.

    Attributes
    ----------
    reason : str
        ``decoder_crash`` or ``timeout``, and what the system says.
    rows : list of int
        The rows that it was decoding; where it took too long, the one that did.
    """

    def __init__(self, reason: str, rows: list[int]) -> None:
        super().__init__(reason)
        self.reason, self.rows = reason, rows


class Process:
    """A child that decodes and infers.

    Parameters
    ----------
    threads : int
        Batches that it works on at once.
    surroundings : mapping, optional
        Variables of its environment, beside those of this process.
    """

    def __init__(self, threads: int, surroundings: Mapping[str, str] | None = None) -> None:
        self._surroundings = {**MEMORY, **(surroundings or {})}
        with tempfile.TemporaryFile() as file:
            file.truncate(wire.Board.size(threads))
            self._board = wire.Board(file, threads)  # type: ignore[arg-type]
            self._board.clear()
            self._start(file.fileno(), threads)
        self._looked = monotonic()

    def _start(self, board: int, threads: int) -> None:
        if not sys.executable:
            raise ComputeError("this Python does not say where it lies, so no process can be started; isolate=False")
        orders, replies = os.pipe(), os.pipe()
        theirs = (orders[0], replies[1], board)
        command = [sys.executable, "-c", START, json.dumps(sys.path), *map(str, theirs), str(threads)]
        try:
            self._popen = subprocess.Popen(
                command,
                pass_fds=theirs,
                env={**os.environ, **self._surroundings},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C goes to the parent, which ends the child
            )
        finally:
            os.close(orders[0])
            os.close(replies[1])
        self._orders = Connection(orders[1], readable=False)
        self._replies = Connection(replies[0], writable=False)

    def tell(self, order: str, *about: Any) -> None:
        """Send an order."""
        try:
            self._orders.send((order, *about))
        except OSError:
            raise self._died() from None
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ComputeError(f"{NOT_HANDED} ({error})") from error

    def listen(self) -> wire.Reply:
        """Wait for the next reply.

        Raises
        ------
        Died
            Where the process is gone, or had to be ended since an image took too long.
        FeatxError, MemoryError
            Whatever went wrong there.
        """
        while not wait([self._replies], LOOK_SECONDS):
            self._look()
        self._look()
        try:
            reply = wire.receive(self._replies)
        except (EOFError, OSError):
            raise self._died() from None
        if reply.what == "error":
            raise wire.as_error(reply.about)
        return reply

    def _look(self) -> None:
        if monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = monotonic()
        rows = self._board.overdue(IMAGE_SECONDS)
        if rows:
            self.end()
            raise Died(f"timeout: not decoded in {IMAGE_SECONDS:g} seconds", rows)

    def _died(self) -> Died:
        rows = self._board.decoding()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(5)
        self.end()
        return Died(f"decoder_crash: {self._end_told()}", rows)

    def _end_told(self) -> str:
        code = self._popen.returncode
        if code >= 0:
            return f"the process that decodes ended with exit code {code}"
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the process that decodes died of {name}{hint}"

    def kill(self) -> None:
        """End the process at once, from any thread: whoever listens to it finds it gone."""
        self._popen.kill()

    def end(self) -> None:
        """End the process at once; what it had sent is kept."""
        self._popen.kill()
        self._popen.wait()
        self._orders.close()
        self._replies.close()
