"""Training: images a second against a plain torch loop over a DataLoader, same network, images, rate and precision.

Both sides learn from the same JPEG files and from the same weights, in processes of their own, in turn. What a row
says: processor time and seconds of a training of so many epochs (measured: decoding and the first epoch, and the median
of those after it, taken as often as the rest of the epochs), and of an epoch after the first. The losses stand beside
them: a faster loop that learns less is none. On a machine that others use too, read processor time, with
OMP_NUM_THREADS=1 and --workers 0. Run it as ``python benchmarks/train.py FOLDER``; FOLDER holds JPEG files, whose
classes are drawn. ``--freeze upto:LAYER`` is of both sides.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SHARED = ("size", "epochs", "batch", "precision", "flips", "lr")


def rows_of(folder: Path, *, images: int, repeat: int) -> list[tuple[str, int]]:
    """Return image files with classes that brightness tells, so that there is something to learn."""
    from PIL import Image

    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:images]
    light = []
    for path in files:
        with Image.open(path) as image:
            light.append(float(np.asarray(image.convert("L").resize((8, 8))).mean()))
    middle = statistics.median(light)
    return [(str(path), int(value > middle)) for path, value in zip(files, light, strict=True)] * repeat


def _told(given: argparse.Namespace, *names: str) -> list[str]:
    return [word for name in names for word in (f"--{name}", str(getattr(given, name)))]


def plain(table: Path, given: argparse.Namespace) -> list[dict[str, float]]:
    """Run the plain loop; return its epochs."""
    from featx.backbones import BACKBONES

    until = given.freeze.removeprefix("upto:") if given.freeze != "none" else ""
    frozen = BACKBONES[given.backbone].layer(until).module if until else ""
    command = [sys.executable, str(HERE / "peers" / "train_loop.py"), str(table), "--backbone", given.backbone,
               "--frozen", frozen, *_told(given, *SHARED, "workers"),
               *(["--weights", str(given.weights)] if given.weights else [])]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def ours(table: Path, given: argparse.Namespace) -> list[dict[str, float]]:
    """Run featx's loop in a process of its own; return its epochs, decoding told apart."""
    command = [sys.executable, __file__, "--child", str(table), "--backbone", given.backbone, "--freeze", given.freeze,
               *_told(given, *SHARED), *(["--weights", str(given.weights)] if given.weights else [])]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def child(table: Path, given: argparse.Namespace) -> None:
    """Train as `featx finetune` does, the same rows for watching as for nothing: one row of each class."""
    import os
    import time

    with table.open(newline="") as file:
        rows = [(path, int(label)) for path, label in csv.reader(file)]
    y = np.array([label for _, label in rows])
    with tempfile.TemporaryDirectory() as cache:
        began, cpu = time.perf_counter(), os.times()
        learner, settings = _learner(rows, y, Path(cache), given)
        now = os.times()
        told = {"decode": time.perf_counter() - began, "cpu": now.user + now.system - cpu.user - cpu.system}
        print(json.dumps(told), flush=True)
        last = [time.perf_counter(), os.times()]

        def tell(row: dict[str, float]) -> None:
            now, cpu = time.perf_counter(), os.times()
            used = cpu.user + cpu.system - last[1].user - last[1].system
            told = {"epoch": row["epoch"], "seconds": now - last[0], "images": row["images"], "loss": row["train_loss"]}
            print(json.dumps({**told, "cpu": used}), flush=True)
            last[:] = [now, cpu]

        from featx.training.loop import learn

        learn(learner, settings, kept_in=Path(cache) / "a.pt", on_epoch=tell)


