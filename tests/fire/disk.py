"""A disk on paper: what a program wrote, what of it was made to stay, and what a power cut may leave.

A model of the promises that POSIX makes, not of one file system: between two syncs of a file, any of its 512-byte
sectors may be new or old; a rename stays once the folder was synced.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

SECTOR = 512


class State(NamedTuple):
    """A moment: the bytes of each file now and at its last sync, the names now and at the folder's last sync."""

    now: dict[int, bytes]
    stay: dict[int, bytes]
    names: dict[str, int]
    names_stay: dict[str, int]


class Disk:
    """Watches the system calls of a program on one folder, and keeps its state after each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.states: list[State] = []
        self.calls: list[str] = []
        self._files: dict[int, int] = {}
        self._folders: set[int] = set()
        self._state = State({}, {}, {}, {})

    @contextlib.contextmanager
    def watching(self, *, no_sync: bool = False) -> Iterator[None]:
        """Watch; with ``no_sync``, as a control, every wait for the disk is dropped."""
        real = {name: getattr(os, name) for name in ("open", "pwrite", "ftruncate", "replace", "unlink", "close")}

        def opened(path, flags, *rest, **named):
            descriptor = real["open"](path, flags, *rest, **named)
            self._opened(Path(os.fsdecode(path)), descriptor)
            return descriptor

        def wrote(descriptor, data, at):
            self._write(descriptor, bytes(data), at)
            return real["pwrite"](descriptor, data, at)

        def cut(descriptor, length):
            self._resize(descriptor, length)
            return real["ftruncate"](descriptor, length)

        def renamed(source, target):
            real["replace"](source, target)
            names = dict(self._state.names)
            names[Path(target).name] = names.pop(Path(source).name)
            self._keep("rename", names=names)

        def closed(descriptor):
            self._files.pop(descriptor, None)
            self._folders.discard(descriptor)
            real["close"](descriptor)

        def synced(descriptor):
            if not no_sync:
                self._sync(descriptor)

        changes = {"open": opened, "pwrite": wrote, "ftruncate": cut, "replace": renamed, "close": closed}
        with contextlib.ExitStack() as stack:
            for name, change in {**changes, "fsync": synced, "fdatasync": synced}.items():
                stack.enter_context(mock.patch.object(os, name, change))
            stack.enter_context(mock.patch.object(os, "posix_fallocate", lambda *parts: None))
            yield

    def _opened(self, path: Path, descriptor: int) -> None:
        if path == self.folder:
            self._folders.add(descriptor)
        elif path.parent == self.folder and not path.name.endswith(".lock"):
            inode = os.fstat(descriptor).st_ino
            self._files[descriptor] = inode
            if inode not in self._state.now:
                now, stay = {**self._state.now, inode: b""}, {**self._state.stay, inode: b""}
                self._keep("open", now=now, stay=stay, names={**self._state.names, path.name: inode})

    def _write(self, descriptor: int, data: bytes, at: int) -> None:
        if inode := self._files.get(descriptor):
            before = self._state.now[inode].ljust(at + len(data), b"\0")
            after = before[:at] + data + before[at + len(data) :]
            self._keep("write", now={**self._state.now, inode: after})

    def _resize(self, descriptor: int, length: int) -> None:
        if inode := self._files.get(descriptor):
            after = self._state.now[inode][:length].ljust(length, b"\0")
            self._keep("resize", now={**self._state.now, inode: after})

    def _sync(self, descriptor: int) -> None:
        if inode := self._files.get(descriptor):
            self._keep("sync", stay={**self._state.stay, inode: self._state.now[inode]})
        elif descriptor in self._folders:
            self._keep("sync folder", names_stay=dict(self._state.names))

    def _keep(self, call: str, **changes) -> None:
        self._state = self._state._replace(**changes)
        self.states.append(self._state)
        self.calls.append(call)


def after_kill(state: State, name: str) -> bytes | None:
    """Return what a file holds after the program was killed: everything that it had written."""
    inode = state.names.get(name)
    return None if inode is None else state.now[inode]


def after_power_cut(state: State, name: str, rng: np.random.Generator) -> bytes | None:
    """Return what a file may hold after a power cut, None where it may not be there."""
    names = state.names if rng.random() < 0.5 else state.names_stay
    inode = names.get(name)
    if inode is None:
        return None
    new, old = state.now[inode], state.stay[inode]
    if new == old:
        return old
    length = len(new) if rng.random() < 0.5 or not old else len(old)
    sides = [np.frombuffer(side[:length].ljust(-(-length // SECTOR) * SECTOR, b"\0"), np.uint8) for side in (old, new)]
    sides = [side.reshape(-1, SECTOR) for side in sides]
    arrived = rng.random(len(sides[0])) < rng.random()
    return np.where(arrived[:, None], sides[1], sides[0]).tobytes()[:length]
