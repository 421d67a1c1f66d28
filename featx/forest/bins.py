"""Features as few levels: where the bounds of the bins lie is learned from train rows, and from them alone.

A feature of at most 256 distinct values has a bin for each; else the bins hold about as many rows each, and a value
that fills a bin has one to itself (many features of a network are 0 for most images). Whole numbers from 0 to 255 are
their own bins: nothing is learned. Knows no classes and no trees.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

LEVELS = 256
BLOCK = 64  # features turned and sorted at a time, so that they stay in cache


class Bins(NamedTuple):
    """Rows by bin, and what the bins hold.

    Attributes
    ----------
    codes : numpy.ndarray of uint8, shape (d, n)
        The bin of each value; a feature's values lie side by side, so that a node reads few lines of memory.
    lows, highs : numpy.ndarray of float32, shape (d, 256), or (1, 256) where all features have the same bins
        The smallest and the largest train value of each bin; infinite where a feature has fewer bins.
    """

    codes: np.ndarray
    lows: np.ndarray
    highs: np.ndarray


def binned(X: np.ndarray) -> Bins:
    """Learn the bins of train rows, float32 or uint8 (n, d), and put the rows into them."""
    if X.dtype == np.uint8:
        levels = np.arange(LEVELS, dtype=np.float32)[None]
        return Bins(turned(X), levels, levels)
    n, d = X.shape
    codes = np.empty((d, n), dtype=np.uint8)
    lows, highs = (np.full((d, LEVELS), np.inf, dtype=np.float32) for _ in range(2))
    for start in range(0, d, BLOCK):
        span = slice(start, start + BLOCK)
        block: Any = np.ascontiguousarray(X[:, span].T) + np.float32(0)  # -0 and 0 are one value
        learn(np.sort(block, axis=1), lows[span], highs[span])
        encode(block, highs[span], codes[span])
    return Bins(codes, lows, highs)


def turned(X: np.ndarray) -> np.ndarray:
    """Return rows of whole numbers (n, d) by feature (d, n), a few features at a time: a line of each row at once."""
    codes = np.empty(X.shape[::-1], dtype=np.uint8)
    for start in range(0, len(codes), BLOCK):
        codes[start : start + BLOCK] = X[:, start : start + BLOCK].T
    return codes


@njit(cache=True, nogil=True)
def learn(ordered, lows, highs):  # type: ignore[no-untyped-def]
    """Write the bounds of the bins of features, each row of ``ordered`` the sorted values of one."""
    for feature in range(len(ordered)):
        values = ordered[feature]
        few = distinct(values) <= LEVELS
        held, made, start, left = 0, 0, 0, len(values)
        while start < len(values):
            end = start + 1
            while end < len(values) and values[end] == values[start]:
                end += 1
            wanted = left / (LEVELS - made)  # rows a bin, were those that are left shared out evenly
            if held > 0 and held + (end - start) > wanted and end - start >= wanted and made < LEVELS - 1:
                made, left, held = made + 1, left - held, 0  # a value that fills a bin begins one
            if held == 0:
                lows[feature, made] = values[start]
            highs[feature, made] = values[start]
            held += end - start
            if (few or held >= wanted) and made < LEVELS - 1:
                made, left, held = made + 1, left - held, 0
            start = end


@njit(cache=True, nogil=True)
def distinct(values):  # type: ignore[no-untyped-def]
    """Count the distinct values of a sorted array, as far as one more than there are levels."""
    count = 1
    for at in range(1, len(values)):
        count += values[at] != values[at - 1]
        if count > LEVELS:
            break
    return count


@njit(cache=True, nogil=True)
def encode(block, highs, codes):  # type: ignore[no-untyped-def]
    """Write the bin of each value: the first whose largest value is not below it."""
    for feature in range(len(block)):
        bounds = highs[feature]
        for row in range(block.shape[1]):
            value = block[feature, row]
            at = 0
            for step in (128, 64, 32, 16, 8, 4, 2, 1):
                at += step if bounds[at + step - 1] < value else 0
            codes[feature, row] = at
