"""What the comparison costs, each figure beside what a user would write instead (``benchmarks/peers``), in one run.

``paper``    n = 974, d = 4,096, three designs x ten halves x 8 C x ten inner draws, hinge: GridSearchCV(SVC("linear"))
``path``     n = 10,015, d = 4,096, three designs x ten halves x 7 C, squared hinge: LinearSVC at its defaults
``rbf``      the same with a Gaussian kernel: SVC; and scikit-learn-intelex's, where it is installed
``trees``    a forest of 500, and a tree, as each accelerator that is installed fits them: scikit-learn's
``metrics``  all metrics of 280 problems: a loop over sklearn.metrics
``whole``    `featx compare` of {svm, rf, tree} on three designs x ten halves, the whole process: a script

Features are drawn: not negative, with a signal; labels and lesions are HAM10000's where FEATX_TEST_DATA is set to a
folder with ``data/labels``, else drawn in its numbers. What takes hours is sampled, and the rest counted up from the
sample by how many fits there are: such a figure carries a ``~``, and one that was cut off at ``--cap`` seconds a ``>``.
Prints a Markdown table.

    python benchmarks/compare.py [--scale small|full] [--only ROW ...] [--jobs N ...] [--cap 60]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from featx import designs, engine, families, folds
from featx.classifiers import ACCELERATORS, CLASSIFIERS, accelerated, judge
from featx.datasets import demo
from featx.linear_svm import Products, Solutions, solve
from featx.metrics import evaluate, ranking_score

PEERS = Path(__file__).parent / "peers"
NAMES = ("malignant-vs-benign", "mel-vs-benign", "bcc-vs-mel-vs-benign")
ATLAS = {"nv": 667, "mel": 265, "bcc": 42}  # images in the folds of Menegola et al. (2017)
PATH = tuple(10.0**power for power in range(-4, 3))
FACTORS, FALL = 400, 0.65  # directions that the drawn features vary in, and how fast they do so less
SIGNAL, NOISE, ABOVE = 0.12, 0.08, 0.8
PROBLEMS = 280


class Scale(NamedTuple):
    """How large the rows are: images and features, splits answered by us, and those of which the peers are timed."""

    n: int
    d: int
    paper_d: int
    splits: int
    rbf_splits: int
    sampled: tuple[float, ...]  # of the peer's sample
    designs: tuple[str, ...]  # of the peers' samples
    trees: int
    whole: tuple[str, ...]  # what the whole command is accelerated by


SCALES = {
    "small": Scale(2_000, 1_024, 4_096, 10, 10, PATH, NAMES, 500, ("none", "numba")),
    "full": Scale(10_015, 4_096, 4_096, 10, 2, (1.0,), NAMES[1:2], 500, ("numba",)),
}


class Problem(NamedTuple):
    """Drawn features with labels, groups and splits; ``y`` holds -1 where a design drops a row."""

    X: np.ndarray
    diagnoses: list[str]
    groups: list[str]
    y: dict[str, np.ndarray]
    splits: list[folds.Split]

    def sides(self, design: str, split: folds.Split) -> tuple[np.ndarray, np.ndarray]:
        """Return the train and the test rows of a design."""
        y = self.y[design]
        return split.train[y[split.train] >= 0], split.test[y[split.test] >= 0]

    def task(self, design: str, split: folds.Split) -> families.Task:
        """Return a design on a split as the solver takes it."""
        train, test = self.sides(design, split)
        return families.Task(train, test, self.y[design][train], [self.groups[row] for row in train.tolist()])

    def auc(self, design: str, split: folds.Split, told: np.ndarray) -> float:
        """Return the main metric of scores of the test rows."""
        return ranking_score(self.y[design][self.sides(design, split)[1]], told)


class Figure(NamedTuple):
    """A row of the table.

    Seconds of both, whether the peer's are ``~`` counted up or ``>`` a lower bound, the differences in AUC, remarks,
    and the threads of both.
    """

    work: str
    ours: float
    theirs: float
    sign: str
    wanted: str
    apart: Sequence[float]
    remarks: Sequence[str]
    threads: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="small")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    parser.add_argument("--jobs", nargs="+", type=int, default=[engine.cores()])
    parser.add_argument("--cap", type=float, default=60.0, help="seconds after which a peer's fits are cut off [60]")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no peer is left running
    for name in ("scipy.linalg", "sklearn.svm", "sklearn.ensemble"):
        import_module(name)  # before the clock starts, and before threads are limited: a late one keeps its own
    print(f"{machine()}, scale {given.scale}\n")
    print("| work | threads | featx, s | instead, s | ratio | wanted | AUC apart, most | |\n|" + "---|" * 8)
    for name in given.only:
        for jobs in given.jobs:
            for figure in ROWS[name](SCALES[given.scale], jobs, given.cap):
                tell(figure)


def tell(figure: Figure) -> None:
    ratio = figure.theirs / figure.ours
    apart = f"{max(map(abs, figure.apart)):.1e} of {len(figure.apart)}" if len(figure.apart) else ""
    ratio_told = f"{figure.sign}{ratio:.3g}x"
    cells = [figure.work, figure.threads, f"{figure.ours:.3g}", f"{figure.sign}{figure.theirs:.3g}", ratio_told]
    print("| " + " | ".join(map(str, [*cells, figure.wanted, apart, "; ".join(figure.remarks)])) + " |", flush=True)


def machine() -> str:
    names = [line.split(":")[1].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    busy = f"load {os.getloadavg()[0]:.1f} at the start"
    return f"{names[0] if names else 'unknown processor'}, {engine.cores()} cores, {busy}"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


# ---- what is compared on


def atlas(scale: Scale) -> Problem:
    """Return a problem of the size of the paper's: nearly every image is a case of its own."""
    diagnoses = [word for word, count in ATLAS.items() for _ in range(count)]
    groups = [f"case {row - (row % 37 == 1)}" for row in range(len(diagnoses))]
    return drawn(diagnoses, groups, scale.paper_d, splits=10)


