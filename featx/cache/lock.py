"""The lock beside a feature file: one writer at a time, released by the kernel however the writer ends.

The lock stands on a file of its own (``<file>.lock``), never on the feature file, which HDF5 locks for its readers.
The lock file stays where it is: nothing has to be cleaned up after a crash. Its text only helps people.

This file must never know what is written under the lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
from pathlib import Path
from weakref import WeakSet

from featx.errors import CacheError, CacheLocked


class Lock:
    """The right to write one feature file, held from construction to :meth:`release`.

    Parameters
    ----------
    path : path-like
        The feature file; its folder is made where it is missing.
    no_lock : bool
        Take nothing: for a file system without locks, on the caller's word that nobody else writes.

    Raises
    ------
    CacheLocked
        Where another process, or this one, holds it.
    CacheError
        Where the lock file cannot be made, or the file system knows no locks.
    """

    def __init__(self, path: str | os.PathLike[str], *, no_lock: bool = False) -> None:
        self.path = Path(path)
        self._descriptor = -1
        if not no_lock:
            self._descriptor = _locked(self.path, Path(f"{self.path}.lock"))
            _HELD.add(self)

    def release(self) -> None:
        """Give the lock back; again is no error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _locked(path: Path, lock: Path) -> int:
    """Return the descriptor of the lock file, with the lock on it."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise CacheError(f"cannot make {lock}: {error.strerror}; name another folder for the cache") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise CacheLocked(f"{path} is being written by {holder}; wait until it ends, or end it") from None
        raise CacheError(
            f"{lock} cannot be locked: {error.strerror}; name a folder on a local disk for the cache"
        ) from error
    _sign(descriptor)
    return descriptor


def _sign(descriptor: int) -> None:
    """Say who holds the lock, where there is room on the disk for it."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)


def _holder(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        text = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
        if text.isprintable() and text:
            return text
    return "another process"


def _let_go() -> None:
    """Close the locks in a forked child: a worker that outlives its parent must not keep them held."""
    for lock in list(_HELD):
        lock.release()


_HELD: WeakSet[Lock] = WeakSet()
os.register_at_fork(after_in_child=_let_go)
