"""A set of feature files, one a split, that are one entry of the cache: each serves its own split and no other.

::

    <dataset>/<backbone>@<history>--<layer>--<key8>.set.json    the manifest, which stands for all of them
    <dataset>/<backbone>@<history>--<layer>--<key8>/split-<repeat>x<half>.h5

The set is bound to the plan of folds that its networks were trained over. Knows files and digests, not what a network
is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx import atomic
from featx.errors import CacheDamaged, CacheError
from featx.provenance import digest_json

SUFFIX = ".set.json"
FORMAT = "featx-set"


@dataclass(frozen=True)
class Member:
    """The feature file of one split.

    Attributes
    ----------
    repeat, half : int
        The split.
    path : pathlib.Path
        The file.
    key : str
        The key that it must have.
    """

    repeat: int
    half: int
    path: Path
    key: str


@dataclass(frozen=True)
class FeatureSet:
    """Feature files, one a split.

    Attributes
    ----------
    path : pathlib.Path
        The manifest.
    folds : dict
        Digest, scheme and seed of the plan.
    members : tuple of Member
        In the order of the plan.
    """

    path: Path
    folds: dict[str, Any]
    members: tuple[Member, ...]


def is_set(path: Path) -> bool:
    """Return whether a path is that of a manifest, by its name."""
    return path.name.endswith(SUFFIX)


def place(folder: Path, *, backbone: str, history: str, layer: str, keys: Sequence[str]) -> Path:
    """Return where the manifest of files with these keys lies in the folder of a dataset."""
    return folder / f"{backbone}@{history}--{layer}--{digest_json(list(keys))[:8]}{SUFFIX}"


def member(manifest: Path, *, repeat: int, half: int) -> Path:
    """Return where the feature file of a split lies."""
    return manifest.with_name(manifest.name.removesuffix(SUFFIX)) / f"split-{repeat}x{half}.h5"


def write(found: FeatureSet) -> None:
    """Write a manifest; it is written last, so that a set with a manifest is whole."""
    about = {
        "format": FORMAT,
        "version": 1,
        "folds": found.folds,
        "members": [
            {"repeat": m.repeat, "half": m.half, "file": str(m.path.relative_to(found.path.parent)), "key": m.key}
            for m in found.members
        ],
    }
    atomic.write_text(found.path, json.dumps({**about, "digest": digest_json(about)}, indent=1) + "\n")


def read(path: Path) -> FeatureSet:
    """Read a manifest.

    Raises
    ------
    CacheError
        Where it is missing, or is none.
    CacheDamaged
        Where it is not what was written.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        digest = told.pop("digest")
        members = tuple(
            Member(int(m["repeat"]), int(m["half"]), path.parent / m["file"], str(m["key"])) for m in told["members"]
        )
        folds = dict(told["folds"])
        if told["format"] != FORMAT or not members:
            raise ValueError(told["format"])
    except FileNotFoundError:
        raise CacheError(f"there is no feature set {path}; `featx finetune` makes one") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CacheError(f"{path} is no feature set of featx ({type(error).__name__}: {error})") from error
    if digest != digest_json(told):
        raise CacheDamaged(f"{path} was changed after it was written; run `featx finetune` again")
    return FeatureSet(path, folds, members)
