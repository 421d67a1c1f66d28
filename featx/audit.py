"""The audit of a dataset: its files, what is the same twice or nearly, and what tells the label without the picture.

What `featx datasets check` tells and `featx eda` shows. Never looks at features but to confirm a near-duplicate.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from featx import near_duplicates, shortcuts
from featx.cache.places import Places
from featx.datasets import Columns, Dataset, open_dataset
from featx.engine import OnProgress
from featx.extraction import demo_dataset, folder_name
from featx.extraction.looks import take
from featx.fingerprints import Fingerprints
from featx.folds import join_groups
from featx.near_duplicates import Pair
from featx.shortcuts import Shortcut


@dataclass(frozen=True)
class Audit:
    """What a look at a dataset found.

    Attributes
    ----------
    dataset : Dataset
        The samples.
    fingerprints : Fingerprints
        Of the image files that could be read, and why the others could not.
    groups : dict of str to str
        Group of each sample, byte-identical images joined.
    twins : tuple of tuple of str
        Ids of samples whose files are the same byte for byte, a tuple for each such file.
    pairs : tuple of Pair
        Near-duplicates.
    straddling : tuple of Pair
        Those of them whose two images are in different groups.
    shortcuts : tuple of Shortcut
        How well the label is told without the picture.
    """

    dataset: Dataset
    fingerprints: Fingerprints
    groups: dict[str, str]
    twins: tuple[tuple[str, ...], ...]
    pairs: tuple[Pair, ...]
    straddling: tuple[Pair, ...]
    shortcuts: tuple[Shortcut, ...]


def audit(
    data: str | os.PathLike[str] | None = None,
    *,
    designs: Sequence[str] = (),
    cache: str | os.PathLike[str] | None = None,
    adapter: str | None = None,
    columns: Columns | None = None,
    name: str | None = None,
    seed: int = 0,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> Audit:
    """Look at a dataset before anything is learned from it.

    Parameters
    ----------
    data : path-like, optional
        A folder or a table; the built-in demo dataset where none is given.
    designs : sequence of str
        Designs to look for shortcuts in; all that fit the data by default.
    cache, adapter, columns, name
        As of :func:`featx.extract`; what is learned of the files is remembered in the cache.
    seed : int
        Seed of the folds and forests of the shortcuts.
    jobs : int, optional
        Threads; all cores by default.
    on_progress : callable, optional
        Told (done, total) files.

    Raises
    ------
    FeatxError
        Whatever is wrong, in one sentence.
    """
    places = Places.at(cache)
    dataset = open_dataset(data, adapter=adapter, columns=columns) if data else demo_dataset(places)
    dataset = replace(dataset, name=folder_name(name)) if name else dataset
    prints = take(dataset, places=places, jobs=jobs, on_progress=on_progress)
    ids = [sample.id for sample in dataset.samples]
    digests = [prints.of[name].sha256 if name in prints.of else "" for name in ids]
    groups = dict(zip(ids, join_groups([sample.group for sample in dataset.samples], digests), strict=True))
    pairs = near_duplicates.find(prints.of)
    told = shortcuts.find(dataset, fingerprints=prints.of, only=designs, seed=seed, jobs=jobs)
    return Audit(
        dataset,
        prints,
        groups,
        _twins(ids, digests),
        tuple(pairs),
        tuple(near_duplicates.straddling(pairs, groups)),
        tuple(told),
    )


def _twins(ids: Sequence[str], digests: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    held: dict[str, list[str]] = defaultdict(list)
    for name, digest in zip(ids, digests, strict=True):
        if digest:
            held[digest].append(name)
    return tuple(tuple(same) for same in held.values() if len(same) > 1)
