"""What weights that were trained here have seen, and so must never be judged on.

Weights carry the digests and the groups of every image that they or any ancestor of theirs learned from or was watched
on (validation rows too). The record travels in the weights file; beside it in the cache, by the digest of the weights,
it is found for features whose weights file is elsewhere. Knows no classes and no classifiers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featx import atomic
from featx.backbones import BACKBONES, Backbone
from featx.backbones.trained import as_trained, is_trained, read_record
from featx.cache.places import Places
from featx.datasets import Dataset, Sample
from featx.errors import CacheDamaged, CacheError
from featx.provenance import digest_json


@dataclass(frozen=True)
class Seen:
    """What weights have seen.

    Attributes
    ----------
    history : str
        The weights' history (``imagenet+isic2018~0x1``).
    images : frozenset of str
        sha256 of the image files.
    groups : mapping of str to frozenset of str
        Names of groups by their kind (``lesion``), those that are more than one image's own name.
    learned : mapping
        ``design``, ``classes`` and ``loss`` of the last training.
    """

    history: str
    images: frozenset[str]
    groups: Mapping[str, frozenset[str]]
    learned: Mapping[str, Any]

    def rows(self, dataset: Dataset, digests: Sequence[str]) -> np.ndarray:
        """Return which samples were seen, by the image itself or by their group, bool of shape (n,)."""
        groups = self.groups.get(dataset.group_kind or "", frozenset())
        return np.array(
            [
                digest in self.images or (is_named(sample) and sample.group in groups)
                for sample, digest in zip(dataset.samples, digests, strict=True)
            ],
            dtype=bool,
        )


def is_named(sample: Sample) -> bool:
    """Return whether a sample's group is more than the image itself for want of knowledge."""
    return sample.group not in (sample.id, f"image {sample.id}", f"image {sample.path}")


def of_rows(dataset: Dataset, digests: Sequence[str], rows: Iterable[int]) -> dict[str, Any]:
    """Return digests and groups of some rows, as plain values for a record."""
    rows = list(rows)
    samples = [dataset.samples[row] for row in rows]
    groups = sorted({sample.group for sample in samples if is_named(sample)})
    return {
        "images": sorted({digests[row] for row in rows}),
        "groups": {dataset.group_kind: groups} if dataset.group_kind and groups else {},
    }


def together(*told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what several records have seen, as plain values."""
    kinds = sorted({kind for one in told for kind in one["groups"]})
    return {
        "images": sorted({digest for one in told for digest in one["images"]}),
        "groups": {kind: sorted({name for one in told for name in one["groups"].get(kind, ())}) for kind in kinds},
    }


def remember(record: Mapping[str, Any], places: Places) -> None:
    """Keep what weights have seen where features made by them look for it."""
    path = _place(record["tensors"], places)
    about = {name: record[name] for name in ("tensors", "history", "seen", "learned")}
    text = json.dumps({**about, "digest": digest_json(about)})
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        atomic.write_text(path, text)


def _place(digest: str, places: Places) -> Path:
    return places.weights / f"{digest[:16]}.seen.json"


def seen_by(spec: Mapping[str, Any], *places: Places) -> Seen | None:
    """Return what the weights behind features have seen; None where they were not trained here.

    Parameters
    ----------
    spec : mapping
        The spec of a feature file.
    *places : Places
        Caches in which it may be found.

    Raises
    ------
    CacheError
        Where the weights were trained here and nobody can say on what.
    CacheDamaged
        Where what is kept of it was changed.
    """
    if not is_trained(spec):
        return None
    for one in places:
        path = _place(spec["weights"], one)
        if path.exists():
            return _read(path, spec["weights"])
    raise CacheError(
        f"these features come from weights that were trained here (sha256 {spec['weights'][:16]}...), and what those "
        "have seen is not to be found; run `featx extract` again with their .safetensors file, which tells it"
    )


def _read(path: Path, tensors: str) -> Seen:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        digest = told.pop("digest")
        whole = digest == digest_json(told) and told["tensors"] == tensors
        held = told["seen"]
        groups = {kind: frozenset(names) for kind, names in held["groups"].items()}
        found = Seen(str(told["history"]), frozenset(held["images"]), groups, dict(told["learned"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CacheDamaged(f"{path} does not tell what weights have seen ({error}); {_AGAIN}") from error
    if not whole:
        raise CacheDamaged(f"{path} was changed after it was written; {_AGAIN}")
    return found


_AGAIN = "remove it and run `featx extract` again with the weights file"


def backbone_for(name: str, weights: str | None, places: Places) -> Backbone:
    """Return the backbone that weights belong to: as on the shelf, or with the head of weights that were trained here.

    What such weights have seen is kept in the cache, so that comparisons know it.
    """
    path = Path(weights).expanduser() if weights else None
    record = read_record(path) if path else None
    backbone = as_trained(BACKBONES[name], record, path=path or Path())
    if record is not None:
        remember(record, places)
    return backbone
