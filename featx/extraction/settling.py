"""Which precision a run takes, settled before its files are made, on its own first images.

bfloat16 belongs to the features' key, so that it is never mixed with float32. Rows that are there already decide: a
run that goes on keeps their precision, and features at hand in either are served without a forward pass. Knows files
by their names, not what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx.cache import OK
from featx.errors import ComputeError, UsageError
from featx.extraction.crew import Crew
from featx.extraction.filling import items_of
from featx.extraction.job import Job
from featx.extraction.request import Request
from featx.runtime import PRECISIONS, Agreement, agreement, bf16_is_fast, choose
from featx.runtime.base import refuse_unknown
from featx.runtime.precision import LEAST_COSINE

IMAGES = 64  # on which the precisions are compared
BATCH = {"cpu": 16, "cuda": 256}  # more gains nothing on a processor, and a GPU wants more


class Settled(NamedTuple):
    """A request whose precision is known, and what was measured for it."""

    request: Request
    agreement: Agreement | None


def precision_settled(request: Request, crew: Crew) -> Settled:
    """Settle ``auto``.

    Parameters
    ----------
    request : Request
        What is asked for.
    crew : Crew
        Who computes the first images in both precisions, where that has to be.

    Returns
    -------
    Settled
        ``bf16`` where the hardware multiplies it fast and the worst cosine to float32 over the first 64 images and all
        layers is 0.999 or more, else ``fp32``; ``fp32`` too where a backbone has no weights.
    """
    refuse_unknown("precision", request.precision, ("auto", *PRECISIONS))
    if request.precision != "auto":
        return Settled(request, None)
    if request.backbone.weightless:  # nothing is multiplied
        return Settled(request.at("fp32"), None)
    there = _there(request)
    if there is not None:
        return Settled(there, None)
    if not bf16_is_fast(choose(request.runtime, device=request.device).device):
        return Settled(request.at("fp32"), None)
    found = _measured(request, crew)
    request.notes.append(_told(found))
    return Settled(request.at("bf16" if found.sound else "fp32"), found)


def _there(request: Request) -> Request | None:
    """Return the request at the precision of what is in the cache: of the most layers, then of the latest file.

    The latest, since whoever asked for a precision by name after the last automatic run means to go on with that.
    """
    held = {}
    for precision in PRECISIONS:
        same = request.at(precision)
        files = [path for path in same.files if path.exists()]
        if files:
            held[len(files), max(path.stat().st_mtime_ns for path in files)] = same
    return held[max(held)] if held else None


def _measured(request: Request, crew: Crew) -> Agreement:
    exact = _first(request.at("fp32"), crew)
    try:
        rough = _first(request.at("bf16"), crew)
    except (UsageError, ComputeError) as error:
        request.notes.append(f"bf16 is not to be had here: {error}")
        return Agreement(0.0, 0.0, 0)
    rows = sorted(exact.keys() & rough.keys())
    layers = [layer.name for layer in request.layers]
    return agreement(
        *({name: np.array([side[row][name] for row in rows]) for name in layers} for side in (exact, rough))
    )


def _first(request: Request, crew: Crew) -> dict[int, dict[str, np.ndarray]]:
    """Return the features of the first images that have any, by row and layer."""
    job = job_of(request)
    crew.open(job)
    found = {}
    for done in crew.work(items_of(request, range(min(IMAGES, len(request.paths))), size=job.batch_size)):
        for at in np.flatnonzero(done.records["status"] == OK).tolist():
            found[int(done.rows[at])] = {name: features[at] for name, features in done.features.items()}
    return found


def _told(found: Agreement) -> str:
    if not found.images:
        return "precision fp32: there was nothing to compare it with bf16 on"
    over = f"over the first {found.images} images the worst cosine to fp32 is {found.worst:.5f}"
    if found.sound:
        return f"precision bf16: {over} (at least {LEAST_COSINE} is asked for; --precision fp32 takes fp32)"
    return f"precision fp32: in bf16, {over}, under {LEAST_COSINE}"


def agreement_told(found: Agreement | None) -> dict[str, Any]:
    """Return what a feature file keeps of a comparison."""
    return {"precision_agreement": found._asdict()} if found else {}


def job_of(request: Request) -> Job:
    """Return what computes a request whose precision is settled."""
    choice = choose(request.runtime, device=request.device)
    return Job(
        root=Path(request.dataset.root),
        backbone=request.backbone,
        source=request.source,
        weights=request.facts.digest,
        layers=tuple(request.layers),
        transform=request.transform,
        normalise=request.normalise,
        pool=request.pool,
        precision=request.precision,
        batch_size=request.batch_size or BATCH[choice.device],
        runtime=choice.runtime,
        device=choice.device,
        strict=request.runtime == "openvino",
        memo=request.places.memo,
        graphs=request.places.root / "runtime",
    )


def runtime_told(request: Request) -> Sequence[str]:
    """Return what another installation would gain."""
    note = choose(request.runtime, device=request.device).note
    return [note] if note else []