def ham(scale: Scale) -> Problem:
    """Return a problem with HAM10000's labels and lesions, or with a part of its lesions."""
    rows = labels()
    rng = np.random.default_rng(0)
    lesions = sorted({lesion for lesion, _ in rows})
    place = dict(zip(lesions, rng.permutation(len(lesions)).tolist(), strict=True))
    rows = sorted(rows, key=lambda row: place[row[0]])[: scale.n]
    return drawn([word for _, word in rows], [lesion for lesion, _ in rows], scale.d, splits=scale.splits)


def labels() -> list[tuple[str, str]]:
    """Return (lesion, diagnosis) of each image of HAM10000: its table, or as many drawn."""
    table = Path(os.environ.get("FEATX_TEST_DATA", "")) / "data" / "labels" / "HAM10000_metadata.csv"
    if "FEATX_TEST_DATA" in os.environ and table.exists():
        with table.open(newline="", encoding="utf-8") as stream:
            return [(row["lesion_id"], row["dx"]) for row in csv.DictReader(stream)]
    rng, rows = np.random.default_rng(0), []
    for word, lesions, images in zip(demo.DIAGNOSES, demo.LESIONS, demo.IMAGES, strict=True):
        members = [*range(lesions), *rng.integers(lesions, size=images - lesions).tolist()]
        rows += [(f"{word} {member}", word) for member in members]
    return rows


def drawn(diagnoses: list[str], groups: list[str], d: int, *, splits: int) -> Problem:
    """Draw features for given labels, and halves for given groups."""
    ids = [f"i{row:05}" for row in range(len(diagnoses))]
    plan = folds.draw("5x2", ids, groups=groups, strata=diagnoses)
    y = {name: designs.get(name).assign(diagnoses).y for name in NAMES}
    return Problem(features(diagnoses, groups, d), diagnoses, groups, y, list(plan.splits[:splits]))


