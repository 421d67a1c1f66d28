"""Growing a tree on binned rows: at each node the split of a drawn set of features with the least Gini impurity.

A node's rows are counted by bin and class; only bins that hold rows are visited, so that a small node costs little and
nothing has to be sorted. Draws come from a generator of the tree's own. Knows neither values of features nor test rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from featx.forest.bins import LEVELS

LEAF = -1
MANY = 8 * LEVELS  # rows from which on a node's bins are looked through
APART = 8  # a node with so small a part of the rows has its codes laid side by side
LARGEST_WHOLE = 2.0**26  # sums up to which squares are whole numbers of float64
GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
NONE, ONE, WORD = np.uint64(0), np.uint64(1), np.uint64(63)


class Held(NamedTuple):
    """What the bins of a feature hold of a node: weight by bin and class, rows by bin, and a bit for each that has any.

    ``beside`` has the weights by class to the left of a split.
    """

    weight: np.ndarray
    rows: np.ndarray
    seen: np.ndarray
    beside: np.ndarray


class Node(NamedTuple):
    """The rows of a node with the class and the weight of each, the weight by class, and that of all."""

    rows: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    total: np.ndarray
    weight: float


class Block(NamedTuple):
    """Rows whose codes lie together, with the class and the weight of each, and the order in which nodes have them."""

    codes: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    rows: np.ndarray


class Limits(NamedTuple):
    """How a tree may grow.

    ``features`` are drawn at a node, a leaf holds ``least`` rows at least, levels are at most ``deepest``; ``whole`` is
    whether all weights are whole numbers, so that sums of them and of their squares are exact in any order.
    """

    features: int
    least: int
    deepest: int
    whole: bool


class Nodes(NamedTuple):
    """The nodes of a tree as arrays: see :func:`grow`."""

    feature: np.ndarray
    left: np.ndarray
    threshold: np.ndarray
    share: np.ndarray


@njit(cache=True, nogil=True)
def grow(codes, lows, highs, y, weights, rows, classes, features, least, deepest, seed):  # type: ignore[no-untyped-def]
    """Grow a tree.

    Parameters
    ----------
    codes, lows, highs : numpy.ndarray
        As of :class:`featx.forest.bins.Bins`.
    y : numpy.ndarray of int64, shape (n,)
        Class codes.
    weights : numpy.ndarray of float64, shape (n,)
        Weight of each row.
    rows : numpy.ndarray of int32, shape (m,)
        The rows to learn from, rising, each of a weight above 0. Reordered in place.
    classes, features, least, deepest : int
        How many classes there are; how many features are drawn at a node; rows that a leaf holds at least; levels.
    seed : numpy.uint64
        Seed of the draws.

    Returns
    -------
    feature, left : numpy.ndarray of int32, shape (nodes,)
        The feature that a node asks for, -1 at a leaf, and its left child; the right one is the next.
    threshold : numpy.ndarray of float64, shape (nodes,)
        Rows with at most this value go left.
    share : numpy.ndarray of float64, shape (nodes, classes)
        Share of each class in the weight of a node.
    """
    m = len(rows)
    found = Nodes(
        np.full(2 * m, LEAF, dtype=np.int32),
        np.zeros(2 * m, dtype=np.int32),
        np.zeros(2 * m),
        np.zeros((2 * m, classes)),
    )
    held = Held(
        np.zeros(LEVELS * classes), np.zeros(LEVELS, dtype=np.int32), np.zeros(4, dtype=np.uint64), np.zeros(classes)
    )
    order, state = np.arange(len(codes)), np.array([seed], dtype=np.uint64)
    limits = Limits(features, least, deepest, exact(weights[rows]))
    spans, depth = np.zeros((2 * m, 2), dtype=np.int32), np.zeros(2 * m, dtype=np.int32)
    waiting, laid_in = np.zeros(2 * m, dtype=np.int32), np.zeros(2 * m, dtype=np.int32)
    spare, own_y, own_weights = np.zeros(m, dtype=np.int32), np.zeros(m, dtype=np.int64), np.zeros(m)
    blocks = [Block(codes, y, weights, rows)]
    spans[0, 1], nodes, queued = m, 1, 1
    while queued > 0:
        queued -= 1
        at = waiting[queued]
        while len(blocks) > laid_in[at] + 1:
            blocks.pop()
        block = blocks[laid_in[at]]
        own = block.rows[spans[at, 0] : spans[at, 1]]
        node = gathered(own, block.y, block.weights, own_y, own_weights, classes)
        found.share[at] = node.total / node.weight
        if len(own) < 2 * least or depth[at] >= deepest or np.count_nonzero(node.total) < 2:
            continue
        if features >= len(codes) and len(own) * APART <= block.codes.shape[1]:
            blocks.append(compacted(block, own))
            block = blocks[-1]
            own, spans[at, 0], spans[at, 1] = block.rows, 0, len(own)
            node = gathered(own, block.y, block.weights, own_y, own_weights, classes)
        chosen, before, after = split(block.codes, node, held, order, state, limits)
        if chosen < 0:
            continue
        found.feature[at], found.left[at] = chosen, nodes
        own_bins = chosen if len(highs) > 1 else 0
        found.threshold[at] = between(highs[own_bins, before], lows[own_bins, after])
        cut = spans[at, 0] + parted(block.codes[chosen], before, own, spare)
        spans[nodes, 0], spans[nodes, 1] = spans[at, 0], cut
        spans[nodes + 1, 0], spans[nodes + 1, 1] = cut, spans[at, 1]
        for child in range(nodes, nodes + 2):
            depth[child], laid_in[child], waiting[queued] = depth[at] + 1, len(blocks) - 1, child
            queued += 1
        nodes += 2
    return (
        found.feature[:nodes].copy(),
        found.left[:nodes].copy(),
        found.threshold[:nodes].copy(),
        found.share[:nodes].copy(),
    )


@njit(cache=True, nogil=True)
def exact(weights):  # type: ignore[no-untyped-def]
    """Return whether weights and all sums of their squares are whole numbers that float64 holds, in any order."""
    total = 0.0
    for weight in weights:
        if weight != np.floor(weight):
            return False
        total += weight
    return total < LARGEST_WHOLE


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
    return Block(codes, block.y[rows], block.weights[rows], np.arange(len(rows)).astype(np.int32))


@njit(cache=True, nogil=True)
def gathered(rows, y, weights, own_y, own_weights, classes):  # type: ignore[no-untyped-def]
    """Lay what is known of a node's rows side by side, for all features that it asks."""
    total = np.zeros(classes)
    for at in range(len(rows)):
        own_y[at], own_weights[at] = y[rows[at]], weights[rows[at]]
        total[own_y[at]] += own_weights[at]
    return Node(rows, own_y, own_weights, total, total.sum())


