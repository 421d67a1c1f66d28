"""What growing trees keep: rows that lie together, a node's rows, what its bins hold, its best splits, who waits.

Only shapes and the reading of rows: what is counted and chosen is for others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

LEAF = -1


class Block(NamedTuple):
    """Rows whose codes lie together, with the class of each and how often it counts, and the order nodes have them in.

    ``codes`` are uint8 (d, n), ``y`` uint32 (n,), ``times`` int32 or float64 (n,), ``rows`` uint32 (m,).
    """

    codes: np.ndarray
    y: np.ndarray
    times: np.ndarray
    rows: np.ndarray


class Node(NamedTuple):
    """The rows of a node with the class of each and how often it counts.

    ``total`` is the weight by class, ``weight`` that of all, ``factor`` what a count of each class weighs. ``plain`` is
    whether every row counts once, so that counts are rows.
    """

    rows: np.ndarray
    y: np.ndarray
    times: np.ndarray
    total: np.ndarray
    weight: float
    factor: np.ndarray
    plain: bool


class Held(NamedTuple):
    """What the bins of some features hold of a node, feature after feature.

    ``counts`` by bin and class, ``rows`` by bin, ``seen`` a bit for each bin that has any, ``levels`` the bins that
    have any, rising, and how many are ``found``. Of a split behind each of these but the last: counts of two classes to
    its left, ``zeros`` and ``ones``, rows to its left, ``below``, and its ``worth``; ``beside`` has the weights by
    class to its left.
    """

    counts: np.ndarray
    rows: np.ndarray
    seen: np.ndarray
    levels: np.ndarray
    found: np.ndarray
    zeros: np.ndarray
    ones: np.ndarray
    below: np.ndarray
    worth: np.ndarray
    beside: np.ndarray


class Best(NamedTuple):
    """The best split yet under each leaf size that a node is split for, the largest first.

    ``worth`` is what it is worth, ``way`` the number of the tree, ``least`` its leaf size, ``feature`` -1 where there
    is no split yet; ``before`` and ``after`` are the last bin to the left and the first to the right. Trees that split
    alike have the same ``group``.
    """

    worth: np.ndarray
    way: np.ndarray
    least: np.ndarray
    feature: np.ndarray
    before: np.ndarray
    after: np.ndarray
    group: np.ndarray


class Grown(NamedTuple):
    """The nodes of several trees as arrays, a row a tree, and how many each has: see ``grow``."""

    feature: np.ndarray
    left: np.ndarray
    threshold: np.ndarray
    share: np.ndarray
    made: np.ndarray


class Waiting(NamedTuple):
    """Nodes that wait for their turn, the last first: span of rows, depth, block, seed, and number in each tree.

    A tree that a node is not part of has the number -1 there.
    """

    span: np.ndarray
    depth: np.ndarray
    block: np.ndarray
    seed: np.ndarray
    number: np.ndarray


@njit(cache=True, nogil=True)
def gathered(rows, block, own_y, own_times, factor, plain):  # type: ignore[no-untyped-def]
    """Lay what is known of a node's rows side by side, for all features that it asks."""
    total = np.zeros(len(factor))
    for at in range(len(rows)):
        own_y[at], own_times[at] = block.y[rows[at]], block.times[rows[at]]
        total[own_y[at]] += own_times[at]
    total *= factor
    return Node(rows, own_y, own_times, total, total.sum(), factor, plain)


@njit(cache=True, nogil=True)
def compacted(block, rows):  # type: ignore[no-untyped-def]
    """Return some rows of a block as a block of their own.

    Where all features are asked at a node of few rows, its codes lie side by side then. Each node below it would else
    fetch a line of memory for each row and feature.
    """
    codes = np.empty((len(block.codes), len(rows)), dtype=np.uint8)
    for feature in range(len(codes)):
        column = block.codes[feature]
        for at in range(len(rows)):
            codes[feature, at] = column[rows[at]]
    return Block(codes, block.y[rows], block.times[rows], np.arange(len(rows)).astype(np.uint32))


@njit(cache=True, nogil=True)
def parted(column, before, rows, spare):  # type: ignore[no-untyped-def]
    """Put the rows at or below a bin first, each side in its order, and return how many they are."""
    left = right = 0
    for at in range(len(rows)):
        row = rows[at]
        if column[row] <= before:
            rows[left] = row
            left += 1
        else:
            spare[right] = row
            right += 1
    rows[left:] = spare[:right]
    return left
