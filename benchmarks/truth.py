"""What the tests and intervals of featx.significance promise, held against simulated studies whose truth is known.

A study: lesions of 1 to 4 images, a share of them positive; features that are Gaussian with an effect of the lesion;
two classifiers, each a regularised least-squares direction on features of its own beside some that both see; grouped,
stratified 5x2 halvings as featx.folds draws them. Null studies: both see as much ("alike"), or one sees few features
and the other many, with an effect at which models trained on half of the source are equally good ("unlike"). Unequal
studies: the second sees less. The truth is the area under the curve in the whole population (closed form for a
Gaussian; held against 400,000 fresh images at the start), averaged over all models trained: what models trained on half
of such a source are worth.

Prints Markdown: false alarms at 5 % and power of every test, coverage of every 95 % interval. In each column the mean
over prevalences and kinds, and in brackets the least and the most of these. The standard error of one share of 5 % over
2,000 studies is 0.5 points. Coverage is counted where an interval could be had; where not is told below.

    python benchmarks/truth.py [--studies 2000] [--n 200 500 1000 2000] [--prevalence 0.1 0.3] [--seed 0] [--jobs 2]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import NamedTuple

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")  # the products are small, and the processes share the cores

import numpy as np  # noqa: E402
from joblib import Parallel, delayed  # noqa: E402
from scipy import optimize, special  # noqa: E402

from featx import significance as sig  # noqa: E402
from featx.folds import draw  # noqa: E402

LARGEST_LESION = 4
RIDGE = 0.3  # added to each variance (1): deep features are many, so classifiers on them are regularised
CALIBRATED_ON = 400  # train halves on which two unlike feature sets are made equally good
KINDS = ("alike", "unlike", "unequal")


class Source(NamedTuple):
    """A population of lesions and how many of its images a study has.

    ``shared``, ``first`` and ``second`` count the features that both classifiers see, and that each sees alone; the
    effects are the distances between the class means along them, in standard deviations of an image.
    """

    n: int
    prevalence: float
    shared: int = 10
    first: int = 10
    second: int = 10
    effects: tuple[float, float, float] = (1.0, 0.8, 0.8)
    lesion: float = 0.5

    @property
    def shift(self) -> np.ndarray:
        """Distance of the class means along each feature."""
        sizes = (self.shared, self.first, self.second)
        return np.concatenate(
            [np.full(size, effect / np.sqrt(max(size, 1))) for size, effect in zip(sizes, self.effects, strict=True)]
        )

    @property
    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """The features that each classifier sees."""
        both, own = np.arange(self.shared), np.arange(self.second) + self.shared + self.first
        return np.arange(self.shared + self.first), np.concatenate([both, own])


class Sample(NamedTuple):
    """Images of a study: features, classes and lesions."""

    X: np.ndarray
    y: np.ndarray
    lesion: np.ndarray
    classes: np.ndarray
    sizes: np.ndarray


def drawn(source: Source, rng: np.random.Generator) -> Sample:
    """Draw a study: as many lesions as it takes for ``n`` images, the share of positive ones fixed."""
    sizes = rng.integers(1, LARGEST_LESION + 1, size=source.n)
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), source.n)) + 1]
    sizes[-1] -= sizes.sum() - source.n
    classes = rng.permutation(np.arange(len(sizes)) < max(2, round(source.prevalence * len(sizes)))).astype(np.int64)
    lesion = np.repeat(np.arange(len(sizes)), sizes)
    of_lesion = rng.standard_normal((len(sizes), len(source.shift))) * np.sqrt(source.lesion)
    X = rng.standard_normal((source.n, len(source.shift))) * np.sqrt(1 - source.lesion) + of_lesion[lesion]
    y = classes[lesion]
    return Sample(X + y[:, None] * source.shift, y, lesion, classes, sizes)


def dealt(classes: np.ndarray, sizes: np.ndarray, *, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Return the part of each lesion, as featx.folds.deal does where each lesion has one class, in a plain loop."""
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    ties = rng.random((len(sizes), parts)).tolist()
    had = [[0] * parts, [0] * parts]
    empty = [True] * parts
    part = np.empty(len(sizes), dtype=np.int64)
    kinds, images = classes.tolist(), sizes.tolist()
    for at in order.tolist():
        of_class = had[kinds[at]]
        chosen = max(range(parts), key=lambda p: (-of_class[p], empty[p], ties[at][p]))
        part[at] = chosen
        of_class[chosen] += images[at]
        empty[chosen] = False
    return part