@njit(cache=True, nogil=True)
def split(codes, node, held, order, state, limits):  # type: ignore[no-untyped-def]
    """Return (feature, last bin to the left, first to the right) of a node's best split; feature -1 where none is.

    Features that are constant in the node count as drawn, as in scikit-learn, but one that is not must be among them.
    """
    worth, chosen, before, after, several = -1.0, -1, -1, -1, False
    for visited in range(len(order)):
        if visited >= limits.features and several:
            break
        other = visited + drawn(state, len(order) - visited)
        asked = order[other]
        order[other], order[visited] = order[visited], asked
        fill(codes[asked], node, held, limits.least > 1)
        several = several or not alone(held.seen)
        if len(node.total) == 2:
            told = best_of_two(held, node, limits.least)
        elif limits.whole:
            told = best_of_whole(held, node, limits.least)
        else:
            told = best_of_many(held, node, limits.least)
        if told[0] > worth:
            worth, before, after = told
            chosen = asked
    return chosen, before, after


@njit(cache=True, nogil=True)
def drawn(state, count):  # type: ignore[no-untyped-def]
    """Draw a whole number below ``count`` by splitmix64 (Steele, Lea and Flood, 2014)."""
    state[0] += GOLDEN
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    z = z ^ (z >> np.uint64(31))
    return np.int64(((z >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def fill(column, node, held, counted):  # type: ignore[no-untyped-def]
    """Add a node's rows to the weights by bin and class, and note which bins have any."""
    classes = len(node.total)
    if len(node.rows) < MANY:
        for at in range(len(node.rows)):
            level = np.int64(column[node.rows[at]])
            held.weight[level * classes + node.y[at]] += node.weights[at]
            held.seen[level >> 6] |= ONE << (np.uint64(level) & WORD)
    else:  # then a look at all bins is cheaper than a note for each row
        for at in range(len(node.rows)):
            held.weight[np.int64(column[node.rows[at]]) * classes + node.y[at]] += node.weights[at]
        for place in range(LEVELS * classes):
            if held.weight[place] != 0.0:
                found = np.int64(place // classes)
                held.seen[found >> 6] |= ONE << (np.uint64(found) & WORD)
    if counted:
        for at in range(len(node.rows)):
            held.rows[column[node.rows[at]]] += 1


@njit(cache=True, nogil=True)
def alone(seen):  # type: ignore[no-untyped-def]
    """Return whether all rows are in one bin."""
    words = 0
    for word in range(4):
        if seen[word] != NONE:
            words += 1 if seen[word] & (seen[word] - ONE) == NONE else 2
    return words < 2


def _lowest(_, bits):  # type: ignore[no-untyped-def]
    """Return the place of the lowest bit that is set."""

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


lowest: Any = intrinsic(_lowest)


@njit(cache=True, nogil=True)
def best_of_two(held, node, least):  # type: ignore[no-untyped-def]
    """Return (worth, last bin to the left, first to the right) of a feature's best split, and empty its bins.

    The worth of a split is the sum over its sides of the squared weights by class over the weight: where it is largest,
    the weighted Gini impurity is least. Two classes, the usual case, have this loop of their own.
    """
    worth, before, after, last = -1.0, -1, -1, -1
    zero, one, rows = 0.0, 0.0, 0
    for word in range(4):
        bits = held.seen[word]
        held.seen[word] = NONE
        while bits != NONE:
            level = word * 64 + lowest(bits)
            bits &= bits - ONE
            if last >= 0 and (least == 1 or (rows >= least and len(node.rows) - rows >= least)):
                left, other, rest = zero + one, node.total[0] - zero, node.total[1] - one
                told = (zero * zero + one * one) / left + (other * other + rest * rest) / (node.weight - left)
                if told > worth:
                    worth, before, after = told, last, level
            zero += held.weight[2 * level]
            one += held.weight[2 * level + 1]
            held.weight[2 * level] = held.weight[2 * level + 1] = 0.0
            rows += held.rows[level]
            held.rows[level] = 0
            last = level
    return worth, before, after


@njit(cache=True, nogil=True)
def best_of_many(held, node, least):  # type: ignore[no-untyped-def]
    """Do what :func:`best_of_two` does, for any number of classes."""
    worth, before, after, last = -1.0, -1, -1, -1
    left, rows, classes = 0.0, 0, len(node.total)
    held.beside[:] = 0.0
    for word in range(4):
        bits = held.seen[word]
        held.seen[word] = NONE
        while bits != NONE:
            level = word * 64 + lowest(bits)
            bits &= bits - ONE
            if last >= 0 and (least == 1 or (rows >= least and len(node.rows) - rows >= least)):
                own = rest = 0.0
                for code in range(classes):
                    own += held.beside[code] ** 2
                    rest += (node.total[code] - held.beside[code]) ** 2
                told = own / left + rest / (node.weight - left)
                if told > worth:
                    worth, before, after = told, last, level
            for code in range(classes):
                held.beside[code] += held.weight[level * classes + code]
                left += held.weight[level * classes + code]
                held.weight[level * classes + code] = 0.0
            rows += held.rows[level]
            held.rows[level] = 0
            last = level
    return worth, before, after


@njit(cache=True, nogil=True)
def best_of_whole(held, node, least):  # type: ignore[no-untyped-def]
    """Do what :func:`best_of_many` does where weights are whole numbers: sums of squares are kept, not made anew."""
    worth, before, after, last = -1.0, -1, -1, -1
    left, rest, own, rows, classes = 0.0, 0.0, 0.0, 0, len(node.total)
    for code in range(classes):
        held.beside[code] = 0.0
        rest += node.total[code] ** 2
    for word in range(4):
        bits = held.seen[word]
        held.seen[word] = NONE
        while bits != NONE:
            level = word * 64 + lowest(bits)
            bits &= bits - ONE
            if last >= 0 and (least == 1 or (rows >= least and len(node.rows) - rows >= least)):
                told = own / left + rest / (node.weight - left)
                if told > worth:
                    worth, before, after = told, last, level
            for code in range(classes):
                weight = held.weight[level * classes + code]
                if weight != 0.0:
                    held.weight[level * classes + code] = 0.0
                    already = held.beside[code]
                    own += weight * (2 * already + weight)
                    rest += weight * (weight - 2 * (node.total[code] - already))
                    held.beside[code] = already + weight
                    left += weight
            rows += held.rows[level]
            held.rows[level] = 0
            last = level
    return worth, before, after


@njit(cache=True, nogil=True)
def between(left, right):  # type: ignore[no-untyped-def]
    """Return the middle of two values, as scikit-learn's thresholds, or the left one where rounding leaves no room."""
    low, high = np.float64(left), np.float64(right)
    middle = low / 2 + high / 2
    return middle if low <= middle < high else low


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
