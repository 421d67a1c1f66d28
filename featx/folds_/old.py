"""Folds: which rows train and which rows test, drawn by group, checked, and saved.

The plan is drawn once for a dataset, by sample id, and then serves every design, classifier and backbone. A group (the
lesion, the patient) is never divided. This file knows no features and no classifiers.

The 5x2 plan is Dietterich's (1998): five random halvings, each used both ways. His halvings are neither stratified
nor grouped; these are both, which is a stated variation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import atomic
from featx.errors import SplitError, UsageError, suggestion
from featx.provenance import digest_json

FORMAT = "featx-folds"
ATTEMPTS = 100
DRAW_RULES = 1  # raised whenever a change here draws another plan from the same samples and seed


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
    """

    scheme: str
    seed: int
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    splits: tuple[Split, ...]

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


def draw(
    scheme: str,
    ids: Sequence[str],
    *,
    groups: Sequence[str],
    strata: Sequence[str],
    seed: int = 0,
    official: Sequence[str] | None = None,
) -> Folds:
    """Draw a plan of grouped, stratified splits.

    Parameters
    ----------
    scheme : str
        ``5x2``, ``kfold`` or ``kfold:K`` (5), ``holdout`` or ``holdout:A/B[/C]`` (80/20; with three parts the middle
        one is for validation), ``official`` (the dataset's own parts).
    ids, groups, strata : sequences of str, length n
        Sample ids, the group of each, and the word to stratify by (the diagnosis).
    seed : int
        Same input, same seed, same plan.
    official : sequence of str, optional
        For ``official``: ``train``, ``test`` or ``validation`` of each row, empty where the dataset says nothing.

    Raises
    ------
    SplitError
        Where the groups cannot be divided so; the class or group in the way is named.
    UsageError
        An unknown scheme.
    """
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise SplitError(f"sample id {twice!r} stands twice; ids must be distinct to draw folds")
    kind, _, detail = scheme.partition(":")
    if detail and kind in ("5x2", "official"):
        raise UsageError(f"folds {scheme!r}: {kind} takes nothing after a colon")
    if kind == "official":
        splits = [_official_split(official or [""] * len(ids))]
    elif kind == "5x2":
        splits = _halvings(groups, strata, repeats=5, seed=seed)
    elif kind == "kfold":
        splits = _kfold(groups, strata, k=_whole(detail or "5", scheme), seed=seed)
    elif kind == "holdout":
        splits = [_holdout(groups, strata, shares=_shares(detail or "80/20"), seed=seed)]
    else:
        raise UsageError(
            f"unknown folds {scheme!r}; {suggestion(scheme, ['5x2', 'kfold', 'holdout', 'official'])} (or a .json file)"
        )
    folds = Folds(scheme, seed, tuple(ids), tuple(groups), tuple(splits))
    refuse_straddling(folds)
    return folds


