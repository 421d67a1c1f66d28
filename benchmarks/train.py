"""Training: images a second against a plain torch loop over a DataLoader, same network, images, rate and precision.

Both sides learn from the same JPEG files and from the same weights, last layer included, in processes of their own that
take turns epoch by epoch; each round has a seed of its own. What a row says: processor time and seconds of a training
of so many epochs (measured: decoding and the first epoch, and the median of those after it, taken as often as the rest
of the epochs), and of an epoch after the first. The losses of the last epoch and of images that were held back stand
beside them: a faster loop that learns less is none. ``--norms`` and ``--freeze upto:LAYER`` are of both sides.

Where others use the machine too, threads inside of operations wait busily for each other, and the plain loop takes many
times as long: read processor time, with ``OMP_NUM_THREADS=1`` and ``--workers 0``. Run it as
``python benchmarks/train.py FOLDER``; FOLDER holds JPEG files, whose classes are told by their brightness. Without
``--weights`` networks begin with random ones, whose batch norm has seen some of the images.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from train_sides import HERE, Tables, ours, plain

HELD = 5  # every fifth file is held back
SEEN = 64  # images that batch norm of random weights has seen


def rows_of(folder: Path) -> list[tuple[str, int]]:
    """Return image files with classes that brightness tells, so that there is something to learn."""
    from PIL import Image

    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    light = []
    for path in files:
        with Image.open(path) as image:
            light.append(float(np.asarray(image.convert("L").resize((8, 8))).mean()))
    middle = statistics.median(light)
    return [(str(path), int(value > middle)) for path, value in zip(files, light, strict=True)]


def tables_in(folder: Path, rows: list[tuple[str, int]], *, images: int) -> Tables:
    """Write what is learned from, so many images, and what is held back."""
    held = rows[::HELD]
    learned = [row for row in rows if row not in set(held)][:images]
    tables = Tables(folder / "rows.csv", folder / "held.csv", folder / "start.pt")
    for path, part in ((tables.rows, learned), (tables.held, held)):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(part)
    return tables


def write_start(tables: Tables, given: argparse.Namespace, seed: int) -> None:
    """Write the weights that both sides begin with: those given, or random ones, and a last layer drawn anew."""
    sys.path.insert(0, str(HERE / "peers"))
    import torch
    from train_loop import Pictures, network

    torch.manual_seed(seed)
    net = network(given.backbone)
    if given.weights:
        state = torch.load(given.weights, map_location="cpu", weights_only=True)
        own = net.state_dict()
        net.load_state_dict({k: v.float() if own[k].shape == v.shape else own[k] for k, v in state.items()})
    else:
        pictures = Pictures(tables.rows, given.size, flips=False)
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = 1.0
            net.train()(torch.stack([pictures[at][0] for at in range(SEEN)]))
    torch.save(net.state_dict(), tables.start)


def summary(before: dict[str, float], epochs: list[dict[str, float]], end: dict[str, float], *, of: int) -> dict:
    """Return what a training of so many epochs takes, what its later epochs did, and the losses at the end."""
    told: dict = {"loss": epochs[-1]["loss"], **end}
    for name in ("seconds", "cpu"):
        later = [epoch[name] for epoch in epochs[1:]]
        told[name] = before[name] + epochs[0][name] + (of - 1) * statistics.median(later)
        told[f"later {name}"] = later
    return told


def run_round(tables: Tables, given: argparse.Namespace, seed: int) -> list[dict]:
    """Train on both sides in turns, epoch by epoch; return the summary of each."""
    sides = [ours(tables, given, seed), plain(tables, given, seed)]
    epochs: list[list[dict[str, float]]] = [[], []]
    for number in range(given.epochs):
        for at in (0, 1)[:: 1 if (number + seed) % 2 == 0 else -1]:
            epochs[at].append(sides[at].epoch())
    return [summary(side.before, own, side.end(), of=given.of) for side, own in zip(sides, epochs, strict=True)]


def told(rounds: list[list[dict]]) -> None:
    """Print ratios, the plain loop over featx, and what was learned on either side."""
    for name, what in (("seconds", "seconds"), ("cpu", "processor time")):
        whole = [theirs[name] / own[name] for own, theirs in rounds]
        later = [two / one for own, theirs in rounds
                 for one, two in zip(own[f"later {name}"], theirs[f"later {name}"], strict=True)]  # fmt: skip
        for word, ratios in (("whole training", whole), ("a later epoch", later)):
            print(f"  {what}, {word}: {statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})")
    for name in ("loss", "held_loss", "held_accuracy"):
        ours, theirs = ([side[name] for side in two] for two in zip(*rounds, strict=True))
        apart = [one - two for one, two in zip(ours, theirs, strict=True)]
        words = [f"{statistics.mean(v):.4f} (sd {statistics.stdev(v):.4f})" for v in (ours, theirs)]
        error = statistics.stdev(apart) / len(apart) ** 0.5
        print(f"  {name}: {words[0]}; {words[1]}; apart {statistics.mean(apart):+.4f}, standard error {error:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of JPEG files")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--weights", type=Path, help="a state dict of torchvision; random weights without it")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of both sides")
    parser.add_argument("--norms", choices=("batch", "keep"), default="keep", help="of both sides")
    parser.add_argument("--freeze", default="none", help="none or upto:LAYER, of both sides")
    parser.add_argument("--flips", type=int, default=1, help="0: no augmentation")
    parser.add_argument("--lr", type=float, default=0.003)
    for name, default in (("size", 128), ("epochs", 4), ("batch", 16), ("workers", 2), ("rounds", 3), ("images", 480),
                          ("of", 20)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    if given.rounds < 2 or given.epochs < 2:
        parser.error("two rounds and two epochs at least: spread is told, and the first epoch is told apart")
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        tables = tables_in(Path(folder), rows_of(given.folder), images=given.images)
        for seed in range(given.rounds):
            write_start(tables, given, seed)
            rounds.append(run_round(tables, given, seed))
            print(f"seed {seed}: {json.dumps(rounds[-1])}", flush=True)
    print(f"{given.backbone}, {given.size} pixels, {given.precision}, batch {given.batch}, norms {given.norms}, freeze "
          f"{given.freeze}, flips {given.flips}, {given.of} epochs; featx, then the plain loop")  # fmt: skip
    told(rounds)


if __name__ == "__main__":
    main()
