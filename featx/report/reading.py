"""A run's folder as it was written: record, scores, predictions and tables. Computes no score and draws nothing."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx.errors import RunError
from featx.metrics import main_metric
from featx.report.whole import check
from featx.spreadsheet import FORMULA_STARTS

VERBS = ("compare", "fit", "evaluate", "run")
LARGEST_RECORD = 256 * 2**20  # bytes
FIXED = ("design", "features", "classifier", "repeat", "half", "sample", "group", "truth")  # columns of predictions
Key = tuple[str, str, str]  # design, features, classifier
Row = Mapping[str, str]


class Design(NamedTuple):
    """A question of a run.

    Attributes
    ----------
    name : str
        Its name.
    counts : dict of str to int
        Rows of each class, in the order of the codes; of an evaluation those tested.
    dropped : dict of str to int
        Rows left out, by reason.
    """

    name: str
    counts: dict[str, int]
    dropped: dict[str, int]

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes; of two the second is the positive one."""
        return tuple(self.counts)

    @property
    def metric(self) -> str:
        """The metric that it leads with."""
        return main_metric(len(self.counts))


@dataclass(frozen=True)
class Side:
    """What a classifier said of one test side.

    Attributes
    ----------
    repeat, half : int
        The split.
    samples, groups : tuple of str, length n
        Ids, and what may not be divided.
    y : numpy.ndarray of int, shape (n,)
        True class codes.
    scores : numpy.ndarray of float, shape (n, c)
        One score a class.
    probabilities : numpy.ndarray of float, shape (n, c), or None
        None where the run kept none, NaN where none could be had.
    """

    repeat: int
    half: int
    samples: tuple[str, ...]
    groups: tuple[str, ...]
    y: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray | None

    @property
    def predicted(self) -> np.ndarray:
        """Class codes with the highest score, int of shape (n,)."""
        return np.asarray(self.scores.argmax(1))


@dataclass(frozen=True)
class Run:
    """A run, read.

    Attributes
    ----------
    folder : pathlib.Path
        Where it lies.
    record : dict
        ``run.json``.
    designs : tuple of Design
        In the order in which they were asked.
    scores : mapping of key to mapping of str to numpy.ndarray
        Values of each metric, one a split.
    sides : mapping of key to tuple of Side
        Verdicts on test rows.
    tables : mapping of str to list of dict
        The other CSV files that are there, by name.
    about : str
        What it is of, where the dataset alone does not say it.
    members : tuple of str
        Ids of the runs that it was put together from; none where it is one.
    """

    folder: Path
    record: dict[str, Any]
    designs: tuple[Design, ...]
    scores: Mapping[Key, Mapping[str, np.ndarray]]
    sides: Mapping[Key, tuple[Side, ...]]
    tables: Mapping[str, list[Row]] = field(default_factory=dict)
    about: str = ""
    members: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """What it is called among others."""
        return self.about or self.title

    @property
    def ids(self) -> tuple[str, ...]:
        """Its id, or those of the runs that it was put together from."""
        return self.members or (str(self.record["id"]),)

    @property
    def title(self) -> str:
        """The dataset; synthetic data say so in it."""
        return str(self.record["data"])

    @property
    def dataset(self) -> Mapping[str, Any]:
        """What the record says of the dataset tested."""
        return self.record["test"]["dataset"] if self.external else self.record["dataset"]

    @property
    def external(self) -> bool:
        """Whether it was trained on one dataset and tested on another."""
        return self.record["verb"] == "evaluate"

    @property
    def features(self) -> list[Mapping[str, Any]]:
        """What the record says of the feature files, those of the rows tested first."""
        if self.external:
            return [self.record["test"]["features"], self.record["train"]["features"]]
        return list(self.record["features"])

    @cached_property
    def unit(self) -> str:
        """What the scores are of."""
        return str(self.record["settings"].get("unit", "image"))

    def keys(self, design: Design) -> list[Key]:
        """Return the cells of a design, the best mean first, ties in the order of the record."""
        own = [key for key in self.scores if key[0] == design.name]
        return sorted(own, key=lambda key: -self.mean(key, design.metric))

    def mean(self, key: Key, metric: str) -> float:
        """Return the mean of a metric over the splits."""
        return float(self.scores[key][metric].mean())

    def name(self, key: Key) -> str:
        """Return what a cell is called where its design is known: the classifier, and the features where several."""
        return ", ".join(filter(None, (key[2], self.short[key[1]])))

    @cached_property
    def short(self) -> dict[str, str]:
        """What its features are called beside one another: the parts of their names in which they differ."""
        labels = list(dict.fromkeys(features for _, features, _ in self.scores))
        if len(labels) == 1:
            return {labels[0]: ""}
        parts = [_parts(label) for label in labels]
        differing = [at for at in range(2) if len({own[at] for own in parts}) > 1]
        names = [" ".join(own[at] for at in differing) for own in parts]
        return dict(zip(labels, names if len(set(names)) == len(labels) else labels, strict=True))


