"""`featx extract --shard` as a user types it, four at once, each killed again and again; then `featx merge`."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from featx.cache import FeatureFile
from featx.errors import CacheError
from fire.common import Tally

SHARDS = 4
STARTING = 2.0  # seconds within which a process that has written nothing may be killed too
NETWORK = ["--backbone", "maia-custom2", "--weights", "random", "--size", "64", "--batch-size", "4"]
NETWORK += ["--precision", "fp32", "--device", "cpu"]


def killed(folder: Path, images: int, *, kills: int = 2, seed: int = 0) -> Tally:
    """Extract one dataset whole, and in four parts by processes that are each killed ``kills`` times; merge, compare.

    ``lost`` counts rows that are not in the merged file, ``wrong`` whatever differs from the run in one piece, and
    ``unreadable`` commands that ended in anything but success or the signal.
    """
    data, tally = _drawn(folder / "data", images, seed=seed), Tally()
    tally.unreadable += _featx("extract", data, *NETWORK, "--cache", folder / "whole").wait() != 0
    for known in ("runtime", "weights"):  # what is known of the network, so that no part has to load torch
        if (folder / "whole" / known).is_dir():
            shutil.copytree(folder / "whole" / known, folder / "parts" / known)
    with ThreadPoolExecutor(SHARDS) as pool:
        most = max(1, images // SHARDS // (kills + 1))  # rows from one kill to the next, so that there is room for all
        parts = [(data, folder / "parts", number, kills, most, seed) for number in range(1, SHARDS + 1)]
        for hits, bad in pool.map(lambda part: _shard(*part), parts):
            tally.trials += hits
            tally.unreadable += bad
    shards = sorted((folder / "parts").glob("*/*.h5.shard-*[0-9]"))
    tally.unreadable += _featx("merge", *shards).wait() != 0
    _compare(tally, *(next((folder / name).glob("*/*.h5")) for name in ("whole", "parts")))
    return tally


def many(folder: Path, runs: int, *, seed: int = 0) -> Tally:
    """Do so several times over, each process killed ten times."""
    total = Tally()
    for run in range(runs):
        total.add(killed(folder / str(run), 200, kills=10, seed=seed + run))
    return total


def _drawn(data: Path, images: int, *, seed: int) -> Path:
    """Draw JPEGs that take some milliseconds each, so that there is a time at which to kill."""
    rng = np.random.default_rng(seed)
    for row in range(images):
        path = data / ("nv" if row % 2 else "mel") / f"{row:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        coarse.resize((1200, 900), Image.Resampling.BICUBIC).save(path, quality=95)
    return data


def _shard(data: Path, cache: Path, number: int, kills: int, most: int, seed: int) -> tuple[int, int]:
    """Extract one part, killed again and again; return how often it was hit, and whether it ended badly."""
    moments, hits = random.Random(100 * seed + number), 0
    for _ in range(kills):
        running = _part(data, cache, number)
        _wait(running, cache, number, moments, most)
        running.send_signal(signal.SIGKILL)
        hits += running.wait() == -signal.SIGKILL
    return hits, int(_part(data, cache, number).wait() != 0)


def _part(data: Path, cache: Path, number: int) -> subprocess.Popen:
    return _featx("extract", data, *NETWORK, "--cache", cache, "--shard", f"{number}/{SHARDS}")


def _wait(running: subprocess.Popen, cache: Path, number: int, moments: random.Random, most: int) -> None:
    """Wait for a moment to kill at: while it starts, or when it has written some more rows, or as it ends."""
    starting = moments.random() < 0.25
    end = time.monotonic() + (STARTING * moments.random() if starting else 60)
    more, before = moments.randint(1, most), _written(cache, number)
    while running.poll() is None and time.monotonic() < end:
        if not starting and _written(cache, number) >= before + more:
            return
        time.sleep(0.002)


def _written(cache: Path, number: int) -> int:
    """Return how many rows of a part were ever written."""
    for path in cache.glob(f"*/*.h5.shard-{number}-of-{SHARDS}"):
        try:
            with FeatureFile.open(path) as file:
                return int((~file.never_written()).sum())
        except CacheError:
            return 0
    return 0


def _featx(*words: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "featx", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _compare(tally: Tally, whole: Path, merged: Path) -> None:
    with FeatureFile.open(whole) as one, FeatureFile.open(merged) as other:
        tally.lost += int((~other.valid()).sum())
        tally.wrong += not (one.complete and other.complete) or (one.key, one.paths) != (other.key, other.paths)
        tally.wrong += int((one.load() != other.load()).any(axis=1).sum())
        tally.wrong += one.load().tobytes() != other.load().tobytes() or one.table != other.table
        tally.wrong += one.records().tobytes() != other.records().tobytes()
        tally.wrong += one.finished["content"] != other.finished["content"]  # type: ignore[index]
        tally.count("rows the same to the bit", one.n)
