"""What a user would write instead of `featx finetune`: a plain torch loop over a DataLoader of JPEG files.

torchvision's MobileNetV2 with a fresh last layer, SGD with momentum, flips by ``v2``, two workers; prints one JSON line
for each epoch: seconds, images and mean loss. What is frozen has no gradients and stays in evaluation mode. Nothing
here knows featx.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
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

    def __init__(self, rows: list[tuple[str, int]], size: int, flips: bool) -> None:
        self.rows = rows
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path, help="CSV of path and class")
    for name, default in (("size", 128), ("epochs", 2), ("batch", 16), ("workers", 2), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--frozen", default="", help="everything up to this module is frozen")
    parser.add_argument("--flips", type=int, default=1)
    given = parser.parse_args()
    with given.rows.open(newline="") as file:
        rows = [(path, int(label)) for path, label in csv.reader(file)]
    torch.manual_seed(given.seed)
    net = getattr(torchvision.models, given.backbone)(weights=None)
    if given.weights:
        state = torch.load(given.weights, map_location="cpu", weights_only=True)
        net.load_state_dict({key: values.float() for key, values in state.items()})
    last = net.classifier if hasattr(net, "classifier") else None
    if last is not None:
        last[-1] = torch.nn.Linear(last[-1].in_features, 2)
    else:
        net.fc = torch.nn.Linear(net.fc.in_features, 2)
    frozen = freeze(net, given.frozen) if given.frozen else []
    pictures = Pictures(rows, given.size, bool(given.flips))
    loader = DataLoader(pictures, given.batch, shuffle=True, num_workers=given.workers,
                        persistent_workers=given.workers > 0)  # fmt: skip
    learning = [values for values in net.parameters() if values.requires_grad]
    optimiser = torch.optim.SGD(learning, lr=given.lr, momentum=0.9)
    for epoch in range(given.epochs):
        began, total, cpu = time.perf_counter(), 0.0, os.times()
        net.train()
        for module in frozen:
            module.eval()
        for images, labels in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=given.precision == "bf16"):
                loss = torch.nn.functional.cross_entropy(net(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(labels)
        told = {
            "epoch": epoch + 1,
            "seconds": time.perf_counter() - began,
            "images": len(rows),
            "loss": total / len(rows),
        }
        now = os.times()
        print(json.dumps({**told, "cpu": now.user + now.system - cpu.user - cpu.system}), flush=True)


if __name__ == "__main__":
    main()
