"""The network of each split: trained, or found where it was trained before; of a grid the one that validates best.

A network is handed pixels and classes of its own train side alone, and what a grid tries is judged on the part of that
side that is held back. Extracts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import runs, seen
from featx.backbones.trained import backbone_as, head_path
from featx.errors import TrainingError
from featx.images import normalisation
from featx.provenance import digest_json, versions
from featx.training import history, weights
from featx.training.kept import Bank
from featx.training.loop import learn
from featx.training.pixels import Feed
from featx.training.plan import frozen_for, with_norms_kept
from featx.training.settings import Candidate
from featx.training.splits import Sides, Work
from featx.training.state import Learner

OnEpoch = Callable[[str, dict[str, Any]], None]
RULES = 3  # raised whenever a change here trains other weights from the same key


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
    tried : tuple of Tried
        What a grid tried on this split, this one among them; empty without a grid.
    word : str
        What it was in the grid (``l2=0.001``).
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
    tried: tuple[Tried, ...] = ()
    word: str = ""

    @property
    def best(self) -> dict[str, Any]:
        """The history's row of the epoch that was kept."""
        return self.history[self.best_epoch - 1]


class Tried(NamedTuple):
    """One point of a grid on one split.

    Attributes
    ----------
    candidate : Candidate
        What was tried.
    training : Training or None
        What came of it; None where it diverged in its first epoch.
    """

    candidate: Candidate
    training: Training | None


def trained(work: Work, on_epoch: OnEpoch | None = None) -> list[Training]:
    """Train the network of each split, or find it.

    Raises
    ------
    TrainingError
        Where a network does not learn at all, or none of a grid does.
    """
    return [_best(work, sides, on_epoch) for sides in work.sides]


def _best(work: Work, sides: Sides, on_epoch: OnEpoch | None) -> Training:
    """Return the only network of a split, or of a grid's the one with the lowest loss on the validation part."""
    candidates = work.request.candidates
    if len(candidates) == 1:
        return _one(work, sides, candidates[0], on_epoch)
    tried = [Tried(candidate, _unless_diverged(work, sides, candidate, on_epoch)) for candidate in candidates]
    alive = [one.training for one in tried if one.training is not None]
    if not alive:
        raise TrainingError(f"{sides.name}: every point of the grid diverged in its first epoch; take lower rates")
    best = min(alive, key=lambda training: training.best["validation_loss"])
    lost = [f"{sides.name}: {one.candidate.word} diverged" for one in tried if one.training is None]
    return best._replace(
        tried=tuple(tried), notes=(*best.notes, *lost), reused=all(training.reused for training in alive)
    )


def _unless_diverged(work: Work, sides: Sides, candidate: Candidate, on_epoch: OnEpoch | None) -> Training | None:
    try:
        return _one(work, sides, candidate, on_epoch)
    except TrainingError:  # one point of a grid with too high a rate is an answer, and not the end of the others
        return None


def _one(work: Work, sides: Sides, candidate: Candidate, on_epoch: OnEpoch | None) -> Training:
    request, key = work.request, _key(work, sides, candidate)
    told = request.history + (f"~{sides.name}" if sides.split else "")
    path = weights.path_for(request.places, backbone=request.shelf.name, history=told, key=key)
    record = weights.finished(path, key)
    reused = record is not None
    if record is None:
        record = _learned(work, sides, candidate, path, key, told, on_epoch)
    seen.remember(record, request.places)
    name = f"{sides.name} {candidate.word}".strip()
    return Training(
        sides.name,
        path,
        key,
        tuple(record["epochs"]),
        record["best_epoch"],
        record["learning"],
        record["weights"],
        reused,
        tuple(f"{name}: {note}" for note in record["notes"]),
        word=candidate.word,
    )


def _learned(
    work: Work,
    sides: Sides,
    candidate: Candidate,
    path: Path,
    key: str,
    told: str,
    on_epoch: OnEpoch | None,
) -> dict[str, Any]:
    request = work.request
    learner = _learner(work, sides)
    kept_in = request.places.weights / "unfinished" / f"{key[:32]}.pt"
    name = f"{sides.name} {candidate.word}".strip()
    state = learn(
        learner,
        candidate.settings,
        kept_in=kept_in,
        on_epoch=(lambda row: on_epoch(name, row)) if on_epoch else None,
    )
    sizes = {name: values.numel() for name, values in learner.network.named_parameters()}
    still = sum(sizes[name] for name in learner.frozen[-1].parameters)
    record = {
        "key": key,
        "history": told,
        "learned": {"design": request.design.describe(), "classes": list(request.classes),
                    "loss": candidate.settings.loss},
        "start": {"weights": request.start.source.label, "digest": request.start.facts.digest,
                  "note": request.start.facts.note},
        "freeze": request.asked.freeze,
        "settings": candidate.settings.describe(),
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
    if request.settings.norms == "keep":
        frozen = tuple(with_norms_kept(one, network, head=head) for one in frozen)
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
        Bank(request.places.frozen, work.pixels.name, work.pixels.values, request.asked.keep_frozen * 1e9),
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


def _key(work: Work, sides: Sides, candidate: Candidate) -> str:
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
            "settings": candidate.settings.describe(),
            "transform": request.transform.describe(),
            "classes": list(request.classes),
            "train": told(sides.train),
            "validation": told(sides.validation),
            "device": request.device,
            "versions": versions(("featx", "torch", "torchvision")),
        }
    )


def write_grid(work: Work, trainings: Sequence[Training]) -> Path | None:
    """Write what a grid tried on each split as CSV beside the weights; return the file, None without a grid."""
    if not any(training.tried for training in trainings):
        return None
    request = work.request
    key = digest_json([one.training.key for t in trainings for one in t.tried if one.training is not None])
    path = request.places.weights / f"{request.shelf.name}@{request.history}--{key[:8]}.grid.csv"
    names = list(request.candidates[0].point)
    rows = [
        [training.name, *(one.candidate.point[name] for name in names), *_of(one, training)]
        for training in trainings
        for one in training.tried
    ]
    runs.write_csv(path, ["split", *names, *_COLUMNS, "chosen", "weights_file"], rows)
    return path


_COLUMNS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_auc")


def _of(one: Tried, chosen: Training) -> list[Any]:
    if one.training is None:
        return [*([None] * len(_COLUMNS)), 0, None]
    told = [one.training.best[name] for name in _COLUMNS]
    return [*told, int(one.training.key == chosen.key), one.training.path.name]
