"""Clinical numbers and subgroups of a comparison of two classes, each over its splits and with its interval.

Thresholds and the map from scores to probabilities come from the out-of-fold scores of the train side
(``Verdict.inner``); test rows are judged by them and never ask for them. Fits no classifier, and knows no files.

Which interval. Over several splits that of Nadeau and Bengio, but for two numbers. The AUC of a subgroup has the one of
every AUC (``significance.group_interval``). So has the Brier score over repeated halvings: the two halves of one sample
share its luck, so that the halves differ less than samples do. In simulated studies of five grouped halvings (100 to
300 groups, 20 to 100 of them positive, 500 to 800 studies a cell) 95 % intervals covered, in per cent:

==============================================  =================  =================
number                                          Nadeau and Bengio  counted by group
==============================================  =================  =================
sensitivity at a specificity, and the reverse   97.7 to 99.2       87.2 to 95.9
the share that the threshold was chosen for     99.9 to 100        99.9 to 100
PPV and NPV                                     94.0 to 100        79.0 to 99.8
Brier score                                     87.8 to 90.0       93.2 to 98.9
calibration slope and intercepts                99.8 to 100        99.9 to 100
==============================================  =================  =================

So over halvings they rather cover too much than too little (PPV and NPV: those of the mean shares). Over one dealing
onto five folds they do not (200 and 300 studies of 200 groups): 86.7 to 98.3 for a sensitivity or specificity, 78.3 to
100 for PPV and NPV, 92 to 97 for the Brier score; rows of such plans say so. On one test side (``holdout``, 300
studies, of the very model) Wilson's interval and those of the variance by group covered 90.0 to 100.

A calibration slope has no mean worth the name where a split nearly divides the classes: its row says that one split
leads. PPV and NPV follow from the mean sensitivity and specificity: their own
mean over splits would be far off, because a split without one false alarm has a PPV of 1 at any prevalence (.25 where
.13 was true).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from featx import clinical, significance
from featx.calibration import logistic, platt
from featx.comparison.cells import Cell
from featx.comparison.question import Question
from featx.comparison.sides import (
    MANY_SOURCES,
    NO_INNER,
    Rows,
    Validity,
    note_of,
    rows_of,
    samples_of,
    validity_of,
    written,
)
from featx.comparison.subgroups import SubgroupRow, subgroup_rows
from featx.errors import UsageError
from featx.folds import Folds, Split
from featx.matrix import Features
from featx.significance import Influences, Interval

SHARES = (0.90, 0.95)
POINTS = tuple((kind, share) for kind in ("specificity", "sensitivity") for share in SHARES)
CALIBRATION = ("calibration_slope", "calibration_intercept", "calibration_in_the_large")
NORMAL = 1.959963984540054  # 97.5 % of a normal distribution lie below
NO_VALUE = "no split has a value"
LEADS = 5.0  # times the median slope that one split may have before the row says so
FEW_FOLDS = "over one dealing onto folds such intervals are too short (in simulations 78 to 100 % covered, not 95 %)"
FALLS = "higher scores were the less often positive in the train side, and the map to probabilities falls"
CLINICAL = (
    "design", "classifier", "features", "unit", "quantity", "value", "low", "high", "n_splits", "note", "dataset",
)  # fmt: skip


class ClinicalRow(NamedTuple):
    """One number of one cell; the fields are the columns of ``clinical.csv``."""

    design: str
    classifier: str
    features: str
    unit: str
    quantity: str
    value: float | None
    low: float | None
    high: float | None
    n_splits: int
    note: str
    dataset: str


class Clinic(NamedTuple):
    """What :func:`clinic` found.

    Attributes
    ----------
    clinical : list of ClinicalRow
        By design, unit, cell and quantity.
    subgroups : list of SubgroupRow
        By design, cell, column and subgroup.
    notes : list of str
        What has no numbers, and why.
    """

    clinical: list[ClinicalRow]
    subgroups: list[SubgroupRow]
    notes: list[str]


class _Number(NamedTuple):
    """A number of one split; ``pulls`` (n,) is what each test row does to it; of a share, its rows and the hits."""

    value: float | None
    pulls: np.ndarray
    note: str = ""
    among: np.ndarray | None = None
    hits: np.ndarray | None = None


class _Told(NamedTuple):
    """The numbers of one split, and the test rows behind them."""

    repeat: int
    test: Rows
    numbers: Mapping[str, _Number]


def check_prevalence(prevalence: float | None) -> None:
    """Refuse a prevalence that is none, before any work.

    Raises
    ------
    UsageError
        Where it is not above 0 and below 1.
    """
    if prevalence is not None and not 0 < prevalence < 1:
        raise UsageError(f"--prevalence takes a share above 0 and below 1, such as 0.02; {prevalence:g} came")


def clinic(
    questions: Sequence[Question],
    cells: Sequence[Cell],
    table: Features,
    *,
    plan: Folds,
    unit: str,
    prevalence: float | None = None,
) -> Clinic:
    """Return the clinical numbers and the subgroups of all cells.

    Parameters
    ----------
    questions : sequence of Question
        The designs; those with more than two classes have a note and no rows.
    cells : sequence of Cell
        Their verdicts.
    table : Features
        A feature file that holds the samples: their attributes and units.
    plan : Folds
        Where the splits come from: which intervals are valid hangs on it.
    unit : str
        The unit of the questions; numbers are also told per image, and for the dataset's own unit.
    prevalence : float, optional
        Share of the positive among those who will be judged, for PPV and NPV.

    Raises
    ------
    UsageError
        A prevalence that is none.
    """
    check_prevalence(prevalence)
    found = Clinic([], [], [])
    for question in questions:
        own = [cell for cell in cells if cell.design == question.design.name]
        if len(question.assignment.classes) != 2:
            found.notes.append(
                f"{question.design.name}: clinical numbers and subgroups are of two classes; this design has "
                f"{len(question.assignment.classes)}"
            )
            continue
        of_units, notes = by_units(question, table, unit=unit)
        found.notes.extend(notes)
        title = table.dataset.title
        for name, asked in of_units.items():
            for cell in own:
                found.clinical.extend(
                    clinical_rows(asked, cell, plan=plan, unit=name, dataset=title, prevalence=prevalence)
                )
        found.subgroups.extend(subgroup_rows(question, own, table, plan=plan, unit=unit))
    return found


def by_units(question: Question, table: Features, *, unit: str) -> tuple[dict[str, Question], list[str]]:
    """Return the question per image, per unit asked for and per the dataset's own unit, and notes on the latter."""
    found = {"image": question._replace(units=list(question.ids)), unit: question}
    kind = table.dataset.unit_kind
    if kind is None or kind in found:
        return found, []
    names = [sample.unit for sample in samples_of(question, table)]
    held = set(zip(names, question.y.tolist(), question.groups, strict=True))
    if len(held) > len(set(names)):
        return found, [
            f"{question.design.name}: some {kind} has images of two classes or two groups: no numbers per {kind}"
        ]
    return {**found, kind: question._replace(units=names)}, []