def direction(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the regularised least-squares direction for two classes: (covariance + ridge)^-1 (difference of means)."""
    apart = X[y == 1].mean(0) - X[y == 0].mean(0)
    centred = X - X.mean(0)
    return np.linalg.solve(centred.T @ centred / len(X) + RIDGE * np.eye(X.shape[1]), apart)


def area(weights: np.ndarray, shift: np.ndarray) -> float:
    """Return the AUC of a linear score in the whole population, features of unit variance: Phi(w'm / sqrt(2 w'w))."""
    return float(special.ndtr(weights @ shift / np.sqrt(2 * weights @ weights)))


class Studied(NamedTuple):
    """A study: the test sides of all its splits, the AUCs in the population of its models, and its splits' AUCs."""

    sides: list[sig.Side]
    worth: np.ndarray
    scored: np.ndarray


def studied(source: Source, *, repeats: int, folds: int, seed: int) -> Studied:
    """Draw a study, train both classifiers on every train side and score every test side."""
    rng = np.random.default_rng(seed)
    sample = drawn(source, rng)
    sides, worth = [], np.empty((repeats, folds, 2))
    for repeat in range(repeats):
        part = dealt(sample.classes, sample.sizes, parts=folds, rng=rng)[sample.lesion]
        for fold in range(folds):
            train, scores = part != fold, []
            for k, columns in enumerate(source.columns):
                own = sample.X[:, columns]
                weights = direction(own[train], sample.y[train])
                worth[repeat, fold, k] = area(weights, source.shift[columns])
                scores.append(own[~train] @ weights)
            sides.append(sig.Side(repeat, sample.y[~train] == 1, np.column_stack(scores), sample.lesion[~train]))
    scored = np.array([sig.auc_covariance(side.positive, side.scores)[0] for side in sides])
    return Studied(sides, worth, scored.reshape(repeats, folds, 2))


Outcome = dict[str, tuple[float, ...]]  # name: p, low, high


def judged(source: Source, *, repeats: int, folds: int, draws: int, seed: int) -> tuple[Outcome, Outcome, np.ndarray]:
    """Return every test of the difference, every interval of the first AUC, and what the models are worth."""
    study = studied(source, repeats=repeats, folds=folds, seed=seed)
    d, ratio = study.scored[..., 0] - study.scored[..., 1], 1 / (folds - 1)
    first = study.sides[0]
    tests: dict[str, sig.Difference] = {"corrected t (Nadeau & Bengio)": sig.corrected_t(d, ratio=ratio)}
    intervals: dict[str, sig.Interval] = {
        "corrected t, logit scale": sig.corrected_interval(study.scored[..., 0], ratio=ratio),
        "corrected t": sig.corrected_interval(study.scored[..., 0], ratio=ratio, bounded=False),
    }
    if repeats > 1:
        found = sig.influences(study.sides)
        tests["group t"] = sig.group_t(found, 0, 1)
        intervals["group t, logit scale"] = sig.group_interval(found, 0)
    if (repeats, folds) == (5, 2):
        tests["5x2cv F (Alpaydin)"] = sig.alpaydin_f(d)
        tests["5x2cv t (Dietterich)"] = sig.dietterich_t(d)
    tests["paired t over the splits, uncorrected"] = sig.corrected_t(d, ratio=0.0)
    intervals["mean ± 1.96 sd / sqrt(splits)"] = _plain(study.scored[..., 0])
    tests["DeLong, first test side"] = sig.paired_auc(first.positive, *first.scores.T)
    tests["Obuchowski, first test side"] = sig.paired_auc(first.positive, *first.scores.T, groups=first.groups)
    intervals["DeLong, first test side"] = sig.auc_interval(first.positive, first.scores[:, 0])
    intervals["Obuchowski, first test side"] = sig.auc_interval(first.positive, first.scores[:, 0], groups=first.groups)
    if draws:
        tests["group bootstrap of the mean"] = sig.bootstrap_difference(study.sides, draws=draws, seed=seed)
        intervals["group bootstrap of the mean"] = sig.bootstrap_interval(study.sides, draws=draws, seed=seed)
    return _bare(tests.values(), tests), _bare(intervals.values(), intervals), study.worth


def _bare(results: Iterable[sig.Difference | sig.Interval], names: Iterable[str]) -> Outcome:
    """Return p (where there is one), low and high of each, NaN for what a method does not give."""
    triples = ((getattr(found, "p", None), found.low, found.high) for found in results)
    return {
        name: tuple(np.nan if value is None else value for value in triple)
        for name, triple in zip(names, triples, strict=True)
    }


def _plain(values: np.ndarray) -> sig.Interval:
    mean, reach = float(values.mean()), 1.96 * float(values.std(ddof=1)) / np.sqrt(values.size)
    return sig.Interval(mean, mean - reach, mean + reach, "")


