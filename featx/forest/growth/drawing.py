"""Draws of a node's own: features without replacement, the same whatever other nodes drew. Knows no rows."""

from __future__ import annotations

import numpy as np
from numba import njit

GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@njit(cache=True, nogil=True)
def mixed(z):  # type: ignore[no-untyped-def]
    """Return a word whose bits hang on all bits of another: the end of splitmix64 (Steele, Lea and Flood, 2014)."""
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def drawn(state, count):  # type: ignore[no-untyped-def]
    """Draw a whole number below ``count`` by splitmix64, and go on with its state, an array of one uint64."""
    state[0] += GOLDEN
    return np.int64(((mixed(state[0]) >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def child_seed(seed, side):  # type: ignore[no-untyped-def]
    """Return the seed of the left (0) or the right (1) child of a node with a seed."""
    return mixed(seed ^ (FIRST if side == 0 else SECOND))


@njit(cache=True, nogil=True)
def next_features(order, swapped, visited, state, count):  # type: ignore[no-untyped-def]
    """Draw the next features of a node, none twice, into their places in ``order``; note what changed places."""
    for at in range(visited, visited + count):
        other = at + drawn(state, len(order) - at)
        order[other], order[at] = order[at], order[other]
        swapped[at] = other
    return order[visited : visited + count]


@njit(cache=True, nogil=True)
def put_back(order, swapped, visited):  # type: ignore[no-untyped-def]
    """Undo what so many draws changed, so that the next node finds what this one found."""
    for at in range(visited - 1, -1, -1):
        other = swapped[at]
        order[other], order[at] = order[at], order[other]
