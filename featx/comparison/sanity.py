"""What the same pipeline scores where there is nothing to learn, or nothing of the picture.

Permuted labels and the prior must score .5; what is known beside the picture, raw pixels and random weights are what a
result has to be held against; and folds that ignore groups show what they would have flattered. Only the first feature
file is asked, with one classifier. Opens no image, and knows no networks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from featx import classifiers, engine, families, folds, linear_svm, shortcuts, significance
from featx.cache import FeatureFile
from featx.cache.places import Places
from featx.classifiers import CLASSIFIERS, Classifier
from featx.comparison import certainty
from featx.comparison.cells import Cell, Settings, by_unit, fit
from featx.comparison.question import Question
from featx.engine import OnProgress
from featx.errors import CacheError, DataError, SplitError, UsageError
from featx.fingerprints import remembered
from featx.folds import Folds, Split
from featx.matrix import Features, read_features
from featx.metrics import main_metric, ranking_score
from featx.significance import Difference, Influences

PERMUTATIONS, FEWEST = 100, 20
ATTEMPTS = 100  # drawings of a permutation that leaves each class on both sides
COLUMNS = 101  # labellings that are solved as one family: more in one spare copies of the matrix, fewer fill more cores
TOLERATED = 0.99  # of honest runs have .5 within the mean's own error; one in a hundred is told amber
SURE = 0.9999  # of honest runs: beyond, something leaks
CHANCE = 0.5
BESIDE = {"age, sex, site": "metadata", "source": "metadata", "file": "file properties"}
LINEAR = ("squared_hinge", "hinge")


class Sanity(NamedTuple):
    """One check.

    Attributes
    ----------
    what, design : str
        What was scored, and under which design.
    value : float or None
        AUC (Hand and Till's for more than two classes), or a difference of AUCs; None where it could not be had.
    low, high : float or None
        What ``sentence`` says of them: quantiles, an interval, or the lowest and highest split.
    level : {"green", "amber", "red", "info"}
        Red where the pipeline or the data must not be believed; info where nothing is judged.
    sentence : str
        What it means.
    """

    what: str
    design: str
    value: float | None
    low: float | None
    high: float | None
    level: str
    sentence: str


class _Asked(NamedTuple):
    """What every check takes: the first feature file, one classifier, and its cells by design."""

    table: Features
    common: Sequence[str]
    questions: Sequence[Question]
    classifier: Classifier
    cells: Mapping[str, Cell]
    settings: Settings
    plan: Folds
    places: Places
    jobs: int | None

    def score(self, question: Question) -> float:
        """Return the mean score of the comparison itself."""
        return float(self.cells[question.design.name].values(_metric(question)).mean())

    def fit(self, table: Features, questions: Sequence[Question], classifier: Classifier) -> list[Cell]:
        """Return the cells of one classifier on one feature file; those that are kept are not computed again."""
        settings = self.settings._replace(params={classifier.name: {}, **self.settings.params})
        return fit(
            [table],
            self.common,
            questions,
            [classifier],
            settings=settings,
            kept_in=self.places.cells,
            jobs=self.jobs,
            on_progress=None,
        )


def check(
    tables: Sequence[Features],
    common: Sequence[str],
    questions: Sequence[Question],
    chosen: Sequence[Classifier],
    *,
    cells: Sequence[Cell],
    settings: Settings,
    plan: Folds,
    places: Places,
    permutations: int = PERMUTATIONS,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[Sanity]:
    """Return what the pipeline of a comparison scores where nothing should be there to find.

    Parameters
    ----------
    tables, common, questions, chosen, settings, plan, places
        As the comparison has them. The first table is asked, with ``svm`` if it was chosen, else the first classifier
        whose fits share one matrix, else the first.
    cells : sequence of Cell
        Of the comparison: the real scores, and the hyperparameters that were chosen.
    permutations : int
        How often labels are permuted.
    jobs : int, optional
        Threads; all cores by default.
    on_progress : callable, optional
        Told (done, total) checks.

    Returns
    -------
    list of Sanity
        By design, the checks in one order. The same seed gives the same rows.

    Raises
    ------
    UsageError
        Fewer than 20 permutations: no quantile can be told from them.
    """
    if permutations < FEWEST:
        raise UsageError(f"a check by permuted labels takes at least {FEWEST} permutations; {permutations} came")
    classifier = cheapest(chosen, settings)
    own = {c.design: c for c in cells if (c.classifier, c.features) == (classifier.name, tables[0].label)}
    asked = _Asked(tables[0], common, questions, classifier, own, settings, plan, places, jobs)
    checks = [
        lambda: _permuted(asked, permutations),
        lambda: _dummy(asked),
        lambda: _beside_the_picture(asked),
        lambda: _nothing_learned(asked, tables),
        lambda: _ungrouped(asked),
    ]
    rows: list[Sanity] = []
    for done, one in enumerate(checks, start=1):
        rows += one()
        if on_progress is not None:
            on_progress(done, len(checks))
    order = [question.design.name for question in questions]
    return sorted(rows, key=lambda row: order.index(row.design))


def sanity_told(rows: Sequence[Sanity]) -> str:
    """Return the checks as aligned text, a line each."""
    table = [
        (row.level, row.design, row.what, _number(row.value), _between(row.low, row.high), row.sentence) for row in rows
    ]
    widths = [max((len(line[at]) for line in table), default=0) for at in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[5]]) for line in table
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def cheapest(chosen: Sequence[Classifier], settings: Settings) -> Classifier:
    """Return the classifier that the checks take."""
    by_name = {classifier.name: classifier for classifier in chosen}
    together = [c for c in chosen if families.serves(c, scale=settings.scale or c.scale)]
    return by_name.get("svm") or (together or list(chosen))[0]


def _metric(question: Question) -> str:
    return main_metric(len(question.assignment.classes))


# ---- permuted labels


def permuted(y: np.ndarray, groups: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """Return labels permuted by group.

    Where each group has one class, the groups' classes are permuted among the groups, whatever their size. Where a
    group has several, permuting within sizes would leave groups of a rare size their own labels: so the label vectors
    are laid end to end in one random order of the groups and dealt out along another. Labels of one group stay side by
    side, and each label is as likely to land on any group.

    Parameters
    ----------
    y : numpy.ndarray of int, shape (n,)
        Class codes.
    groups : sequence of str, length n
        The group of each.
    rng : numpy.random.Generator
        The source of chance.
    """
    names, first, member = np.unique(np.asarray(groups, dtype=str), return_index=True, return_inverse=True)
    if (y == y[first][member]).all():
        return np.asarray(y[first][rng.permutation(len(names))][member])
    source, target = (np.argsort(rng.permutation(len(names))[member], kind="stable") for _ in range(2))
    dealt = np.empty_like(y)
    dealt[target] = y[source]
    return dealt


def _permuted(asked: _Asked, permutations: int) -> list[Sanity]:
    scale = asked.settings.of(asked.classifier)["scale"]
    X = asked.table.matrix_of(asked.common)
    shared = families.Shared(X, scale=scale) if _together(asked) else None
    return [_permuted_row(asked, question, X, shared, permutations) for question in asked.questions]


def _together(asked: _Asked) -> bool:
    """Whether the permutations are solved as columns of one family."""
    settings = asked.settings.of(asked.classifier)
    return settings["solver"] == "together" and families.LOSSES[asked.classifier.name] in LINEAR


def _permuted_row(
    asked: _Asked, question: Question, X: np.ndarray, shared: families.Shared | None, permutations: int
) -> Sanity:
    first = min(split.repeat for split in question.splits)
    splits = [split for split in question.splits if split.repeat == first]
    params = _most_chosen(asked.cells[question.design.name], asked.classifier)
    try:
        drawn = _drawn(question, splits, permutations, seed=asked.settings.seed)
    except SplitError as error:
        return Sanity("permuted labels", question.design.name, None, None, None, "info", str(error))
    labels = [question.y, *drawn]
    starts = range(0, len(labels), COLUMNS)
    calls = [
        (asked, question, X, shared, split, labels[at : at + COLUMNS], params) for split in splits for at in starts
    ]
    found = engine.run(_aucs, calls, jobs=asked.jobs)
    aucs = np.concatenate(found).reshape(len(splits), len(labels)).mean(0)
    fixed = ", ".join(f"{name}={params[name]:g}" for name in asked.classifier.grid)
    parts = f"{len(splits)} split{'s' * (len(splits) > 1)} of the first repeat"
    how = f"{asked.classifier.name}{f' at {fixed}' * bool(fixed)}, no search, {parts}"
    return judged(question.design.name, aucs[1:], real=float(aucs[0]), how=how)


def _most_chosen(cell: Cell, classifier: Classifier) -> dict[str, Any]:
    """Return the hyperparameters with the value that the most splits chose, ties to the simplest."""
    held = [verdict.chosen for verdict in cell.verdicts]
    params = dict(held[0])
    for name, grid in classifier.grid.items():
        counts = Counter(one[name] for one in held)
        place = {value: at for at, value in enumerate(grid)}
        params[name] = min(counts, key=lambda value: (-counts[value], place.get(value, -1)))
    return params


def _drawn(question: Question, splits: Sequence[Split], permutations: int, *, seed: int) -> list[np.ndarray]:
    """Return permuted labels of the question's rows, each class on both sides of each split; units are not divided."""
    rng = np.random.default_rng(seed)
    _, first, member = np.unique(question.units, return_index=True, return_inverse=True)
    groups = [question.groups[row] for row in first.tolist()]
    drawn: list[np.ndarray] = []
    for _ in range(permutations * ATTEMPTS):
        y = permuted(question.y[first], groups, rng)[member]
        if all(len(set(y[side].tolist())) == len(question.assignment.classes) for s in splits for side in s[2:4]):
            drawn.append(y)
        if len(drawn) == permutations:
            return drawn
    raise SplitError("labels could not be permuted: hardly any order leaves each class on both sides of every split")


def _aucs(
    asked: _Asked,
    question: Question,
    X: np.ndarray,
    shared: families.Shared | None,
    split: Split,
    labels: Sequence[np.ndarray],
    params: Mapping[str, Any],
) -> list[float]:
    """Return the AUC of each labelling on one test side."""
    if shared is not None:
        scores = _columns(asked, question, shared, split, labels, C=params["C"])
    else:
        scores = [_one(asked, question, X, split, y, params) for y in labels]
    sides = [by_unit(question._replace(y=y), split, one) for y, one in zip(labels, scores, strict=True)]
    return [ranking_score(side.y, side.scores) for side in sides]


def _columns(
    asked: _Asked,
    question: Question,
    shared: families.Shared,
    split: Split,
    labels: Sequence[np.ndarray],
    *,
    C: float,
) -> list[np.ndarray]:
    """Return the scores of the test rows, all labellings solved as columns of one family."""
    rows, test = question.rows[split.train], question.rows[split.test]
    loss, classes = families.LOSSES[asked.classifier.name], len(question.assignment.classes)
    codes = [1] if classes == 2 else list(range(classes))
    Y = np.column_stack([np.where(y[split.train] == code, 1.0, -1.0) for y in labels for code in codes])
    products = shared.among(rows, extra=1.0 if loss == "squared_hinge" else 0.0)
    weights = linear_svm.balanced(Y, np.ones(Y.shape, dtype=bool))
    found = linear_svm.solve(products, Y, weights=weights, Cs=[C], loss=loss)
    direction = shared.X[rows].T @ found.coef[0].astype(shared.X.dtype)
    margins = (shared.X[test] @ direction).astype(np.float64) + found.intercept[0]
    each = np.split(margins, len(labels), axis=1)
    return [np.hstack([-one, one]) for one in each] if classes == 2 else each


def _one(
    asked: _Asked, question: Question, X: np.ndarray, split: Split, y: np.ndarray, params: Mapping[str, Any]
) -> np.ndarray:
    """Return the scores of the test rows by one fit of its own."""
    verdict = classifiers.judge(
        asked.classifier,
        X[question.rows[split.train]],
        y=y[split.train],
        groups=[question.groups[row] for row in split.train.tolist()],
        X_test=X[question.rows[split.test]],
        params=params,
        scale=asked.settings.scale,
        seed=asked.settings.seed,
    )
    return verdict.scores


def judged(design: str, values: np.ndarray, *, real: float, how: str) -> Sanity:
    """Return the verdict on permuted labels.

    With the splits held fixed, permuted labels of single rows score .5 on average whatever was learned: test labels in
    random order know nothing of the model. The mean over permutations may be off by its own error only.

    Parameters
    ----------
    design : str
        The design.
    values : numpy.ndarray of float, shape (b,)
        AUC of each permutation.
    real : float
        AUC of the real labels by the same fit.
    how : str
        What was fitted.
    """
    from scipy.special import stdtrit

    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    low, high = (float(bound) for bound in np.quantile(values, [0.025, 0.975]))
    off, rounding = abs(mean - CHANCE), 1e-12
    reach, sure = (stdtrit(len(values) - 1, (1 + level) / 2) * error + rounding for level in (TOLERATED, SURE))
    p = (1 + int((values >= real).sum())) / (1 + len(values))  # Phipson & Smyth 2010
    told = f"mean of {len(values)} permutations by group, its error {error:.4f}, and 2.5 to 97.5 % of them ({how}); "
    told += f"the real labels score {real:.3f} so (p = {p:.3f})"
    if off > sure:
        level, told = "red", f"the mean is far from .5: test rows leak into training, or folds divide groups; {told}"
    elif real < low:
        level, told = "red", f"the real labels score below chance: labels or scores are turned around; {told}"
    elif off > reach:
        level, told = "amber", f"the mean is further from .5 than 99 in 100 honest runs: take another seed; {told}"
    elif real <= high:
        level, told = "amber", f"the real labels are not told from permuted ones: nothing was learned here; {told}"
    else:
        level = "green"
    return Sanity("permuted labels", design, mean, low, high, level, told)


# ---- the prior


def _dummy(asked: _Asked) -> list[Sanity]:
    rows = []
    for question, cell in zip(
        asked.questions, asked.fit(asked.table, asked.questions, CLASSIFIERS["dummy"]), strict=True
    ):
        values = cell.values(_metric(question))
        level = "green" if (values == CHANCE).all() else "red"
        told = "the classes' prior, the same score for every image, lowest and highest split"
        told += " (exactly .5)" if level == "green" else ": it must be exactly .5, so that the metric is wrong"
        name = question.design.name
        rows.append(Sanity("dummy", name, float(values.mean()), float(values.min()), float(values.max()), level, told))
    return rows


# ---- what stands beside the picture


def _beside_the_picture(asked: _Asked) -> list[Sanity]:
    """Ask the shortcuts on the very rows, classes and splits of each design."""
    known = remembered(asked.table.dataset.name, places=asked.places)
    ids = [sample.id for sample in asked.table.dataset.samples]
    held = {name: known[digest] for name, digest in zip(ids, asked.table.digests, strict=True) if digest in known}
    rows = []
    for question in asked.questions:
        rows += _shortcuts_of(asked, question, held)
        if not any(name in held for name in question.ids):
            told = "nothing is remembered of the files; `featx extract` does it"
            rows.append(Sanity("file properties", question.design.name, None, None, None, "info", told))
    return rows


def _shortcuts_of(asked: _Asked, question: Question, held: Mapping[str, Any]) -> list[Sanity]:
    name, real = question.design.name, asked.score(question)
    samples = {sample.id: sample for sample in asked.table.dataset.samples}
    classes = question.assignment.classes
    as_classes = [
        replace(samples[name], diagnosis=classes[code], group=group)
        for name, code, group in zip(question.ids, question.y.tolist(), question.groups, strict=True)
    ]
    dataset = replace(asked.table.dataset, samples=tuple(as_classes))  # a reading of the design is a diagnosis here
    try:
        found = shortcuts.find(
            dataset,
            fingerprints=held,
            only=["diagnosis"],
            plan=asked.plan,
            seed=asked.settings.seed,
            jobs=asked.jobs,
        )
    except (DataError, SplitError) as error:
        told = f"not asked: {error}".replace("design 'diagnosis'", f"design {name!r}")
        return [Sanity("metadata", name, None, None, None, "info", told)]
    rows = []
    for s in found:
        if s.what in BESIDE:  # names are no part of what a network could see
            told = f"{s.note}; mean, lowest and highest split of a forest, the features score {real:.3f}"
            rows.append(Sanity(f"{BESIDE[s.what]}: {s.what}", name, s.auc, s.low, s.high, s.level, told))
    return rows


# ---- pixels and random weights


def _nothing_learned(asked: _Asked, tables: Sequence[Features]) -> list[Sanity]:
    """Score features that owe nothing to training, where they were extracted from the same images."""
    rows = []
    for what in ("pixels", "random weights"):
        table = _like(asked, tables, what)
        if table is None:
            told = f"not extracted: {_command(asked, what)}"
            rows += [Sanity(what, q.design.name, None, None, None, "info", told) for q in asked.questions]
            continue
        cells = asked.fit(table, asked.questions, asked.classifier)
        rows += [_held_against(asked, what, q, cell) for q, cell in zip(asked.questions, cells, strict=True)]
    return rows


def _kind(spec: Mapping[str, Any], env: Mapping[str, Any]) -> str:
    if spec.get("backbone") == "pixels":
        return "pixels"
    return "random weights" if re.fullmatch(r"random\d*", str(env.get("weights", ""))) else ""


def _like(asked: _Asked, tables: Sequence[Features], what: str) -> Features | None:
    """Return features of a kind: of those compared, else of the cache; of the same backbone and layer before others."""
    first = asked.table.about["spec"]
    found = [
        (False, table.about, table.path) for table in tables if _kind(table.about["spec"], table.about["env"]) == what
    ]
    for path in asked.places.feature_files(asked.table.dataset.name):
        try:
            with FeatureFile.open(path) as file:
                if file.complete and _kind(file.spec, file.env) == what:
                    found.append((True, {"spec": file.spec}, path))
        except CacheError:
            continue  # what is damaged is no candidate; it is told where it is asked for

    def rank(one: tuple[bool, Any, Any]) -> tuple[bool, bool, bool, str]:
        spec = one[1]["spec"]
        return (
            one[0],
            spec.get("backbone") != first.get("backbone"),
            spec.get("layer") != first.get("layer"),
            one[2].name,
        )

    for cached, _, path in sorted(found, key=rank):
        table = next((t for t in tables if t.path == path), None) or _read(path)
        if table is not None and (not cached or _same_images(asked, table)):
            return table
    return None


def _read(path: Any) -> Features | None:
    try:
        return read_features(path)
    except CacheError:
        return None


def _same_images(asked: _Asked, table: Features) -> bool:
    def held(one: Features) -> dict[str, str]:
        rows = zip(one.dataset.samples, one.digests, one.usable, strict=True)
        return {sample.id: digest for sample, digest, usable in rows if usable}

    own, other = held(asked.table), held(table)
    return all(other.get(name) == own[name] for name in asked.common)


def _command(asked: _Asked, what: str) -> str:
    spec, env = asked.table.about["spec"], asked.table.about["env"]
    data = env.get("root") or "DATA"
    if what == "pixels":
        return f"`featx extract {data} --backbone pixels`"
    backbone, layer = spec.get("backbone", "NAME"), spec.get("layer")
    return f"`featx extract {data} --backbone {backbone} --weights random{f' --layer {layer}' * bool(layer)}`"


def _held_against(asked: _Asked, what: str, question: Question, cell: Cell) -> Sanity:
    """Return a row that says whether the features are better than what owes nothing to training."""
    name, real = question.design.name, asked.cells[question.design.name]
    (told,) = certainty.judge([question], [real, cell], asked.plan, seed=asked.settings.seed)
    interval = told.intervals[1]
    low, high = (interval.low, interval.high) if interval else (None, None)
    value = float(cell.values(_metric(question)).mean())
    about = f"{cell.features}, {cell.classifier}, mean and 95 % interval"
    if cell.features == real.features:
        return Sanity(what, name, value, low, high, "info", f"{about}; these are the features compared themselves")
    if not told.pairs:
        return Sanity(what, name, value, low, high, "info", f"{about}; no test of the difference is valid here")
    test = told.pairs[0].main
    level, words = _better(test)
    return Sanity(what, name, value, low, high, level, f"{about}; {real.features} scores {words}")


def _better(test: Difference) -> tuple[str, str]:
    """Return the level of a difference of features less those that learned nothing, and its words."""
    gap = f"{abs(test.difference):.3f}"
    if test.p >= significance.LEVEL:
        smallest = "" if test.smallest is None else f"; this study could show {test.smallest:.3f}"
        return "amber", f"{gap} {'more' if test.difference >= 0 else 'less'}, no difference shown{smallest}"
    return (
        ("green", f"{gap} more (p = {test.p:.2g})")
        if test.difference > 0
        else ("red", f"{gap} less (p = {test.p:.2g})")
    )


# ---- folds that ignore groups


def _ungrouped(asked: _Asked) -> list[Sanity]:
    """Score 5x2 halvings that ignore groups, stratified by diagnosis alone, and take the grouped score from it.

    Nothing of such a study knows groups: inner parts ignore them too. The interval counts by group as
    ``significance.group_t`` does: each group's influence on the one mean less that on the other, and the variance of
    the difference between repeats. Its coverage for this difference was not measured by simulation.
    """
    rows = []
    for question in asked.questions:
        name = question.design.name
        try:
            told = (
                _optimism(asked, question)
                if _several_images(question)
                else "each group has one image: nothing to ignore"
            )
        except SplitError as error:
            told = f"not asked: {error}"
        rows.append(
            told if isinstance(told, Sanity) else Sanity("ungrouped folds", name, None, None, None, "info", told)
        )
    return rows


def _several_images(question: Question) -> bool:
    return len(set(question.groups)) < len(question.groups)


def _optimism(asked: _Asked, question: Question) -> Sanity:
    ids = [sample.id for sample in asked.table.dataset.samples]
    loose = _halved(asked, question, ids)
    grouped, cell = question, asked.cells[question.design.name]
    if asked.plan.scheme != "5x2":
        grouped = _halved(asked, question, asked.table.groups)
        (cell,) = asked.fit(asked.table, [grouped], asked.classifier)
    (free,) = asked.fit(asked.table, [loose._replace(groups=list(question.ids))], asked.classifier)
    test = significance.group_t(_beside(_influences(loose, free), _influences(grouped, cell)), 0, 1)
    score = float(free.values(_metric(question)).mean())
    told = f"5x2 folds that ignore groups score {score:.3f}, {abs(test.difference):.3f} "
    told += "more than grouped ones" if test.difference >= 0 else "less than grouped ones"
    if test.low is None:
        told += f"; {test.note}"
    else:
        shown = "an optimism is shown" if test.low > 0 else f"no optimism shown, {test.smallest:.3f} could be"
        told += f"; {shown} (95 % interval, counted by group and between halvings)"
    return Sanity("ungrouped folds", question.design.name, test.difference, test.low, test.high, "info", told)


def _halved(asked: _Asked, question: Question, groups: Sequence[str]) -> Question:
    """Return the question on 5x2 halvings of its dataset that keep some groups whole."""
    samples = asked.table.dataset.samples
    ids, strata = [sample.id for sample in samples], [sample.diagnosis for sample in samples]
    plan = folds.draw("5x2", ids, groups=groups, strata=strata, seed=asked.settings.seed)
    classes, design = question.assignment.classes, question.design.name
    return question._replace(splits=folds.check(plan, ids=question.ids, y=question.y, classes=classes, design=design))


def _influences(question: Question, cell: Cell) -> Influences:
    return significance.influences(certainty.sides_of(question, [cell]))


def _beside(first: Influences, second: Influences) -> Influences:
    """Return the influences of the same groups under two plans as two columns."""
    means, positives, negatives = (np.hstack(pair) for pair in zip(first[:3], second[:3], strict=True))
    return Influences(means, positives, negatives, (min(first.df[0], second.df[0]), min(first.df[1], second.df[1])))
