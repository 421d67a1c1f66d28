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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from featx import clinical, significance
from featx.comparison.cells import Cell, by_unit
from featx.comparison.question import Question
from featx.datasets import Sample
from featx.errors import UsageError
from featx.folds import Folds, Split
from featx.matrix import Features
from featx.metrics import auc
from featx.shortcuts import AGE, MOST_WORDS, SEX, SITE, SOURCE, UNKNOWN
from featx.significance import Influences, Interval, Side

SHARES = (0.90, 0.95)
POINTS = tuple((kind, share) for kind in ("specificity", "sensitivity") for share in SHARES)
CALIBRATION = ("calibration_slope", "calibration_intercept", "calibration_in_the_large")
FEWEST = 10  # groups of each class that a subgroup has in all
BANDS = (("<40", 40.0), ("40-59", 60.0), ("60+", np.inf))
OLDEST = 130.0
NOT_KNOWN = "not known"
LETTERS = {"m": "male", "f": "female"}
SOURCES_APART = "by:"  # plans whose test sides are other sources: no resamples of one
STEPS = 100
SHOWN = 4  # cells side by side in a text, at most
NORMAL = 1.959963984540054  # 97.5 % of a normal distribution lie below
NO_INNER = "the train side has no out-of-fold scores of both classes, so that nothing can be chosen there"
NO_VALUE = "no split has a value"
LEADS = 5.0  # times the median slope that one split may have before the row says so
FEW_FOLDS = "over one dealing onto folds such intervals are too short (in simulations 78 to 100 % covered, not 95 %)"
FALLS = "higher scores were the less often positive in the train side, and the map to probabilities falls"
MANY_SOURCES = "the test sides are other sources and no resamples of one: no interval over them is valid"
HEADS = {
    "sensitivity_at_specificity_90": "sens. at spec. .90",
    "specificity_at_sensitivity_90": "spec. at sens. .90",
    "ppv_at_specificity_90": "PPV at spec. .90",
    "npv_at_sensitivity_90": "NPV at sens. .90",
    "brier": "Brier",
    "calibration_slope": "slope",
}
CLINICAL = (
    "design", "classifier", "features", "unit", "quantity", "value", "low", "high", "n_splits", "note", "dataset",
)  # fmt: skip
SUBGROUPS = (
    "design", "classifier", "features", "unit", "column", "subgroup", "n", "positives", "quantity", "value", "low",
    "high", "n_splits", "note", "dataset",
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


class _Rows(NamedTuple):
    """Rows with truth, score and group: (n,) each."""

    positive: np.ndarray
    score: np.ndarray
    groups: np.ndarray


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
    test: _Rows
    numbers: Mapping[str, _Number]


class _Plan(NamedTuple):
    """Which intervals are valid (the name of a test in ``significance``, or nothing), and the share that trains."""

    valid: str
    share: float
    one_dealing: bool


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
    names = [sample.unit for sample in _samples(question, table)]
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
        (split, _train(question, split, verdict.inner), _rows(question, split, verdict.scores))
        for split, verdict in zip(question.splits, cell.verdicts, strict=True)
    ]
    told = [_Told(split.repeat, test, _numbers(train, test)) for split, train, test in sides if train is not None]
    how = _plan(question, plan)
    intervals: dict[str, tuple[Interval, int]] = {}
    for kind, share in POINTS:
        point = f"{kind}_{100 * share:.0f}"
        intervals |= {name: _over(told, name, how) for name in _at(point)}
        if prevalence is not None:
            intervals |= _predictive(told, point, how, prevalence=prevalence)
    intervals |= {name: _over(told, name, how) for name in ("brier", *CALIBRATION)}
    about = (cell.design, cell.classifier, cell.features, unit)
    return [
        ClinicalRow(*about, name, *_written(interval), count, _note(interval, count, len(sides), len(told)), dataset)
        for name, (interval, count) in intervals.items()
    ]


