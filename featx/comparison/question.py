"""What is asked: the samples that all feature files hold, the plan of folds, and a design's classes and splits on them.

Knows no classifiers and computes no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx import designs, folds, near_duplicates, plans
from featx.cache.places import Places
from featx.errors import DataError, UsageError
from featx.fingerprints import remembered
from featx.matrix import Features
from featx.near_duplicates import Pair
from featx.units import units_of

NEVER = 2.0  # a cosine that confirms nothing


class Question(NamedTuple):
    """A design on the samples compared: who is asked about, and the splits.

    Attributes
    ----------
    design : Design
        The design.
    assignment : Assignment
        Its classes and drops.
    rows : numpy.ndarray of int64, shape (n,)
        Rows of the feature files' common samples that have a class.
    ids, groups, units : list of str
        Of those rows.
    y : numpy.ndarray of int64, shape (n,)
        Their class codes.
    splits : list of Split
        As numbers into ``rows``.
    readings : dict
        Class counts under each reading of a policy.
    """

    design: designs.Design
    assignment: designs.Assignment
    rows: np.ndarray
    ids: list[str]
    groups: list[str]
    units: list[str]
    y: np.ndarray
    splits: list[folds.Split]
    readings: dict[str, Any]


def common_samples(tables: Sequence[Features]) -> tuple[list[str], list[str]]:
    """Return the samples that every file has features of, and notes on those left out.

    Raises
    ------
    DataError
        Where two files hold other images, diagnoses or groups under one id.
    """
    known: dict[str, tuple[str, str, str]] = {}
    for table in tables:
        for sample, digest, group in zip(table.dataset.samples, table.digests, table.groups, strict=True):
            facts = (digest, sample.diagnosis, group)
            if known.setdefault(sample.id, facts) != facts:
                raise DataError(
                    f"sample {sample.id!r} is not the same in {tables[0].path.name} and {table.path.name} (image, "
                    "diagnosis or group differ); run `featx extract` again for both"
                )
    held = [{s.id for s, usable in zip(t.dataset.samples, t.usable, strict=True) if usable} for t in tables]
    everywhere = set.intersection(*held)
    common = [sample.id for sample in tables[0].dataset.samples if sample.id in everywhere]
    if not common:
        raise DataError("no sample has features in all of the files; extract them from the same data")
    notes = [
        f"{t.label}: {count} images without features ({reason})" for t in tables for reason, count in t.dropped.items()
    ]
    if lost := len(known) - len(common):
        notes.append(f"{len(common)} of {len(known)} samples have features in every file; {lost} are left out")
    return common, notes


def plan_of(table: Features, scheme: str, *, seed: int, places: Places) -> tuple[folds.Folds, Path]:
    """Draw the folds of a dataset once, on all of its samples, or read them from a file."""
    return plans.plan_of(table.dataset, table.groups, scheme, seed=seed, folder=places.folds)


def near_duplicates_of(table: Features, places: Places) -> tuple[list[Pair], int]:
    """Return the pairs of images that are one picture, and how many images nothing is remembered of.

    What extraction remembered of the files is asked, no file is opened. Whether a pair is one is for the pictures to
    say; the features' cosine stands beside it, because what it means differs from network to network.
    """
    known = remembered(table.dataset.name, places=places)
    ids = [sample.id for sample in table.dataset.samples]
    held = {name: known[digest] for name, digest in zip(ids, table.digests, strict=True) if digest in known}
    unknown = sum(bool(digest) for digest in table.digests) - len(held)
    return near_duplicates.find(held, features=table.X, ids=ids, min_cosine=NEVER), unknown


def joined(table: Features, pairs: Sequence[Pair]) -> Features:
    """Return the table with the groups of each pair joined."""
    ids = [sample.id for sample in table.dataset.samples]
    return replace(table, groups=tuple(near_duplicates.joined(table.groups, ids, pairs)))


def pairs_told(table: Features, pairs: Sequence[Pair], unknown: int, *, join: bool) -> list[str]:
    """Tell of near-duplicates in different groups, before any join, and of images that could not be asked."""
    groups = dict(zip((sample.id for sample in table.dataset.samples), table.groups, strict=True))
    apart = near_duplicates.straddling(pairs, groups)
    notes = []
    if apart:
        done = "their groups are joined" if join else "they may straddle; --near-duplicates join keeps each on one side"
        notes.append(f"{len(apart)} pairs of near-duplicate images are in different groups: {done}")
    if unknown:
        notes.append(f"near-duplicates were not looked for among {unknown} images; `featx extract` does it")
    return notes


def twins_told(table: Features) -> list[str]:
    """Tell of images that are identical byte for byte, and of diagnoses that contradict each other."""
    diagnoses: dict[str, list[str]] = {}
    for sample, digest in zip(table.dataset.samples, table.digests, strict=True):
        diagnoses.setdefault(digest, []).append(sample.diagnosis)
    twins = [told for digest, told in diagnoses.items() if digest and len(told) > 1]
    if not twins:
        return []
    differ = sum(len(set(told)) > 1 for told in twins)
    note = f"{sum(map(len, twins))} images are the same as another byte for byte, and in one group with it"
    return [note + (f"; in {differ} of {len(twins)} such sets the diagnoses differ" if differ else "")]


def unused_told(questions: Sequence[Question], plan: folds.Folds) -> list[str]:
    """Tell of splits that a design cannot be asked in, and of rows that no split trains on or tests."""
    notes = []
    for question in questions:
        asked = {(split.repeat, split.half) for split in question.splits}
        if without := [split.half for split in plan.splits if (split.repeat, split.half) not in asked]:
            told = ", ".join(map(str, without))
            notes.append(f"{question.design.name}: parts {told} are not tested: a class is missing there, or elsewhere")
        used = {row for split in question.splits for side in (split.train, split.test) for row in side.tolist()}
        if lost := len(question.ids) - len(used):
            name = question.design.name
            notes.append(f"{name}: {lost} samples are on neither side of any split (for validation, or in no part)")
    return notes


def question_of(
    design: designs.Design, table: Features, common: Sequence[str], *, plan: folds.Folds, unit: str
) -> Question:
    """Assign classes to the common samples, and check the folds for them.

    Raises
    ------
    UsageError
        Where the dataset's labels cannot answer the design.
    """
    _refuse_unanswerable(design, table)
    at = table.rows_of(common)
    samples = [table.dataset.samples[row] for row in at]
    diagnoses = [sample.diagnosis for sample in samples]
    assignment = design.assign(diagnoses)
    rows = np.flatnonzero(assignment.y >= 0)
    ids, y = [common[row] for row in rows.tolist()], assignment.y[rows]
    splits = folds.check(plan, ids=ids, y=y, classes=assignment.classes, design=design.name)
    return Question(
        design,
        assignment,
        rows,
        ids,
        [table.groups[at[row]] for row in rows],
        units_of(table.dataset, [samples[row] for row in rows], unit=unit, y=y),
        y,
        splits,
        design.readings(diagnoses),
    )


def _refuse_unanswerable(design: designs.Design, table: Features) -> None:
    dataset = table.dataset
    if design.name in designs.DESIGNS and (reason := dataset.refusal(design.name)):
        raise UsageError(
            f"design {design.name!r} cannot be asked of {dataset.name} ({dataset.adapter}): {reason}; it supports "
            + ", ".join(dataset.designs)
        )