def features(diagnoses: Sequence[str], groups: Sequence[str], d: int) -> np.ndarray:
    """Draw features as a layer with rectified outputs has them: not negative, with a signal, an effect of the lesion.

    Their spectrum falls as that of real ones does. Rows of unit length of MobileNetV2's pooled layer (ImageNet weights,
    757 dermoscopic images) have 60 % of their squares along one direction, 0.75 % along the 11th, 0.05 % along the
    101st and 0.009 % along the 301st; 24 % of the values are 0; AUC of melanoma against the rest about 0.9.
    """
    rng = np.random.default_rng(0)
    _, lesion = np.unique(groups, return_inverse=True)
    kinds, kind = np.unique(diagnoses, return_inverse=True)
    centres = rng.standard_normal((len(kinds), FACTORS)) * SIGNAL
    of_lesion = rng.standard_normal((lesion.max() + 1, FACTORS))
    inner = centres[kind] + 0.8 * of_lesion[lesion] + 0.6 * rng.standard_normal((len(kind), FACTORS))
    inner *= np.arange(2, FACTORS + 2) ** -FALL
    mixed = inner.astype(np.float32) @ rng.standard_normal((FACTORS, d), dtype=np.float32)
    mixed /= mixed.std()
    mixed += np.float32(NOISE) * rng.standard_normal(mixed.shape, dtype=np.float32) + np.float32(ABOVE)
    return np.maximum(mixed, 0, out=mixed)


def laid_out(problem: Problem, folder: Path, *, inner: str | None = None) -> Path:
    """Write a problem as the peers read it; with ``inner`` also the inner draws of each train half."""
    held: dict[str, Any] = {"names": np.array(NAMES), "splits": len(problem.splits)}
    for name in NAMES:
        held[f"{name} y"] = problem.y[name]
        for at, split in enumerate(problem.splits):
            task = problem.task(name, split)
            held[f"{name} train {at}"], held[f"{name} test {at}"] = task.train, task.test
            masks = folds.inner_splits(task.y, task.groups, scheme=inner, k=3, seed=0).held if inner else []
            held[f"{name} held {at}"] = np.array(masks)
    np.save(folder / "X.npy", problem.X)
    np.savez(folder / "designs.npz", **held)
    return folder


# ---- both sides


def timed(work: Callable[[], Any], jobs: int) -> tuple[float, Any]:
    """Return the wall seconds of our side, linear algebra on as many threads."""
    with threadpool_limits(limits=jobs):
        start = time.perf_counter()
        found = work()
        return time.perf_counter() - start, found


def peer(script: str, *words: Any, jobs: int, cap: float | None = None) -> Iterator[dict[str, Any]]:
    """Run a peer's script and return what it tells, line by line; it is ended where a line takes longer than ``cap``.

    The line that did not come is told as ``{"cut": seconds}``.
    """
    command = [sys.executable, str(PEERS / script), *map(str, words), "--jobs", str(jobs)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(jobs))
    surroundings = {**os.environ, "PYTHONWARNINGS": "ignore", **threads}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=surroundings, start_new_session=True)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    ready = False
    try:
        while line := lines.get(timeout=cap if ready else None):
            told = json.loads(line)
            ready = ready or "ready" in told
            yield told
        if process.wait():
            raise SystemExit(f"{script} ended with {process.returncode}")
    except queue.Empty:
        yield {"cut": cap}
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join()


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    assert process.stdout is not None
    with process.stdout as stream:
        for line in stream:
            lines.put(line)
    lines.put("")


def binary_problems(design: str) -> int:
    return 3 if design == NAMES[2] else 1


# ---- rows