def platt(positive: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of Platt's map: P(positive) = 1 / (1 + exp(-(intercept + slope x score))).

    Platt (1999, Advances in Large Margin Classifiers, 61): maximum likelihood on targets that are drawn in from 0 and 1
    by one row, so that the map is finite where scores divide the classes. By Newton's method, each step halved until it
    gains (Lin, Lin & Weng 2007, Machine Learning 68:267).

    Parameters
    ----------
    positive : numpy.ndarray of bool, shape (n,)
        Which rows are positive; both classes occur.
    score : numpy.ndarray of float, shape (n,)
        Of rows that the classifier was not fitted on.
    """
    positive, score = np.asarray(positive, dtype=bool), np.asarray(score, dtype=np.float64)
    many, few = int(positive.sum()), int((~positive).sum())
    target = np.where(positive, (many + 1) / (many + 2), 1 / (few + 2))
    centre, spread = float(score.mean()), float(score.std())
    beta = np.array([np.log(target.mean() / (1 - target.mean())), 0.0])
    if np.ptp(score) == 0 or spread == 0:
        return 0.0, float(beta[0])
    X = np.column_stack([np.ones(len(score)), (score - centre) / spread])
    for _ in range(STEPS):
        expected = _expit(X @ beta)
        step = np.linalg.lstsq(X.T @ (X * (expected * (1 - expected))[:, None]), X.T @ (target - expected))[0]
        while _likelihood(target, X @ (beta + step)) < _likelihood(target, X @ beta) and np.abs(step).max() > 1e-15:
            step /= 2
        beta = beta + step
        if np.abs(step).max() <= 1e-12 * (1 + np.abs(beta).max()):
            break
    return float(beta[1] / spread), float(beta[0] - beta[1] * centre / spread)


def _likelihood(target: np.ndarray, eta: np.ndarray) -> float:
    return float((target * eta - np.logaddexp(0, eta)).sum())


def _expit(eta: np.ndarray) -> np.ndarray:
    from scipy.special import expit

    return np.asarray(expit(eta))


def _at(point: str) -> tuple[str, str]:
    return f"sensitivity_at_{point}", f"specificity_at_{point}"


def _rows(question: Question, split: Split, scores: np.ndarray) -> _Rows:
    told = by_unit(question, split, scores)
    return _Rows(told.y == 1, told.scores[:, 1], told.groups)


def _train(question: Question, split: Split, inner: np.ndarray | None) -> _Rows | None:
    """Return the train side by its out-of-fold scores; None where a class has none."""
    if inner is None:
        return None
    known = np.isfinite(inner).all(1)
    if len(set(question.y[split.train[known]].tolist())) < 2:
        return None
    return _rows(question, split._replace(test=split.train[known]), inner[known])


def _numbers(train: _Rows, test: _Rows) -> dict[str, _Number]:
    """Return the numbers of a test side; what is chosen or fitted sees the train side alone."""
    found: dict[str, _Number] = {}
    for kind, share in POINTS:
        threshold = clinical.threshold_at(train.positive, train.score, **{kind: share})
        found |= zip(_at(f"{kind}_{100 * share:.0f}"), _shares(test, threshold), strict=True)
    slope, intercept = platt(train.positive, train.score)
    probability = _expit(intercept + slope * test.score)
    value = clinical.brier(test.positive, probability)
    pulls = ((probability - test.positive) ** 2 - value) / len(probability)
    falls = FALLS if slope < 0 else ""
    found |= {"brier": _Number(value, pulls, falls), **_calibration(test, probability)}
    return found


def _shares(test: _Rows, threshold: float) -> tuple[_Number, _Number]:
    found = clinical.at_threshold(test.positive, test.score, threshold=threshold)
    return (
        _share(found.sensitivity, test.positive, found.called_positive),
        _share(found.specificity, ~test.positive, found.called_negative),
    )


def _share(value: float, among: np.ndarray, hits: np.ndarray) -> _Number:
    pulls = np.zeros(len(among))
    pulls[among] = (hits - value) / len(hits)
    return _Number(value, pulls, among=among, hits=hits)


def _calibration(test: _Rows, probability: np.ndarray) -> dict[str, _Number]:
    """Return slope and intercepts with the pulls of maximum likelihood: inverse information times score."""
    found = clinical.calibration(test.positive, probability)
    clipped = np.clip(probability, clinical.CLIP, 1 - clinical.CLIP)
    logit = np.log(clipped / (1 - clipped))
    none, X = np.zeros(len(logit)), np.column_stack([np.ones(len(logit)), logit])
    pulls = dict.fromkeys(CALIBRATION, none)
    if found.slope is not None and found.intercept is not None:
        expected = _expit(found.intercept + found.slope * logit)
        information = X.T @ (X * (expected * (1 - expected))[:, None])
        own = np.linalg.lstsq(information, (X * (test.positive - expected)[:, None]).T)[0]
        pulls |= {"calibration_slope": own[1], "calibration_intercept": own[0]}
    if found.in_the_large is not None:
        expected = _expit(found.in_the_large + logit)
        pulls["calibration_in_the_large"] = (test.positive - expected) / (expected * (1 - expected)).sum()
    values = dict(zip(CALIBRATION, (found.slope, found.intercept, found.in_the_large), strict=True))
    both = found.slope is not None  # else the note says why there is no slope, and speaks of no other number
    notes = {name: found.note if both or value is None else "" for name, value in values.items()}
    return {name: _Number(value, pulls[name], notes[name]) for name, value in values.items()}


def _predictive(told: Sequence[_Told], point: str, how: _Plan, *, prevalence: float) -> dict[str, tuple[Interval, int]]:
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
    how: _Plan,
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
    ends = [None if end is None else float(_expit(np.array(end))) for end in (found.low, found.high)]
    return found._replace(value=value, low=ends[0], high=ends[1])


# ---- intervals


def _plan(question: Question, plan: Folds) -> _Plan:
    splits = question.splits
    repeats = len({split.repeat for split in splits})
    share = float(np.mean([len(split.train) / (len(split.train) + len(split.test)) for split in splits]))
    apart = plan.scheme.startswith(SOURCES_APART) and len(splits) > 1
    valid = "" if apart else significance.valid_tests(repeats, len(splits) // repeats)[0]
    return _Plan(valid, float(np.clip(round(share, 2), 0.01, 0.99)), repeats == 1 and len(splits) > 1)


def _over(told: Sequence[_Told], name: str, how: _Plan) -> tuple[Interval, int]:
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


def _interval(own: Sequence[_Told], numbers: Sequence[_Number], values: np.ndarray, name: str, how: _Plan) -> Interval:
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


def _on_one_side(test: _Rows, number: _Number, *, bounded: bool) -> Interval:
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
    low, high = _expit(np.array([at - reach, at + reach])).tolist()
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


def _written(found: Interval) -> tuple[float | None, float | None, float | None]:
    return (None if np.isnan(found.value) else found.value, found.low, found.high)


def _note(found: Interval, count: int, splits: int, usable: int) -> str:
    """Return what a number is an estimate of, and what is unusual about it."""
    short = f"in {count} of {splits} splits" if 0 < count < splits else ""
    lost = NO_INNER if 0 < usable < splits else ""
    return "; ".join(text for text in (found.estimates, short, lost, found.note) if text)


# ---- subgroups


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
    how = _plan(question, plan)
    subgroups = subgroups_of(question, table)
    found = []
    for cell in cells:
        for column, name, mask in subgroups:
            n, positives, few = _counted(question, mask)
            sides = [] if few else _sides(question, cell, mask, fewest=2 if how.valid == "group_t" else 1)
            interval = Interval(np.nan, None, None, "", few) if few else _auc(sides, how)
            note = _note(interval, len(sides), len(question.splits), 0)
            about = (cell.design, cell.classifier, cell.features, unit, column, name, n, positives, "auc")
            found.append(SubgroupRow(*about, *_written(interval), len(sides), note, table.dataset.title))
    return found


def subgroups_of(question: Question, table: Features) -> list[tuple[str, str, np.ndarray]]:
    """Return column, name and rows (bool, (n,)) of each subgroup; columns of one value only are none."""
    samples = _samples(question, table)
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


def _samples(question: Question, table: Features) -> list[Sample]:
    return [table.dataset.samples[row] for row in table.rows_of(question.ids)]


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
        rows = _rows(question, split._replace(test=split.test[own]), verdict.scores[own])
        if min(len(set(rows.groups[side].tolist())) for side in (rows.positive, ~rows.positive)) >= fewest:
            found.append(Side(split.repeat, rows.positive, rows.score[:, None], rows.groups))
    return found


def _auc(sides: Sequence[Side], how: _Plan) -> Interval:
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


# ---- for persons


def clinic_told(found: Clinic) -> str:
    """Return the leading numbers and the subgroups as text, a table for each design and unit."""
    blocks = [_clinical_block(rows) for rows in _by(found.clinical, lambda row: (row.design, row.unit))]
    blocks += [_subgroup_block(rows) for rows in _by(found.subgroups, lambda row: (row.design, row.unit))]
    return "\n\n".join([*blocks, *found.notes])


def _by(rows: Sequence[Any], key: Callable[[Any], Any]) -> list[list[Any]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return list(found.values())


def _clinical_block(rows: Sequence[ClinicalRow]) -> str:
    """Return a line a cell; a number of no cell takes no column."""
    told = {row.quantity for row in rows if row.value is not None}
    shown = [(name, head) for name, head in HEADS.items() if name in told]
    head = f"{rows[0].design}, per {rows[0].unit}: thresholds and probabilities from the train sides' own scores"
    if not shown:
        return f"{head}\n  none: {rows[0].note}"
    lines = [["", *(short for _, short in shown)]]
    name = _namer(rows)
    for own in _by(rows, lambda row: (row.classifier, row.features)):
        held = {row.quantity: row for row in own}
        lines.append([name(own[0]), *(_between(held[quantity]) for quantity, _ in shown)])
    return "\n".join([head, *_aligned(lines)])


def _subgroup_block(rows: Sequence[SubgroupRow]) -> str:
    """Return a line a subgroup; those that are too few in one line."""
    name = _namer(rows)
    cells = list(dict.fromkeys(map(name, rows)))
    columns = cells if len(cells) <= SHOWN else ["lowest", "highest"]
    lines, few = [["", "n", "positive", *columns]], []
    for own in _by(rows, lambda row: (row.column, row.subgroup)):
        first = own[0]
        told = [row for row in own if row.value is not None]
        if not told:
            few.append(f"{first.column} {first.subgroup} ({first.positives} of {first.n} positive)")
            continue
        between = [_between(row) for row in own]
        if len(cells) > SHOWN:
            ends = [pick(told, key=lambda row: row.value) for pick in (min, max)]
            between = [f"{_between(row)} {name(row)}" for row in ends]
        lines.append([f"{first.column} {first.subgroup}", str(first.n), str(first.positives), *between])
    text = _aligned(lines) if len(lines) > 1 else []
    text += [f"  no AUC, with too few: {', '.join(few)}"] if few else []
    return "\n".join([f"{rows[0].design}, AUC of subgroups, per {rows[0].unit}; no difference is tested", *text])


def _namer(rows: Sequence[Any]) -> Callable[[Any], str]:
    """Return what calls a row's cell by its classifier, and by its features where there are several."""
    several = len({row.features for row in rows}) > 1
    return lambda row: f"{row.classifier} {row.features}" if several else row.classifier


def _between(row: ClinicalRow | SubgroupRow) -> str:
    if row.value is None:
        return "-"
    ends = "" if row.low is None or row.high is None else f" ({_short(row.low)} to {_short(row.high)})"
    return _short(row.value) + ends


def _short(value: float) -> str:
    text = f"{value:.2f}"
    return text.lstrip("0") if text.startswith("0.") else text


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
