"""A network fine-tuned on every split of an arm, for its own verdict: what a study of networks would have reported.

Each arm reads the same files with other groups, so that training, what weights have seen, and scoring take the
ordinary road, and each refuses by itself what the arm does not mean to leak.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from featx import folds
from featx.cache.places import Places
from featx.designs import Design
from featx.matrix import Features, read_features
from featx.pipeline.leak import pictures
from featx.pipeline.leak.arms import Arm
from featx.training import Settings, finetune

OnEpoch = Callable[[str, dict[str, Any]], None]


def logits_of(
    arm: Arm,
    table: Path,
    *,
    design: Design,
    settings: Settings,
    places: Places,
    on_epoch: OnEpoch | None = None,
    **network: Any,
) -> Features:
    """Train one network on each split of an arm, and return the logits of all versions, split by split.

    Parameters
    ----------
    arm : Arm
        The splits.
    table : pathlib.Path
        Of the pictures and copies.
    design : Design
        What is learned.
    settings : Settings
        How.
    places : Places
        The cache.
    on_epoch : callable, optional
        Told the split and the history's row after each epoch.
    **network
        ``backbone``, ``weights``, ``freeze``, ``head``, ``cut``, ``size`` and whatever else
        :func:`featx.training.finetune` takes.
    """
    word = arm.plan.scheme.rpartition(":")[2]
    about = {"dataset": table.parent.name, "arm": arm.name}
    plan = folds.save(arm.plan, places.folds / f"{table.parent.name}-{word}-{arm.plan.digest[:8]}.json", about=about)
    found = finetune(
        table,
        adapter="csv",
        columns=pictures.columns(word),
        name=f"{table.parent.name}-{word}",
        design=design,
        folds=str(plan),
        settings=settings,
        layers=("logits",),
        cache=places.root,
        on_epoch=on_epoch,
        **network,
    )
    return read_features(found.files[0])
