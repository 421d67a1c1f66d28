"""What trees on raw pixels cost at full scale: 10,015 rows x 150,528 pixels, in memory, time and processor time.

Each step is a whole `featx` process: `featx extract --backbone pixels`, and `featx compare` of a tree and of a forest
(scikit-learn's default leaf size and 100 trees) over a grouped 80/20 hold-out on the design `diagnosis`. Memory is the
largest sum of what the process and its children held resident, looked at ten times a second; time and processor seconds
are those of all of them. Prints a Markdown table, and ends with 1 where a step held more than ``--most`` GB.

    python benchmarks/pixel_trees.py FOLDER --cache CACHE [--accelerate numba none] [--only extract tree rf] [--most 8]

FOLDER is HAM10000, or what ``benchmarks/ham10000_standin.py`` draws in its place. ``--size`` makes pictures smaller.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from memory import resident, watched

LOOK = 0.1  # seconds between two looks
PLAIN = {"tree": ["--param", "tree:min_samples_leaf=1"], "rf": ["--param", "rf:n_estimators=100"]}


class Cost(NamedTuple):
    """What a process and its children took: seconds on the wall and of processors, and gigabytes."""

    wall: float
    processor: float
    memory: float


def cost_of(command: Sequence[str], *, env: dict[str, str]) -> Cost:
    """Run a command to its end and measure it; SystemExit where it fails."""
    start = time.perf_counter()
    with subprocess.Popen(command, env=env) as process:
        with watched(process.pid, resident, every=LOOK) as largest:
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    most = max(largest.bytes, used.ru_maxrss * 1024)  # what a look between two may have missed
    return Cost(time.perf_counter() - start, used.ru_utime + used.ru_stime, most / 1e9)


def steps(asked: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the command of each step."""
    featx = [sys.executable, "-m", "featx"]
    if "extract" in asked.only:
        size = ["--size", str(asked.size)]
        yield "extract", [*featx, "extract", str(asked.folder), "--backbone", "pixels", *size, "--quiet"]
    for accelerate in asked.accelerate:
        for name in ("tree", "rf"):
            if name in asked.only:
                how = ["--design", "diagnosis", "--folds", "holdout:80/20", "--accelerate", accelerate]
                told = f"{name}, {'scikit-learn' if accelerate == 'none' else accelerate}"
                yield told, [*featx, "compare", str(asked.folder), "--clf", name, *PLAIN[name], *how]


def main() -> None:
    """Run the steps and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="an empty one, so that all is computed")
    parser.add_argument("--accelerate", nargs="+", default=["numba"])
    parser.add_argument("--only", nargs="+", default=["extract", "tree", "rf"])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--most", type=float, default=8.0, help="gigabytes (1e9 bytes)")
    asked = parser.parse_args()
    env = {**os.environ, "FEATX_CACHE": str(asked.cache)}
    costs = {name: cost_of(command, env=env) for name, command in steps(asked)}
    print("| step | largest memory, GB | s | processor s |\n|---|---|---|---|")
    for name, cost in costs.items():
        print(f"| {name} | {cost.memory:.2f} | {cost.wall:.0f} | {cost.processor:.0f} |")
    if max(cost.memory for cost in costs.values()) > asked.most:
        raise SystemExit(f"a step held more than {asked.most:g} GB")


if __name__ == "__main__":
    main()
