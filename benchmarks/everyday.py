"""What a user waits for every day: help, a second extraction of unchanged images, and the memory of a long one.

Each figure stands beside what a script does instead. Prints a Markdown table.

    python benchmarks/everyday.py [--images 10015] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from featx.datasets import demo
from featx.engine import cores

FEATX = [sys.executable, "-m", "featx"]
# What a script that opens with the usual imports pays before it can print its help.
SCRIPT_HELP = "import argparse, h5py, sklearn.svm, torch, torchvision; argparse.ArgumentParser().print_help()"
# What a script does that has no memory of what it read: every image again, before the network even starts.
SCRIPT_AGAIN = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
for path in sorted(Path(sys.argv[1]).rglob("*.jpg")):
    np.asarray(Image.open(path).convert("RGB").resize((37, 37)), dtype=np.float32)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_015)
    parser.add_argument("--folder", type=Path, help="where the images are made and kept [a temporary one]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        many, few = made(folder / "many", arguments.images), made(folder / "few", arguments.images // 10)
        os.environ["FEATX_CACHE"] = str(folder / "cache")
        print(f"{cores()} cores, {arguments.images:,} images of 48 x 64 pixels\n")
        print("| | featx | instead | ratio |\n|---|---|---|---|")
        report_help()
        report_again(many)
        report_memory(few, many)


def made(folder: Path, images: int) -> Path:
    if not (folder / demo.TABLE).exists():
        demo.generate(folder, images=images, size=(48, 64), jobs=cores())
    return folder


def report_help() -> None:
    ours, theirs = paired([*FEATX, "--help"], [sys.executable, "-c", SCRIPT_HELP], runs=7)
    row("`featx --help`, seconds, whole process", ours, theirs)


def report_again(data: Path) -> None:
    """4,107 features an image, about as many as fc7 of VGG16 has; what is measured does not depend on the network."""
    extract = [*FEATX, "extract", str(data), "--backbone", "pixels", "--size", "37"]
    subprocess.run(extract, check=True, stdout=subprocess.DEVNULL)
    ours, theirs = paired(extract, [sys.executable, "-c", SCRIPT_AGAIN, str(data)], runs=3)
    row("second `featx extract` of unchanged images; a script reading them again, network not counted", ours, theirs)


def report_memory(few: Path, many: Path) -> None:
    words = ["--backbone", "mobilenet_v2", "--weights", "random", "--size", "64"]
    small, large = (peak([*FEATX, "extract", str(data), *words]) for data in (few, many))
    what = "peak memory of `featx extract`, MB: all the images against a tenth of them"
    print(f"| {what} | {large:.0f} | {small:.0f} | {large / small:.2f} |")


def paired(ours: list[str], theirs: list[str], *, runs: int) -> tuple[float, float]:
    """Return the median wall seconds of two commands, run in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for command, kept in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            kept.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def peak(command: list[str]) -> float:
    """Return the largest resident memory of a command, in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return usage.ru_maxrss / 1024


def row(what: str, ours: float, theirs: float) -> None:
    print(f"| {what} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f}x |", flush=True)


if __name__ == "__main__":
    main()
