"""The feature store against plain h5py: what its safety costs.

Paired: each round does both, in turn; the medians are printed. Run it as ``python benchmarks/cache.py [folder]`` on
the disk that is meant. Writing is processor time (the disk's own pace is no merit of either), loading is wall and
processor time with the file in the page cache. What a load returns lies in fresh memory, so that the copy to hold it
against is ``numpy``'s into fresh memory; half of that is the first touch of its pages.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from featx.cache import RECORD, FeatureFile, FeatureWriter

ROWS, DIM, BATCH, LOADED, ROUNDS, LOADS = 4_000, 4_096, 250, 10_015, 5, 15


def taken(clock: Callable[[], float], work: Callable[[], object]) -> float:
    begin = clock()
    work()
    return (clock() - begin) * 1000


def made(folder: Path, rows: int) -> FeatureWriter:
    path = folder / "store.h5"
    path.unlink(missing_ok=True)
    paths = [f"images/ISIC_{row:07}.jpg" for row in range(rows)]
    return FeatureWriter.open_or_create(path, spec={"layer": "fc7"}, paths=paths, table="[]", dim=DIM, env={})


def write_store(writer: FeatureWriter, features: np.ndarray) -> None:
    records = np.zeros(len(features), RECORD)
    records["status"] = 1
    for at in range(0, len(features), BATCH):
        part = slice(at, at + BATCH)
        writer.write(np.arange(at, min(at + BATCH, len(features))), features[part], records[part])
        writer.sync()


def write_h5py(folder: Path, features: np.ndarray) -> None:
    with h5py.File(folder / "plain.h5", "w") as file:
        data = file.create_dataset("features", (0, DIM), "f4", maxshape=(None, DIM), chunks=(64, DIM))
        for at in range(0, len(features), BATCH):
            data.resize(min(at + BATCH, len(features)), axis=0)
            data[at : at + BATCH] = features[at : at + BATCH]
            file.flush()


def load_store(folder: Path, *, verify: bool) -> np.ndarray:
    with FeatureFile.open(folder / "store.h5") as file:
        return file.load(verify=verify)


def load_h5py(folder: Path) -> np.ndarray:
    with h5py.File(folder / "store.h5") as file:
        return file["features"][:]


def writing(folder: Path) -> dict[str, list[float]]:
    features = np.random.default_rng(0).random((ROWS, DIM), np.float32)
    times: dict[str, list[float]] = {"store (hash, write, fdatasync)": [], "h5py append, flush": []}
    for _ in range(ROUNDS):
        with made(folder, ROWS) as writer:
            spent = taken(time.process_time, lambda writer=writer: write_store(writer, features))
        times["store (hash, write, fdatasync)"].append(spent * 1000 / ROWS)
        times["h5py append, flush"].append(taken(time.process_time, lambda: write_h5py(folder, features)) * 1000 / ROWS)
    return times


def loading(folder: Path) -> dict[str, tuple[list[float], list[float]]]:
    features = np.random.default_rng(0).random((LOADED, DIM), np.float32)
    with made(folder, LOADED) as writer:
        write_store(writer, features)
        writer.finish()
    used = np.zeros_like(features)
    works = {
        "store, open and verified load": lambda: load_store(folder, verify=True),
        "store, open and load unverified": lambda: load_store(folder, verify=False),
        "h5py [:] of the same file": lambda: load_h5py(folder),
        "numpy copy of the array": features.copy,
        "numpy copy into memory that was used before": lambda: np.copyto(used, features),
    }
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in works}
    for _ in range(LOADS):
        for name, work in works.items():
            begin = time.process_time()
            times[name][0].append(taken(time.perf_counter, work))
            times[name][1].append((time.process_time() - begin) * 1000)
    return times


def told(mine: list[float], others: list[float]) -> str:
    ratio = statistics.median(one / other for one, other in zip(mine, others, strict=True))
    return f"{statistics.median(others):8.1f}  {ratio:5.2f}x"


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        print(f"write, ms CPU per 1,000 rows x {DIM} float32, {BATCH} rows a batch (median of {ROUNDS})")
        for name, spent in writing(Path(folder)).items():
            print(f"  {name:35s} {statistics.median(spent):8.1f}")
        print(f"load {LOADED:,} x {DIM} float32, ms, and verified load against it (medians of {LOADS} rounds)")
        print(f"  {'':45s} {'wall':>8s}          processor")
        loaded = loading(Path(folder))
        verified = next(iter(loaded.values()))
        for name, spent in loaded.items():
            print(f"  {name:45s}", "  ".join(told(mine, its) for mine, its in zip(verified, spent, strict=True)))


if __name__ == "__main__":
    main()