def source_of(kind: str, *, n: int, prevalence: float, share: float) -> Source:
    """Return the population of a kind of study; ``share`` of the images train."""
    if kind == "alike":
        return Source(n, prevalence)
    if kind == "unequal":
        return Source(n, prevalence, effects=(1.0, 0.8, 0.3))
    unlike = Source(n, prevalence, second=60)
    return unlike._replace(effects=(*unlike.effects[:2], _as_good(unlike, share)))


def _as_good(source: Source, share: float) -> float:
    """Return the effect of the second's own features at which models trained on a share of the source are as good."""

    def gap(effect: float) -> float:
        trained = source._replace(n=round(source.n * share), effects=(*source.effects[:2], effect))
        total = 0.0
        for seed in range(CALIBRATED_ON):
            sample = drawn(trained, np.random.default_rng(seed))
            worth = [area(direction(sample.X[:, c], sample.y), trained.shift[c]) for c in trained.columns]
            total += worth[1] - worth[0]
        return total / CALIBRATED_ON

    return float(optimize.brentq(gap, 0.0, 4.0, xtol=1e-3))


def check(seed: int) -> None:
    """Hold the halvings against those of featx.folds, and the closed form against fresh images."""
    source = Source(300, 0.2)
    sample = drawn(source, np.random.default_rng(seed))
    words = [f"{lesion:05}" for lesion in sample.lesion.tolist()]
    ids = [str(row) for row in range(source.n)]
    plan = draw("5x2", ids, groups=words, strata=sample.y.astype(str).tolist(), seed=seed)
    rng = np.random.default_rng(seed)
    for split in plan.splits[::2]:
        part = dealt(sample.classes, sample.sizes, parts=2, rng=rng)[sample.lesion]
        if not np.array_equal(np.flatnonzero(part == 0), split.test):
            raise SystemExit(f"halving {split.repeat} is not that of featx.folds")
    fresh = drawn(source._replace(n=400_000), np.random.default_rng(seed + 1))
    for columns in source.columns:
        weights = direction(sample.X[:, columns], sample.y)
        counted = sig.auc_covariance(fresh.y == 1, (fresh.X[:, columns] @ weights)[:, None])[0][0]
        expected = area(weights, source.shift[columns])
        if abs(counted - expected) > 0.006:
            raise SystemExit(f"the closed form says {expected:.4f}, fresh images {counted:.4f}")


class Cell(NamedTuple):
    """What all studies of one kind, size and prevalence came to: shares in percent by name, of ``studies`` each."""

    kind: str
    n: int
    prevalence: float
    truth: tuple[float, float]
    rejected: dict[str, float]
    covered_difference: dict[str, float]
    covered_own: dict[str, float]
    covered_auc: dict[str, float]
    no_interval: dict[str, float]


def cell_of(kind: str, n: int, prevalence: float, *, settings: argparse.Namespace, seed: int, pool: Parallel) -> Cell:
    """Run all studies of a cell."""
    repeats, folds = (int(word) for word in settings.plan.split("x"))
    source = source_of(kind, n=n, prevalence=prevalence, share=(folds - 1) / folds)
    plan = {"repeats": repeats, "folds": folds}
    found = pool(
        delayed(judged)(source, **plan, draws=settings.draws * (study % settings.every == 0), seed=seed + study)
        for study in range(settings.studies)
    )
    worth = np.array([models for _, _, models in found])
    truth = worth.mean((0, 1, 2))
    gap = 0.0 if kind != "unequal" else float(truth[0] - truth[1])
    tests, intervals = ([outcome[side] for outcome in found] for side in (0, 1))
    return Cell(
        kind,
        n,
        prevalence,
        (float(truth[0]), float(truth[1])),
        _shares(tests, lambda at, p, low, high: p < sig.LEVEL, needs=0),
        _shares(tests, lambda at, p, low, high: low <= gap <= high),
        {
            **_shares(tests, lambda at, p, low, high: low <= worth[at, 0, 0, 0] - worth[at, 0, 0, 1] <= high),
            **{
                f"AUC {name}": share
                for name, share in _shares(
                    intervals, lambda at, p, low, high: low <= worth[at, 0, 0, 0] <= high
                ).items()
            },
        },
        _shares(intervals, lambda at, p, low, high: low <= truth[0] <= high),
        _missing(intervals),
    )


def _shares(outcomes: Sequence[Outcome], holds: Callable[..., bool], *, needs: int = 1) -> dict[str, float]:
    """Return in how many of 100 studies something holds, by name, of those where the method gave what it needs.

    ``needs`` is the place in an outcome of the number that must not be missing: 0 for p, 1 for an interval.
    """
    names = dict.fromkeys(name for outcome in outcomes for name in outcome)
    shares = {}
    for name in names:
        given = [(at, own[name]) for at, own in enumerate(outcomes) if name in own and not np.isnan(own[name][needs])]
        shares[name] = 100 * float(np.mean([holds(at, *values) for at, values in given])) if given else float("nan")
    return shares


