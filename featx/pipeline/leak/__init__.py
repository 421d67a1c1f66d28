"""How much a published protocol that leaks adds to its own results, measured on data at hand.

The same pictures, features and classifier are scored over repeated hold-outs in three arms: as published (copies made
before a split by image), split by image with copies of train images only, and split by group with copies of train
images only. What lies between two of them is one leak; together they are all of the optimism. ``protocols`` knows the
studies, ``arms`` draws, ``pictures`` writes the copies, ``scoring`` fits and pairs, ``networks`` trains where the
verdict of a fine-tuned network is asked. This package never knows click, and no torch until a network is needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from featx import designs
from featx.cache.places import Places
from featx.classifiers import CLASSIFIERS
from featx.comparison.learned import ARGMAX
from featx.datasets import Columns, Dataset
from featx.engine import OnProgress
from featx.errors import UsageError
from featx.extraction import dataset_for
from featx.pipeline.leak.arms import BY_GROUP, BY_IMAGE, ORIGINALS, PUBLISHED, arms_of
from featx.pipeline.leak.protocols import PROTOCOLS, Protocol, copies_told
from featx.pipeline.leak.scoring import Asked, Optimism, metrics_of, optimism, scores_of
from featx.pipeline.leak.sources import Network, Wanted, source_of
from featx.pipeline.leak.telling import csv_rows, markdown, told

__all__ = [
    "BY_GROUP", "BY_IMAGE", "ORIGINALS", "PROTOCOLS", "PUBLISHED", "Leak", "Network", "Optimism", "csv_rows",
    "markdown", "measure", "told",
]  # fmt: skip

MOST = 1000  # repeats


@dataclass(frozen=True)
class Leak:
    """A measured leak.

    Attributes
    ----------
    protocol : Protocol
        Whose.
    title : str
        The dataset; synthetic data say so in it.
    features, classifier, design : str
        What was scored.
    classes : tuple of str
        The design's classes.
    scores : dict
        By arm, the metrics of each repeat.
    rows : tuple of Optimism
        By leak and metric.
    counts : str
        Pictures and copies by class.
    notes : tuple of str
        What the user should know.
    """

    protocol: Protocol
    title: str
    features: str
    classifier: str
    design: str
    classes: tuple[str, ...]
    scores: dict[str, list[dict[str, float]]]
    rows: tuple[Optimism, ...]
    counts: str
    notes: tuple[str, ...]

    @property
    def repeats(self) -> int:
        """Hold-outs of each arm."""
        return len(self.scores[PUBLISHED])


def measure(
    data: str | os.PathLike[str] | Dataset | None = None,
    *,
    protocol: str = "maia2019",
    design: str | designs.Design | None = None,
    network: Network | None = None,
    classifier: str = "svm",
    params: Sequence[str] = (),
    repeats: int = 20,
    seed: int = 0,
    cache: str | os.PathLike[str] | None = None,
    adapter: str | None = None,
    columns: Columns | None = None,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
    on_epoch: Any = None,
) -> Leak:
    """Measure what a leaky protocol adds to its own scores.

    Parameters
    ----------
    data, adapter, columns
        The dataset, as of :func:`featx.extraction.extract`; it must know lesions or patients.
    protocol : {"maia2019", "ham10000-report"}
        Whose leak.
    design : str or Design, optional
        What is asked; the study's own by default.
    network : Network, optional
        Whose features are scored, or what is trained: MobileNetV2's penultimate layer by default.
    classifier : str
        A classifier of the shelf; ``argmax`` trains the network on each split, and asks its own verdict.
    params : sequence of str
        Fixed hyperparameters, ``C=1``.
    repeats : int
        Hold-outs of each arm.
    seed : int
        Of splits, copies, inner parts and estimators.
    cache : path-like, optional
        The cache's folder.
    jobs : int, optional
        Threads; all cores by default.
    on_progress, on_epoch : callable, optional
        Told (done, total) splits; told the split and the history's row after each epoch.

    Returns
    -------
    Leak

    Raises
    ------
    UsageError
        Where the dataset knows no groups, so that nothing honest is there to hold the leak against.
    SplitError
        Where a class has too few groups to be in each part.
    """
    if not 1 <= repeats <= MOST:
        raise UsageError(f"a leak is measured over 1 to {MOST} repeats; {repeats} came")
    places, chosen = Places.at(cache), PROTOCOLS[protocol]
    asks = chosen.design() if design is None else designs.get(design) if isinstance(design, str) else design
    name = CLASSIFIERS.canonical(classifier)
    dataset = dataset_for(data, places, adapter=adapter, columns=columns)
    wanted = Wanted(dataset, asks, chosen, network or Network(), learns=name == ARGMAX, seed=seed, places=places)
    source = source_of(wanted, on_progress)
    arms = arms_of(
        chosen, source.versions, names=source.names, y=source.assignment.y, groups=source.groups, repeats=repeats,
        seed=seed,
    )  # fmt: skip
    tables = source.tables(arms, on_epoch=on_epoch)
    of_versions = source.assignment._replace(y=source.assignment.y[source.of])
    asked = Asked(asks, of_versions, source.names, source.original, name, tuple(params), seed)
    scores = scores_of(asked, arms, tables, places=places, jobs=jobs, on_progress=on_progress)
    classes = source.assignment.classes
    return Leak(
        chosen,
        source.dataset.title,
        next(iter(tables.values())).label,
        name,
        asks.name,
        classes,
        scores,
        tuple(optimism(scores, metrics_of(classes), ratio=chosen.ratio)),
        copies_told(source.versions, source.assignment.y, classes),
        source.notes,
    )
