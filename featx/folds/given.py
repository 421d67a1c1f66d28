"""Splits that are given, not drawn: the official parts of a dataset, one part a source, or the authors' own fold files.

Such parts were often made without a thought of groups. What a group has on the test side is tested, as it was meant;
what else it has is left out of the other sides, so that no group straddles, and the plan's notes tell how much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from featx.errors import SplitError, UsageError
from featx.folds.plan import Folds, Split, refuse_straddling

MOST_PARTS = 100
Given = tuple[list[Split], tuple[str, ...]]


def official(parts: Sequence[str], groups: Sequence[str]) -> Given:
    """Return the one split of a dataset's own parts, and notes on it.

    Parameters
    ----------
    parts : sequence of str, length n
        ``train``, ``test``, ``validation`` or nothing.
    groups : sequence of str, length n
        Group of each row.

    Raises
    ------
    SplitError
        Where there is no train or no test part.
    """
    rows = {side: np.flatnonzero(np.asarray(parts) == side) for side in ("train", "test", "validation")}
    if not len(rows["train"]) or not len(rows["test"]):
        raise SplitError("this dataset has no official split into train and test; take --folds 5x2, kfold or holdout")
    return _cleared([Split(0, 0, **rows)], groups)


def by_part(parts: Sequence[str], groups: Sequence[str], *, column: str) -> Given:
    """Return a split for each value of a column: that value is tested, the others train.

    Raises
    ------
    SplitError
        Where the column has fewer than two values, or too many to be sources.
    """
    words = np.asarray(parts, dtype=str)
    values = sorted(set(parts) - {""})
    if not 2 <= len(values) <= MOST_PARTS:
        raise SplitError(
            f"folds by:{column}: the column has {len(values)} values; 2 to {MOST_PARTS} can be left out in turn"
        )
    known = words != ""
    splits = [
        Split(0, half, np.flatnonzero(known & (words != value)), np.flatnonzero(words == value), _none())
        for half, value in enumerate(values)
    ]
    told = "tested in turn: " + ", ".join(f"{half} {value}" for half, value in enumerate(values))
    unknown = [f"{(~known).sum()} images have no {column} and are on no side"] if not known.all() else []
    splits, notes = _cleared(splits, groups)
    return splits, (told, *unknown, *notes)


def released(path: Path, ids: Sequence[str], *, groups: Sequence[str], files: Sequence[str]) -> Folds:
    """Read a fold file of Menegola et al. (2017): YAML with ``Fold_1`` and so on, each two lists of image names.

    In their files every even fold is the odd one before it with its halves swapped. Each distinct partition becomes one
    repeat and is used both ways; a file with a single fold is one split, the first list to train.

    Parameters
    ----------
    path : pathlib.Path
        The file as the authors released it.
    ids, groups, files : sequences of str, length n
        Sample ids, their groups, and their image files. A name is matched without its ending, in small letters, against
        the ids and then the files.

    Raises
    ------
    UsageError
        Where the file is missing or is none of theirs.
    SplitError
        Where too few of its names are in these data.
    """
    partitions = _partitions(_read(path), path)
    row_of = _by_stem(files, partitions, path) | _by_stem(ids, partitions, path)
    distinct: dict[frozenset[frozenset[str]], tuple[list[str], list[str]]] = {}
    for first, second in partitions:
        distinct.setdefault(frozenset((frozenset(first), frozenset(second))), (first, second))
    splits = [
        Split(repeat, half, _rows(train, row_of), _rows(test, row_of), _none())
        for repeat, halves in enumerate(distinct.values())
        for half, (train, test) in enumerate((halves, halves[::-1])[: 1 if len(partitions) == 1 else 2])
    ]
    if any(not len(side) for split in splits for side in (split.train, split.test)):
        raise SplitError(f"{path}: a half of its folds has no image in these data; is it the file of this dataset?")
    splits, notes = _cleared(splits, groups)
    told = (*_repeats_told(partitions, len(distinct)), *_images_told(partitions, row_of, ids), *notes)
    folds = Folds(f"released:{path.name}", 0, tuple(ids), tuple(groups), tuple(splits), told)
    refuse_straddling(folds)
    return folds


def _by_stem(names: Sequence[str], partitions: Sequence[tuple[list[str], list[str]]], path: Path) -> dict[str, int]:
    """Return the row of each name without folders and ending; one that the file means and two rows bear is refused."""
    rows: dict[str, int] = {}
    meant = {name for halves in partitions for half in halves for name in half}
    for row, name in enumerate(names):
        stem = _stem(name)
        if rows.setdefault(stem, row) != row and stem in meant:
            raise SplitError(
                f"{path}: {stem} may be {names[rows[stem]]} or {name} of these data; its names fit data whose images "
                "have names of their own"
            )
    return rows


def _cleared(splits: Sequence[Split], groups: Sequence[str]) -> Given:
    """Leave out of train and validation what shares a group with a test row, and of train what does with validation."""
    names = np.asarray(groups, dtype=object)
    found, lost, divided = [], Counter[str](), set[str]()
    for split in splits:
        tested = set(names[split.test])
        validation = _outside(split.validation, names, tested)
        train = _outside(split.train, names, tested | set(names[validation]))
        lost["train"] += len(split.train) - len(train)
        lost["validation"] += len(split.validation) - len(validation)
        divided |= set(names[np.setdiff1d(split.train, train)]) | set(names[np.setdiff1d(split.validation, validation)])
        found.append(split._replace(train=train, validation=validation))
    if not divided:
        return found, ()
    counts = " and ".join(f"{count} rows of the {side} sides" for side, count in lost.items() if count)
    examples = ", ".join(sorted(divided)[:3]) + (", ..." if len(divided) > 3 else "")
    many = "groups are" if len(divided) > 1 else "group is"
    return found, (
        f"{len(divided)} {many} divided by these parts ({examples}): {counts} are left out, the test sides are whole",
    )


def _outside(rows: np.ndarray, names: np.ndarray, taken: set[str]) -> np.ndarray:
    return np.array([row for row in rows.tolist() if names[row] not in taken], dtype=np.int64)


def _none() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)


def _read(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no folds file {path}; give one that exists, or a scheme (5x2, kfold, holdout)") from None
    except (YAMLError, UnicodeDecodeError, OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no readable YAML: {' '.join(str(error).split())}") from error


def _partitions(value: Any, path: Path) -> list[tuple[list[str], list[str]]]:
    """Return the two lists of each fold, in the order of the folds' numbers."""
    expected = f"{path}: expected Fold_1, Fold_2, ..., each two lists of image names"
    if not isinstance(value, Mapping):
        raise UsageError(f"{expected}; a {type(value).__name__} came")
    numbers: dict[int, tuple[list[str], list[str]]] = {}
    for key, halves in value.items():
        word, _, number = str(key).rpartition("_")
        if word.lower() != "fold" or not number.isdecimal():
            raise UsageError(f"{expected}; the key {key!r} came")
        lists = (
            isinstance(halves, list) and len(halves) == 2 and all(isinstance(half, list) and half for half in halves)
        )
        if not lists:
            raise UsageError(f"{expected}; {key} is something else")
        first, second = ([_stem(str(name)) for name in half] for half in halves)
        numbers[int(number)] = (first, second)
        if both := set(first) & set(second):
            raise UsageError(f"{path}: {key} has {min(both)} in both of its halves")
    return [numbers[number] for number in sorted(numbers)]


