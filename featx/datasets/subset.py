"""A part of a dataset, drawn by group and stratified by diagnosis: for trials that should take minutes.

What is not drawn is counted as dropped, with the reason. Never looks at pixels and knows no classes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

from featx.datasets.base import Dataset
from featx.errors import UsageError

LEAST = 6  # groups of every diagnosis that has so many: halves of them can be divided by three again


def drawn(dataset: Dataset, images: int, *, seed: int = 0) -> Dataset:
    """Return a dataset with about so many of its images, whole groups, every diagnosis with its share.

    A rare diagnosis keeps at least six of its groups, so that it stays on both sides of a split; where that takes more
    images than were asked for, there are more.

    Parameters
    ----------
    dataset : Dataset
        The whole; one that is no larger comes back as it is.
    images : int
        How many images.
    seed : int
        Same dataset, same seed, same images.

    Returns
    -------
    Dataset
        In the order of the whole, under a name of its own, so that the features of the two lie apart.

    Raises
    ------
    UsageError
        Where fewer than two images are asked for.
    """
    if images < 2:
        raise UsageError(f"a draw of {images} images is none; ask for at least 2")
    if images >= len(dataset.samples):
        return dataset
    groups = _by_diagnosis(dataset)
    wanted = _quotas({word: sum(map(len, held.values())) for word, held in groups.items()}, images)
    rng = np.random.default_rng(seed)
    kept: list[int] = []
    for word in sorted(groups):
        names = sorted(groups[word])
        taken = 0
        for count, at in enumerate(rng.permutation(len(names)).tolist()):
            if taken >= wanted[word] and count >= LEAST:
                break
            rows = groups[word][names[at]]
            kept += rows
            taken += len(rows)
    samples = tuple(dataset.samples[row] for row in sorted(kept))
    left = len(dataset.samples) - len(samples)
    dropped = {**dataset.dropped, f"not drawn (seed {seed})": left}
    return replace(dataset, name=f"{dataset.name}-{len(samples)}", samples=samples, dropped=dropped)


def _by_diagnosis(dataset: Dataset) -> dict[str, dict[str, list[int]]]:
    """Return the rows of each group, under the group's rarest diagnosis."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, sample in enumerate(dataset.samples):
        rows[sample.group].append(row)
    often = Counter(sample.diagnosis for sample in dataset.samples)
    found: dict[str, dict[str, list[int]]] = defaultdict(dict)
    for group, own in rows.items():
        word = min((dataset.samples[row].diagnosis for row in own), key=lambda w: (often[w], w))
        found[word][group] = own
    return found


def _quotas(counts: dict[str, int], total: int) -> dict[str, float]:
    """Share a total out by counts, none below six unless it has fewer."""
    least = {word: min(LEAST, count) for word, count in counts.items()}
    fixed: dict[str, float] = {}
    while True:
        rest = {word: count for word, count in counts.items() if word not in fixed}
        share = (total - sum(fixed.values())) / max(1, sum(rest.values()))
        poor = {word: float(least[word]) for word, count in rest.items() if count * share < least[word]}
        if not poor:
            return fixed | {word: count * share for word, count in rest.items()}
        fixed |= poor