def paper(scale: Scale, jobs: int, _: float) -> Iterator[Figure]:
    """Time the whole protocol on our side; the peer's on one half of each design."""
    problem = atlas(scale)
    classifier = CLASSIFIERS["svc-linear"]

    def ours() -> list[list[Any]]:
        shared = families.Shared(problem.X, scale="l2")
        calls = [(shared, [problem.task(name, split) for name in NAMES]) for split in problem.splits]
        return engine.run(
            lambda shared, tasks: families.judge(classifier, shared, tasks, params={}, seed=0, inner="shuffle10"),
            calls,
            jobs=jobs,
        )

    with engine.using("loky" if jobs > 1 else "threading"):  # many small systems: threads would wait for each other
        engine.run(abs, [(1,)] * 2 * jobs, jobs=jobs)  # the workers, which the peer's are ready too
        seconds, found = timed(ours, jobs)
    schemes = {verdict.inner_scheme for own in found for verdict in own}
    with tempfile.TemporaryDirectory() as folder:
        laid_out(problem, Path(folder), inner="shuffle10")
        lines = [line for line in peer("grid_search_svc.py", folder, "--splits", 1, jobs=jobs) if "auc" in line]
    theirs = sum(line["seconds"] for line in lines) * len(problem.splits)
    apart, same = [], 0
    for line in lines:
        verdict, split = found[line["split"]][NAMES.index(line["design"])], problem.splits[line["split"]]
        apart.append(problem.auc(line["design"], split, verdict.scores) - line["auc"])
        same += verdict.chosen["C"] == line["C"]
    sampled, total = sum(line["fits"] for line in lines), len(problem.splits) * sum(line["fits"] for line in lines)
    remarks = [
        f"extrapolated from {sampled} of {total} fits (one half of each design)",
        f"the same C chosen in {same} of {len(lines)}",
        f"inner {'/'.join(sorted(schemes))}",
        f"AUC {np.mean([line['auc'] for line in lines]):.3f}",
    ]
    work = f"the paper's protocol: n = {len(problem.X):,}, d = {problem.X.shape[1]:,}, hinge"
    remarks += ["--engine loky"] if jobs > 1 else []
    yield Figure(work, seconds, theirs, "~", "100x", apart, remarks, jobs)


class Counted(Products):
    """Products that count the floating-point operations asked of them, by precision."""

    done: Counter[str]

    def __init__(self, X: np.ndarray, **given: Any) -> None:
        super().__init__(X, **given)
        self.done = Counter()

    def times(self, B: np.ndarray) -> np.ndarray:
        """Return the products, counted."""
        found = super().times(B)
        self.done[str(found.dtype)] += self._cost(B, kept=True)
        return found

    def exactly(self, B: np.ndarray) -> np.ndarray:
        """Return the exact products, counted."""
        self.done["float64"] += self._cost(B, kept=self.precision is np.float64)
        return super().exactly(B)

    def solved(self, rows: np.ndarray, right: np.ndarray, *, ridge: np.ndarray) -> np.ndarray | None:
        """Return the solution of a system, its factor counted."""
        self.done[np.dtype(self.precision).name] += len(rows) ** 3 // 3
        return super().solved(rows, right, ridge=ridge)

    def _cost(self, B: np.ndarray, *, kept: bool) -> int:
        return 2 * self.rows * B.shape[1] * (self.rows if kept else 2 * self._X.shape[1])


def path(scale: Scale, jobs: int, cap: float) -> Iterator[Figure]:
    """Time all fits on our side; the peer's on as many splits as there are threads, each C up to the cap."""
    problem = ham(scale)
    done: Counter[str] = Counter()
    rates = {kind: rate(kind, jobs) for kind in ("float32", "float64")}

    def ours() -> list[dict[tuple[str, float], float]]:
        shared = families.Shared(problem.X, scale="l2")
        done[str(shared.X.dtype)] += len(problem.X) ** 2 * problem.X.shape[1]  # half of the products are mirrored
        answers = engine.run(_paths_of_split, [(problem, shared, split) for split in problem.splits], jobs=jobs)
        for _, solutions, counted in answers:
            done.update(counted)
            worst.append(solutions.gap.max())
            failed.append(int((~solutions.converged).sum()))
        return [aucs for aucs, *_ in answers]

    worst: list[float] = []
    failed: list[int] = []
    seconds, found = timed(ours, jobs)
    share = sum(done[kind] / rates[kind] for kind in rates) / seconds
    told = f"our largest gap {max(worst):.0e} ({sum(failed)} not certified); {share:.0%} of the rate of matrix products"
    work = f"n = {len(problem.X):,}, d = {problem.X.shape[1]:,}, {len(PATH)} C, squared hinge"
    figure = _beside_path(problem, found, scale, jobs, cap, machine="linear", Cs=PATH, names=scale.designs)
    told += f" ({rates['float32'] / 1e9:.0f} GFLOP/s single, {rates['float64'] / 1e9:.0f} double)"
    remarks = [told, *figure.remarks]
    yield Figure(work, seconds, figure.theirs, figure.sign, "60x", figure.apart, remarks, jobs)


