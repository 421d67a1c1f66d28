"""A map of features: images that are alike for the network lie close. PCA, then t-SNE (van der Maaten & Hinton 2008).

Distances between far groups mean nothing in such a map, and classes are not its business. The same features and seed
give the same map; it is kept beside the feature file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from featx import atomic
from featx.matrix import Features
from featx.provenance import digest_json, version

COMPONENTS, PERPLEXITY, FEWEST = 50, 30.0, 10
MOST_POINTS = 2_000  # more make a page slow and a picture black
SEED = 0


class Map(NamedTuple):
    """Where images lie.

    Attributes
    ----------
    rows : numpy.ndarray of int, shape (n,)
        Rows of the feature file, ascending; drawn at random where there are too many.
    xy : numpy.ndarray of float, shape (n, 2)
        Their places.
    """

    rows: np.ndarray
    xy: np.ndarray


def map_of(features: Features, *, most: int = MOST_POINTS, seed: int = SEED) -> Map | None:
    """Return a map of features, from beside the feature file where it was made before.

    Parameters
    ----------
    features : Features
        At least ten rows of two numbers; of a set of networks, the first one's.
    most : int
        Points.
    seed : int
        Of the choice of rows, of PCA and of t-SNE.

    Returns
    -------
    Map or None
        None for fewer rows or numbers, or where all rows are one.
    """
    rows = np.flatnonzero(features.usable)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    X = features.X[rows].astype(np.float64)
    if len(rows) < FEWEST or X.shape[1] < 2 or not np.ptp(X, axis=0).any():
        return None
    about = {"content": features.about["finished"]["content"], "rows": len(rows), "seed": seed, "most": most,
             "how": [COMPONENTS, PERPLEXITY], "scikit-learn": version("scikit-learn")}  # fmt: skip
    place = features.path.with_name(f"{features.path.stem}.map-{digest_json(about)[:8]}.json")
    xy = _kept(place, about, len(rows))
    if xy is None:
        xy = _embedded(X, seed=seed)
        _keep(place, about, xy)
    return Map(rows, xy)


def _embedded(X: np.ndarray, *, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # several threads add in an order of their own, and the map would differ
        parts = min(COMPONENTS, *X.shape)
        solver = "full" if parts == min(X.shape) else "randomized"
        reduced = PCA(parts, svd_solver=solver, random_state=seed).fit_transform(X)
        perplexity = min(PERPLEXITY, (len(X) - 1) / 3)
        xy = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return np.round(np.asarray(xy, dtype=np.float64), 3)


def _kept(place: Path, about: dict[str, object], rows: int) -> np.ndarray | None:
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        xy = np.array(told["xy"], dtype=np.float64)
        whole = told["about"] == about and told["digest"] == digest_json(told["xy"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return xy if whole and xy.shape == (rows, 2) and np.isfinite(xy).all() else None


def _keep(place: Path, about: dict[str, object], xy: np.ndarray) -> None:
    """Keep a map where its features lie; a folder that cannot be written to only means to make it again."""
    if os.access(place.parent, os.W_OK):
        atomic.write_text(place, json.dumps({"about": about, "digest": digest_json(xy.tolist()), "xy": xy.tolist()}))
