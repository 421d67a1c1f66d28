"""Paired differences between the results of a study that were scored on the same rows: how sure each of them is.

Several splits: the corrected resampled t test (Nadeau & Bengio 2003) on the main metric, whatever the classes. One test
part of two classes: DeLong's test, Obuchowski's where groups have several rows. One test part of more classes: nothing
is known to be valid, and that is told. Holm's correction goes over all pairs of a table. Fits nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featx import significance
from featx.errors import UnknownName
from featx.numerals import probability, signed
from featx.pipeline.calls import DIVERGED
from featx.pipeline.measures import MAIN
from featx.pipeline.plan import Asking, Plan
from featx.pipeline.schema import Pipeline
from featx.pipeline.shown import Metric, Pairs
from featx.pipeline.tables import Made, title_of
from featx.pipeline.variants import axes_of
from featx.significance import Difference

if TYPE_CHECKING:
    from featx.report.reading import Side

MOST = 200  # pairs of a table: more are read by nobody, and Holm leaves nothing of them
SPLITS_ALONE = "by:"
ONE_SIDE = "one test part and more than two classes: no test of a difference is known for it"
OTHER_SOURCES = "the parts are other sources and no resamples of one: no test over them is valid"
BY_UNIT = "one test part, scored by {}: differences are tested by image alone"
NADEAU = (
    "corrected t: the corrected resampled t test of Nadeau and Bengio (2003); over 5x2 folds of simulated studies of "
    "200 to 2,000 images it called 5 to 7 of 100 equal pairs different"
)
HOLM = "p after Holm's correction over the {} of this table; an interval that holds 0 shows no difference"
Results = Mapping[str, dict[str, Any]]


class _Told(NamedTuple):
    """A result: what it is of, its main metric in each split, and where its verdicts lie."""

    dims: dict[str, str]
    values: np.ndarray
    splits: tuple[str, ...]
    ratio: float
    scheme: str
    unit: str
    asked: str
    features: str
    folder: Path
    classes: int
    data: str


def check_pairs(pipeline: Pipeline) -> None:
    """Refuse pairs between keys that are not known.

    Raises
    ------
    UnknownName
        With the nearest that is.
    """
    known = ["experiment", "classifier", "layer", *axes_of(pipeline)]
    for pairs in pipeline.pairs:
        for key in (pairs.between, *pairs.where):
            if key not in (*known, "design"):
                raise UnknownName(f"key of pairs {pairs.id!r}", key, known)


def tables(plan: Plan, results: Results) -> tuple[list[Made], list[str]]:
    """Return a table for each set of pairs of the file, and why there is none where there is none."""
    found = [_table(pairs, plan, results) for pairs in plan.pipeline.pairs]
    return [one for one, _ in found if one is not None], [note for _, notes in found for note in notes]


def _table(pairs: Pairs, plan: Plan, results: Results) -> tuple[Made | None, list[str]]:
    every = _draws_together([one for asking in plan.askings for one in _results(asking, results)])
    chosen = [one for one in every if all(one.dims.get(key) in wanted for key, wanted in pairs.where.items())]
    both = [(first, second) for first, second in combinations(chosen, 2) if _paired(first, second, pairs.between)]
    reasons = dict.fromkeys(filter(None, (_refusal(first) for first, _ in both)))
    valid = [pair for pair in both if not _refusal(pair[0])]
    if len(valid) > MOST:
        return None, [f"{pairs.title}: {len(valid)} pairs are more than a table of differences holds ({MOST})"]
    notes = [f"{pairs.title}: {why}" for why in reasons]
    if not valid:
        return None, notes
    tests = [_tested(first, second) for first, second in valid]
    corrected = significance.holm([test.p for test in tests]).tolist()
    rows = [_row(pairs, plan, pair, test, holm) for pair, test, holm in zip(valid, tests, corrected, strict=True)]
    told = dict.fromkeys(f"{test.test}: {test.note}" for test in tests if test.note)
    nadeau = [NADEAU] if any(len(first.values) > 1 for first, _ in valid) else []
    return _made(pairs, plan, rows, [*pairs.notes, *reasons, *nadeau, *told], valid), notes


# ---- what there is


def _results(asking: Asking, results: Results) -> Iterator[_Told]:
    result = results[asking.step.digest]
    if DIVERGED in result:
        return
    dims = {"experiment": asking.variant.experiment.id, **asking.variant.axes}
    for cell in result["cells"]:
        own = {**dims, **{name: cell[name] for name in ("design", "classifier", "layer")}}
        rows = np.array(cell["rows"], dtype=float)
        yield _Told(
            own,
            np.array(cell["metrics"][MAIN]),
            (str(result["folds"]["digest"]),),
            float((rows[:, 1] / rows[:, 0]).mean()),
            str(result["folds"]["scheme"]),
            str(asking.step.about["unit"]),
            str(cell["asked"]),
            str(cell["features"]),
            Path(result["folder"]),
            len(cell["classes"]),
            asking.step.data,
        )


def _draws_together(told: Sequence[_Told]) -> list[_Told]:
    """Return one result for all draws of folds, which are splits like others."""
    held: dict[tuple[tuple[str, str], ...], _Told] = {}
    for one in told:
        key = tuple(sorted(one.dims.items()))
        if before := held.get(key):
            values = np.concatenate([before.values, one.values])
            held[key] = before._replace(values=values, splits=before.splits + one.splits)
        else:
            held[key] = one
    return list(held.values())


def _paired(first: _Told, second: _Told, between: str) -> bool:
    """Whether two results differ in one key alone, and were scored on the same splits of the same data."""
    rest = [{key: word for key, word in one.dims.items() if key != between} for one in (first, second)]
    same = (first.splits, first.data, first.asked) == (second.splits, second.data, second.asked)
    return rest[0] == rest[1] and between in first.dims and same


def _refusal(one: _Told) -> str:
    """Return why no difference of such results can be tested; nothing where it can."""
    if one.scheme.startswith(SPLITS_ALONE):
        return OTHER_SOURCES
    if len(one.values) > 1:
        return ""
    return ONE_SIDE if one.classes > 2 else BY_UNIT.format(one.unit) if one.unit != "image" else ""


# ---- tests


def _tested(first: _Told, second: _Told) -> Difference:
    if len(first.values) > 1:
        return significance.corrected_t((first.values - second.values)[None], ratio=first.ratio)
    one, other = _side(first), _side(second)
    _, at, there = np.intersect1d(one.samples, other.samples, return_indices=True)  # of one an image may have failed
    groups = np.array(one.groups)[at]
    alone = len(set(groups.tolist())) == len(groups)
    return significance.paired_auc(one.y[at] == 1, one.scores[at, 1], other.scores[there, 1],
                                   groups=None if alone else groups)  # fmt: skip


def _side(one: _Told) -> Side:
    """Return what was said of the only test part."""
    from featx.report.reading import read_run

    (side,) = read_run(one.folder).sides[one.asked, one.features, one.dims["classifier"]]
    return side


# ---- as a table


def _row(
    pairs: Pairs, plan: Plan, pair: tuple[_Told, _Told], test: Difference, holm: float
) -> tuple[tuple[str, Any], ...]:
    first, second = pair
    rest = [(key, first.dims.get(key, "")) for key in _keys(pairs, plan)]
    ends = [(pairs.between, one.dims[pairs.between]) for one in (first, second)]
    metric = Metric(name=MAIN, title="AUC")
    keys = [title_of(key, word, (metric,), plan) if key == "design" else word for key, word in (*rest, *ends)]
    interval = "" if test.low is None or test.high is None else f"{signed(test.low)} to {signed(test.high)}"
    return (
        *((key, key) for key in keys),
        (signed(test.difference), test.difference),
        (interval, interval),
        (probability(test.p), test.p),
        (probability(holm), holm),
        (test.test, test.test),
    )


def _keys(pairs: Pairs, plan: Plan) -> list[str]:
    """Return the keys besides the one that differs: those that more than one word is asked of."""
    known = ("experiment", *axes_of(plan.pipeline), "design", "classifier", "layer")
    return [key for key in known if key != pairs.between and len(pairs.where.get(key, ())) != 1]


def _made(
    pairs: Pairs, plan: Plan, rows: Sequence[tuple[tuple[str, Any], ...]], notes: Sequence[str],
    valid: Sequence[tuple[_Told, _Told]],
) -> Made:  # fmt: skip
    keys = _keys(pairs, plan)
    used = [at for at in range(len(keys)) if len({row[at][0] for row in rows}) > 1]  # one word everywhere says nothing
    kept = [*used, *(at for at in range(len(keys), len(rows[0])) if any(row[at][0] for row in rows))]
    heads = [*keys, pairs.between, "less", "difference of AUC", "95 % interval", "p", "p (Holm)", "test"]
    count = f"{len(rows)} pair{'s' * (len(rows) != 1)}"
    return Made(
        pairs.id,
        pairs.title,
        tuple(heads[at].replace("_", " ") for at in kept),
        len(used) + 2,
        tuple(tuple(row[at][0] for at in kept) for row in rows),
        tuple(tuple(row[at][1] for at in kept) for row in rows),
        (*notes, HOLM.format(count), *_fixed(keys, used, rows)),
        ", ".join(dict.fromkeys(plan.material.datasets[one.data].title for one, _ in valid)),
    )


def _fixed(keys: Sequence[str], used: Sequence[int], rows: Sequence[tuple[tuple[str, Any], ...]]) -> list[str]:
    """Return what all pairs have in common."""
    told = [f"{keys[at]} {rows[0][at][0]}" for at in range(len(keys)) if at not in used and rows[0][at][0]]
    return [f"all of {', '.join(told)}"] if told else []