def _parts(label: str) -> tuple[str, str]:
    """Return layer and backbone of what features are called, ``backbone@weights--layer``."""
    rest, _, layer = label.rpartition("--")
    return layer, rest.partition("@")[0]


def read_run(path: str | os.PathLike[str]) -> Run:
    """Read a run's folder, or the folder of a ``run.json``.

    Parameters
    ----------
    path : path-like
        Where ``featx compare``, ``fit`` or ``evaluate`` wrote, or a comparison within what ``featx run`` wrote.

    Raises
    ------
    RunError
        Where it holds no run, or its files do not belong together.
    """
    path = Path(path)
    folder = path.parent if path.name == "run.json" else path
    record = _record(folder)
    try:
        designs = tuple(_design(told) for told in record["designs"])
        scores = _scores(folder / "scores.csv")
        sides = _sides(folder / "predictions.csv", {design.name: design.classes for design in designs})
        names = ("differences", "clinical", "subgroups")
        tables = {name: list(_rows(file)) for name in names if (file := folder / f"{name}.csv").exists()}
        run = Run(folder, record, designs, scores, sides, tables)
        check(run)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, csv.Error) as error:
        raise RunError(f"{folder} does not hold a whole run ({_told(error)}); run its command again") from error
    return run


def _told(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{Path(str(error.filename)).name}: {error.strerror}"
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    try:
        if path.stat().st_size > LARGEST_RECORD:
            raise RunError(f"{path} is larger than any run's record; give the folder of a run")
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(
            f"{folder} holds neither run.json nor pipeline.json; give a folder that `featx compare`, `fit`, `evaluate` "
            "or `run` wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is no record of a run ({error}); give the folder of a run") from error
    if not isinstance(record, dict) or record.get("verb") not in VERBS:
        raise RunError(f"{path} is no record of a comparison or an evaluation; give the folder of one")
    return record


def _design(told: Mapping[str, Any]) -> Design:
    own = told.get("test", told)
    counts = {str(name): int(count) for name, count in own["counts"].items()}
    if len(counts) < 2:
        raise ValueError(f"design {told['name']} has fewer than two classes")
    return Design(str(told["name"]), counts, {str(why): int(count) for why, count in own["dropped"].items()})


def _rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, strict=True):
            yield {name: _plain(value) for name, value in row.items()}


def _plain(text: str) -> str:
    """Return a text as it was before it was made harmless to a spreadsheet."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def _scores(path: Path) -> dict[Key, dict[str, np.ndarray]]:
    held: dict[Key, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(path):
        held[row["design"], row["features"], row["classifier"]][row["metric"]].append(float(row["value"]))
    return {key: {metric: np.array(values) for metric, values in own.items()} for key, own in held.items()}


def _sides(path: Path, classes: Mapping[str, Sequence[str]]) -> dict[Key, tuple[Side, ...]]:
    """Read predictions; rows are kept as short lists until a side is whole, for there may be millions."""
    held: dict[tuple[Key, int, int], list[tuple[str, str, str, list[str]]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        at = {_plain(name): place for place, name in enumerate(next(reader, []))}
        columns = {name: _columns(at, names) for name, names in classes.items()}
        fixed = [at[name] for name in FIXED]
        for row in reader:
            design, features, classifier, repeat, half, sample, group, truth = (_plain(row[place]) for place in fixed)
            values = [row[place] for place in columns[design]]
            held[(design, features, classifier), int(repeat), int(half)].append((sample, group, truth, values))
    sides: dict[Key, list[Side]] = defaultdict(list)
    for (key, of_repeat, of_half), rows in held.items():
        sides[key].append(_side(of_repeat, of_half, rows, classes[key[0]]))
    return {key: tuple(own) for key, own in sides.items()}


def _columns(at: Mapping[str, int], classes: Sequence[str]) -> list[int]:
    """Return the columns of the scores of a design's classes, then of their probabilities where there are any."""
    kept = all(f"probability_{name}" in at for name in classes)
    return [at[f"{kind}_{name}"] for kind in ("score", *(["probability"] * kept)) for name in classes]


def _side(repeat: int, half: int, rows: Sequence[tuple[str, str, str, list[str]]], classes: Sequence[str]) -> Side:
    samples, groups, truths, values = zip(*rows, strict=True)
    code = {name: at for at, name in enumerate(classes)}
    numbers = np.array([[float(text) if text else np.nan for text in own] for own in values])
    scores, rest = numbers[:, : len(classes)], numbers[:, len(classes) :]
    if not np.isfinite(scores).all():
        raise ValueError("predictions.csv lacks scores")
    y = np.array([code[truth] for truth in truths])
    return Side(repeat, half, samples, groups, y, scores, rest if rest.size else None)