# ---- clinical numbers


def clinical_rows(
    question: Question, cell: Cell, *, plan: Folds, unit: str, dataset: str, prevalence: float | None = None
) -> list[ClinicalRow]:
    """Return the clinical numbers of one cell.

    ``sensitivity_at_specificity_90`` is the sensitivity on test rows at the threshold that reaches 90 % specificity on
    the out-of-fold scores of the train side; ``specificity_at_specificity_90`` is the specificity that this threshold
    has on test rows. Probabilities are those of Platt's map of the same scores.

    Parameters
    ----------
    question : Question
        The design, two classes; its ``units`` say what is counted.
    cell : Cell
        The verdicts.
    plan : Folds
        Where the splits come from.
    unit, dataset : str
        For the rows.
    prevalence : float, optional
        For PPV and NPV; without it there are none.
    """
    sides = [
        (split, _train(question, split, verdict.inner), rows_of(question, split, verdict.scores))
        for split, verdict in zip(question.splits, cell.verdicts, strict=True)
    ]
    told = [_Told(split.repeat, test, _numbers(train, test)) for split, train, test in sides if train is not None]
    how = validity_of(question, plan)
    intervals: dict[str, tuple[Interval, int]] = {}
    for kind, share in POINTS:
        point = f"{kind}_{100 * share:.0f}"
        intervals |= {name: _over(told, name, how) for name in _at(point)}
        if prevalence is not None:
            intervals |= _predictive(told, point, how, prevalence=prevalence)
    intervals |= {name: _over(told, name, how) for name in ("brier", *CALIBRATION)}
    about = (cell.design, cell.classifier, cell.features, unit)
    return [
        ClinicalRow(*about, name, *written(interval), count, note_of(interval, count, len(sides), len(told)), dataset)
        for name, (interval, count) in intervals.items()
    ]


def _at(point: str) -> tuple[str, str]:
    return f"sensitivity_at_{point}", f"specificity_at_{point}"


def _train(question: Question, split: Split, inner: np.ndarray | None) -> Rows | None:
    """Return the train side by its out-of-fold scores; None where a class has none."""
    if inner is None:
        return None
    known = np.isfinite(inner).all(1)
    if len(set(question.y[split.train[known]].tolist())) < 2:
        return None
    return rows_of(question, split._replace(test=split.train[known]), inner[known])


