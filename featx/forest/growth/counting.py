"""Counting a node's rows by bin and class; only bins that hold rows are listed, so that a small node costs little.

Some features are counted at a time, and arrays are taken out of their tuples once for all of them: each time counts
references. Indices are unsigned: signed ones are looked at for being below zero, for each row. Knows no splits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from featx.forest.bins import LEVELS

TOGETHER = 8  # features that are counted together, so that their bins stay in the nearest cache
MANY = 2 * LEVELS  # rows from which on a look at all bins is cheaper than a note for each row
ONE, NONE, SIX, WORD = np.uint64(1), np.uint64(0), np.uint64(6), np.uint64(63)


def _lowest(_, bits):  # type: ignore[no-untyped-def]
    """Return the place of the lowest bit that is set."""

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


lowest: Any = intrinsic(_lowest)


@njit(cache=True, nogil=True)
def fill(codes, asked, node, held):  # type: ignore[no-untyped-def]
    """Add a node's rows to the counts of some features' bins, two features at a time: neither waits for the other."""
    classes, rows, y, times = np.uint64(len(node.total)), node.rows, node.y, node.times
    counts, seen, few, size = held.counts, held.seen, len(node.rows) < MANY, len(node.total) * LEVELS
    for place in range(0, len(asked), 2):
        second = min(place + 1, len(asked))  # where they are odd, the last is counted beside none
        one, other = np.uint64(asked[place]), np.uint64(asked[min(second, len(asked) - 1)])
        start, beside = np.uint64(place * size), np.uint64(second * size)
        word, word_beside = np.uint64(4 * place), np.uint64(4 * second)
        for at in range(np.uint64(len(rows))):
            row, code, count = np.uint64(rows[at]), np.uint64(y[at]), times[at]
            level, level_beside = np.uint64(codes[one, row]), np.uint64(codes[other, row])
            counts[start + level * classes + code] += count
            counts[beside + level_beside * classes + code] += count
            if few:
                seen[word + (level >> SIX)] |= ONE << (level & WORD)
                seen[word_beside + (level_beside >> SIX)] |= ONE << (level_beside & WORD)
        if second == len(asked):
            counts[second * size : (second + 1) * size] = 0
            seen[4 * second : 4 * second + 4] = NONE


@njit(cache=True, nogil=True)
def fill_rows(codes, asked, node, held):  # type: ignore[no-untyped-def]
    """Count a node's rows by bin, whatever their class."""
    rows, counts = node.rows, held.rows
    for place in range(len(asked)):
        feature, start = np.uint64(asked[place]), np.uint64(place * LEVELS)
        for at in range(np.uint64(len(rows))):
            counts[start + np.uint64(codes[feature, np.uint64(rows[at])])] += 1


@njit(cache=True, nogil=True)
def list_noted(held, places):  # type: ignore[no-untyped-def]
    """List the bins of some features that a bit is set for, and unset it."""
    seen, levels = held.seen, held.levels
    for place in range(places):
        found = 0
        for word in range(4):
            bits = seen[4 * place + word]
            seen[4 * place + word] = NONE
            while bits != NONE:
                levels[place, found] = word * 64 + lowest(bits)
                bits &= bits - ONE
                found += 1
        held.found[place] = found


@njit(cache=True, nogil=True)
def list_filled(held, places, classes):  # type: ignore[no-untyped-def]
    """List the bins of some features that have any count."""
    counts, levels = held.counts, held.levels
    for place in range(places):
        found = 0
        for level in range(LEVELS):
            levels[place, found] = level
            total = counts[(place * LEVELS + level) * classes]
            for code in range(1, classes):
                total += counts[(place * LEVELS + level) * classes + code]
            found += total != 0
        held.found[place] = found
