"""A plan of folds: its splits by sample id, checked, saved and read. Knows not how it was drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import atomic
from featx.errors import SplitError, UsageError
from featx.provenance import digest_json

FORMAT = "featx-folds"


class Split(NamedTuple):
    """One train/test pair, as row numbers into the plan's ids.

    Attributes
    ----------
    repeat, half : int
        The repeat, and the part that is tested in it (for k-fold the fold's number).
    train, test, validation : numpy.ndarray of int64
        Row numbers; ``validation`` is empty but for three-part hold-outs.
    """

    repeat: int
    half: int
    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray


@dataclass(frozen=True)
class Folds:
    """A whole plan: the samples, their groups, and every split.

    Attributes
    ----------
    scheme : str
        How it was drawn (``5x2``, ``kfold:5``, ``holdout:80/20``, ``official``).
    seed : int
        The seed of the draw.
    ids, groups : tuple of str
        Sample ids, and the group that each belongs to (byte-identical images share one).
    splits : tuple of Split
        In order of repeat and half.
    notes : tuple of str
        What the user should know of a plan that was not drawn here.
    """

    scheme: str
    seed: int
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    splits: tuple[Split, ...]
    notes: tuple[str, ...] = ()

    @property
    def given(self) -> bool:
        """Whether the parts were given, by the dataset or by a file, and not drawn."""
        return self.scheme.startswith(("official", "by:", "released:"))

    @property
    def digest(self) -> str:
        """Return the sha256 of the plan."""
        return digest_json(self.describe())

    def describe(self) -> dict[str, Any]:
        """Return the plan as plain values, each split with the ids on its sides."""
        return {
            "format": FORMAT,
            "version": 1,
            "scheme": self.scheme,
            "seed": self.seed,
            **({"notes": list(self.notes)} if self.notes else {}),
            "groups": dict(zip(self.ids, self.groups, strict=True)),
            "splits": [self._describe(split) for split in self.splits],
        }

    def _describe(self, split: Split) -> dict[str, Any]:
        sides = {"train": split.train, "test": split.test, "validation": split.validation}
        told = {
            side: [self.ids[row] for row in rows] for side, rows in sides.items() if len(rows) or side != "validation"
        }
        return {"repeat": split.repeat, "half": split.half, **told}

    def on(self, ids: Sequence[str]) -> list[Split]:
        """Return the splits as row numbers into another list of ids: the plan as a mask.

        Raises
        ------
        SplitError
            Where an id is not in the plan.
        """
        place = {name: row for row, name in enumerate(ids)}
        if strangers := place.keys() - set(self.ids):
            raise SplitError(f"the folds do not hold sample {min(strangers)!r}; draw them again or give others")

        def there(rows: np.ndarray) -> np.ndarray:
            return np.array([place[self.ids[row]] for row in rows if self.ids[row] in place], dtype=np.int64)

        return [
            Split(split.repeat, split.half, there(split.train), there(split.test), there(split.validation))
            for split in self.splits
        ]


def join_groups(groups: Sequence[str], digests: Sequence[str]) -> list[str]:
    """Join the groups that share a byte-identical image.

    Parameters
    ----------
    groups : sequence of str
        Group of each row.
    digests : sequence of str
        Digest of each row's image; rows with an empty digest join nothing.

    Returns
    -------
    list of str
        Group of each row; joined groups carry the name that sorts first.
    """
    parent = {group: group for group in groups}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = group = parent[parent[group]]
        return group

    first: dict[str, str] = {}
    for group, digest in zip(groups, digests, strict=True):
        if digest:
            low, high = sorted((root(first.setdefault(digest, group)), root(group)))
            parent[high] = low
    return [root(group) for group in groups]


def refuse_straddling(folds: Folds) -> None:
    """Raise SplitError where a group, or a sample, is on two sides of a split."""
    groups = np.asarray(folds.groups, dtype=object)
    for split in folds.splits:
        sides = [set(groups[rows]) for rows in (split.train, split.test, split.validation)]
        both = (sides[0] & sides[1]) | (sides[0] & sides[2]) | (sides[1] & sides[2])
        if both:
            raise SplitError(
                f"group {min(both)!r} is on two sides of split {split.repeat}x{split.half} of the {folds.scheme} "
                "folds; a group may not be divided"
            )


def check(folds: Folds, *, ids: Sequence[str], y: np.ndarray, classes: Sequence[str], design: str) -> list[Split]:
    """Check a plan for a design: every class on both sides of every split, and five distinct partitions.

    Parameters
    ----------
    folds : Folds
        The plan.
    ids : sequence of str
        The samples that the design keeps.
    y : numpy.ndarray of int, shape (n,)
        Their class codes.
    classes : sequence of str
        The classes' names.
    design : str
        The design's name, for messages.

    Returns
    -------
    list of Split
        The splits as row numbers into ``ids``; of ``by:COLUMN`` folds only those with every class on
        both sides.

    Raises
    ------
    SplitError
        Naming the class and the groups that are in the way.
    """
    splits = folds.on(ids)
    if folds.scheme.startswith("by:"):
        whole = [s for s in splits if len(set(y[s.test])) == len(set(y[s.train])) == len(classes)]
        splits = whole or splits
    group_of = dict(zip(folds.ids, folds.groups, strict=True))
    for split in splits:
        for side in ("train", "test"):
            for code in set(range(len(classes))) - set(y[getattr(split, side)]):
                if folds.given:
                    raise SplitError(_given_told(folds, split, side=side, word=classes[code], design=design))
                held = sorted({group_of[ids[row]] for row in np.flatnonzero(y == code).tolist()})
                raise SplitError(
                    f"class {classes[code]!r} of design {design!r} has no row on the {side} side of split "
                    f"{split.repeat}x{split.half}: it has {len(held)} group{'s' * (len(held) != 1)} "
                    f"({', '.join(held[:3])}{', ...' * (len(held) > 3)}), and a group may not be divided"
                )
    if folds.scheme == "5x2":
        halves = {canonical(np.isin(np.arange(len(ids)), split.test)) for split in splits}
        if len(halves) < 5:
            raise SplitError(
                f"only {len(halves)} of the five halvings differ on the {len(ids)} rows of design {design!r}; "
                "there are too few groups for 5x2 folds"
            )
    return splits


def save(folds: Folds, path: Path, *, about: Mapping[str, Any]) -> Path:
    """Write a plan as JSON, with its digest and what it is about (dataset, notes)."""
    text = json.dumps({**about, "digest": folds.digest, **folds.describe()}, indent=1, ensure_ascii=False)
    # a name that is no UTF-8 on the disk (a lone surrogate here) becomes JSON's own escape of it
    return atomic.write_text(path, text.encode("utf-8", "backslashreplace").decode())


def load(path: Path) -> Folds:
    """Read a plan from JSON.

    Raises
    ------
    UsageError
        Where the file is missing or is no folds file.
    SplitError
        Where a group is on both sides of a split, or the plan is not the one that its digest was taken of.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
        if value["format"] != FORMAT:
            raise ValueError(value["format"])
        ids = tuple(value["groups"])
        place = {name: row for row, name in enumerate(ids)}
        splits = tuple(_read_split(split, place) for split in value["splits"])
        groups = tuple(map(str, value["groups"].values()))
        notes = tuple(map(str, value.get("notes", ())))
        folds = Folds(str(value["scheme"]), int(value["seed"]), ids, groups, splits, notes)
        _refuse_unsound(folds)
        digest = value.get("digest", folds.digest)
    except FileNotFoundError:
        raise UsageError(f"no folds file {path}; give one that exists, or a scheme (5x2, kfold, holdout)") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise UsageError(f"{path} is no folds file of featx ({type(error).__name__}: {error})") from error
    if digest != folds.digest:
        raise SplitError(f"{path} was changed after it was drawn; remove its 'digest' if you mean the change")
    refuse_straddling(folds)
    return folds


def _refuse_unsound(folds: Folds) -> None:
    """Raise ValueError where there is no split, two have one number, or a sample stands twice on a side."""
    numbers = {(split.repeat, split.half) for split in folds.splits}
    if not numbers or len(numbers) < len(folds.splits):
        raise ValueError("no split, or two of one number")
    for split in folds.splits:
        if any(len(np.unique(rows)) < len(rows) for rows in (split.train, split.test, split.validation)):
            raise ValueError(f"a sample stands twice on a side of split {split.repeat}x{split.half}")


def _read_split(value: Mapping[str, Any], place: Mapping[str, int]) -> Split:
    sides = {
        side: np.array([place[name] for name in value.get(side, [])], dtype=np.int64)
        for side in ("train", "test", "validation")
    }
    return Split(int(value["repeat"]), int(value["half"]), **sides)


def _given_told(folds: Folds, split: Split, *, side: str, word: str, design: str) -> str:
    notes = "; ".join(folds.notes)
    return (
        f"class {word!r} of design {design!r} has no row on the {side} side of part {split.half} of the folds "
        f"{folds.scheme}: the parts are given, so take other folds or another design" + (f" ({notes})" if notes else "")
    )


def canonical(mask: np.ndarray) -> bytes:
    """Return one name for a halving, whichever half is called the first."""
    return (mask ^ mask[0]).tobytes()