def _paths_of_split(
    problem: Problem, shared: families.Shared, split: folds.Split
) -> tuple[dict[tuple[str, float], float], Solutions, Counter[str]]:
    """Solve all designs and C of a split as one family; return the AUC of each on its test half, and what it cost."""
    settings = CLASSIFIERS["svm"].defaults
    own = [families.columns_of(problem.task(name, split).y, settings) for name in NAMES]
    train, spans, start = split.train, [], 0
    Y = np.ones((len(train), sum(columns.labels.shape[1] for columns in own)))
    weights = np.zeros(Y.shape)
    for name, columns in zip(NAMES, own, strict=True):
        at, span = np.searchsorted(train, problem.sides(name, split)[0]), slice(start, start + columns.labels.shape[1])
        Y[at, span], weights[at, span] = columns.labels, columns.weights
        spans.append(span)
        start = span.stop
    products = Counted(shared.X[train], extra=1.0, matrix=shared.between(train, train))
    found = solve(products, Y, weights=weights, Cs=PATH)
    margins = shared.margins(split.test, train, found.coef) + found.intercept[:, None, :]
    aucs = {}
    for name, span in zip(NAMES, spans, strict=True):
        at = np.searchsorted(split.test, problem.sides(name, split)[1])
        scores = families.by_class(margins[:, at, span], max(2, span.stop - span.start), settings)
        aucs |= {(name, C): problem.auc(name, split, told) for C, told in zip(PATH, scores, strict=True)}
    return aucs, found, products.done


def _beside_path(
    problem: Problem,
    found: Sequence[dict[tuple[str, float], float]],
    scale: Scale,
    jobs: int,
    cap: float,
    *,
    machine: str,
    Cs: Sequence[float],
    names: Sequence[str],
) -> Figure:
    """Time a sample of the peer's fits, and count the whole up by the binary problems that there are."""
    whole = len(problem.splits) * sum(map(binary_problems, NAMES))
    cost: dict[float, list[tuple[float, int]]] = {C: [] for C in Cs}
    apart, warned, asked, cut = [], 0, [], None
    words = ["--machine", machine, "--Cs", ",".join(map(str, Cs)), "--splits", jobs, "--designs", *names]
    with tempfile.TemporaryDirectory() as folder:
        laid_out(problem, Path(folder))
        for line in peer("svm_path.py", folder, *words, jobs=jobs, cap=cap):
            if "auc" in line:
                cost[line["C"]].append((line["seconds"], line["binary"]))
                warned += line["warnings"]
                asked.append(line["binary"])
                apart += [found[at][line["design"], line["C"]] - auc for at, auc in enumerate(line["auc"])]
            elif "cut" in line:
                cut = line["cut"]
    each = {C: sum(s for s, _ in told) / sum(b for _, b in told) for C, told in cost.items() if told}
    lost = [C for C in Cs if C not in each]
    floor = (cut or 0.0) / jobs  # so many fits side by side did not end in this time
    theirs = whole * (sum(each.values()) + floor * len(lost)) * len(PATH) / len(Cs)
    remarks = [
        f"extrapolated from {sum(asked)} of {whole * len(PATH)} fits "
        + f"(C = {', '.join(f'{C:g}' for C in each)}; {', '.join(names)}; {jobs} halves)",
        f"{warned} of these {sum(asked)} warned of no convergence",
        "seconds a fit " + ", ".join(f"{s * jobs:.2g}" for s in each.values()),
    ]
    if lost:
        remarks.append(f"C = {', '.join(f'{C:g}' for C in lost)} cut off, counted at {cut:g} s a fit")
    return Figure("", 0.0, theirs, ">" if lost else "~", "", apart, remarks, jobs)


