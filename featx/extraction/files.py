"""The files that an extraction writes: what is in their head, and what of an earlier one is handed on.

Knows the network that is ready, the cache and its layout of names; never an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from featx.cache import FeatureFile, FeatureWriter
from featx.datasets import SYNTHETIC
from featx.extraction.crew import Crew
from featx.extraction.inventory import Held
from featx.extraction.job import Job, Opened
from featx.extraction.request import Request
from featx.extraction.settling import Settled, agreement_told, job_of, runtime_told
from featx.provenance import environment


class Ready(NamedTuple):
    """A network that is ready, for what, and how its precision was settled."""

    job: Job
    opened: Opened
    agreement: dict[str, Any]


def made_ready(request: Request, crew: Crew, settled: Settled) -> Ready:
    """Have the crew open the network, and note what the user should know of it."""
    job = job_of(request)
    opened = crew.open(job)
    request.notes.extend([*runtime_told(request), *opened.notes])
    return Ready(job, opened, agreement_told(settled.agreement))


def writers_for(request: Request, cached: Sequence[Held | None], ready: Ready | None) -> Iterator[FeatureWriter]:
    """Yield the writer of each layer's file, made or opened, in the order of the layers."""
    for layer, path, held in zip(request.layers, request.files, cached, strict=True):
        dim = ready.opened.dims[layer.name] if ready else _dim(path)
        yield FeatureWriter.open_or_create(
            path,
            spec=request.spec(layer),
            paths=request.paths,
            table=request.table,
            dim=dim,
            env=_environment(request, ready, held),
        )


def _dim(path: Path) -> int:
    with FeatureFile.open(path) as file:
        return file.dim


def _environment(request: Request, ready: Ready | None, held: Held | None) -> dict[str, Any]:
    """Describe what computes; what computed rows that are kept is handed on."""
    if ready is None and held is not None:
        return {**held.env, "root": str(request.dataset.root.resolve())}
    return environment(
        {
            "dataset": request.dataset.title,
            **({"note": SYNTHETIC} if request.dataset.synthetic else {}),
            "root": str(request.dataset.root.resolve()),
            "weights": request.source.label,
            "weights_file": request.facts.file,
            "weights_note": request.facts.note,
            "runtime": ready.opened.runtime if ready else None,
            "device": ready.opened.device if ready else None,
            "batch_size": ready.job.batch_size if ready else None,
            **({"shard": {"number": request.shard.number, "of": request.shard.of}} if request.shard else {}),
            **(ready.agreement if ready else {}),
            "earlier": [*held.env.get("earlier", []), {k: v for k, v in held.env.items() if k != "earlier"}]
            if held
            else [],
        }
    )
