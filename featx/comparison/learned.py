"""Features of networks that were trained here: which rows their weights have seen, and what they may be asked.

A row that weights have seen, by its image or by its group, is not tested; where the user insists, it is, and is marked.
A set serves the plan that its networks were trained over. Fits nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from featx import seen
from featx.backbones.trained import is_trained
from featx.cache.places import Places
from featx.comparison.question import Question
from featx.errors import CacheMismatch, DataError, UsageError
from featx.folds import Folds, Split
from featx.matrix import Features
from featx.seen import Seen

ARGMAX, LOGITS = "argmax", "logits"
SHOWN = 3


class Looked(NamedTuple):
    """What trained networks have seen of a comparison.

    Attributes
    ----------
    tables : list of Features
        As they came, marked where the network has learned from rows that classifiers train on.
    notes : list of str
        What the user should know.
    seen : dict
        Sample ids by features and split (``(label, repeat, half)``) that are tested although they were seen.
    """

    tables: list[Features]
    notes: list[str]
    seen: dict[tuple[str, int, int], frozenset[str]]


def serves(classifier: str, table: Features) -> bool:
    """Return whether a classifier can be asked of a table: ``argmax`` takes logits of networks trained here alone."""
    spec = table.about["spec"]
    return classifier != ARGMAX or (is_trained(spec) and spec.get("layer") == LOGITS)


def look(
    tables: Sequence[Features],
    questions: Sequence[Question],
    plan: Folds,
    places: Places,
    *,
    classifiers: Sequence[str],
    allow_seen: bool,
) -> Looked:
    """Find which rows each table's weights have seen, and refuse those that would be tested.

    Raises
    ------
    DataError
        Where a row that would be tested was seen, and that is not allowed; it tells how many, and which.
    CacheMismatch
        Where a set was made over another plan of folds.
    CacheError
        Where weights were trained here and nobody can say on what.
    UsageError
        Where ``argmax`` is asked of features that hold no verdict on the design.
    """
    notes: list[str] = []
    marked: dict[tuple[str, int, int], frozenset[str]] = {}
    found = []
    for table in tables:
        _refuse_other_folds(table, plan)
        records = _records(table, places)
        if ARGMAX in classifiers and serves(ARGMAX, table):
            _refuse_other_classes(table, questions, next(iter(records.values())))
        foreseen = False
        told: dict[tuple[int, int], set[str]] = {}
        for question in questions:
            for split in question.splits:
                rows = _rows_seen(table, records, split, question)
                foreseen |= bool(rows[split.train].any())
                own = {question.ids[row] for row in split.test[rows[split.test]].tolist()}
                if own:
                    told.setdefault((split.repeat, split.half), set()).update(own)
        if told:
            notes.append(_told(table, told, allow_seen=allow_seen))
            marked |= {(table.label, *split): frozenset(ids) for split, ids in told.items()}
        found.append(replace(table, foreseen=foreseen))
    if ARGMAX in classifiers and not any(serves(ARGMAX, table) for table in tables):
        raise UsageError("argmax is the verdict of a network trained here: give the features of its layer logits "
                         "(`featx finetune` makes them), or take other classifiers")  # fmt: skip
    if names := [table.label for table in found if table.foreseen]:
        notes.append(
            f"{', '.join(names)}: the network has learned from rows that classifiers train on, so that nothing is said "
            "of thresholds and choices from inside the train sides"
        )
    return Looked(found, notes, marked)


def _refuse_other_folds(table: Features, plan: Folds) -> None:
    if table.folds is not None and table.folds.get("digest") != plan.digest:
        scheme, seed = table.folds.get("scheme"), table.folds.get("seed")
        raise CacheMismatch(
            f"{table.path.name} holds one network for each split of other folds ({scheme}, seed {seed}); compare it "
            f"over those, with --folds {scheme} --seed {seed} and the same groups, or train over these"
        )


def _records(table: Features, places: Places) -> Mapping[tuple[int, int] | None, Seen | None]:
    """Return what the weights of a table have seen: of each split of a set, else under None."""
    beside = Places(table.path.parent.parent)
    if table.parts:
        return {(p.repeat, p.half): seen.seen_by(p.features.about["spec"], places, beside) for p in table.parts}
    return {None: seen.seen_by(table.about["spec"], places, beside)}


def _refuse_other_classes(table: Features, questions: Sequence[Question], record: Seen | None) -> None:
    known = list(record.learned["classes"]) if record else []
    for question in questions:
        if known != list(question.assignment.classes):
            raise UsageError(
                f"argmax: the networks of {table.label} were trained for {', '.join(known)}, and design "
                f"{question.design.name!r} has {', '.join(question.assignment.classes)}; take the design that they know"
            )


def _rows_seen(
    table: Features, records: Mapping[tuple[int, int] | None, Seen | None], split: Split, question: Question
) -> np.ndarray:
    """Return which rows of a question the weights of a split have seen, bool of shape (n,)."""
    key = (split.repeat, split.half) if table.parts else None
    if key not in records:
        raise CacheMismatch(f"{table.path.name} has no network for split {split.repeat}x{split.half}; train it again")
    record = records[key]
    if record is None:
        return np.zeros(len(question.ids), dtype=bool)
    return record.rows(table.dataset, table.digests)[table.rows_of(question.ids)]


def _told(table: Features, told: Mapping[tuple[int, int], set[str]], *, allow_seen: bool) -> str:
    """Say how many tested rows were seen; raise where that is not allowed."""
    ids = sorted(set().union(*told.values()))
    some = ", ".join(ids[:SHOWN]) + (", ..." if len(ids) > SHOWN else "")
    what = f"the weights behind {table.label} have seen {len(ids)} of the samples that are tested ({some})"
    if allow_seen:
        return f"{what}; --allow-seen tests them all the same, and predictions.csv marks them: this is no test"
    raise DataError(
        f"{what}, by their images or their groups: they were trained on them, so that testing them would say nothing; "
        "train over these folds with `featx finetune`, or go on with --allow-seen, which the record will say"
    )
