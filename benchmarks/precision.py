"""What bf16 does to real features and to what is concluded from them: torch and OpenVINO, each at fp32 and bf16.

On the dermoscopic images and the two files of ImageNet weights behind FEATX_TEST_DATA (a folder with ``data/`` and
``weights/``): the AUC of ``svm`` over 5x2 grouped folds, the same for every row, and the cosine of each image's
features to those of torch in fp32. Prints a Markdown table.

    FEATX_TEST_DATA=DIR python benchmarks/precision.py [--backbone NAME ...] [--design NAME ...]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

import featx

DATA = "data/isic2018_subset"
WEIGHTS = {"mobilenet_v2": "mobilenet_v2_imagenet_fp16.pth", "squeezenet1_0": "squeezenet1_0_imagenet.pth"}
WAYS = [(runtime, precision) for runtime in ("torch", "openvino") for precision in ("fp32", "bf16")]
DESIGNS = ["malignant-vs-benign", "mel-vs-benign"]
ROWS = "| network | runtime | precision | {} | worst change | cosine to torch fp32, mean | worst | rel. error |"


class Found(NamedTuple):
    """Features of the images that a way extracted, and the mean AUC of each design."""

    features: np.ndarray
    auc: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", nargs="+", choices=WEIGHTS, default=list(WEIGHTS))
    parser.add_argument("--design", nargs="+", default=DESIGNS)
    given = parser.parse_args()
    if not os.environ.get("FEATX_TEST_DATA"):
        sys.exit("FEATX_TEST_DATA is not set: the real images and weights are looked for in the folder that it names")
    root = Path(os.environ["FEATX_TEST_DATA"])
    print(ROWS.format(" | ".join(f"AUC, {name}" for name in given.design)))
    print("|" + "---|" * (7 + len(given.design)), flush=True)
    for backbone in given.backbone:
        with tempfile.TemporaryDirectory() as temporary:
            reference: Found | None = None
            for runtime, precision in WAYS:
                # a cache for each runtime, since in fp32 they may serve each other's rows
                cache = Path(temporary) / runtime
                found = measured(root, backbone, cache, runtime=runtime, precision=precision, designs=given.design)
                reference = reference or found
                tell(backbone, runtime, precision, found, reference)


def measured(root: Path, backbone: str, cache: Path, *, runtime: str, precision: str, designs: list[str]) -> Found:
    """Extract one way and compare over the folds."""
    extraction = featx.extract(
        root / DATA,
        backbone=backbone,
        layers=["penultimate"],
        weights=str(root / "weights" / WEIGHTS[backbone]),
        runtime=runtime,
        precision=precision,
        cache=cache,
    )
    result = featx.compare(extraction.files, classifiers=["svm"], designs=designs, cache=cache, out=cache / "out")
    with h5py.File(extraction.files[0]) as file:
        features = file["features"][:].astype(np.float64)
    return Found(features, np.array([cell.values("auc").mean() for cell in result.cells]))


def tell(backbone: str, runtime: str, precision: str, found: Found, reference: Found) -> None:
    a, b = found.features, reference.features
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    error = np.linalg.norm(a - b) / np.linalg.norm(b)
    change = (found.auc - reference.auc)[np.abs(found.auc - reference.auc).argmax()]
    cells = [backbone, runtime, precision, *(f"{auc:.4f}" for auc in found.auc), f"{change:+.4f}"]
    print(
        "| " + " | ".join([*cells, f"{cosines.mean():.5f}", f"{cosines.min():.5f}", f"{error:.1e}"]) + " |", flush=True
    )


if __name__ == "__main__":
    main()