def _numbers(train: Rows, test: Rows) -> dict[str, _Number]:
    """Return the numbers of a test side; what is chosen or fitted sees the train side alone."""
    found: dict[str, _Number] = {}
    for kind, share in POINTS:
        threshold = clinical.threshold_at(train.positive, train.score, **{kind: share})
        found |= zip(_at(f"{kind}_{100 * share:.0f}"), _shares(test, threshold), strict=True)
    slope, intercept = platt(train.positive, train.score)
    probability = logistic(intercept + slope * test.score)
    value = clinical.brier(test.positive, probability)
    pulls = ((probability - test.positive) ** 2 - value) / len(probability)
    falls = FALLS if slope < 0 else ""
    found |= {"brier": _Number(value, pulls, falls), **_calibration(test, probability)}
    return found


def _shares(test: Rows, threshold: float) -> tuple[_Number, _Number]:
    found = clinical.at_threshold(test.positive, test.score, threshold=threshold)
    return (
        _share(found.sensitivity, test.positive, found.called_positive),
        _share(found.specificity, ~test.positive, found.called_negative),
    )


def _share(value: float, among: np.ndarray, hits: np.ndarray) -> _Number:
    pulls = np.zeros(len(among))
    pulls[among] = (hits - value) / len(hits)
    return _Number(value, pulls, among=among, hits=hits)


def _calibration(test: Rows, probability: np.ndarray) -> dict[str, _Number]:
    """Return slope and intercepts with the pulls of maximum likelihood: inverse information times score."""
    found = clinical.calibration(test.positive, probability)
    clipped = np.clip(probability, clinical.CLIP, 1 - clinical.CLIP)
    logit = np.log(clipped / (1 - clipped))
    none, X = np.zeros(len(logit)), np.column_stack([np.ones(len(logit)), logit])
    pulls = dict.fromkeys(CALIBRATION, none)
    if found.slope is not None and found.intercept is not None:
        expected = logistic(found.intercept + found.slope * logit)
        information = X.T @ (X * (expected * (1 - expected))[:, None])
        own = np.linalg.lstsq(information, (X * (test.positive - expected)[:, None]).T)[0]
        pulls |= {"calibration_slope": own[1], "calibration_intercept": own[0]}
    if found.in_the_large is not None:
        expected = logistic(found.in_the_large + logit)
        pulls["calibration_in_the_large"] = (test.positive - expected) / (expected * (1 - expected)).sum()
    values = dict(zip(CALIBRATION, (found.slope, found.intercept, found.in_the_large), strict=True))
    both = found.slope is not None  # else the note says why there is no slope, and speaks of no other number
    notes = {name: found.note if both or value is None else "" for name, value in values.items()}
    return {name: _Number(value, pulls[name], notes[name]) for name, value in values.items()}


def _predictive(
    told: Sequence[_Told], point: str, how: Validity, *, prevalence: float
) -> dict[str, tuple[Interval, int]]:
    """Return PPV and NPV at the mean sensitivity and specificity; their interval is linear in the two, as a logit.

    The logit of the PPV is log sensitivity - log(1 - specificity) and a constant (Mercaldo et al. 2007, Statistics in
    Medicine 26:2170).
    """
    names = (f"ppv_at_{point}", f"npv_at_{point}")
    pairs = [(one.numbers[_at(point)[0]], one.numbers[_at(point)[1]]) for one in told]
    if not pairs:
        return {name: (Interval(np.nan, None, None, "", NO_INNER), 0) for name in names}
    sensitivity, specificity = (float(np.mean([pair[at].value for pair in pairs])) for at in (0, 1))
    values = clinical.predictive_values(sensitivity, specificity, prevalence=prevalence)
    moves = ((sensitivity, 1 - specificity), (1 - sensitivity, specificity))
    found = {}
    for name, value, (first, second) in zip(names, values, moves, strict=True):
        if value is None:
            interval = Interval(np.nan, None, None, "", "nobody is called so")
        elif not 0 < value < 1 or not first * second:
            interval = Interval(value, None, None, "", f"the score is {value:.4g}: no error can be measured")
        else:
            interval = _linear(told, pairs, value, (1 / first, 1 / second), how)
        notes = (f"at prevalence {prevalence:g}, from the mean sensitivity and specificity", interval.note)
        found[name] = (interval._replace(note="; ".join(filter(None, notes))), len(told))
    return found


def _linear(
    told: Sequence[_Told],
    pairs: Sequence[tuple[_Number, _Number]],
    value: float,
    slopes: tuple[float, float],
    how: Validity,
) -> Interval:
    """Return the interval of a value whose logit changes by ``slopes`` with sensitivity and specificity."""
    centre = [float(np.mean([pair[at].value for pair in pairs])) for at in (0, 1)]
    logit = float(np.log(value / (1 - value)))
    made = []
    for one, pair in zip(told, pairs, strict=True):
        moved = sum(s * (float(n.value or 0) - c) for s, n, c in zip(slopes, pair, centre, strict=True))
        pulls = slopes[0] * pair[0].pulls + slopes[1] * pair[1].pulls
        made.append(one._replace(numbers={"logit": _Number(logit + moved, pulls)}))
    found, _ = _over(made, "logit", how)
    ends = [None if end is None else float(logistic(np.array(end))) for end in (found.low, found.high)]
    return found._replace(value=value, low=ends[0], high=ends[1])


