"""Shortcuts: how well the label is told without what the picture shows, over the same grouped folds.

A network can learn whatever goes with the label: who was photographed, where, with which camera, how the file was
saved. This asks a small forest that sees only such things. What it can tell, features may tell for the same reason.
Never looks at pixels or features.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from featx import designs, engine, folds
from featx.datasets import Dataset, Sample
from featx.engine import OnProgress
from featx.errors import DataError, SplitError
from featx.fingerprints import Fingerprint
from featx.folds import Folds, Split, join_groups
from featx.metrics import auc, auc_ovo

AGE = ("age", "age_approx", "age_approximate", "patient_age", "age_years")
SEX = ("sex", "gender", "patient_sex")
SITE = (
    "localization",
    "location",
    "site",
    "anatom_site_general",
    "anatom_site_general_challenge",
    "anatomical_site",
    "body_site",
)
SOURCE = ("dataset", "source", "hospital", "institution", "centre", "center", "device", "camera", "attribution")
MOST_WORDS = 30
UNKNOWN = {"", "unknown", "na", "nan", "n/a", "none"}
TREES, DEPTH = 40, 8
STRONG, PERFECT = 0.65, 0.95
LARGEST = 1e30  # beyond, a number is a slip, and too large for a tree
FEWEST = 20  # groups of a class below which a forest on half of them tells nothing


@dataclass(frozen=True)
class Shortcut:
    """How well one kind of things beside the picture tells the classes of a design.

    Attributes
    ----------
    what : str
        ``age, sex, site``, ``source``, ``names`` or ``file``.
    columns : tuple of str
        What the forest saw.
    design : str
        The design.
    classes : tuple of str
        Its classes.
    auc, low, high : float
        Mean, lowest and highest AUC over the splits, by default the ten halves of 5x2 folds (Hand and Till's for more
        than two classes); .5 is chance.
    exposed : str
        The class that is told best from the rest.
    exposed_auc : float
        The mean AUC of that class against the rest; ``auc`` itself where there are but two classes.
    """

    what: str
    columns: tuple[str, ...]
    design: str
    classes: tuple[str, ...]
    auc: float
    low: float
    high: float
    exposed: str
    exposed_auc: float

    @property
    def level(self) -> str:
        """Return ``red`` (tells a class by itself), ``amber`` (tells something of one) or ``green``."""
        worst = "amber" if self.what == "names" else "red"
        return worst if self.exposed_auc >= PERFECT else "amber" if self.exposed_auc >= STRONG else "green"

    @property
    def note(self) -> str:
        """Return what it means, in one sentence."""
        columns = ", ".join(self.columns)
        told = f"{columns} tell{'s' * (len(self.columns) == 1)} {self.exposed}"
        if self.what == "names" and self.level != "green":
            return f"{told}: a network sees no name, but the classes were collected apart; look how"
        if self.level == "red":
            return f"{told} from the rest without the picture: no result on these data means anything as it is"
        if self.level == "amber":
            return f"{told} better than chance: hold every result against this, and test across sources"
        return f"{columns} tell{'s' * (len(self.columns) == 1)} little of the classes"


class _Kind(NamedTuple):
    """One kind of things beside the picture: its columns, each a list of words or numbers by sample."""

    what: str
    columns: Mapping[str, Sequence[str | float]]


class _Asked(NamedTuple):
    """A design on the dataset: which rows have a class, and the splits among them."""

    name: str
    classes: tuple[str, ...]
    rows: np.ndarray
    y: np.ndarray
    splits: list[Split]


def find(
    dataset: Dataset,
    *,
    fingerprints: Mapping[str, Fingerprint] | None = None,
    only: Sequence[str] = (),
    plan: Folds | None = None,
    seed: int = 0,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[Shortcut]:
    """Return how well each kind of things beside the picture tells the classes, for each design that fits the data.

    Parameters
    ----------
    dataset : Dataset
        The samples.
    fingerprints : mapping of str to Fingerprint, optional
        Of the image files, by sample id; without them nothing is asked of the files.
    only : sequence of str
        Designs to ask; by default those that the dataset supports, or whose words fit it.
    plan : Folds, optional
        The splits, of these samples and maybe others; 5x2 grouped halves by default.
    seed : int
        Seed of folds and forests.
    jobs : int, optional
        Threads; all cores by default.
    on_progress : callable, optional
        Told (done, total) fits.

    Returns
    -------
    list of Shortcut
        By design, the strongest first.
    """
    fingerprints = fingerprints or {}
    asked = _asked(dataset, fingerprints, only=only, plan=plan, seed=seed)
    kinds = [(kind, _matrix(kind)) for kind in _kinds(dataset, fingerprints)]
    calls = [(X, question, split, seed) for question in asked for _, X in kinds for split in question.splits]
    values = iter(engine.run(_aucs, calls, jobs=jobs, on_progress=on_progress))
    found = []
    for question in asked:
        own = [_shortcut(kind, question, [next(values) for _ in question.splits]) for kind, _ in kinds]
        found += sorted(own, key=lambda shortcut: -shortcut.auc)
    return found


def _asked(
    dataset: Dataset,
    fingerprints: Mapping[str, Fingerprint],
    *,
    only: Sequence[str],
    plan: Folds | None,
    seed: int,
) -> list[_Asked]:
    ids = [sample.id for sample in dataset.samples]
    diagnoses = [sample.diagnosis for sample in dataset.samples]
    digests = [fingerprints[name].sha256 if name in fingerprints else "" for name in ids]
    groups = join_groups([sample.group for sample in dataset.samples], digests)
    for name in only:
        designs.get(name)  # a slip is told before anything else
    try:
        plan = plan or folds.draw("5x2", ids, groups=groups, strata=diagnoses, seed=seed)
    except SplitError:
        if only:
            raise
        return []  # too few groups for halves: nothing can be asked of these data
    named = only or [name for name in designs.DESIGNS if dataset.refusal(name) is None]
    found = []
    for name in named:
        try:
            assignment = designs.get(name).assign(diagnoses)
            rows = np.flatnonzero(assignment.y >= 0)
            kept, y = [ids[row] for row in rows.tolist()], assignment.y[rows]
            splits = folds.check(plan, ids=kept, y=y, classes=assignment.classes, design=name)
            _refuse_few(name, assignment.classes, y, [groups[row] for row in rows.tolist()])
        except (DataError, SplitError):
            if only:
                raise
            continue  # a design for other data
        found.append(_Asked(name, assignment.classes, rows, y, splits))
    return _without_repeats(found)


def _refuse_few(name: str, classes: Sequence[str], y: np.ndarray, groups: Sequence[str]) -> None:
    for code, word in enumerate(classes):
        count = len({groups[row] for row in np.flatnonzero(y == code).tolist()})
        if count < FEWEST:
            raise DataError(
                f"design {name!r}: class {word!r} has {count} groups; shortcuts need {FEWEST} of each class"
            )


def _without_repeats(found: Sequence[_Asked]) -> list[_Asked]:
    """Leave out a design that makes the very classes of one before it (of two diagnoses, say)."""
    seen: dict[bytes, _Asked] = {}
    for question in found:
        codes = np.unique(question.y, return_index=True)[1].argsort().argsort()[question.y]
        seen.setdefault(question.rows.tobytes() + codes.tobytes(), question)
    return list(seen.values())


def _kinds(dataset: Dataset, fingerprints: Mapping[str, Fingerprint]) -> list[_Kind]:
    samples = dataset.samples
    person = [_known(samples, names) for names in (AGE, SEX, SITE)]
    source = [found for name in SOURCE if (found := _known(samples, [name]))]
    kinds = {
        "age, sex, site": {name: _attribute(samples, name) for name in person if name},
        "source": {name: _attribute(samples, name) for name in source},
        "names": _names(dataset),
        "file": _file(samples, fingerprints),
    }
    return [_Kind(what, columns) for what, columns in kinds.items() if columns]


def _known(samples: Sequence[Sample], names: Sequence[str]) -> str | None:
    """Return the first of some names, in any case, that the samples have an attribute of with two values."""
    lower = {name.lower(): name for sample in samples for name in sample.attributes}
    found = (lower[name] for name in names if name in lower)
    return next((name for name in found if len({s.attributes.get(name) for s in samples}) > 1), None)


def _attribute(samples: Sequence[Sample], name: str) -> list[str | float]:
    """Return an attribute of each sample: numbers where all that is known are numbers, NaN where nothing is known."""
    words = [sample.attributes.get(name, "") for sample in samples]
    known = [word for word in words if word.lower() not in UNKNOWN]
    try:
        numbers = dict(zip(known, map(float, known), strict=True))
    except ValueError:
        return list(words)
    finite = {word: number for word, number in numbers.items() if abs(number) < LARGEST}
    return [finite.get(word, np.nan) for word in words]


def _names(dataset: Dataset) -> dict[str, list[str | float]]:
    """Return the folder of each image and the pattern of its name, without words that are labels themselves."""
    if dataset.labels_in_paths:
        return {}  # folder and name ARE the label there
    labels = {sample.diagnosis.casefold() for sample in dataset.samples}
    columns: dict[str, list[str | float]] = {"folder": [], "name pattern": []}
    for sample in dataset.samples:
        path = PurePosixPath(sample.path)
        columns["folder"].append("/".join(part for part in path.parent.parts if part.casefold() not in labels))
        columns["name pattern"].append(_pattern(path.stem, labels))
    return {name: words for name, words in columns.items() if len(set(words)) > 1}


def _pattern(stem: str, labels: set[str]) -> str:
    """Return a name with its numbers as 9 and labels left out: ``person12_bacteria_3`` becomes ``person9__9``."""
    words = [word for word in re.split(r"([\W_]+)", stem) if word.casefold() not in labels]
    return re.sub(r"\d+", "9", "".join(words))


def _file(samples: Sequence[Sample], fingerprints: Mapping[str, Fingerprint]) -> dict[str, list[str | float]]:
    if not fingerprints:
        return {}
    numbers: dict[str, Callable[[Fingerprint], float]] = {
        "bytes": lambda f: f.bytes,
        "width": lambda f: f.width,
        "height": lambda f: f.height,
    }
    words: dict[str, Callable[[Fingerprint], str]] = {
        "mode": lambda f: f.mode,
        "format": lambda f: f.format,
        "camera": lambda f: f.camera,
    }
    held = [fingerprints.get(sample.id) for sample in samples]
    columns: dict[str, list[str | float]] = {n: [get(f) if f else np.nan for f in held] for n, get in numbers.items()}
    columns |= {name: [get(f) if f else "" for f in held] for name, get in words.items()}
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def _matrix(kind: _Kind) -> np.ndarray:
    """Return the columns as numbers: words as one column each (the commonest), numbers with a mark where unknown."""
    parts: list[np.ndarray] = []
    for values in kind.columns.values():
        if any(isinstance(value, str) for value in values):
            common = [word for word, _ in Counter(values).most_common(MOST_WORDS)]
            parts += [np.array([value == word for value in values]) for word in common]
        else:
            unknown = np.isnan(np.array(values, dtype=float))
            parts += [np.where(unknown, 0, values), unknown]
    return np.array(parts, dtype=np.float32).T


def _aucs(X: np.ndarray, question: _Asked, split: Split, seed: int) -> list[float]:
    """Return the AUC of a design on one test side, and that of each class against the rest."""
    rows, y = question.rows[split.train], question.y[split.train]
    scores = _forest(X[rows], y, X[question.rows[split.test]], seed=seed)
    y = question.y[split.test]
    each = [auc(y == code, scores[:, code]) for code in range(len(question.classes))]
    return [each[1] if len(each) == 2 else auc_ovo(y, scores), *each]


def _forest(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the mean class shares of bagged trees (Breiman 2001), for each test row.

    Trees by themselves: scikit-learn's forest, called from several threads at once, disturbs the warning filters.
    """
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(seed)
    balance = (len(y) / np.bincount(y))[y]
    shares = np.zeros((len(X_test), int(y.max()) + 1))
    for number in range(TREES):
        drawn = np.bincount(rng.integers(len(y), size=len(y)), minlength=len(y))
        tree = DecisionTreeClassifier(
            max_depth=DEPTH, min_samples_leaf=5, max_features="sqrt", random_state=seed + number
        )
        shares += tree.fit(X, y, sample_weight=drawn * balance).predict_proba(X_test)
    return shares / TREES


def _shortcut(kind: _Kind, question: _Asked, values: Sequence[Sequence[float]]) -> Shortcut:
    main, *each = np.array(values).T
    code = 1 if len(each) == 2 else int(np.argmax([one.mean() for one in each]))
    told = (float(main.mean()), float(main.min()), float(main.max()))
    exposed = question.classes[code], float(each[code].mean())
    return Shortcut(kind.what, tuple(kind.columns), question.name, question.classes, *told, *exposed)
