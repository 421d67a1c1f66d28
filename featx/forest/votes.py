"""Asking grown trees about rows: the mean share of each class over the leaves that a row comes to.

Trees are asked one after the other for a few rows at a time, and every row adds them up in their order, so that the
sums are the same however the rows are spread over threads. Knows no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

TOGETHER = 16  # rows that are asked of a tree while it is at hand


class Trees(NamedTuple):
    """Grown trees, their nodes laid end to end.

    Attributes
    ----------
    roots : numpy.ndarray of int64, shape (trees,)
        Where each tree begins.
    feature, left : numpy.ndarray of int32, shape (nodes,)
        The feature that a node asks for, -1 at a leaf, and its left child, counted from the root.
    threshold : numpy.ndarray of float64, shape (nodes,)
        Rows with at most this value go left, others to the child after it.
    share : numpy.ndarray of float64, shape (nodes, c)
        Share of each class in a node.
    """

    roots: np.ndarray
    feature: np.ndarray
    left: np.ndarray
    threshold: np.ndarray
    share: np.ndarray


def together(grown: Sequence[tuple[np.ndarray, ...]]) -> Trees:
    """Lay grown trees end to end."""
    sizes = [len(feature) for feature, *_ in grown]
    roots = np.concatenate([[0], np.cumsum(sizes[:-1])]).astype(np.int64)
    return Trees(roots, *(np.concatenate(parts) for parts in zip(*grown, strict=True)))


def shares(trees: Trees, X: np.ndarray) -> np.ndarray:
    """Return the mean share of each class, float64 (n, c), of rows float32 or uint8 (n, d)."""
    total = np.zeros((len(X), trees.share.shape[1]))
    vote(X, trees.roots, trees.feature, trees.left, trees.threshold, trees.share, total)
    return total / len(trees.roots)


@njit(cache=True, nogil=True)
def vote(X, roots, feature, left, threshold, share, total):  # type: ignore[no-untyped-def]
    """Add the shares of the leaf that each row comes to, tree by tree."""
    for start in range(0, len(X), TOGETHER):
        for root in roots:
            for row in range(start, min(start + TOGETHER, len(X))):
                node = root
                while feature[node] >= 0:
                    node = root + left[node] + (X[row, feature[node]] > threshold[node])
                for code in range(share.shape[1]):
                    total[row, code] += share[node, code]