# ---- intervals


def _over(told: Sequence[_Told], name: str, how: Validity) -> tuple[Interval, int]:
    """Return a number's mean over the splits that have it, with its interval, and how many have it."""
    own = [one for one in told if one.numbers[name].value is not None]
    numbers = [one.numbers[name] for one in own]
    why = Counter(one.numbers[name].note for one in told if one.numbers[name].note)
    note = "; ".join(f"{text} ({count} of {len(told)} splits)" for text, count in why.most_common(2))
    if not own:
        return Interval(np.nan, None, None, "", note or (NO_VALUE if told else NO_INNER)), 0
    values = np.array([number.value for number in numbers], dtype=np.float64)
    found = _interval(own, numbers, values, name, how)
    return found._replace(note="; ".join(text for text in (found.note, note) if text)), len(own)


def _interval(
    own: Sequence[_Told], numbers: Sequence[_Number], values: np.ndarray, name: str, how: Validity
) -> Interval:
    bounded = name == "brier" or name.startswith(("sensitivity", "specificity"))
    if how.valid == "":
        return Interval(float(values.mean()), None, None, "", MANY_SOURCES)
    if how.valid == "paired_auc":
        return _on_one_side(own[0].test, numbers[0], bounded=bounded)
    if len(values) < 2:
        return Interval(float(values.mean()), None, None, "", "one split has a value: no error can be measured")
    if how.valid == "group_t" and name == "brier":
        return _by_group(own, numbers, share=how.share)
    found = significance.corrected_interval(values, ratio=(1 - how.share) / how.share, bounded=bounded)
    notes = [found.note] if found.note else []
    if name == "calibration_slope" and np.abs(values).max() > LEADS * np.median(np.abs(values)):
        notes.append(f"one split leads the mean: slopes from {values.min():.3g} to {values.max():.3g}")
    if how.one_dealing and found.low is not None and not name.startswith("calibration"):
        notes.append(FEW_FOLDS)
    return found._replace(note="; ".join(notes))


def _on_one_side(test: Rows, number: _Number, *, bounded: bool) -> Interval:
    """Return the interval on a single test side, of the model as it is: Wilson's, or from the pulls summed by group."""
    value, model = float(number.value or 0), "this very model"
    if number.hits is not None:
        return significance.share_interval(number.hits, groups=test.groups[number.among], estimates=model)
    sums = np.bincount(np.unique(test.groups, return_inverse=True)[1], number.pulls)
    reach = NORMAL * float(np.sqrt(len(sums) / max(len(sums) - 1, 1) * (sums**2).sum()))
    if len(sums) < 2 or reach == 0 or (bounded and not 0 < value < 1):
        return Interval(value, None, None, model, "no error can be measured on this test side")
    if not bounded:
        return Interval(value, value - reach, value + reach, model)
    at, reach = np.log(value / (1 - value)), reach / (value * (1 - value))
    low, high = logistic(np.array([at - reach, at + reach])).tolist()
    return Interval(value, low, high, model)


def _by_group(own: Sequence[_Told], numbers: Sequence[_Number], *, share: float) -> Interval:
    """Return the interval of a mean over repeated halvings whose variance is counted by group and between halvings."""
    names, codes = np.unique(np.concatenate([one.test.groups for one in own]), return_inverse=True)
    code_of = np.split(codes, np.cumsum([len(one.test.groups) for one in own])[:-1])
    pulls, counted = np.zeros((2, len(names))), np.zeros((2, len(names)), dtype=bool)
    for one, number, code in zip(own, numbers, code_of, strict=True):
        for kind, rows in enumerate((one.test.positive, ~one.test.positive)):
            groups = np.unique(code[rows])
            grown = np.sqrt(len(groups) / max(len(groups) - 1, 1)) / len(own)
            np.add.at(pulls[kind], code[rows], grown * number.pulls[rows])
            counted[kind, groups] = True
    repeats = np.array([one.repeat for one in own])
    values = np.array([number.value for number in numbers], dtype=np.float64)
    means = np.array([values[repeats == repeat].mean() for repeat in np.unique(repeats)])
    free = np.maximum(counted.sum(1) - len(own) / len(means), 1.0)
    found = Influences(means[:, None], pulls[0][:, None], pulls[1][:, None], (float(free[0]), float(free[1])))
    return significance.group_interval(found, 0, share=share)
