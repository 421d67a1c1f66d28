"""The two sides of ``train.py``: featx's loop and a plain one, each in a process of its own, from the same weights.

They take turns, epoch by epoch, so that what else goes on on the machine is much the same for both. Both learn from the
same files, with the same classes, and are judged by the same images, that neither has learned from.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).parent
SHARED = ("backbone", "size", "epochs", "batch", "precision", "flips", "lr", "norms")


class Tables(NamedTuple):
    """Files that one round works from."""

    rows: Path
    held: Path
    start: Path


class Side:
    """A side at work in a process of its own, which goes through its next epoch when it is told to."""

    def __init__(self, command: list[str], tables: Tables, given: argparse.Namespace, seed: int) -> None:
        words = [word for name in SHARED for word in (f"--{name}", str(getattr(given, name)))]
        whole = [sys.executable, *command, *map(str, tables), *words, "--seed", str(seed)]
        self._process = subprocess.Popen(whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.before = self.next()

    def epoch(self) -> dict[str, float]:
        """Go through an epoch; return what it took."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self.next()

    def next(self) -> dict[str, float]:
        """Return what it tells next: what it did before its first epoch, or what came of it all."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a side ended with {self._process.wait()}")
        return json.loads(line)

    def end(self) -> dict[str, float]:
        """Return what came of it all, once it is over."""
        told = self.next()
        self._process.communicate()
        return told


def plain(tables: Tables, given: argparse.Namespace, seed: int) -> Side:
    """Start the plain loop."""
    from featx.backbones import BACKBONES

    until = given.freeze.removeprefix("upto:") if given.freeze != "none" else ""
    frozen = BACKBONES[given.backbone].layer(until).module if until else ""
    command = [str(HERE / "peers" / "train_loop.py"), "--frozen", frozen, "--workers", str(given.workers)]
    return Side(command, tables, given, seed)


def ours(tables: Tables, given: argparse.Namespace, seed: int) -> Side:
    """Start featx's loop; decoding comes before its first epoch."""
    return Side([str(HERE / "train_sides.py"), "--freeze", given.freeze], tables, given, seed)


def read(table: Path) -> tuple[list[str], np.ndarray]:
    """Return files and their classes."""
    with table.open(newline="") as file:
        rows = [(path, int(label)) for path, label in csv.reader(file)]
    return [path for path, _ in rows], np.array([label for _, label in rows])


def begin_from(start: Path, network: Any, *, head: str) -> None:
    """Give a network of featx the weights that the plain loop starts from."""
    import torch

    given = torch.load(start, map_location="cpu", weights_only=True)
    named = {key: key.replace(f"{head}.logits.", f"{head}.") for key in network.state_dict()}
    network.load_state_dict({key: given[name] for key, name in named.items()})


def _decoded(tables: Tables, cache: Path, given: argparse.Namespace) -> tuple[Any, np.ndarray, dict[str, float]]:
    """Decode the images as featx does; return them with their classes, and what it took."""
    from featx.images import Transform
    from featx.training.pixels import decoded

    names, y = read(tables.rows)
    began, cpu = time.perf_counter(), _used()
    pixels = decoded(Path("/"), names, Transform(given.size), folder=cache / "pixels", name="bench")
    return pixels, y, {"seconds": time.perf_counter() - began, "cpu": _used() - cpu}


