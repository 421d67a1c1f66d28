"""Disks that are full or refuse: at every size, at every write; nothing saved is lost, and it goes on afterwards."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from featx.errors import CacheError
from fire.common import Job, Tally, forked, judge


def limited(folder: Path, sizes: int, *, seed: int = 0) -> Tally:
    """Run under a limit on the size of files (RLIMIT_FSIZE), at sizes from nothing to enough; then without."""
    job, tally, rng = Job(folder / "limited.h5"), Tally(), np.random.default_rng(seed)
    job.run()
    enough = job.path.stat().st_size
    job.path.unlink()
    for born in (False, True):  # with the file there in full, so that the limit comes later, and without
        for size in (np.linspace(0, enough, sizes // 2) + rng.integers(0, 512, sizes // 2)).astype(int).tolist():
            if born:
                _made(job)
            limit = (size, resource.RLIM_INFINITY)
            stopped = _trial(job, tally, lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
            tally.count("stopped", int(stopped))
    return tally


def refused(folder: Path) -> Tally:
    """Let each single write and each wait of a run be refused in turn, by ENOSPC and by EIO; then run again."""
    job, tally = Job(folder / "refused.h5", n=32), Tally()
    for code in (errno.ENOSPC, errno.EIO):
        for call in ("pwrite", "fsync", "fdatasync", "ftruncate", "posix_fallocate", "replace", "open"):
            turn, met = 0, True
            while met:
                turn += 1
                met = _trial(job, tally, lambda call=call, turn=turn, code=code: _refuse(call, turn, code))
                tally.count("refusals met", int(met))
    return tally


def _refuse(call: str, turn: int, code: int) -> None:
    """Let the ``turn``-th call of a kind fail, and all after it."""
    real, calls = getattr(os, call), 0

    def failing(*parts, **named):
        nonlocal calls
        calls += 1
        if calls >= turn:
            raise OSError(code, os.strerror(code))
        return real(*parts, **named)

    setattr(os, call, failing)


def small_disk(folder: Path, *, megabytes: int = 20) -> Tally:
    """Write on a disk of some megabytes that other files fill, at every stage; needs the right to mount."""
    tally = Tally()
    with mounted(folder / "small", megabytes) as disk:
        job = Job(disk / "small.h5", n=2000, dim=1024)
        size = 2000 * 1024 * 4
        for free in (0, 100_000, size // 2, size - 4096, size * 2):
            with _filled(disk, free):
                _trial(job, tally, lambda: None, again=False)
            tally.count("born" if job.path.exists() else "refused at birth")
        _made(job)
        with _filled(disk, 0):  # room was taken at birth, so that a full disk later stops nothing
            _trial(job, tally, lambda: None)
    return tally


@contextlib.contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk in memory.

    Raises
    ------
    PermissionError
        Where this process may not mount.
    """
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        subprocess.run(options, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PermissionError("this process may not mount a disk") from error
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def _filled(disk: Path, free: int) -> Iterator[None]:
    """Fill a disk but for some bytes."""
    room = os.statvfs(disk)
    size = max(0, room.f_bavail * room.f_frsize - free)
    filler = disk / "filler"
    with filler.open("wb") as stream:
        if size:
            os.posix_fallocate(stream.fileno(), 0, size)
    try:
        yield
    finally:
        filler.unlink()


def _made(job: Job) -> None:
    job.path.unlink(missing_ok=True)
    job.open().close()


def _trial(job: Job, tally: Tally, prepare, *, again: bool = True) -> bool:
    """Run in a child where something is refused, look at what is left, and run again; return whether it was refused."""
    tally.trials += 1
    saved, end = _child(job, prepare)
    if end not in (0, 3):
        tally.unreadable += 1  # a crash, or an error that is not featx's
        tally.count(f"child ended with {end}")
    if job.path.exists():
        judge(job, saved, tally)
    elif len(saved):
        tally.lost += len(saved)
    tally.count("temporary files left", len(list(job.path.parent.glob("*.tmp*"))))
    if again:
        job.run()
        tally.wrong += job.held() != job.whole()
        job.path.unlink()
    return end != 0


def _child(job: Job, prepare) -> tuple[np.ndarray, int]:
    """Return the rows that a child saved, and its end: 0 done, 3 an error of featx, else anything."""
    reader, pipe = os.pipe()

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        prepare()
        try:
            job.run(lambda what, rows=(): what == "saved" and os.write(pipe, np.asarray(rows, "<u4").tobytes()))
        except CacheError:
            os._exit(3)

    child = forked(work)
    os.close(pipe)
    with os.fdopen(reader, "rb") as stream:
        saved = np.frombuffer(stream.read(), "<u4").astype(int)
    return saved, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