def deal(
    groups: Sequence[str], strata: Sequence[str], *, shares: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Deal whole groups onto parts so that each part gets its share of every stratum.

    Big groups first, in random order among equals; each goes where the strata that it holds are furthest below their
    share, or else where nothing is yet, ties by chance.

    Parameters
    ----------
    groups, strata : sequences of str, length n
        Group and stratum of each row.
    shares : sequence of float
        Wanted share of each part; they sum to 1.
    rng : numpy.random.Generator
        The source of chance.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        The part of each row.
    """
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    kinds, stratum = np.unique(np.asarray(strata, dtype=str), return_inverse=True)
    counts = np.zeros((len(names), len(kinds)))
    np.add.at(counts, (member, stratum), 1)
    order = rng.permutation(len(names))
    order = order[np.argsort(-counts.sum(1)[order], kind="stable")]
    wanted = np.outer(shares, counts.sum(0))
    missing = wanted.copy()
    weight = counts / counts.sum(0)
    part = np.empty(len(names), dtype=np.int64)
    ties = rng.random((len(names), len(shares)))
    empty = np.ones(len(shares), dtype=bool)
    for group in order:
        need = np.round((missing / wanted) @ weight[group], 12)
        part[group] = np.lexsort((ties[group], empty, need))[-1]
        empty[part[group]] = False
        missing[part[group]] -= counts[group]
    return part[member]


def inner_parts(y: np.ndarray, groups: Sequence[str], *, k: int, seed: int) -> np.ndarray:
    """Deal the rows of a train side onto ``k`` grouped, stratified parts, every class in each.

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        The inner part of each row.

    Raises
    ------
    SplitError
        Where a class has too few groups to be on both sides of two inner parts.
    """
    y = np.asarray(y)
    fewest = min((len({groups[row] for row in np.flatnonzero(y == code).tolist()}), code) for code in np.unique(y))
    if fewest[0] < 2:
        raise SplitError(
            f"class number {fewest[1]} has {fewest[0]} group inside a train half, so that nothing can be chosen there; "
            "fix the hyperparameter with --param (C=1, for a tree min_samples_leaf=5)"
        )
    k = min(k, fewest[0])
    rng = np.random.default_rng(seed)
    words = y.astype(str).tolist()
    for _ in range(ATTEMPTS):
        parts = deal(groups, words, shares=[1 / k] * k, rng=rng)
        if all(set(y[parts != part]) == set(y[parts == part]) == set(y) for part in range(k)):
            return parts
    raise SplitError("no inner split has every class on both sides; fix the hyperparameter with --param (C=1)")


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
        The splits as row numbers into ``ids``.

    Raises
    ------
    SplitError
        Naming the class and the groups that are in the way.
    """
    splits = folds.on(ids)
    group_of = dict(zip(folds.ids, folds.groups, strict=True))
    for split in splits:
        for side in ("train", "test"):
            for code in set(range(len(classes))) - set(y[getattr(split, side)]):
                held = sorted({group_of[ids[row]] for row in np.flatnonzero(y == code).tolist()})
                raise SplitError(
                    f"class {classes[code]!r} of design {design!r} has no row on the {side} side of split "
                    f"{split.repeat}x{split.half}: it has {len(held)} group{'s' * (len(held) != 1)} "
                    f"({', '.join(held[:3])}{', ...' * (len(held) > 3)}), and a group may not be divided"
                )
    if folds.scheme == "5x2":
        halves = {_canonical(np.isin(np.arange(len(ids)), split.test)) for split in splits}
        if len(halves) < 5:
            raise SplitError(
                f"only {len(halves)} of the five halvings differ on the {len(ids)} rows of design {design!r}; "
                "there are too few groups for 5x2 folds"
            )
    return splits


def drawn_once(
    scheme: str,
    ids: Sequence[str],
    *,
    groups: Sequence[str],
    strata: Sequence[str],
    seed: int,
    folder: Path,
    about: Mapping[str, Any],
    official: Sequence[str] | None = None,
) -> tuple[Folds, Path]:
    """Return the plan of these samples: read where it was drawn before, else drawn and saved.

    Parameters
    ----------
    scheme, ids, groups, strata, seed, official
        As in :func:`draw`; together they name the file.
    folder : pathlib.Path
        Where plans are kept.
    about : mapping
        What the plan is about, with ``dataset`` the name that the file begins with.

    Returns
    -------
    folds : Folds
        The plan.
    path : pathlib.Path
        Its file.
    """
    drawn_from = digest_json([DRAW_RULES, scheme, seed, list(ids), list(groups), list(strata), list(official or [])])
    path = folder / f"{about['dataset']}--{drawn_from[:8]}.json"
    if path.exists():
        folds = load(path)
        if (folds.scheme, folds.seed, folds.ids, folds.groups) == (scheme, seed, tuple(ids), tuple(groups)):
            return folds, path
        raise SplitError(f"{path} does not hold the folds that its name promises; remove it, and they are drawn again")
    folds = draw(scheme, ids, groups=groups, strata=strata, seed=seed, official=official)
    return folds, save(folds, path, about={"drawn_from": drawn_from, **about})


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
        folds = Folds(str(value["scheme"]), int(value["seed"]), ids, groups, splits)
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


def _split(repeat: int, half: int, part: np.ndarray, *, test: int, validation: int | None = None) -> Split:
    middle = part == validation if validation is not None else np.zeros(len(part), dtype=bool)
    tested = part == test
    return Split(repeat, half, np.flatnonzero(~tested & ~middle), np.flatnonzero(tested), np.flatnonzero(middle))


def _halvings(groups: Sequence[str], strata: Sequence[str], *, repeats: int, seed: int) -> list[Split]:
    rng = np.random.default_rng(seed)
    splits: list[Split] = []
    seen: set[bytes] = set()
    for repeat in range(repeats):
        for _ in range(ATTEMPTS):
            part = _dealt(groups, strata, shares=[0.5, 0.5], rng=rng)
            if _canonical(part == 1) not in seen:
                break
        else:
            raise SplitError(
                f"only {repeat} distinct halvings of {len(set(groups))} groups were found where {repeats} are needed; "
                "there are too few groups for 5x2 folds"
            )
        seen.add(_canonical(part == 1))
        splits += [_split(repeat, half, part, test=half) for half in (0, 1)]
    return splits


def _dealt(
    groups: Sequence[str], strata: Sequence[str], *, shares: Sequence[float], rng: np.random.Generator
) -> np.ndarray:
    """Deal until every part has a row of each stratum that has groups enough; the last try where none has."""
    kinds = np.asarray(strata, dtype=str)
    enough = [kind for kind, count in _groups_per(groups, strata).items() if count >= len(shares)]
    for _ in range(ATTEMPTS):
        part = deal(groups, strata, shares=shares, rng=rng)
        whole = len(set(part)) == len(shares)
        if whole and all(len(set(part[kinds == kind])) == len(shares) for kind in enough):
            break
    if not whole:
        raise SplitError(_too_few(groups, parts=len(shares)))
    return part


def _too_few(groups: Sequence[str], *, parts: int) -> str:
    count = len(set(groups))
    return f"{count} group{'s' * (count != 1)} cannot be divided into {parts} parts; a group may not be divided"


def _groups_per(groups: Sequence[str], strata: Sequence[str]) -> Counter[str]:
    return Counter(kind for _, kind in {(group, str(kind)) for group, kind in zip(groups, strata, strict=True)})


def _canonical(mask: np.ndarray) -> bytes:
    """Return one name for a halving, whichever half is called the first."""
    return (mask ^ mask[0]).tobytes()


def _kfold(groups: Sequence[str], strata: Sequence[str], *, k: int, seed: int) -> list[Split]:
    if k < 2:
        raise UsageError(f"kfold needs at least 2 parts, {k} came")
    if k > len(set(groups)):
        raise SplitError(_too_few(groups, parts=k))
    part = _dealt(groups, strata, shares=[1 / k] * k, rng=np.random.default_rng(seed))
    return [_split(0, fold, part, test=fold) for fold in range(k)]


def _holdout(groups: Sequence[str], strata: Sequence[str], *, shares: Sequence[float], seed: int) -> Split:
    part = _dealt(groups, strata, shares=shares, rng=np.random.default_rng(seed))
    if len(shares) == 2:
        return _split(0, 0, part, test=1)
    return _split(0, 0, part, test=2, validation=1)


def _official_split(words: Sequence[str]) -> Split:
    rows = {side: np.flatnonzero(np.asarray(words) == side) for side in ("train", "test", "validation")}
    if not len(rows["train"]) or not len(rows["test"]):
        raise SplitError("this dataset has no official split into train and test; take --folds 5x2, kfold or holdout")
    return Split(0, 0, **rows)


def _whole(text: str, scheme: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"folds {scheme!r}: expected a whole number after the colon (kfold:5)")
    return int(text)


def _shares(text: str) -> list[float]:
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"holdout {text!r}: expected shares such as 80/20 or 60/20/20")
    if sum(map(int, parts)) != 100:
        raise UsageError(f"holdout {text!r}: the shares are percentages and must sum to 100")
    return [int(part) / 100 for part in parts]