def _repeats_told(partitions: Sequence[tuple[list[str], list[str]]], distinct: int) -> list[str]:
    if len(partitions) == 1:
        return ["the file holds one split: its first list trains, its second is tested"]
    swapped = sum(set(a[0]) == set(b[1]) and set(a[1]) == set(b[0]) for a, b in list(pairwise(partitions))[::2])
    notes = [f"{distinct} distinct partitions of {len(partitions)} folds, each used both ways"]
    if swapped:
        told = f"{swapped} {'folds are' if swapped > 1 else 'fold is'} the one before with its halves swapped"
        if len(partitions) == 10 and swapped == 5:
            told += (
                ": the released loop over Fold_1 to Fold_5, both halves of each, so runs three distinct partitions, "
                "two of them twice; whether the published numbers were made with that loop is not known"
            )
        notes.append(told)
    return notes


def _images_told(
    partitions: Sequence[tuple[list[str], list[str]]], row_of: Mapping[str, int], ids: Sequence[str]
) -> list[str]:
    named = {name for halves in partitions for half in halves for name in half}
    notes = []
    if missing := sorted(named - row_of.keys()):
        notes.append(f"{len(missing)} of the {len(named)} images of the file are not in these data ({missing[0]}, ...)")
    placed = {row_of[name] for name in named & row_of.keys()}
    if unplaced := [name for row, name in enumerate(ids) if row not in placed]:
        notes.append(
            f"{len(unplaced)} images are in no fold of the file ({unplaced[0]}{', ...' * (len(unplaced) > 1)})"
        )
    return notes


def _rows(names: Sequence[str], row_of: Mapping[str, int]) -> np.ndarray:
    return np.array(sorted({row_of[name] for name in names if name in row_of}), dtype=np.int64)


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem.lower() if "." in name else name.rpartition("/")[2].lower()
