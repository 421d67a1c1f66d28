"""Walking down from the root: trees of several leaf sizes at once, one tree for as long as they split alike.

A node's draws are its own, so that each tree is to the bit what it is when grown by itself. Knows no values of
features but the bounds of their bins.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from featx.forest.bins import LEVELS
from featx.forest.growth.counting import TOGETHER
from featx.forest.growth.drawing import child_seed
from featx.forest.growth.nodes import LEAF, Best, Block, Grown, Held, Waiting, compacted, gathered, parted
from featx.forest.growth.splitting import split

APART = 8  # a node with so small a part of its block's rows has their codes laid side by side


@njit(cache=True, nogil=True)
def grow(codes, lows, highs, y, times, factor, rows, features, leasts, deepest, seed):  # type: ignore[no-untyped-def]
    """Grow a tree for each of some leaf sizes.

    Parameters
    ----------
    codes, lows, highs : numpy.ndarray
        As of :class:`featx.forest.bins.Bins`.
    y : numpy.ndarray of uint32, shape (n,)
        Class codes.
    times : numpy.ndarray of int32 or float64, shape (n,)
        How often each row counts.
    factor : numpy.ndarray of float64, shape (classes,)
        What a count of each class weighs.
    rows : numpy.ndarray of uint32, shape (m,)
        The rows to learn from, rising, each counting more than 0 times. Reordered in place.
    features : int
        How many features are drawn at a node.
    leasts : numpy.ndarray of int64, shape (trees,)
        Rows that a leaf holds at least, of each tree; falling.
    deepest : int
        Levels below the root.
    seed : numpy.uint64
        Seed of the draws.

    Returns
    -------
    Grown
        ``feature`` int32 (trees, 2 m): what a node asks for, -1 at a leaf; ``left`` int32 (trees, 2 m): its left child,
        the right one is the next; ``threshold`` float64 (trees, 2 m): rows with at most this value go left; ``share``
        float64 (trees, 2 m, classes): share of each class in a node's weight; ``made`` int64 (trees,): nodes of each.
    """
    m, classes, ways = len(rows), len(factor), len(leasts)
    found, waiting, every = no_trees(ways, m, classes), none_waiting(ways, m), no_splits(ways)
    held = none_held(classes, times)
    order, swapped, state = np.arange(len(codes)), np.arange(len(codes)), np.zeros(1, dtype=np.uint64)
    spare, own_y, own_times = np.zeros(m, dtype=np.uint32), np.zeros(m, dtype=np.uint32), np.zeros(m, times.dtype)
    plain = once_each(times, rows)
    blocks = [Block(codes, y, times, rows)]
    waiting.span[0, 1], waiting.seed[0], queued = m, seed, 1
    while queued > 0:
        queued -= 1
        start, end, depth = waiting.span[queued, 0], waiting.span[queued, 1], waiting.depth[queued]
        number, node_seed = waiting.number[queued].copy(), waiting.seed[queued]
        while len(blocks) > waiting.block[queued] + 1:
            blocks.pop()
        block = blocks[-1]
        own = block.rows[start:end]
        node = gathered(own, block, own_y, own_times, factor, plain)
        best = to_split(found, node, number, every, leasts, depth < deepest)
        if len(best.least) == 0:
            continue
        if features >= len(codes) and len(own) * APART <= block.codes.shape[1]:
            block = compacted(block, own)
            blocks.append(block)
            own, start = block.rows, 0
            node = gathered(own, block, own_y, own_times, factor, plain)
        state[0] = node_seed
        split(block.codes, node, held, best, order, swapped, state, features)
        count = add_copies(blocks, own, best)
        for group in range(count):
            rows_of = own if group == 0 else blocks[len(blocks) - count + group].rows
            at = chosen_by(best, group)
            cut = parted(block.codes[best.feature[at]], best.before[at], rows_of, spare)
            add_sides(waiting, queued, start if group == 0 else 0, cut, len(own))
            add_nodes(found, waiting, queued, best, group, number, lows, highs)
            for side in range(2):
                waiting.depth[queued + side], waiting.seed[queued + side] = depth + 1, child_seed(node_seed, side)
                waiting.block[queued + side] = len(blocks) - count + group
            queued += 2
    return found


@njit(cache=True, nogil=True)
def none_held(classes, times):  # type: ignore[no-untyped-def]
    """Return empty bins of as many features as are counted together, for counts of the kind of ``times``."""
    places, kind = TOGETHER + 1, times.dtype  # one more for who is counted beside none
    counts, zeros, ones = (
        np.zeros(places * LEVELS * classes, kind),
        np.zeros((places, LEVELS), kind),
        np.zeros((places, LEVELS), kind),
    )
    rows, seen = np.zeros(places * LEVELS, dtype=np.int32), np.zeros(places * 4, dtype=np.uint64)
    levels, below = np.zeros((places, LEVELS + 1), dtype=np.int64), np.zeros((places, LEVELS), dtype=np.int64)
    found, worth = np.zeros(places, dtype=np.int64), np.zeros((places, LEVELS))
    return Held(counts, rows, seen, levels, found, zeros, ones, below, worth, np.zeros(classes))


@njit(cache=True, nogil=True)
def no_trees(ways, m, classes):  # type: ignore[no-untyped-def]
    """Return as many trees, each with room for the nodes of ``m`` rows, and a root."""
    feature, left = np.full((ways, 2 * m), LEAF, dtype=np.int32), np.zeros((ways, 2 * m), dtype=np.int32)
    made = np.ones(ways, dtype=np.int64)
    return Grown(feature, left, np.zeros((ways, 2 * m)), np.zeros((ways, 2 * m, classes)), made)


@njit(cache=True, nogil=True)
def none_waiting(ways, m):  # type: ignore[no-untyped-def]
    """Return room for all nodes that may wait at once: in each tree they have no row in common."""
    most = ways * m + 2
    span, number = np.zeros((most, 2), dtype=np.int64), np.zeros((most, ways), dtype=np.int64)
    depth, block = np.zeros(most, dtype=np.int64), np.zeros(most, dtype=np.int64)
    return Waiting(span, depth, block, np.zeros(most, dtype=np.uint64), number)


@njit(cache=True, nogil=True)
def no_splits(ways):  # type: ignore[no-untyped-def]
    """Return room for the best split of a node in each tree."""
    way, least, feature = np.zeros(ways, dtype=np.int64), np.zeros(ways, dtype=np.int64), np.zeros(ways, dtype=np.int64)
    before, after, group = (
        np.zeros(ways, dtype=np.int64),
        np.zeros(ways, dtype=np.int64),
        np.zeros(ways, dtype=np.int64),
    )
    return Best(np.zeros(ways), way, least, feature, before, after, group)


@njit(cache=True, nogil=True)
def once_each(times, rows):  # type: ignore[no-untyped-def]
    """Return whether every row counts once."""
    return np.all(times[rows] == 1)


@njit(cache=True, nogil=True)
def to_split(found, node, number, every, leasts, deeper):  # type: ignore[no-untyped-def]
    """Write a node's shares down in each tree that has it; return the trees in which it may be split, no split yet."""
    several, asked = np.count_nonzero(node.total) > 1, 0
    for way in range(len(leasts)):
        if number[way] < 0:
            continue
        found.share[way, number[way]] = node.total / node.weight
        if deeper and several and len(node.rows) >= 2 * leasts[way]:
            every.way[asked], every.least[asked], every.feature[asked] = way, leasts[way], -1
            every.worth[asked] = -1.0
            asked += 1
    return Best(
        every.worth[:asked], every.way[:asked], every.least[:asked], every.feature[:asked], every.before[:asked],
        every.after[:asked], every.group[:asked],
    )  # fmt: skip


