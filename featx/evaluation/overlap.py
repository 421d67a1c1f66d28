"""Overlap: what a train and a test file both hold, so that a test on it would be none.

Images are compared by their bytes, groups by their names, and pictures by the fingerprints that extraction remembered;
no image is opened. Every row with features counts, whatever a design makes of it. Knows no classes and no classifiers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from featx import near_duplicates, seen
from featx.cache.places import Places
from featx.datasets.base import Sample
from featx.errors import DataError, UsageError
from featx.fingerprints import Fingerprint, remembered
from featx.matrix import Features
from featx.near_duplicates import Pair

MODES = ("audit", "join", "ignore")
SHOWN = 3


class Looks(NamedTuple):
    """The near-duplicates of two files.

    Attributes
    ----------
    across : tuple of Pair
        The first of a pair is a train sample, the second a test sample.
    train, test : tuple of Pair
        Within each file.
    unknown : tuple of int
        Images of each file, train and test, that nothing is remembered of.
    """

    across: tuple[Pair, ...]
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]
    unknown: tuple[int, int]


class Overlap(NamedTuple):
    """What both files hold.

    Attributes
    ----------
    images : tuple of (str, str)
        A train and a test sample for each image that is in both, byte for byte.
    groups : tuple of str
        Groups of one name.
    pairs : tuple of Pair
        Near-duplicates, a train sample and a test sample each.
    ids : frozenset of str
        The test samples behind all of these.
    kind : str or None
        What the groups are; None where they were not compared.
    notes : tuple of str
        What was not compared, and why.
    """

    images: tuple[tuple[str, str], ...]
    groups: tuple[str, ...]
    pairs: tuple[Pair, ...]
    ids: frozenset[str]
    kind: str | None
    notes: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.images or self.groups or self.pairs)

    @property
    def told(self) -> str:
        """Counts and examples."""
        parts = []
        if self.images:
            parts.append(f"{len(self.images)} images ({_some(f'{a} is {b}' for a, b in self.images)})")
        if self.groups:
            parts.append(f"{len(self.groups)} {self.kind}s ({_some(map(repr, self.groups))})")
        if self.pairs:
            shown = _some(f"{pair.first} ~ {pair.second}" for pair in self.pairs)
            parts.append(f"{len(self.pairs)} pairs of near-duplicate images ({shown})")
        return ", ".join(parts)

    def describe(self) -> dict[str, Any]:
        """Return the overlap as plain values, for records."""
        return {
            "images": [list(pair) for pair in self.images],
            "groups": list(self.groups),
            "groups_compared": self.kind,
            "near_duplicates": [pair._asdict() for pair in self.pairs],
            "test_samples": len(self.ids),
        }


def look(train: Features, test: Features, places: Places, *, mode: str) -> Looks:
    """Find near-duplicates across two files and within each, from what extraction remembered.

    Raises
    ------
    UsageError
        Where groups are to be joined, but some images were never looked at.
    """
    if mode == "ignore":
        return Looks((), (), (), (0, 0))
    held: dict[str, Fingerprint] = {}
    unknown = []
    for side, table in (("train", train), ("test", test)):
        known = _remembered(table, places)
        own = {f"{side} {sample.id}": known[digest] for sample, digest in _usable(table) if digest in known}
        unknown.append(int(table.usable.sum()) - len(own))
        held |= own
    if mode == "join" and any(unknown):
        raise UsageError(
            f"--near-duplicates join: {sum(unknown)} images have not been looked at; run `featx extract` again, "
            "where the images are"
        )
    found: dict[tuple[str, str], list[Pair]] = {}
    for pair in near_duplicates.find(held):  # train samples stand first in what is compared, and so in each pair
        (a, first), (b, second) = (name.split(" ", 1) for name in (pair.first, pair.second))
        found.setdefault((a, b), []).append(pair._replace(first=first, second=second))
    across, within, other = (tuple(found.get((a, b), ())) for a, b in
                             (("train", "test"), ("train", "train"), ("test", "test")))  # fmt: skip
    return Looks(across, within, other, (unknown[0], unknown[1]))


def joined(table: Features, pairs: Sequence[Pair]) -> Features:
    """Return a table with the groups of each pair joined."""
    ids = [sample.id for sample in table.dataset.samples]
    return replace(table, groups=tuple(near_duplicates.joined(table.groups, ids, pairs)))


def looks_told(train: Features, test: Features, looks: Looks, *, mode: str) -> list[str]:
    """Tell what near-duplicates mean inside each file, and what could not be looked at."""
    if mode == "ignore":
        return ["near-duplicates across the two files were not looked for (--near-duplicates ignore)"]
    notes = []
    for word, table, pairs in (("train", train, looks.train), ("test", test, looks.test)):
        groups = dict(zip((sample.id for sample in table.dataset.samples), table.groups, strict=True))
        if apart := near_duplicates.straddling(pairs, groups):
            done = "their groups are joined" if mode == "join" else "--near-duplicates join makes one group of each"
            notes.append(
                f"{len(apart)} pairs of near-duplicate images within the {word} file are in different groups: {done}"
            )
    if any(looks.unknown):
        notes.append(
            f"near-duplicates were not looked for among {looks.unknown[0]} train and {looks.unknown[1]} test images; "
            "`featx extract` does it"
        )
    return notes


def between(train: Features, test: Features, pairs: Iterable[Pair] = ()) -> Overlap:
    """Return what a train and a test file both hold.

    Groups are compared where both datasets call them by one word (lesion, patient), and only those that are named: an
    image that is its own group for want of knowledge is no group that another file could hold too.

    Parameters
    ----------
    train, test : Features
        The two files.
    pairs : iterable of Pair
        Near-duplicates across the two, from :func:`look`.
    """
    pairs = tuple(pairs)
    learned, held = _by_digest(train), _by_digest(test)
    same = [digest for digest in held if digest in learned]
    kind, notes = _kind(train, test)
    known = _by_group(train).keys() if kind else set()
    by_group = _by_group(test)
    groups = [name for name in by_group if name in known]
    ids = {name for digest in same for name in held[digest]}
    ids |= {name for group in groups for name in by_group[group]} | {pair.second for pair in pairs}
    images = tuple((learned[digest][0], held[digest][0]) for digest in same)
    return Overlap(images, tuple(groups), pairs, frozenset(ids), kind, notes)


def seen_told(test: Features, places: Places, *, allow_seen: bool) -> list[str]:
    """Tell of test rows that the weights behind the features were trained on.

    Raises
    ------
    DataError
        Where there are any, and that is not allowed.
    UsageError
        Where the features are a set, whose networks serve one split of their own dataset each.
    CacheError
        Where the weights were trained here and nobody can say on what.
    """
    if test.parts:
        raise UsageError(
            f"{test.path.name} holds one network for each split of its own folds; `featx compare` takes it"
        )
    record = seen.seen_by(test.about["spec"], places, Places(test.path.parent.parent))
    rows = record.rows(test.dataset, test.digests) & test.usable if record else []
    ids = [sample.id for sample, known in zip(test.dataset.samples, rows, strict=False) if known]
    if not ids:
        return []
    what = f"the weights behind {test.label} have seen {len(ids)} test samples ({_some(ids)})"
    if allow_seen:
        return [f"{what}; --allow-seen goes on: for these this is no test"]
    raise DataError(
        f"{what}, by their images or their groups: testing on what a network was trained on says nothing; take weights "
        "that have not, or go on with --allow-seen, which the record will say"
    )


def refuse(found: Overlap, train: Features, test: Features) -> None:
    """Raise DataError where two files overlap, with counts and examples."""
    if not found:
        return
    by_name = (
        f"; {found.kind}s are compared by name, so where one name means two {found.kind}s by chance, nothing is wrong"
        if found.groups
        else ""
    )
    raise DataError(
        f"{train.path} and {test.path} both hold {found.told}: what was learned from cannot be tested on; take them "
        f"out of one of the two, or go on with --allow-overlap, which the record will say{by_name}"
    )


def _kind(train: Features, test: Features) -> tuple[str | None, tuple[str, ...]]:
    """Return what the groups of both files are, or None and the reason why they are not compared."""
    kinds = [table.dataset.group_kind for table in (train, test)]
    if kinds[0] == kinds[1] and kinds[0] is not None:
        return kinds[0], ()
    words = [kind or "unknown" for kind in kinds]
    return None, (f"groups were not compared across the two files: train groups are {words[0]}, test {words[1]}",)


def _remembered(table: Features, places: Places) -> dict[str, Fingerprint]:
    """Return fingerprints by digest: from the cache, and from beside the file where it lies in another cache."""
    beside = Places(table.path.parent.parent)
    name = table.dataset.name
    return remembered(name, places=beside) | remembered(name, places=places)


def _usable(table: Features) -> list[tuple[Sample, str]]:
    rows = zip(table.dataset.samples, table.digests, table.usable.tolist(), strict=True)
    return [(sample, digest) for sample, digest, usable in rows if usable]


def _by_digest(table: Features) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for sample, digest in _usable(table):
        if digest:
            found.setdefault(digest, []).append(sample.id)
    return found


def _by_group(table: Features) -> dict[str, list[str]]:
    """Return the samples of each group as the dataset names it, without those that are groups by themselves."""
    found: dict[str, list[str]] = {}
    for sample, _ in _usable(table):
        if sample.group not in (sample.id, f"image {sample.id}", f"image {sample.path}"):
            found.setdefault(sample.group, []).append(sample.id)
    return found


def _some(words: Iterable[str]) -> str:
    """Return the first few."""
    named = list(words)
    return ", ".join(named[:SHOWN]) + (", ..." if len(named) > SHOWN else "")