def rbf(scale: Scale, jobs: int, cap: float) -> Iterator[Figure]:
    """Time the Gaussian kernel; on our side as a comparison asks for it, all C of a problem on one kernel."""
    problem = ham(scale)
    problem = problem._replace(splits=problem.splits[: scale.rbf_splits])

    def answered(shared: families.Shared, split: folds.Split) -> dict[tuple[str, float], float]:
        tasks = [problem.task(name, split) for name in NAMES]
        asked = [families._Problem(task.train, task.y, task.test) for task in tasks]
        found = families._rbf(shared, asked, PATH, CLASSIFIERS["svm-rbf"].defaults)
        return {
            (name, C): problem.auc(name, split, own.scores[at])
            for name, own in zip(NAMES, found, strict=True)
            for at, C in enumerate(PATH)
        }

    def ours() -> list[dict[tuple[str, float], float]]:
        shared = families.Shared(problem.X, scale="l2")
        return engine.run(answered, [(shared, split) for split in problem.splits], jobs=jobs)

    seconds, found = timed(ours, jobs)
    figure = _beside_path(
        problem, found, scale, jobs, max(cap, 600.0), machine="rbf", Cs=scale.sampled, names=scale.designs
    )
    work = f"n = {len(problem.X):,}, d = {problem.X.shape[1]:,}, {len(PATH)} C, Gaussian kernel, {len(found)} halves"
    yield Figure(work, seconds, figure.theirs, figure.sign, "20x", figure.apart, figure.remarks, jobs)
    if "intel" in installed():
        figure = _beside_path(problem, found, scale, jobs, cap, machine="intel", Cs=PATH, names=scale.designs)
        work += ", against scikit-learn-intelex"
        yield Figure(work, seconds, figure.theirs, figure.sign, "", figure.apart, figure.remarks, jobs)


def installed() -> list[str]:
    """Return the accelerators that are installed."""
    return [name for name, (module, *_) in ACCELERATORS.items() if find_spec(module)]


def trees(scale: Scale, jobs: int, _: float) -> Iterator[Figure]:
    """Time forest and tree on one half a thread, all sides twice and in turn, the second time with another seed."""
    problem = ham(scale)
    splits, name = problem.splits[:jobs], NAMES[1]
    params = {"rf": {"n_estimators": scale.trees}, "tree": {"min_samples_leaf": 5}}
    ways = {
        (c.name, way): c
        for way in installed()
        for c in accelerated([CLASSIFIERS[kind] for kind in params], way)
        if c.accelerator == way
    }

    def answered(kind: str, way: str, seed: int, split: folds.Split) -> float:
        task = problem.task(name, split)
        given = {"y": task.y, "groups": task.groups, "X_test": problem.X[task.test], "params": params[kind]}
        told = judge(ways[kind, way], problem.X[task.train], **given, seed=seed, inner=None).scores
        return problem.auc(name, split, told)

    remark = {"numba": first_use(), "intel": "on all cores whatever the threads"}
    both: dict[tuple[str, str], list[tuple[float, float, np.ndarray, np.ndarray]]] = {pair: [] for pair in ways}
    with tempfile.TemporaryDirectory() as folder:
        words = [laid_out(problem, Path(folder)), "--splits", jobs, "--designs", name, "--trees", scale.trees]
        for seed in (0, 1):
            told = {
                line["machine"]: line for line in peer("trees.py", *words, "--seed", seed, jobs=jobs) if "auc" in line
            }
            for kind, way in ways:
                calls = [(kind, way, seed, split) for split in splits]
                seconds, found = timed(lambda calls=calls: engine.run(answered, calls, jobs=jobs), jobs)
                both[kind, way].append((seconds, told[kind]["seconds"], np.array(found), np.array(told[kind]["auc"])))
    for (kind, way), pairs in both.items():
        ours, theirs, found, aucs = zip(*pairs, strict=True)
        apart = np.subtract(found, aucs).ravel().tolist()
        what = {"rf": f"forest of {scale.trees}", "tree": "tree"}[kind]
        work = f"{what}, {way}: n = {len(problem.X):,}, d = {problem.X.shape[1]:,}, {len(splits)} halves, twice"
        spread = f"two seeds of the peer's are up to {np.abs(aucs[0] - aucs[1]).max():.1e} apart"
        mean = f"mean AUC {np.mean(found):.3f}, the peer's {np.mean(aucs):.3f}"
        yield Figure(work, sum(ours), sum(theirs), "", "2x", apart, [mean, spread, remark[way]], jobs)


