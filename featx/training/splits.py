"""The splits of a training: which rows learn, which watch, and the network of each.

A network is handed pixels and classes of its own train side alone. Extracts nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import folds, seen
from featx.backbones.trained import backbone_as, head_path
from featx.engine import OnProgress
from featx.errors import SplitError
from featx.folds import Folds, Split, join_groups
from featx.images import normalisation
from featx.plans import plan_of
from featx.provenance import digest_json, versions
from featx.training import history, weights
from featx.training.loop import learn
from featx.training.pixels import Feed, Pixels
from featx.training.plan import frozen_for
from featx.training.request import ALL, Request, pixels_of
from featx.training.state import Learner

RULES = 1  # raised whenever a change here trains other weights from the same key
ATTEMPTS = 50  # draws of a validation part that has every class


class Sides(NamedTuple):
    """Rows of a dataset that a network learns from, and those that it is watched on.

    Attributes
    ----------
    split : Split or None
        The split; None where everything is learned from.
    train, validation : numpy.ndarray of int64
        Row numbers into the dataset's samples.
    """

    split: Split | None
    train: np.ndarray
    validation: np.ndarray

    @property
    def name(self) -> str:
        """The split as files and people call it."""
        return f"{self.split.repeat}x{self.split.half}" if self.split else ALL


@dataclass(frozen=True)
class Work:
    """All that is to be trained.

    Attributes
    ----------
    request : Request
        What is asked.
    pixels : Pixels
        The decoded images.
    groups : tuple of str
        Group of each sample, byte-identical images joined.
    plan : Folds or None
        The plan of folds; None where everything is learned from.
    sides : tuple of Sides
        One a split.
    notes : tuple of str
        What the user should know.
    """

    request: Request
    pixels: Pixels
    groups: tuple[str, ...]
    plan: Folds | None
    sides: tuple[Sides, ...]
    notes: tuple[str, ...]


class Training(NamedTuple):
    """One network, trained.

    Attributes
    ----------
    name : str
        Its split.
    path : pathlib.Path
        Its weights.
    key : str
        Digest of all that it was trained from.
    history : tuple of dict
        One row an epoch.
    best_epoch : int
        The epoch whose weights were kept.
    learned, weights : int
        Numbers that learned in the last phase, and all of them.
    reused : bool
        Whether it was finished before.
    notes : tuple of str
        What is to be told.
    """

    name: str
    path: Path
    key: str
    history: tuple[dict[str, Any], ...]
    best_epoch: int
    learned: int
    weights: int
    reused: bool
    notes: tuple[str, ...]


def plan_for(request: Request, on_decoded: OnProgress | None = None) -> Work:
    """Decode the images, draw the folds and the validation parts.

    Raises
    ------
    SplitError
        Where a class is missing on a side.
    """
    pixels, dataset, y = pixels_of(request, on_decoded), request.dataset, request.y
    groups = tuple(join_groups([sample.group for sample in dataset.samples], pixels.digests))
    usable = np.array([bool(y[row] >= 0 and s.path not in pixels.failed) for row, s in enumerate(dataset.samples)])
    notes = [f"{len(pixels.failed)} images could not be decoded, and are not learned from"] if pixels.failed else []
    if request.asked.folds == ALL:
        rows = np.flatnonzero(usable)
        return Work(
            request, pixels, groups, None, (_sides(request, groups, None, rows, np.array([], int)),), tuple(notes)
        )
    plan, _ = plan_of(dataset, groups, request.asked.folds, seed=request.settings.seed, folder=request.places.folds)
    rows = np.flatnonzero(usable)
    ids = [dataset.samples[row].id for row in rows]
    checked = folds.check(plan, ids=ids, y=y[rows], classes=request.classes, design=request.design.name)
    sides = [_sides(request, groups, s, rows[s.train], rows[s.validation]) for s in checked]
    return Work(request, pixels, groups, plan, tuple(sides), (*notes, *plan.notes))


def _sides(
    request: Request, groups: tuple[str, ...], split: Split | None, train: np.ndarray, validation: np.ndarray
) -> Sides:
    """Hold back a part of the train rows by group, unless the plan has one, every class on both sides."""
    if validation.size:
        return Sides(split, train, validation)
    y, share = request.y[train], request.settings.validation
    own = [groups[row] for row in train.tolist()]
    classes = set(y.tolist())
    for attempt in range(ATTEMPTS):
        seed = request.settings.seed + 7919 * attempt
        drawn = folds.draw(f"holdout:{100 - round(100 * share)}/{round(100 * share)}", [str(row) for row in train],
                           groups=own, strata=y.astype(str).tolist(), seed=seed).splits[0]  # fmt: skip
        if set(y[drawn.train].tolist()) == set(y[drawn.test].tolist()) == classes:
            return Sides(split, train[drawn.train], train[drawn.test])
    fewest = min(Counter(code for _, code in set(zip(own, y.tolist(), strict=True))).items(), key=lambda item: item[1])
    raise SplitError(
        f"no validation part of {share:.0%} has every class on both sides: class {request.classes[fewest[0]]!r} has "
        f"{fewest[1]} groups among {len(train)} train rows; take a larger --validation"
    )


def trained(work: Work, on_epoch: Callable[[str, dict[str, Any]], None] | None = None) -> list[Training]:
    """Train the network of each split, or find it."""
    return [_one(work, sides, on_epoch) for sides in work.sides]


def _one(work: Work, sides: Sides, on_epoch: Callable[[str, dict[str, Any]], None] | None) -> Training:
    request, key = work.request, _key(work, sides)
    told = request.history + (f"~{sides.name}" if sides.split else "")
    path = weights.path_for(request.places, backbone=request.shelf.name, history=told, key=key)
    record = weights.finished(path, key)
    reused = record is not None
    if record is None:
        record = _learned(work, sides, path, key, told, on_epoch)
    seen.remember(record, request.places)
    return Training(
        sides.name,
        path,
        key,
        tuple(record["epochs"]),
        record["best_epoch"],
        record["learning"],
        record["weights"],
        reused,
        tuple(f"{sides.name}: {note}" for note in record["notes"]),
    )


def _learned(
    work: Work,
    sides: Sides,
    path: Path,
    key: str,
    told: str,
    on_epoch: Callable[[str, dict[str, Any]], None] | None,
) -> dict[str, Any]:
    request = work.request
    learner = _learner(work, sides)
    kept_in = request.places.weights / "unfinished" / f"{key[:32]}.pt"
    state = learn(
        learner,
        request.settings,
        kept_in=kept_in,
        on_epoch=(lambda row: on_epoch(sides.name, row)) if on_epoch else None,
    )
    sizes = {name: values.numel() for name, values in learner.network.named_parameters()}
    still = sum(sizes[name] for name in learner.frozen[-1].parameters)
    record = {
        "key": key,
        "history": told,
        "learned": {"design": request.design.describe(), "classes": list(request.classes),
                    "loss": request.settings.loss},
        "start": {"weights": request.start.source.label, "digest": request.start.facts.digest,
                  "note": request.start.facts.note},
        "freeze": request.asked.freeze,
        "settings": request.settings.describe(),
        "transform": request.transform.describe(),
        "dataset": {"name": request.dataset.name, "root": str(request.dataset.root.resolve())},
        "folds": _folds(work, sides),
        "rows": {"train": len(sides.train), "validation": len(sides.validation)},
        "seen": _seen(work, sides),
        "epochs": state.history,
        "best_epoch": state.best_epoch,
        "learning": sum(sizes.values()) - still,
        "weights": sum(sizes.values()),
        "notes": state.notes,
    }  # fmt: skip
    record = weights.save(learner.network, path, structure=request.structure, record=record)
    history.write(path.with_suffix(""), state.history, title=f"{request.shelf.name}@{told}")
    kept_in.unlink(missing_ok=True)
    return record


def _learner(work: Work, sides: Sides) -> Learner:
    """Build the network, with what learns in each phase, and hand it its own rows."""
    import torch

    request = work.request
    network = weights.network_from(request.start, request.shelf, request.structure, seed=request.settings.seed)
    backbone, head = backbone_as(request.shelf, request.structure), head_path(request.shelf, request.structure)
    phases = (["all"] if request.settings.head_epochs else []) + [request.asked.freeze]
    frozen = tuple(frozen_for(network, backbone, text, head=head) for text in phases)
    network = network.to(request.device).to(memory_format=torch.channels_last)
    return Learner(
        network,
        head,
        frozen,
        Feed(normalisation(request.structure.normalise), device=request.device),
        work.pixels.examples(sides.train, request.y[sides.train]),
        work.pixels.examples(sides.validation, request.y[sides.validation]),
        len(request.classes),
        request.device,
        request.settings.precision,
    )


def _folds(work: Work, sides: Sides) -> dict[str, Any] | None:
    if work.plan is None or sides.split is None:
        return None
    return {"digest": work.plan.digest, "scheme": work.plan.scheme, "seed": work.plan.seed,
            "repeat": sides.split.repeat, "half": sides.split.half}  # fmt: skip


def _seen(work: Work, sides: Sides) -> dict[str, Any]:
    rows = [*sides.train.tolist(), *sides.validation.tolist()]
    own = seen.of_rows(work.request.dataset, work.pixels.digests, rows)
    return seen.together(work.request.start.seen, own)


def _key(work: Work, sides: Sides) -> str:
    """Return the digest of everything that decides what the network becomes."""
    request, digests = work.request, work.pixels.digests

    def told(rows: np.ndarray) -> list[list[Any]]:
        return [[digests[row], int(request.y[row]), work.groups[row]] for row in rows.tolist()]

    return digest_json(
        {
            "rules": RULES,
            "structure": asdict(request.structure),
            "start": request.start.facts.digest,
            "freeze": request.asked.freeze,
            "settings": request.settings.describe(),
            "transform": request.transform.describe(),
            "classes": list(request.classes),
            "train": told(sides.train),
            "validation": told(sides.validation),
            "device": request.device,
            "versions": versions(("featx", "torch", "torchvision")),
        }
    )