def _learner(pixels: Any, y: np.ndarray, start: Path, cache: Path, given: argparse.Namespace) -> tuple[Any, Any]:
    """Build the network as featx does."""
    import torch

    from featx.augment import parse
    from featx.backbones import BACKBONES
    from featx.backbones.heads import parse_head
    from featx.backbones.trained import backbone_as, head_path, structure_for
    from featx.cache.places import Places
    from featx.images import normalisation
    from featx.training.kept import Bank
    from featx.training.pixels import Feed
    from featx.training.plan import frozen_for, with_norms_kept
    from featx.training.settings import Settings
    from featx.training.state import Learner
    from featx.training.weights import begin, network_from

    shelf = BACKBONES[given.backbone]
    structure = structure_for(shelf, parse_head("linear"), cut=None, outputs=2, size=given.size, normalise="imagenet")
    random = begin(shelf, "random", Places(cache))
    network, head = network_from(random, shelf, structure, seed=0), head_path(shelf, structure)
    begin_from(start, network, head=head)
    frozen = frozen_for(network, backbone_as(shelf, structure), given.freeze, head=head)
    if given.norms == "keep":
        frozen = with_norms_kept(frozen, network, head=head)
    few = np.array([int(np.flatnonzero(y == 0)[0]), int(np.flatnonzero(y == 1)[0])])
    learner = Learner(
        network.to(memory_format=torch.channels_last), head, (frozen,), Feed(normalisation("imagenet"), device="cpu"),
        pixels.examples(np.arange(len(y)), y), pixels.examples(few, y[few]), 2, "cpu", given.precision,
        Bank(cache / "pixels", pixels.name, pixels.values, 8e9),
    )  # fmt: skip
    settings = Settings(lr=given.lr, epochs=given.epochs, batch_size=given.batch, decay="none", stop=0, balance="none",
                        augmentation=parse("flip" if given.flips else "none"), precision=given.precision,
                        norms=given.norms, seed=given.seed)  # fmt: skip
    return learner, settings


def _judged(learner: Any, table: Path, given: argparse.Namespace) -> dict[str, float]:
    """Return loss and accuracy of the network as it is on images that were held back."""
    import torch

    from featx import images

    (names, y), losses, right = read(table), [], 0
    transform = images.Transform(given.size)
    with torch.no_grad():
        for at in range(0, len(names), given.batch):
            pixels = np.stack([transform(images.read(Path(name)).data) for name in names[at : at + given.batch]])
            logits, labels = learner.network(learner.feed(pixels)), torch.from_numpy(y[at : at + given.batch])
            losses.append(float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum")))
            right += int((logits.argmax(1) == labels).sum())
    return {"held_loss": sum(losses) / len(y), "held_accuracy": right / len(y)}


def _used() -> float:
    own = os.times()
    return own.user + own.system


def main() -> None:
    """Train as `featx finetune` does, and tell each epoch as the plain loop does."""
    parser = argparse.ArgumentParser()
    for name in Tables._fields:
        parser.add_argument(name, type=Path)
    parser.add_argument("--backbone")
    parser.add_argument("--freeze")
    parser.add_argument("--norms")
    parser.add_argument("--precision")
    parser.add_argument("--lr", type=float)
    for name in ("size", "epochs", "batch", "flips", "seed"):
        parser.add_argument(f"--{name}", type=int)
    given = parser.parse_args()
    tables = Tables(given.rows, given.held, given.start)
    with tempfile.TemporaryDirectory() as cache:
        pixels, y, took = _decoded(tables, Path(cache), given)
        learner, settings = _learner(pixels, y, tables.start, Path(cache), given)
        print(json.dumps(took), flush=True)
        last: list[float] = []

        def begin() -> None:
            sys.stdin.readline()  # its turn
            last[:] = time.perf_counter(), _used()

        def tell(row: dict[str, float]) -> None:
            told = {"images": row["images"], "loss": row["train_loss"], "seconds": time.perf_counter() - last[0]}
            print(json.dumps({**told, "cpu": _used() - last[1]}), flush=True)
            if row["epoch"] < settings.epochs:
                begin()
            else:  # the last weights, as the plain loop's, and not the best
                print(json.dumps(_judged(learner, tables.held, given)), flush=True)

        from featx.training.loop import learn

        begin()
        learn(learner, settings, kept_in=Path(cache) / "a.pt", on_epoch=tell)


if __name__ == "__main__":
    main()
