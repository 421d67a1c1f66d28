"""The two sides of a comparison of extractions: what is started, what it wrote, how long it took, what memory it held.

Each side is a whole process: featx by its command, the others as the scripts in ``benchmarks/peers``.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from memory import proportional, watched

PEERS = Path(__file__).parent / "peers"
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
EVERY = 0.05  # seconds between looks at memory


class Work(NamedTuple):
    """A network with its weights, and where what is made of it goes."""

    backbone: str
    weights: Path
    place: Path


class Featx(NamedTuple):
    """featx as a user calls it; the compiled network of an earlier run is there, features are not."""

    precision: str
    runtime: str

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"featx {self.precision}"

    def command(self, work: Work, folder: Path) -> list[str]:
        """Return what is started for the images of a folder, after forgetting the features of an earlier run."""
        cache = work.place / "cache"
        shutil.rmtree(cache / folder.name, ignore_errors=True)
        words = ["extract", folder, "--dataset", "folder", "--backbone", work.backbone, "--layer", "penultimate"]
        words += ["--weights", work.weights, "--precision", self.precision, "--runtime", self.runtime]
        return [sys.executable, "-m", "featx", *map(str, words), "--cache", str(cache), "--quiet"]

    def wrote(self, work: Work, folder: Path) -> Path:
        """Return the file with the features."""
        (found,) = (work.place / "cache" / folder.name).glob("*.h5")
        return found


class Peer(NamedTuple):
    """A script of ``benchmarks/peers``."""

    name: str
    script: str
    precision: str = "fp32"
    python: str = sys.executable
    threads: int = 2

    def command(self, work: Work, folder: Path) -> list[str]:
        """Return what is started for the images of a folder."""
        words = [PEERS / self.script, folder, self.wrote(work, folder), "--backbone", work.backbone]
        words += ["--weights", work.weights, "--precision", self.precision, "--threads", self.threads]
        return [self.python, *map(str, words)]

    def wrote(self, work: Work, folder: Path) -> Path:
        """Return the file with the features."""
        return work.place / f"{self.script}-{self.precision}-{folder.name}.h5"


Side = Featx | Peer


class Spent(NamedTuple):
    """Seconds of a whole process: on the wall, and of processors, which others on the machine hardly change."""

    wall: float
    cpu: float


def spent(side: Side, work: Work, folder: Path) -> Spent:
    """Run a side on a folder and return what that took, its child processes included."""
    command = side.command(work, folder)
    before, start = _cpu(), time.perf_counter()
    run(command)
    return Spent(time.perf_counter() - start, _cpu() - before)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command: list[str]) -> str:
    """Run a command to its end and return what it printed; what it complains of ends the benchmark."""
    done = subprocess.run(command, capture_output=True, text=True, env=QUIET)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def versions(side: Peer, work: Work, folder: Path) -> dict[str, str]:
    """Return the versions that a script says it ran with."""
    found: dict[str, str] = {}
    for line in run(side.command(work, folder)).splitlines():
        if line.startswith("{"):
            found |= json.loads(line)
    return found


def features(side: Side, work: Work, folder: Path) -> tuple[list[str], np.ndarray]:
    """Return paths, sorted, and the features of each, shape (n, d)."""
    with h5py.File(side.wrote(work, folder)) as file:
        paths = [path.decode() for path in file["path"][:]]
        rows = file["features"][:]
    order = np.argsort(paths)
    return [paths[at] for at in order], rows[order]


def parity(ours: tuple[list[str], np.ndarray], theirs: tuple[list[str], np.ndarray]) -> tuple[float, float]:
    """Return the worst cosine of an image's features to the other side's, and the relative error over all."""
    if ours[0] != theirs[0]:
        raise SystemExit("the sides did not extract the same images")
    a, b = (rows.astype(np.float64) for rows in (ours[1], theirs[1]))
    cosines = (a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-300)
    return float(cosines.min()), float(np.linalg.norm(a - b) / np.linalg.norm(b))


def peak(side: Side, work: Work, folder: Path) -> float:
    """Return the largest memory of a process and its children together, in MB: shared pages count once."""
    process = subprocess.Popen(
        side.command(work, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=QUIET
    )
    with watched(process.pid, proportional, every=EVERY) as largest:
        code = process.wait()
    if code:
        raise SystemExit(f"{side.name} ended with {code}")
    return largest.bytes / 2**20
