"""What every side of the extraction benchmarks is given: the same JPEGs in class folders, the same weights in a file.

Pictures are the demo's, of 600 x 450 pixels; the large ones are these scaled to 4000 x 3000 with grain as a sensor has
it, so that they weigh what photographs weigh. All is drawn from seeds and kept where it was made.
"""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from featx.atomic import write_bytes
from featx.datasets import demo
from featx.engine import cores

SMALL, LARGE = (450, 600), (3000, 4000)  # height and width
GRAIN = 4.0  # grey levels, one standard deviation
QUALITY = 92
BUILT = {"googlenet": {"aux_logits": False, "init_weights": False}}


def small(root: Path, images: int) -> Path:
    """Return a folder with so many JPEGs of 600 x 450 in folders by diagnosis."""
    folder = root / f"small-{images}"
    if not folder.exists():
        drawn = demo.generate(root / "drawn", images=images, size=SMALL, jobs=cores())
        places = {path.stem: path for path in drawn.rglob("*.jpg")}
        with open(drawn / demo.TABLE, newline="") as stream:
            kinds = {row["image_id"]: row["dx"] for row in csv.DictReader(stream)}
        _sorted_by_kind(places, kinds, root / "sorting")
        (root / "sorting").rename(folder)
        shutil.rmtree(drawn)
    return folder


def _sorted_by_kind(places: dict[str, Path], kinds: dict[str, str], folder: Path) -> None:
    for name, path in places.items():
        (folder / kinds[name]).mkdir(parents=True, exist_ok=True)
        shutil.move(path, folder / kinds[name] / path.name)


def large(root: Path, images: int, *, source: Path) -> Path:
    """Return a folder with so many JPEGs of 4000 x 3000, made of those of another folder."""
    folder = root / f"large-{images}"
    grain = np.random.default_rng(0).normal(0, GRAIN, (*LARGE, 1)).astype(np.float32)
    for number, path in enumerate(spread(source, images)):
        place = folder / path.relative_to(source)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.asarray(Image.open(path).resize(LARGE[::-1], Image.Resampling.BICUBIC), dtype=np.float32)
            pixels = pixels + np.roll(grain, 997 * number, axis=(0, 1))
            stream = io.BytesIO()
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=QUALITY)
            write_bytes(place, stream.getvalue())
    return folder


def few(source: Path, images: int) -> Path:
    """Return a folder with some images of another."""
    folder = source.with_name(f"{source.name}-few-{images}")
    for path in spread(source, images):
        place = folder / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)
    return folder


def spread(source: Path, images: int) -> list[Path]:
    """Return so many of a folder's images, evenly over it."""
    paths = sorted(source.rglob("*.jpg"))
    return [paths[at] for at in np.linspace(0, len(paths) - 1, images).round().astype(int)]


def weights(root: Path, backbone: str) -> Path:
    """Return a file with seeded random weights, as torchvision draws them."""
    import torch
    import torchvision

    path = root / f"{backbone}-random.pth"
    if not path.exists():
        torch.manual_seed(0)
        model = getattr(torchvision.models, backbone)(weights=None, **BUILT.get(backbone, {}))
        stream = io.BytesIO()
        torch.save(model.state_dict(), stream)
        write_bytes(path, stream.getvalue())
    return path