def _learner(rows: list[tuple[str, int]], y: np.ndarray, cache: Path, given: argparse.Namespace) -> tuple:
    """Decode the images and build the network as featx does."""
    import torch

    from featx.augment import parse
    from featx.backbones import BACKBONES
    from featx.backbones.heads import parse_head
    from featx.backbones.trained import backbone_as, head_path, structure_for
    from featx.cache.places import Places
    from featx.images import Transform, normalisation
    from featx.training.kept import Bank
    from featx.training.pixels import Feed, decoded
    from featx.training.plan import frozen_for
    from featx.training.settings import Settings
    from featx.training.state import Learner
    from featx.training.weights import begin, network_from

    names = list(dict.fromkeys(path for path, _ in rows))
    pixels = decoded(Path("/"), names, Transform(given.size), folder=cache / "pixels", name="bench")
    at = np.array([names.index(path) for path, _ in rows])
    shelf = BACKBONES[given.backbone]
    start = begin(shelf, str(given.weights) if given.weights else "random", Places(cache))
    structure = structure_for(shelf, parse_head("linear"), cut=None, outputs=2, size=given.size, normalise="imagenet")
    network, head = network_from(start, shelf, structure, seed=0), head_path(shelf, structure)
    frozen = frozen_for(network, backbone_as(shelf, structure), given.freeze, head=head)
    few = np.array([int(np.flatnonzero(y == 0)[0]), int(np.flatnonzero(y == 1)[0])])
    learner = Learner(
        network.to(memory_format=torch.channels_last), head, (frozen,), Feed(normalisation("imagenet"), device="cpu"),
        pixels.examples(at, y), pixels.examples(at[few], y[few]), 2, "cpu", given.precision,
        Bank(cache / "pixels", pixels.name, pixels.values, 8e9),
    )  # fmt: skip
    settings = Settings(lr=given.lr, epochs=given.epochs, batch_size=given.batch, decay="none", stop=0, balance="none",
                        augmentation=parse("flip" if given.flips else "none"), precision=given.precision)  # fmt: skip
    return learner, settings


def _summary(epochs: list[dict[str, float]], *, of: int) -> dict[str, float]:
    """Return what a training of so many epochs takes, what one of its later epochs does, and the last loss."""
    before = [epochs.pop(0)] if "decode" in epochs[0] else []
    later = {name: statistics.median(epoch[name] for epoch in epochs[1:]) for name in ("seconds", "cpu")}
    decoding = {"seconds": sum(one["decode"] for one in before), "cpu": sum(one["cpu"] for one in before)}
    whole = {name: decoding[name] + epochs[0][name] + (of - 1) * later[name] for name in later}
    images = epochs[0]["images"]
    return {
        "cpu_s": round(whole["cpu"], 2),
        "s": round(whole["seconds"], 2),
        "cpu ms an image, later": round(1e3 * later["cpu"] / images, 2),
        "images a second, later": round(images / later["seconds"], 1),
        "loss": round(epochs[-1]["loss"], 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="a folder of JPEG files (with --child: a table)")
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of both sides")
    parser.add_argument("--freeze", default="none", help="none or upto:LAYER, of both sides")
    parser.add_argument("--flips", type=int, default=1, help="0: no augmentation")
    parser.add_argument("--lr", type=float, default=0.003)
    for name, default in (("size", 128), ("epochs", 3), ("batch", 16), ("workers", 2), ("rounds", 2), ("images", 200),
                          ("repeat", 1), ("of", 20)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    if given.child:
        child(given.folder, given)
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.csv"
        with table.open("w", newline="") as file:
            csv.writer(file).writerows(rows_of(given.folder, images=given.images, repeat=given.repeat))
        sides: dict[str, list[dict[str, float]]] = {"featx": [], "plain loop": []}
        for number in range(given.rounds):
            for name, run in (("featx", ours), ("plain loop", plain))[:: 1 if number % 2 == 0 else -1]:
                sides[name].append(_summary(run(table, given), of=given.of))
                print(f"round {number + 1}: {name}: {json.dumps(sides[name][-1])}", flush=True)
    print(f"{given.backbone}, {given.size} pixels, {given.precision}, batch {given.batch}, freeze {given.freeze}, "
          f"flips {given.flips}, {given.of} epochs")  # fmt: skip
    for name, what in (
        ("cpu_s", "processor time"),
        ("s", "seconds"),
        ("cpu ms an image, later", "a later epoch, processor time"),
    ):
        ratios = [two[name] / one[name] for one, two in zip(*sides.values(), strict=True)]
        print(f"  {what}: {statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
