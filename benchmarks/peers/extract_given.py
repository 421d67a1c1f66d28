"""What every script here that extracts features is given: its words, the network, the images, and a file for features.

Each script stands for what a user would write instead of featx: ImageFolder, DataLoader, a forward pass a batch, h5py.
Squashing to the square, so that every side sees the same pixels. Nothing here knows featx.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import torch
import torchvision
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

SIDE = 224
LAST = {"vgg16": "classifier.4"}  # fc7 after its ReLU; of the others, what enters the last linear layer
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # what GoogLeNet's weights want
BUILT = {"googlenet": {"aux_logits": False, "init_weights": False}}


def arguments() -> argparse.Namespace:
    """Read the command line and set the threads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="one folder of images for each class")
    parser.add_argument("out", type=Path, help="the HDF5 file to write")
    parser.add_argument("--backbone", default="vgg16")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="bf16 is channels_last too")
    parser.add_argument("--threads", type=int, default=2, help="of torch, and worker processes of the loader")
    parser.add_argument("--batch-size", type=int, default=32)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    return given


def network(given: argparse.Namespace) -> torch.nn.Module:
    """Return torchvision's network with the weights of the file."""
    build = getattr(torchvision.models, given.backbone)
    model = build(weights=None, **BUILT.get(given.backbone, {}))
    model.load_state_dict(torch.load(given.weights, map_location="cpu"))
    return model.eval()


def normalisation(backbone: str) -> transforms.Normalize:
    return transforms.Normalize(*(HALF if backbone == "googlenet" else IMAGENET))


def squashed(backbone: str) -> transforms.Compose:
    """Return the usual transform, but that it squashes: PIL's resize, to floats, normalised."""
    resize = transforms.Resize((SIDE, SIDE))
    return transforms.Compose([resize, transforms.ToTensor(), normalisation(backbone)])


def loaded(given: argparse.Namespace, transform: Callable) -> tuple[DataLoader, list[str]]:
    """Return batches in the order of the files, and the paths of these."""
    found = ImageFolder(str(given.folder), transform=transform)
    loader = DataLoader(found, batch_size=given.batch_size, num_workers=given.threads)
    return loader, relative(given, [path for path, _ in found.samples])


def relative(given: argparse.Namespace, paths: Iterable[str]) -> list[str]:
    return [Path(path).relative_to(given.folder).as_posix() for path in paths]


def write(given: argparse.Namespace, forward: Callable[[torch.Tensor], torch.Tensor], transform: Callable) -> None:
    """Extract every image of the folder into the file, and say what did it."""
    loader, paths = loaded(given, transform)
    with h5py.File(given.out, "w") as file, torch.inference_mode():
        file["path"] = paths
        kept, at = None, 0
        for images, _ in loader:
            features = forward(images).float().numpy()
            if kept is None:
                kept = file.create_dataset("features", (len(paths), features.shape[1]), dtype="f4")
            kept[at : at + len(features)] = features
            at += len(features)
    tell()


def tell(**versions: Any) -> None:
    """Print the versions that ran as one line."""
    known = {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__}
    print(json.dumps({**known, **versions}), flush=True)
