"""What a training did, and how it goes meanwhile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.cache import sets
from featx.description.words import aligned, dataset_line
from featx.numerals import number

if TYPE_CHECKING:
    from featx.training import Finetuned


def epoch_told(split: str, row: dict[str, Any], *, total: int) -> str:
    """Return a line on an epoch."""
    rate = row["images"] / max(row["seconds"], 1e-9)
    return (
        f"{split}  epoch {row['epoch']:>3}/{total}  loss {row['train_loss']:.3f}, "
        f"validation {row['validation_loss']:.3f}, AUC {number(row['validation_auc'])}  {rate:.0f} images/s"
    )


def training_told(found: Finetuned, *, verbose: bool = False) -> str:
    """Return what a training did: what learned, how each split ended, and what to do next."""
    share = f"{found.learned:,} of {found.weights:,} weights learned"
    lines = [
        dataset_line(found.dataset),
        f"{found.design}: {', '.join(found.classes)}; {share}, on {found.device} in {found.precision}",
    ]
    reused = sum(training.reused for training in found.trainings)
    if reused:
        lines.append(f"{reused} of {len(found.trainings)} networks had been trained before")
    chosen = found.grid is not None
    rows = [
        [t.name, *([t.word] if chosen else []), str(t.best_epoch), str(len(t.history)), *_kept(t)]
        for t in found.trainings
    ]
    head = ["split", *(["chosen"] if chosen else []), "kept epoch", "of", "validation loss", "validation AUC"]
    lines += aligned([head, *rows], left=2 if chosen else 1)
    if verbose:
        lines += [f"weights: {training.path}" for training in found.trainings]
    lines.append(f"weights and curves: {_folder(found)}")
    if chosen:
        lines.append(f"chosen by the lowest loss on each split's validation part; all that was tried: {found.grid}")
    lines += [f"features: {path}" for path in found.files]
    return "\n".join([*lines, *_next(found)])


def of_set(path: Path) -> str:
    """Return what a set of feature files is: its plan of folds, and the file of each split."""
    found = sets.read(path)
    plan = found.folds
    rows = [[f"{m.repeat}x{m.half}", str(m.path.relative_to(path.parent)), m.key[:8]] for m in found.members]
    return "\n".join(
        [
            f"{path}: features of one network for each split of {plan.get('scheme')} folds, seed {plan.get('seed')}",
            f"bound to the plan with digest {plan.get('digest')}; each file serves its own split alone",
            *aligned([["split", "file", "key"], *rows], left=3),
        ]
    )


def _kept(training: Any) -> list[str]:
    return [f"{training.best['validation_loss']:.3f}", number(training.best["validation_auc"])]


def _folder(found: Finetuned) -> str:
    if len(found.trainings) == 1:
        return str(found.trainings[0].path)
    stems = Counter(training.path.name.partition("~")[0] for training in found.trainings)
    return f"{found.trainings[0].path.parent}/{next(iter(stems))}~*"


def _next(found: Finetuned) -> list[str]:
    if found.plan is None:
        return ["for other data: `featx finetune OTHER --weights FILE` with this file, or `featx extract` with it"]
    mean = float(np.mean([t.best["validation_auc"] for t in found.trainings]))
    return [
        f"mean AUC on the validation parts {number(mean)}, which chose the epochs and so flatters: "
        "`featx compare` says what the test sides say"
    ]
