"""Folds: which rows train and which rows test, drawn by group, checked, and saved.

The plan is drawn once for a dataset, by sample id, and then serves every design, classifier and backbone. A group (the
lesion, the patient) is never divided. ``plan`` holds, checks and saves it, ``drawing`` draws by chance, ``given`` takes
the parts that a dataset or its authors give. This package knows no features and no classifiers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featx.errors import SplitError, UsageError, suggestion
from featx.folds.drawing import Inner, deal, halvings, holdout, inner_parts, inner_splits, kfold
from featx.folds.given import by_part, official, released
from featx.folds.plan import Folds, Split, check, join_groups, load, refuse_straddling, save
from featx.provenance import digest_json

__all__ = [
    "Folds",
    "Inner",
    "Split",
    "check",
    "deal",
    "draw",
    "drawn_once",
    "inner_parts",
    "inner_splits",
    "join_groups",
    "load",
    "refuse_straddling",
    "released",
    "save",
]

DRAW_RULES = 1  # raised whenever a change here draws another plan from the same samples and seed
SCHEMES = ("5x2", "kfold", "holdout", "official", "by:COLUMN")


def draw(
    scheme: str,
    ids: Sequence[str],
    *,
    groups: Sequence[str],
    strata: Sequence[str],
    seed: int = 0,
    parts: Sequence[str] | None = None,
) -> Folds:
    """Draw a plan of grouped, stratified splits.

    Parameters
    ----------
    scheme : str
        ``5x2``, ``kfold`` or ``kfold:K`` (5), ``holdout`` or ``holdout:A/B[/C]`` (80/20; with three parts the middle
        one is for validation), ``official`` (the dataset's own parts), ``by:COLUMN`` (each value of a column is
        tested once, the others train: leave one source out).
    ids, groups, strata : sequences of str, length n
        Sample ids, the group of each, and the word to stratify by (the diagnosis).
    seed : int
        Same input, same seed, same plan.
    parts : sequence of str, optional
        For ``official``: ``train``, ``test`` or ``validation`` of each row; for ``by:COLUMN`` its value; empty where
        the dataset says nothing.

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
    notes: tuple[str, ...] = ()
    if kind == "official":
        splits, notes = official(parts or [""] * len(ids), groups)
    elif kind == "by":
        splits, notes = by_part(parts or [""] * len(ids), groups, column=detail)
    elif kind == "5x2":
        splits = halvings(groups, strata, repeats=5, seed=seed)
    elif kind == "kfold":
        splits = kfold(groups, strata, k=_whole(detail or "5", scheme), seed=seed)
    elif kind == "holdout":
        splits = [holdout(groups, strata, shares=_shares(detail or "80/20"), seed=seed)]
    else:
        raise UsageError(f"unknown folds {scheme!r}; {suggestion(scheme, SCHEMES)} (or a .json or .yml file)")
    folds = Folds(scheme, seed, tuple(ids), tuple(groups), tuple(splits), notes)
    refuse_straddling(folds)
    return folds


def drawn_once(
    scheme: str,
    ids: Sequence[str],
    *,
    groups: Sequence[str],
    strata: Sequence[str],
    seed: int,
    folder: Path,
    about: Mapping[str, Any],
    parts: Sequence[str] | None = None,
) -> tuple[Folds, Path]:
    """Return the plan of these samples: read where it was drawn before, else drawn and saved.

    Parameters
    ----------
    scheme, ids, groups, strata, seed, parts
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
    drawn_from = digest_json([DRAW_RULES, scheme, seed, list(ids), list(groups), list(strata), list(parts or [])])
    path = folder / f"{about['dataset']}--{drawn_from[:8]}.json"
    if path.exists():
        folds = load(path)
        if (folds.scheme, folds.seed, folds.ids, folds.groups) == (scheme, seed, tuple(ids), tuple(groups)):
            return folds, path
        raise SplitError(f"{path} does not hold the folds that its name promises; remove it, and they are drawn again")
    folds = draw(scheme, ids, groups=groups, strata=strata, seed=seed, parts=parts)
    return folds, save(folds, path, about={"drawn_from": drawn_from, **about})


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