def first_use() -> str:
    """Tell what the first tree of a process waits for: compiling, once a machine, and loading what was compiled."""
    code = (
        "import time; import numpy as np, sklearn.tree; start = time.perf_counter()\n"
        "from featx.forest import HistogramForestClassifier as Forest\n"
        "X = np.arange(40.0).reshape(20, 2); Forest(2).fit(X, X[:, 0] > 9).predict(X)\n"
        "print(time.perf_counter() - start)"
    )
    with tempfile.TemporaryDirectory() as folder:
        call = {"env": {**os.environ, "NUMBA_CACHE_DIR": folder}, "capture_output": True, "text": True, "check": True}
        once, later = (float(subprocess.run([sys.executable, "-c", code], **call).stdout) for _ in range(2))
    return f"compiled once in {once:.1f} s, loaded in {later:.1f} s by a process later"


def metrics(_: Scale, __: int, ___: float) -> Iterator[Figure]:
    """Time all metrics of test halves of 5,007 rows, two thirds of the problems with two classes."""
    rng = np.random.default_rng(0)
    problems = []
    for at in range(PROBLEMS):
        classes = 3 if at % 3 == 2 else 2
        y = rng.choice(classes, size=5_007, p=[0.1, 0.1, 0.8][-classes:] if classes == 3 else [0.85, 0.15])
        margins = rng.standard_normal((len(y), classes)) + (y[:, None] == range(classes))
        problems.append((y, margins if classes == 3 else margins[:, 1:] * [-1, 1]))

    def ours() -> list[dict[str, float]]:
        return [evaluate(y, told.argmax(1), scores=told, classes="012"[: told.shape[1]]) for y, told in problems]

    seconds, found = timed(ours, 1)
    with tempfile.TemporaryDirectory() as folder:
        held: dict[str, Any] = {f"y {at}": y for at, (y, _) in enumerate(problems)}
        held |= {f"scores {at}": told for at, (_, told) in enumerate(problems)}
        np.savez(Path(folder) / "scores.npz", count=len(problems), **held)
        (line,) = (line for line in peer("metrics_loop.py", folder, jobs=1) if "found" in line)
    worst = max(abs(own[name] - its[name]) for own, its in zip(found, line["found"], strict=True) for name in its)
    same = all(own.keys() == its.keys() for own, its in zip(found, line["found"], strict=True))
    apart = [
        own[name] - its[name]
        for own, its in zip(found, line["found"], strict=True)
        for name in ("auc", "auc_ovo", "auc_ovr")
        if name in its
    ]
    remarks = [f"every metric within {worst:.0e}", "the same names" if same else "other names", "a loop on both sides"]
    work = f"all metrics of {PROBLEMS} problems of 5,007 rows"
    yield Figure(work, seconds, line["seconds"], "", "7x", apart, remarks, 1)


