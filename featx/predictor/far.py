"""How far rows lie from what a model learned from: along the directions in which those rows vary, and beside them.

The distance is Mahalanobis' along the leading principal components, with what is left of a row beside them as one more
component. Training rows are measured by components of other groups' rows, or all of them would seem near. Knows arrays
only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

COMPONENTS = 32
PARTS = 5
FAR = 0.01  # a row is told of where fewer training rows than this lie as far


def summary(X: np.ndarray, groups: Sequence[str], *, seed: int) -> dict[str, np.ndarray]:
    """Return what is kept of training rows.

    Parameters
    ----------
    X : numpy.ndarray of float, shape (n, d)
        Scaled training rows.
    groups : sequence of str, length n
        What may not be divided between components and the rows that they measure.
    seed : int
        Seed of the parts.

    Returns
    -------
    dict of str to numpy.ndarray
        ``mean`` (d,), ``axes`` (k, d), ``spread`` (k,), ``rest`` (1,), and the sorted ``distances`` (n,).
    """
    X = X.astype(np.float64)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    parts = min(PARTS, len(names))
    part = np.random.default_rng(seed).permutation(np.arange(len(names)) % parts)[member]
    told = np.empty(len(X))
    for number in range(parts):
        own = part == number
        told[own] = distances(X[own], _components(X[~own] if parts > 1 else X))
    return {**_components(X), "distances": np.sort(told)}


def _components(X: np.ndarray) -> dict[str, np.ndarray]:
    mean = X.mean(0)
    centred = X - mean
    small = centred @ centred.T if len(X) <= X.shape[1] else centred.T @ centred
    values, vectors = np.linalg.eigh(small)
    kept = [at for at in range(len(values) - 1, -1, -1) if values[at] > 1e-10 * max(values[-1], 1e-300)]
    kept = kept[: max(1, min(COMPONENTS, len(X) // 4))]
    axes = vectors[:, kept].T
    if len(X) <= X.shape[1]:
        axes = axes @ centred / np.sqrt(np.maximum(values[kept], 1e-300))[:, None]
    spread = np.sqrt(np.maximum(values[kept], 0) / max(1, len(X) - 1))
    beside = np.maximum(0.0, values.sum() - values[kept].sum()) / max(1, len(X) - 1)
    unit = float(np.sqrt(beside)) or float(spread.max(initial=0.0)) or 1.0
    return {"mean": mean, "axes": axes, "spread": np.where(spread > 0, spread, unit), "rest": np.array([unit])}


def distances(X: np.ndarray, known: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the distance of scaled rows, float64 (n,)."""
    centred = X - known["mean"]
    along = centred @ known["axes"].T
    beside = np.maximum(0.0, (centred**2).sum(1) - (along**2).sum(1))
    return np.sqrt(((along / known["spread"]) ** 2).sum(1) + beside / known["rest"][0] ** 2)


def share_as_far(X: np.ndarray, known: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the share of training rows that lie as far as each row or farther, float64 (n,)."""
    nearer = np.searchsorted(known["distances"], distances(X, known), side="left")
    return np.asarray(1 - nearer / len(known["distances"]))
