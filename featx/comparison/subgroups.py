"""The AUC of each cell on the test rows of each subgroup: by sex, age, site and source. Fits no classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from featx import significance
from featx.comparison.cells import Cell
from featx.comparison.question import Question
from featx.comparison.sides import MANY_SOURCES, Validity, note_of, rows_of, samples_of, validity_of, written
from featx.datasets import Sample
from featx.folds import Folds
from featx.matrix import Features
from featx.metrics import auc
from featx.shortcuts import AGE, MOST_WORDS, SEX, SITE, SOURCE, UNKNOWN
from featx.significance import Interval, Side

FEWEST = 10  # groups of each class that a subgroup has in all
BANDS = (("<40", 40.0), ("40-59", 60.0), ("60+", np.inf))
OLDEST = 130.0
NOT_KNOWN = "not known"
LETTERS = {"m": "male", "f": "female"}
SUBGROUPS = (
    "design", "classifier", "features", "unit", "column", "subgroup", "n", "positives", "quantity", "value", "low",
    "high", "n_splits", "note", "dataset",
)  # fmt: skip


class SubgroupRow(NamedTuple):
    """One cell on one subgroup; the fields are the columns of ``subgroups.csv``; ``n`` counts the units tested."""

    design: str
    classifier: str
    features: str
    unit: str
    column: str
    subgroup: str
    n: int
    positives: int
    quantity: str
    value: float | None
    low: float | None
    high: float | None
    n_splits: int
    note: str
    dataset: str


def subgroup_rows(
    question: Question, cells: Sequence[Cell], table: Features, *, plan: Folds, unit: str
) -> list[SubgroupRow]:
    """Return the AUC of each cell on the test rows of each subgroup: sex, age, site, source.

    A subgroup with fewer than ten groups of either class among the rows that are ever tested has a row that says so,
    and no AUC. The columns are those that ``shortcuts`` knows; what is not known is a subgroup too.

    Parameters
    ----------
    question : Question
        The design, two classes.
    cells : sequence of Cell
        Its cells.
    table : Features
        A feature file that holds the samples, for their attributes.
    plan : Folds
        Where the splits come from.
    unit : str
        What a row is counted by: a unit's score is the mean of its images' in the subgroup.
    """
    how = validity_of(question, plan)
    subgroups = subgroups_of(question, table)
    found = []
    for cell in cells:
        for column, name, mask in subgroups:
            n, positives, few = _counted(question, mask)
            sides = [] if few else _sides(question, cell, mask, fewest=2 if how.valid == "group_t" else 1)
            interval = Interval(np.nan, None, None, "", few) if few else _auc(sides, how)
            note = note_of(interval, len(sides), len(question.splits), 0)
            about = (cell.design, cell.classifier, cell.features, unit, column, name, n, positives, "auc")
            found.append(SubgroupRow(*about, *written(interval), len(sides), note, table.dataset.title))
    return found


def subgroups_of(question: Question, table: Features) -> list[tuple[str, str, np.ndarray]]:
    """Return column, name and rows (bool, (n,)) of each subgroup; columns of one value only are none."""
    samples = samples_of(question, table)
    found = []
    for column, label in _columns(samples):
        words = np.array([label(sample.attributes.get(column, "")) for sample in samples], dtype=object)
        counts = Counter(words.tolist())
        if set(counts) - {NOT_KNOWN} and len(counts) > 1:
            names = sorted(counts, key=lambda word: (word == NOT_KNOWN, _place(word, counts)))
            found += _masks(column, words, names)
    return found


def _masks(column: str, words: np.ndarray, names: Sequence[str]) -> list[tuple[str, str, np.ndarray]]:
    """Return the rows of each name, those beyond the commonest together: no row is in none."""
    own, rest = list(names[:MOST_WORDS]), list(names[MOST_WORDS:])
    found = [(column, name, words == name) for name in own]
    if rest:
        found.append((column, f"{len(rest)} others together", np.isin(words.astype(str), rest)))
    return found


def _place(word: str, counts: Mapping[str, int]) -> tuple[int, str]:
    """Return where a name stands: bands of age in their order, others by how common they are."""
    bands = [name for name, _ in BANDS]
    return (bands.index(word) if word in bands else -counts[word], word)


def _columns(samples: Sequence[Sample]) -> list[tuple[str, Callable[[str], str]]]:
    """Return the columns that tell of sex, age and site (the first of each kind that is there), and all of source."""
    there = {name.lower(): name for sample in samples for name in sample.attributes}
    kinds: list[tuple[Sequence[str], Callable[[str], str]]] = [(SEX, _sex), (AGE, _band), (SITE, _word)]
    found = [
        (there[name], label) for names, label in kinds for name in [next((n for n in names if n in there), "")] if name
    ]
    return [*found, *((there[name], _word) for name in SOURCE if name in there)]


def _word(text: str) -> str:
    word = text.strip()
    return NOT_KNOWN if word.lower() in UNKNOWN else word


def _sex(text: str) -> str:
    word = _word(text)
    return word if word == NOT_KNOWN else LETTERS.get(word.lower(), word.lower())


def _band(text: str) -> str:
    """Return the band of an age in years; what is no age is not known."""
    try:
        age = float(text.strip().rstrip("+"))
    except ValueError:
        return NOT_KNOWN
    return next(name for name, end in BANDS if age < end) if 0 <= age <= OLDEST else NOT_KNOWN


def _counted(question: Question, mask: np.ndarray) -> tuple[int, int, str]:
    """Return units and positive units of a subgroup that are ever tested, and why they are too few, or nothing."""
    tested = np.unique(np.concatenate([split.test for split in question.splits]))
    rows = tested[mask[tested]].tolist()
    units = [{question.units[row] for row in rows if question.y[row] == code} for code in (0, 1)]
    groups = [len({question.groups[row] for row in rows if question.y[row] == code}) for code in (0, 1)]
    few = f"too few: {groups[1]} groups with positives and {groups[0]} with negatives; {FEWEST} of each are needed"
    return sum(map(len, units)), len(units[1]), few if min(groups) < FEWEST else ""


def _sides(question: Question, cell: Cell, mask: np.ndarray, *, fewest: int) -> list[Side]:
    """Return the test sides of a subgroup that have so many groups of each class."""
    found = []
    for split, verdict in zip(question.splits, cell.verdicts, strict=True):
        own = mask[split.test]
        if len(set(question.y[split.test[own]].tolist())) < 2:
            continue
        rows = rows_of(question, split._replace(test=split.test[own]), verdict.scores[own])
        if min(len(set(rows.groups[side].tolist())) for side in (rows.positive, ~rows.positive)) >= fewest:
            found.append(Side(split.repeat, rows.positive, rows.score[:, None], rows.groups))
    return found


def _auc(sides: Sequence[Side], how: Validity) -> Interval:
    """Return the mean AUC over the sides with the interval that is valid for the plan."""
    if not sides:
        return Interval(np.nan, None, None, "", "no test side has enough groups of both classes")
    if how.valid == "paired_auc":
        return significance.auc_interval(sides[0].positive, sides[0].scores[:, 0], groups=sides[0].groups)
    values = np.array([auc(side.positive, side.scores[:, 0]) for side in sides])
    if how.valid == "":
        return Interval(float(values.mean()), None, None, "", MANY_SOURCES)
    if how.valid == "group_t" and len({side.repeat for side in sides}) > 1:
        found = significance.group_interval(significance.influences(sides), 0, share=how.share)
        if found.low is not None and found.low == found.high:  # the same on every side: that is no certainty
            return found._replace(
                low=None, high=None, note="the score is the same everywhere: no error can be measured"
            )
        return found
    if len(values) < 2:
        return Interval(float(values.mean()), None, None, "", "one split has a value: no error can be measured")
    return significance.corrected_interval(values, ratio=(1 - how.share) / how.share)
