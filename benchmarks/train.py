"""Training: images a second against a plain torch loop over a DataLoader, same network, images, rate and precision.

Both sides learn from the same JPEG files and from the same weights, in processes of their own, in turn; the last epochs
count, the first is told apart (featx decodes before it, once). The losses stand beside the seconds: a faster loop that
learns less is none. On a machine that others use too, read processor time, with OMP_NUM_THREADS=1 and --workers 0.
Run it as ``python benchmarks/train.py FOLDER``; FOLDER holds JPEG files, whose classes are drawn.
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
    command = [sys.executable, str(HERE / "peers" / "train_loop.py"), str(table), "--backbone", given.backbone,
               *_told(given, "size", "epochs", "batch", "workers", "precision"),
               *(["--weights", str(given.weights)] if given.weights else [])]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def ours(table: Path, given: argparse.Namespace) -> list[dict[str, float]]:
    """Run featx's loop in a process of its own; return its epochs, decoding told apart."""
    command = [sys.executable, __file__, "--child", str(table), "--backbone", given.backbone,
               *_told(given, "size", "epochs", "batch", "precision"),
               *(["--weights", str(given.weights)] if given.weights else [])]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def child(table: Path, given: argparse.Namespace) -> None:
    """Train as `featx finetune` does, the same rows for watching as for nothing: one row of each class."""
    import os
    import time

    from featx.augment import parse
    from featx.backbones import BACKBONES
    from featx.backbones.heads import parse_head
    from featx.backbones.trained import head_path, structure_for
    from featx.cache.places import Places
    from featx.images import Transform, normalisation
    from featx.training.loop import learn
    from featx.training.pixels import Feed, decoded
    from featx.training.plan import Frozen
    from featx.training.settings import Settings
    from featx.training.state import Learner
    from featx.training.weights import begin, network_from

    with table.open(newline="") as file:
        rows = [(path, int(label)) for path, label in csv.reader(file)]
    y = np.array([label for _, label in rows])
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        names = list(dict.fromkeys(path for path, _ in rows))
        pixels = decoded(Path("/"), names, Transform(given.size), folder=Path(cache) / "pixels", name="bench")
        print(json.dumps({"decode": time.perf_counter() - began, "images": len(names)}), flush=True)
        place = {name: at for at, name in enumerate(names)}
        at = np.array([place[path] for path, _ in rows])
        shelf = BACKBONES[given.backbone]
        start = begin(shelf, str(given.weights) if given.weights else "random", Places(Path(cache)))
        structure = structure_for(
            shelf, parse_head("linear"), cut=None, outputs=2, size=given.size, normalise="imagenet"
        )
        import torch

        network = network_from(start, shelf, structure, seed=0).to(memory_format=torch.channels_last)
        few = np.array([int(np.flatnonzero(y == 0)[0]), int(np.flatnonzero(y == 1)[0])])
        learner = Learner(
            network, head_path(shelf, structure), (Frozen(frozenset(), ()),),
            Feed(normalisation("imagenet"), device="cpu"), pixels.examples(at, y), pixels.examples(at[few], y[few]),
            2, "cpu", given.precision,
        )  # fmt: skip
        settings = Settings(lr=0.003, epochs=given.epochs, batch_size=given.batch, decay="none", stop=0, balance="none",
                            augmentation=parse("flip"), precision="fp32")  # fmt: skip
        last = [time.perf_counter(), os.times()]

        def tell(row: dict[str, float]) -> None:
            now, cpu = time.perf_counter(), os.times()
            used = cpu.user + cpu.system - last[1].user - last[1].system
            told = {"epoch": row["epoch"], "seconds": now - last[0], "images": row["images"], "loss": row["train_loss"]}
            print(json.dumps({**told, "cpu": used}), flush=True)
            last[:] = [now, cpu]

        learn(learner, settings, kept_in=Path(cache) / "a.pt", on_epoch=tell)


def _summary(epochs: list[dict[str, float]]) -> dict[str, float]:
    """Return images a second and processor time an image of the epochs after the first, and the last loss."""
    told = {}
    if "decode" in epochs[0]:
        told = {"decoded once, s": round(epochs[0]["decode"], 2)}
        epochs = epochs[1:]
    rate = statistics.median(epoch["images"] / epoch["seconds"] for epoch in epochs[1:])
    cpu = statistics.median(epoch["cpu"] / epoch["images"] for epoch in epochs[1:])
    return {
        **told,
        "rate": round(rate, 2),
        "cpu ms an image": round(1e3 * cpu, 2),
        "loss": round(epochs[-1]["loss"], 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="a folder of JPEG files (with --child: a table)")
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of both sides")
    for name, default in (("size", 128), ("epochs", 3), ("batch", 16), ("workers", 2), ("rounds", 2), ("images", 200),
                          ("repeat", 1)):  # fmt: skip
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
                sides[name].append(_summary(run(table, given)))
                print(f"round {number + 1}: {name}: {json.dumps(sides[name][-1])}", flush=True)
    ratios = [one["rate"] / other["rate"] for one, other in zip(sides["featx"], sides["plain loop"], strict=True)]
    about = f"{given.backbone}, {given.size} pixels, {given.precision}, batch {given.batch}"
    print(f"{about}: ratio {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
    cpu = [two["cpu ms an image"] / one["cpu ms an image"] for one, two in zip(*sides.values(), strict=True)]
    print(f"by processor time (workers not counted: give --workers 0): {statistics.median(cpu):.2f}")


if __name__ == "__main__":
    main()
