"""From the cache to a feature matrix: X, y, groups and ids of the rows that have features and a class.

A set of feature files, one a split, is read as one table whose parts serve their own split each.

This file never knows torch or classifiers.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import designs
from featx.cache import OK, FeatureFile, sets
from featx.cache.places import Places, label
from featx.datasets import Dataset, from_table
from featx.errors import CacheError, CacheIncomplete, CacheMismatch
from featx.folds import join_groups
from featx.provenance import digest_json


class FeatureMatrix(NamedTuple):
    """What a classifier needs, and what it may not divide.

    Attributes
    ----------
    X : numpy.ndarray of float32 (uint8 of pixels), shape (n, d)
        Features.
    y : numpy.ndarray, shape (n,)
        Class codes (int64) where a design was given, else the diagnoses (str).
    groups : numpy.ndarray of str, shape (n,)
        What may not be divided; byte-identical images share one.
    ids : numpy.ndarray of str, shape (n,)
        Sample ids.
    """

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    ids: np.ndarray


@dataclass(frozen=True)
class Features:
    """A feature file, read and verified.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    label : str
        What it is called in tables.
    dataset : Dataset
        Its samples, one a row, also of images that failed.
    X : numpy.ndarray of float32 or uint8, shape (n, d)
        Features, as they are stored: pixels are whole numbers. Where the image failed NaN, or 0 among whole numbers.
    usable : numpy.ndarray of bool, shape (n,)
        Rows with features.
    dropped : dict of str to int
        Rows without, by reason.
    digests : tuple of str
        sha256 of each image, empty where it could not be read.
    groups : tuple of str
        Group of each row, byte-identical images joined.
    about : dict
        Spec, key, environment and content digest of the file, for records.
    parts : tuple of Part
        Of a set: the features of each split; ``X`` is then that of the first, and serves only what asks for no split.
    folds : dict or None
        Of a set: digest, scheme and seed of the plan that it is bound to.
    foreseen : bool
        Whether the network has learned from rows that classifiers will train on: what inner fits say of such rows is
        then no forecast.
    """

    path: Path
    label: str
    dataset: Dataset
    X: np.ndarray
    usable: np.ndarray
    dropped: dict[str, int]
    digests: tuple[str, ...]
    groups: tuple[str, ...]
    about: dict[str, Any]
    parts: tuple[Part, ...] = ()
    folds: dict[str, Any] | None = None
    foreseen: bool = False

    def rows_of(self, ids: Sequence[str]) -> list[int]:
        """Return the row of each sample id."""
        place = {sample.id: row for row, sample in enumerate(self.dataset.samples)}
        return [place[name] for name in ids]

    def matrix_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the features of samples by id, (len(ids), d): ``X`` itself where all are asked for in their order.

        A copy of all pixels of a dataset would be gigabytes that nobody needs. It is not to be written to.
        """
        rows = self.rows_of(ids)
        return self.X if rows == list(range(len(self.X))) else self.X[rows]


class Part(NamedTuple):
    """The features of one split of a set."""

    repeat: int
    half: int
    features: Features


def read_features(path: str | os.PathLike[str]) -> Features:
    """Read a feature file or a set of them, every row verified.

    Raises
    ------
    CacheIncomplete
        Where the extraction was not finished.
    CacheDamaged
        Where a byte is not what was written.
    CacheMismatch
        Where the files of a set do not belong together.
    """
    path = Path(path)
    if sets.is_set(path):
        return _read_set(path)
    with FeatureFile.open(path) as file:
        if not file.complete:
            raise CacheIncomplete(f"{path} is not finished; run `featx extract` again, it goes on where it stopped")
        X, records = file.load(), file.records()
        dataset = from_table(file.table, file.paths)
        about = {"file": str(path), "key": file.key, "spec": file.spec, "env": file.env, "finished": file.finished}
    usable = records["status"] == OK
    reasons = Counter(bytes(reason).decode(errors="replace").partition(":")[0] for reason in records["reason"][~usable])
    raw = [bytes(digest) for digest in records["sha256"]]
    digests = tuple(digest.hex() if any(digest) else "" for digest in raw)
    groups = tuple(join_groups([sample.group for sample in dataset.samples], digests))
    dropped = {f"image: {reason}": count for reason, count in sorted(reasons.items())}
    return Features(path, label(path), dataset, X, usable, dropped, digests, groups, about)


def _read_set(path: Path) -> Features:
    """Read a set: the samples that all of its files have features of, and each file for its split."""
    found = sets.read(path)
    parts = [Part(member.repeat, member.half, read_features(member.path)) for member in found.members]
    first = parts[0].features
    for member, part in zip(found.members, parts, strict=True):
        own = part.features
        if own.about["key"] != member.key:
            raise CacheMismatch(f"{member.path} is not the file that {path.name} speaks of; run `featx finetune` again")
        if (own.digests, own.dataset.samples) != (first.digests, first.dataset.samples):
            raise CacheMismatch(f"the files of {path.name} hold other images or labels; run `featx finetune` again")
    each = [part.features.about for part in parts]
    about = {
        **first.about,
        "file": str(path),
        "key": digest_json([one["key"] for one in each]),
        "finished": {
            "content": digest_json([one["finished"] for one in each]),
            "parts": [one["finished"] for one in each],
        },
    }
    usable = np.logical_and.reduce([part.features.usable for part in parts])
    return replace(
        first, path=path, label=label(path), usable=usable, about=about, parts=tuple(parts), folds=found.folds
    )


def extracted_from(data: str | os.PathLike[str], places: Places) -> list[Path]:
    """Return the feature files that were extracted last from the data at a path, a folder or a table.

    Raises
    ------
    CacheError
        Where the cache holds none from there.
    """
    root = Path(data).resolve()
    root = root.parent if root.is_file() else root
    found = [files for name in places.datasets() if _root_of((files := places.last(name))[0]) == root]
    if not found:
        raise CacheError(f"{places.root} holds no features of {data}; run `featx extract {data}` first")
    return max(found, key=lambda files: (files[0].parent / "last.json").stat().st_mtime_ns)


def _root_of(path: Path) -> Path:
    path = sets.read(path).members[0].path if sets.is_set(path) else path
    with FeatureFile.open(path) as file:
        return Path(str(file.env.get("root")))


def load_features(
    path: str | os.PathLike[str],
    design: str | designs.Design | None = None,
    *,
    akiec: str = "drop",
    scc: str = "malignant",
) -> FeatureMatrix:
    """Load a feature matrix from a feature file, for use with any other tool.

    Parameters
    ----------
    path : path-like
        A feature file.
    design : str or Design, optional
        Which rows belong to which class; without one every row is kept and ``y`` holds the diagnoses.
    akiec, scc : {"drop", "benign", "malignant"}
        Readings of the skin designs.

    Returns
    -------
    FeatureMatrix
        Only rows with features, and with a class where a design was given.

    Raises
    ------
    CacheError
        Where the file is incomplete or damaged.
    UnknownName, DataError
        Where the design is unknown or does not fit the data.
    """
    features = read_features(path)
    keep = np.flatnonzero(features.usable)
    y = np.array([features.dataset.samples[row].diagnosis for row in keep])
    if design is not None:
        design = designs.get(design, akiec=akiec, scc=scc) if isinstance(design, str) else design
        codes = design.assign(y.tolist()).y
        keep, y = keep[codes >= 0], codes[codes >= 0]
    ids = np.array([sample.id for sample in features.dataset.samples])
    return FeatureMatrix(features.matrix_of(ids[keep].tolist()), y, np.array(features.groups)[keep], ids[keep])