@njit(cache=True, nogil=True)
def add_copies(blocks, own, best):  # type: ignore[no-untyped-def]
    """Put trees that split alike in a group, add a block with rows of its own for each group but the first; count them.

    The last block stays the first group's. Nodes of later groups are done, and their blocks gone, before those of
    earlier ones.
    """
    count, block = 0, blocks[-1]
    for at in range(len(best.least)):
        best.group[at] = -1
        if best.feature[at] < 0:
            continue
        for other in range(at):
            alike = best.feature[other] == best.feature[at] and best.before[other] == best.before[at]
            if alike:
                best.group[at] = best.group[other]
                break
        if best.group[at] < 0:
            best.group[at] = count
            count += 1
    for _ in range(1, count):
        blocks.append(Block(block.codes, block.y, block.times, own.copy()))
    return count


@njit(cache=True, nogil=True)
def chosen_by(best, group):  # type: ignore[no-untyped-def]
    """Return the first place of a group."""
    at = 0
    while best.group[at] != group:
        at += 1
    return at


@njit(cache=True, nogil=True)
def add_sides(waiting, queued, start, cut, rows):  # type: ignore[no-untyped-def]
    """Have both sides of a split wait, part of no tree yet."""
    waiting.span[queued, 0], waiting.span[queued, 1] = start, start + cut
    waiting.span[queued + 1, 0], waiting.span[queued + 1, 1] = start + cut, start + rows
    waiting.number[queued : queued + 2] = LEAF


@njit(cache=True, nogil=True)
def add_nodes(found, waiting, queued, best, group, number, lows, highs):  # type: ignore[no-untyped-def]
    """Write a split down in each tree of a group, with two nodes for its sides."""
    for at in range(len(best.least)):
        if best.group[at] != group:
            continue
        way, feature = best.way[at], best.feature[at]
        parent, child, own_bins = number[way], found.made[way], feature if len(highs) > 1 else 0
        found.feature[way, parent], found.left[way, parent] = feature, child
        found.threshold[way, parent] = between(highs[own_bins, best.before[at]], lows[own_bins, best.after[at]])
        waiting.number[queued, way], waiting.number[queued + 1, way] = child, child + 1
        found.made[way] = child + 2


@njit(cache=True, nogil=True)
def between(left, right):  # type: ignore[no-untyped-def]
    """Return the middle of two values, as scikit-learn's thresholds, or the left one where rounding leaves no room."""
    low, high = np.float64(left), np.float64(right)
    middle = low / 2 + high / 2
    return middle if low <= middle < high else low
