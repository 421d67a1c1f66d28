"""The files that an extraction writes: what is in their head, and what of an earlier one is handed on.

Knows the network that is ready, the cache and its layout of names; never an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from featx.cache import FeatureFile, FeatureWriter
from featx.cache.origins import COMPUTED, Origins, origins_in
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


def writers_for(
    request: Request, cached: Sequence[Held | None], ready: Ready | None, *, origins: Sequence[Origins]
) -> Iterator[FeatureWriter]:
    """Yield the writer of each layer's file, made or opened, in the order of the layers.

    A file that gets rows of an origin that its head does not know yet is renewed first, so that every row's is told.
    """
    for layer, path, held, computed in zip(request.layers, request.files, cached, origins, strict=True):
        dim = ready.opened.dims[layer.name] if ready else _dim(path)
        about: dict[str, Any] = {"paths": request.paths, "table": request.table}
        about["env"] = _environment(request, ready, held, computed)
        writer = FeatureWriter.open_or_create(
            path,
            spec=request.spec(layer),
            dim=dim,
            dtype=request.stored,
            **about,
        )
        if ready is not None and origins_in(writer.env) != computed:
            writer.renew(**about)
        yield writer


def _dim(path: Path) -> int:
    with FeatureFile.open(path) as file:
        return file.dim


def _environment(request: Request, ready: Ready | None, held: Held | None, computed: Origins) -> dict[str, Any]:
    """Describe what computes, and what computed rows that are kept."""
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
            COMPUTED: computed,
        }
    )
