"""The small feature file that all trials write, what it must hold, and how a trial is judged."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np

from featx.cache import OK, PENDING, RECORD, FeatureFile, FeatureWriter, new_record, reader
from featx.errors import CacheError

SPEC = {"layer": "fc7", "weights": "0a" * 32}
PATIENCE = 10  # seconds after which a trial counts as hanging


@dataclass
class Tally:
    """What trials came to; everything but ``trials`` and ``told`` must be 0.

    Attributes
    ----------
    trials : int
    lost : int
        Rows that were saved and are not there.
    wrong : int
        Rows served that are not what was written.
    unreadable : int
        Files that were there and cannot be opened, or trials that ended in anything but an error of featx.
    told : dict
        Counts that say what the trials met.
    """

    trials: int = 0
    lost: int = 0
    wrong: int = 0
    unreadable: int = 0
    told: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        return self.trials > 0 and not (self.lost or self.wrong or self.unreadable)

    def count(self, what: str, number: int = 1) -> None:
        self.told[what] = self.told.get(what, 0) + number

    def add(self, other: Tally) -> None:
        for name in ("trials", "lost", "wrong", "unreadable"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for what, number in other.told.items():
            self.count(what, number)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Job:
    """A feature file to be written: rows in batches, and what they hold; version 1 stands for changed images."""

    path: Path
    n: int = 160
    dim: int = 64
    batch: int = 16

    @property
    def about(self) -> dict:
        paths = [f"{row}.jpg" for row in range(self.n)]
        return {"spec": SPEC, "paths": paths, "table": "[]", "dim": self.dim, "env": {"host": "here"}}

    def features(self, rows: np.ndarray, version: int = 0) -> np.ndarray:
        """Return rows each of which tells its index and version in every number."""
        base = np.asarray(rows, np.float32)[:, None] + 1000 * version + 1
        return np.float32(base * (1 + np.arange(self.dim, dtype=np.float32) / 1024))

    def records(self, rows: np.ndarray, version: int = 0) -> np.ndarray:
        return np.array([new_record(size=int(row) + 1 + 1000 * version) for row in rows], RECORD)

    def open(self, **options) -> FeatureWriter:
        return FeatureWriter.open_or_create(self.path, **self.about, **options)

    def put(self, writer: FeatureWriter, rows: np.ndarray, version: int = 0) -> None:
        writer.write(rows, self.features(rows, version), self.records(rows, version))

    def run(self, tell=lambda what, rows=(): None, pause=lambda: None) -> None:
        """Write what is missing and finish; ``tell`` hears of each step, of rows once they are saved."""
        tell("open")
        with self.open() as writer:
            tell("opened")
            pending = np.flatnonzero(writer.status() == PENDING)
            for at in range(0, len(pending), self.batch):
                rows = pending[at : at + self.batch]
                self.put(writer, rows)
                writer.sync()
                tell("saved", rows)
                pause()
            tell("finish")
            writer.finish()
        tell("done")

    def whole(self) -> bytes:
        """Return the bytes that a reader gets of a whole file."""
        rows = np.arange(self.n)
        return self.features(rows).tobytes() + self.records(rows).tobytes()

    def held(self) -> bytes:
        with FeatureFile.open(self.path) as file:
            return file.load().tobytes() + file.records().tobytes()


def judge(job: Job, saved: np.ndarray, tally: Tally, *, versions=(0,)) -> bool:
    """Count saved rows that are gone and rows that nobody wrote; return whether the file is complete."""
    try:
        with FeatureFile.open(job.path) as file:
            status, features, records, complete = file.status(), file.load(), file.records(), file.complete
    except CacheError:
        tally.unreadable += 1
        return False
    ok = np.flatnonzero(status == OK)
    right = np.zeros(len(ok), bool)
    for version in versions:
        same = (features[ok] == job.features(ok, version)).all(axis=1)
        right |= same & (records[ok] == job.records(ok, version))
    tally.wrong += int((~right).sum()) + int(complete and len(ok) < job.n)
    tally.lost += len(set(np.asarray(saved).tolist()) - set(ok.tolist()))
    return complete


class _Anything:
    """Equal to whatever it is compared with, but for rows never written."""

    def __eq__(self, hashes):
        return np.asarray(hashes) != 0

    __hash__ = None  # type: ignore[assignment]


def no_hash_check():
    """Control: rows are believed as soon as anything was written where their hash stands."""
    return mock.patch.object(reader, "hash_rows", lambda *parts: _Anything())


@contextlib.contextmanager
def alarm(seconds: int = PATIENCE) -> Iterator[None]:
    """Let nothing hang for ever."""

    def stop(*_):
        raise TimeoutError("hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def apart(address: str, folder: Path, **options) -> Tally:
    """Make trials in a process of their own; ``address`` is ``module.function`` of this package."""
    home = str(Path(__file__).parents[1])
    words = [sys.executable, "-m", "fire", address, str(folder), json.dumps(options)]
    told = subprocess.run(words, capture_output=True, text=True, cwd=home, check=False)
    if told.returncode:
        raise RuntimeError(f"{address} ended with {told.returncode}:\n{told.stderr}")
    return Tally(**json.loads(told.stdout))


def forked(work) -> int:
    """Run work in a child process that ends without any cleaning up; return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    with contextlib.suppress(BaseException):
        work()
        code = 0
    os._exit(code)