def whole(scale: Scale, jobs: int, cap: float) -> Iterator[Figure]:
    """Time the whole command against the whole script, of which the first split is counted up.

    A search of the script's that does not end in five times ``cap`` is cut off, and it and those after it count that.
    """
    problem = ham(scale)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = feature_file(problem, folder)
        ways = {way: whole_command(file, folder / way, jobs, way=way) for way in scale.whole}
        (plan,) = (folder / scale.whole[0] / "cache" / "folds").glob("*.json")
        lines = list(peer("whole.py", file, folder / "labels.csv", plan, "--splits", 1, jobs=jobs, cap=5 * cap))
        ours = {way: _main_scores(folder / way / "scores.csv") for way in ways}
    fits = [line for line in lines if "auc" in line]
    cut = [line["cut"] for line in lines if "cut" in line]
    lost = 3 * len(NAMES) - len(fits)
    theirs = lines[0]["seconds"] + 10 * (sum(line["seconds"] for line in fits) + sum(cut) * lost)
    told = {kind: sum(line["seconds"] for line in fits if line["machine"] == kind) for kind in ("tree", "rf", "svm")}
    remarks = ["extrapolated from 1 of 10 halves: " + ", ".join(f"{kind} {s:.3g} s" for kind, s in told.items() if s)]
    remarks += [f"{lost} searches of svm cut off, counted at {cut[0]:g} s each"] if cut else []
    remarks.append("inner parts are the peer's own, so that C may differ")
    for way, seconds in ways.items():
        apart = [ours[way][line["design"], line["machine"], 0] - line["auc"] for line in fits]
        about = f"whole process, svm + rf + tree, three designs, --accelerate {way}"
        work = f"{about}: n = {len(problem.X):,}, d = {problem.X.shape[1]:,}"
        yield Figure(work, seconds, theirs, ">" if cut else "~", "10x", apart, remarks, jobs)


def whole_command(file: Path, folder: Path, jobs: int, *, way: str) -> float:
    """Return the wall seconds of the command, from nothing but the feature file."""
    command = [sys.executable, "-m", "featx", "compare", "--features", str(file), "--clf", "svm,rf,tree"]
    command += ["--design", ",".join(NAMES), "--cache", str(folder / "cache"), "--out", str(folder)]
    start = time.perf_counter()
    subprocess.run(
        [*command, "--accelerate", way, "--jobs", str(jobs), "--quiet"], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def _main_scores(path: Path) -> dict[tuple[str, str, int], float]:
    """Return the main metric of each cell and split, the splits numbered in their order."""
    found: dict[tuple[str, str, int], float] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["metric"] in ("auc", "auc_ovo"):
                at = 2 * int(row["repeat"]) + int(row["half"])
                found[row["design"], row["classifier"], at] = float(row["value"])
    return found


def feature_file(problem: Problem, folder: Path) -> Path:
    """Write a problem as a finished feature file, and its labels beside it for the script."""
    from featx.cache import OK, FeatureWriter, new_record
    from featx.datasets.base import Dataset, Sample

    n, d = problem.X.shape
    rows = list(zip(problem.diagnoses, problem.groups, strict=True))
    samples = tuple(
        Sample(id=f"i{at:05}", path=f"i{at:05}.jpg", diagnosis=word, group=group, unit=group)
        for at, (word, group) in enumerate(rows)
    )
    table = Dataset("drawn", "csv", folder, samples, group_kind="lesion", unit_kind="lesion").to_table()
    paths = [sample.path for sample in samples]
    records = np.stack([new_record(status=OK, size=1, mtime_ns=1, sha256=f"{at:064x}") for at in range(1, n + 1)])
    file = folder / "drawn.h5"
    with FeatureWriter.open_or_create(
        file, spec={"backbone": "drawn"}, paths=paths, table=table, dim=d, env={}
    ) as writer:
        writer.write(np.arange(n), problem.X, records)
        writer.sync()
        writer.finish()
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        told = csv.writer(stream)
        told.writerow(["id", "diagnosis", "group"])
        told.writerows([sample.id, sample.diagnosis, sample.group] for sample in samples)
    return file


def rate(kind: str, jobs: int, m: int = 3_072) -> float:
    """Return the measured rate of a matrix product, operations a second: the best of three."""
    A = np.random.default_rng(0).random((m, m)).astype(kind)
    return 2 * m**3 / min(timed(lambda: A @ A, jobs)[0] for _ in range(3))


ROWS: dict[str, Callable[[Scale, int, float], Iterator[Figure]]] = {
    "paper": paper,
    "path": path,
    "rbf": rbf,
    "trees": trees,
    "metrics": metrics,
    "whole": whole,
}

if __name__ == "__main__":
    main()
