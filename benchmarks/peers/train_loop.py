"""What a user would write instead of `featx finetune`: a plain torch loop over a DataLoader of JPEG files.

A network of torchvision with a last layer for two classes, SGD with momentum, flips by ``v2``, two workers; prints one
JSON line for each epoch (seconds, images, mean loss), each begun when a line comes in, and at the end one of images
that were held back. What is frozen
has no gradients and stays in evaluation mode; with ``--norms keep`` every batch norm does, as is usual where small
batches learn from pretrained weights. Nothing here knows featx.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Pictures(Dataset):
    """Image files with a class each, decoded whenever they are asked for."""

    def __init__(self, table: Path, size: int, *, flips: bool) -> None:
        with table.open(newline="") as file:
            self.rows = [(path, int(label)) for path, label in csv.reader(file)]
        self.change = v2.Compose(
            [v2.Resize((size, size), antialias=True),
             *([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()] if flips else []), v2.ToImage(),
             v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, int]:
        path, label = self.rows[at]
        with Image.open(path) as image:
            return self.change(image.convert("RGB")), label


def network(name: str) -> torch.nn.Module:
    """Return a network of torchvision with random weights and two outputs."""
    options = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    net = getattr(torchvision.models, name)(weights=None, **options)
    if hasattr(net, "classifier"):
        net.classifier[-1] = torch.nn.Linear(net.classifier[-1].in_features, 2)
    else:
        net.fc = torch.nn.Linear(net.fc.in_features, 2)
    return net


def freeze(net: torch.nn.Module, until: str) -> list[torch.nn.Module]:
    """Take gradients from everything up to a module, in the order of registration; return what is frozen."""
    frozen, passed = [], False
    for name, module in net.named_modules():
        inside = name == until or name.startswith(f"{until}.")
        passed = passed or inside
        if passed and not inside:
            break
        if not any(True for _ in module.children()):
            frozen.append(module)
    for module in frozen:
        module.requires_grad_(False)
    return frozen


def judge(net: torch.nn.Module, table: Path, given: argparse.Namespace) -> dict[str, float]:
    """Return loss and accuracy of images that were held back."""
    loader = DataLoader(Pictures(table, given.size, flips=False), given.batch)
    total, right, count = 0.0, 0, 0
    net.eval()
    with torch.no_grad():
        for images, labels in loader:
            logits = net(images)
            total += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            right, count = right + int((logits.argmax(1) == labels).sum()), count + len(labels)
    return {"held_loss": total / count, "held_accuracy": right / count}


def used() -> float:
    """Return the processor seconds of this process and of the workers that it has."""
    own = os.times()
    files = [Path(f"/proc/{child.pid}/stat") for child in multiprocessing.active_children()]
    ticks = sum(int(word) for file in files for word in file.read_text().rpartition(")")[2].split()[11:13])
    return own.user + own.system + own.children_user + own.children_system + ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path, help="CSV of path and class")
    parser.add_argument("held", type=Path, help="the same, of images that are judged at the end")
    parser.add_argument("start", type=Path, help="weights to start from, with the last layer")
    for name, default in (("size", 128), ("epochs", 2), ("batch", 16), ("workers", 2), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--norms", choices=("batch", "keep"), default="batch")
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--frozen", default="", help="everything up to this module is frozen")
    parser.add_argument("--flips", type=int, default=1)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    net = network(given.backbone)
    net.load_state_dict(torch.load(given.start, map_location="cpu", weights_only=True))
    still = freeze(net, given.frozen) if given.frozen else []
    if given.norms == "keep":
        still += [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    pictures = Pictures(given.rows, given.size, flips=bool(given.flips))
    loader = DataLoader(pictures, given.batch, shuffle=True, num_workers=given.workers,
                        persistent_workers=given.workers > 0)  # fmt: skip
    learning = [values for values in net.parameters() if values.requires_grad]
    optimiser = torch.optim.SGD(learning, lr=given.lr, momentum=0.9)
    print(json.dumps({"seconds": 0.0, "cpu": 0.0}), flush=True)
    for _ in range(given.epochs):
        sys.stdin.readline()  # its turn
        began, total, cpu = time.perf_counter(), 0.0, used()
        net.train()
        for module in still:
            module.eval()
        for images, labels in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=given.precision == "bf16"):
                loss = torch.nn.functional.cross_entropy(net(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(labels)
        told = {"images": len(pictures), "loss": total / len(pictures), "seconds": time.perf_counter() - began}
        print(json.dumps({**told, "cpu": used() - cpu}), flush=True)
    print(json.dumps(judge(net, given.held, given)), flush=True)


if __name__ == "__main__":
    main()