def _missing(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return in how many of 100 studies each method gave no interval."""
    names = dict.fromkeys(name for outcome in outcomes for name in outcome)
    return {name: 100 * float(np.mean([np.isnan(own[name][1]) for own in outcomes if name in own])) for name in names}


def printed(title: str, cells: Sequence[Cell], share: Callable[[Cell], dict[str, float]], sizes: Sequence[int]) -> None:
    """Print a table: a line a method, a column a size, the mean over the cells with the least and the most."""
    print(f"\n**{title}**\n\n| | " + " | ".join(f"n = {n:,}" for n in sizes) + " |\n|---|" + "---|" * len(sizes))
    names = list(dict.fromkeys(name for cell in cells for name in share(cell)))
    for name in names:
        columns = [[share(cell)[name] for cell in cells if cell.n == n] for n in sizes]
        if np.isnan(columns).any():
            continue  # a test without an interval
        words = [f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})" for values in columns]
        print(f"| {name} | " + " | ".join(words) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="studies a cell [2000]")
    parser.add_argument("--n", type=int, nargs="+", default=[200, 500, 1000, 2000], help="images a study")
    parser.add_argument("--prevalence", type=float, nargs="+", default=[0.1, 0.3])
    parser.add_argument("--plan", default="5x2", help="repeats x folds [5x2]")
    parser.add_argument("--draws", type=int, default=200, help="bootstrap draws [200; 0 for none]")
    parser.add_argument("--every", type=int, default=10, help="one study in so many is bootstrapped too [10]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    settings = parser.parse_args()
    begin = time.perf_counter()
    check(settings.seed)
    with Parallel(settings.jobs) as pool:
        cells = [
            cell_of(kind, n, prevalence, settings=settings, seed=settings.seed + 1_000_000 * (1 + at), pool=pool)
            for at, (kind, n, prevalence) in enumerate(product(KINDS, settings.n, settings.prevalence))
        ]
    report(cells, settings)
    print(f"\n{time.perf_counter() - begin:.0f} seconds, {settings.jobs} processes, seed {settings.seed}")


def report(cells: Sequence[Cell], settings: argparse.Namespace) -> None:
    null = [cell for cell in cells if cell.kind != "unequal"]
    error = 100 * np.sqrt(0.05 * 0.95 / settings.studies)
    print(
        f"{settings.studies:,} studies in each of {len(cells)} cells, folds {settings.plan}, prevalence "
        f"{', '.join(f'{p:g}' for p in settings.prevalence)}; standard error of one share at 5 %: {error:.1f} points "
        f"(bootstrap: one study in {settings.every}, {settings.draws} draws)"
    )
    print("\n| n | prevalence | positive lesions, about | AUC | unequal: difference |\n|---|---|---|---|---|")
    unequal = {(cell.n, cell.prevalence): cell.truth for cell in cells if cell.kind == "unequal"}
    for (n, prevalence), (first, second) in unequal.items():
        lesions = prevalence * n / ((1 + LARGEST_LESION) / 2)
        print(f"| {n:,} | {prevalence:g} | {lesions:.0f} | {first:.3f} | {first - second:.3f} |")
    printed("False alarms at 5 %, in percent of null studies", null, lambda cell: cell.rejected, settings.n)
    printed(
        "Power at 5 %, in percent of unequal studies",
        [cell for cell in cells if cell.kind == "unequal"],
        lambda cell: cell.rejected,
        settings.n,
    )
    printed("Coverage of 95 % intervals of the difference", cells, lambda cell: cell.covered_difference, settings.n)
    printed("Coverage of 95 % intervals of one AUC", cells, lambda cell: cell.covered_auc, settings.n)
    for n in settings.n:
        lost = {
            name: np.mean([cell.no_interval[name] for cell in cells if cell.n == n]) for name in cells[0].no_interval
        }
        told = ", ".join(f"{name} in {share:.1f} %" for name, share in lost.items() if share)
        print(f"\nNo interval could be had at n = {n:,}: {told}" if told else "", end="\n" if told else "")
    own = {name for cell in cells for name in cell.covered_own if "first test side" in name}
    printed(
        "Coverage of the intervals of one test side for what they estimate, these very models",
        cells,
        lambda cell: {name: value for name, value in cell.covered_own.items() if name in own},
        settings.n,
    )


if __name__ == "__main__":
    main()
