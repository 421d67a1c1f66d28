"""The best split of a node: among drawn features, and between the bins of each, under each of some leaf sizes.

The weighted Gini impurity is least where the sum over both sides of the squared weights by class over the weight is
largest. With the weights l of the left side, L their sum, T and W those of the node, that sum is a constant and

    sum_c (l_c W - T_c L)^2 / (L (W - L) W),

of which no part is near the size of the others' sum, whatever their rounding. Knows no rows by themselves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from featx.forest.bins import LEVELS
from featx.forest.growth.counting import MANY, TOGETHER, fill, fill_rows, list_filled, list_noted
from featx.forest.growth.drawing import next_features, put_back

PURE = 1 - 1e-12  # a split this near the best that there can be has sides of one class each, but for rounding
MORE = 1 + 1e-12  # what is better only by less than this is as good, but for rounding


@njit(cache=True, nogil=True)
def split(codes, node, held, best, order, swapped, state, features):  # type: ignore[no-untyped-def]
    """Find a node's best split under each leaf size, ties to the feature drawn first.

    Features that are constant in the node count as drawn, as in scikit-learn, but one that is not must be among them.
    Once sides are of one class each, no other feature is asked: it could do no better.
    """
    classes, counted = len(node.total), best.least[0] > 1 and not node.plain
    top = node.weight**2 - (node.total**2).sum()
    top = (top / 2 if classes == 2 else top) * PURE
    visited, several = 0, False
    while visited < len(order) and not (several and visited >= features) and best.worth[0] != np.inf:
        asked = next_features(order, swapped, visited, state, min(max(features - visited, 1), TOGETHER))
        visited += len(asked)
        fill(codes, asked, node, held)
        if counted:
            fill_rows(codes, asked, node, held)
        if len(node.rows) < MANY:
            list_noted(held, len(asked))
        else:
            list_filled(held, len(asked), classes)
        several = several or held.found[: len(asked)].max() > 1
        if classes == 2:
            sum_two(held, len(asked), counted)
            weigh_two(held, len(asked), node.total, node.factor, node.weight)
        else:
            weigh_many(held, len(asked), node, counted)
        keep_best(asked, len(node.rows), held, best, top)
    put_back(order, swapped, visited)


@njit(cache=True, nogil=True)
def sum_two(held, places, counted):  # type: ignore[no-untyped-def]
    """Sum up the counts of two classes and the rows to the left of each split, and empty the bins."""
    counts, rows, levels, zeros, ones, below = held.counts, held.rows, held.levels, held.zeros, held.ones, held.below
    for place in range(places):
        zero = one = counts[0] * 0
        left = 0
        for at in range(held.found[place]):
            bin_at = place * LEVELS + levels[place, at]
            new_zero, new_one = counts[2 * bin_at], counts[2 * bin_at + 1]
            counts[2 * bin_at] = counts[2 * bin_at + 1] = 0
            zero, one = zero + new_zero, one + new_one
            if counted:
                left += rows[bin_at]
                rows[bin_at] = 0
            else:
                left += int(new_zero + new_one)  # these are rows where each counts once
            zeros[place, at], ones[place, at], below[place, at] = zero, one, left


@njit(cache=True, nogil=True, error_model="numpy")
def weigh_two(held, places, total, factor, weight):  # type: ignore[no-untyped-def]
    """Write down what each split of some features is worth, several at a time."""
    zeros, ones, worth = held.zeros, held.ones, held.worth
    of_zero, of_one = factor[0], factor[1]
    by_zero, by_one = of_zero * total[1], of_one * total[0]
    for place in range(places):
        for at in range(held.found[place] - 1):
            zero, one = np.float64(zeros[place, at]), np.float64(ones[place, at])
            left, apart = zero * of_zero + one * of_one, zero * by_zero - one * by_one
            worth[place, at] = apart * apart / (left * (weight - left))


@njit(cache=True, nogil=True, error_model="numpy")
def weigh_many(held, places, node, counted):  # type: ignore[no-untyped-def]
    """Do what :func:`sum_two` and :func:`weigh_two` do, for any number of classes."""
    counts, rows, levels, below, worth = held.counts, held.rows, held.levels, held.below, held.worth
    classes, beside, total, factor, weight = len(node.total), held.beside, node.total, node.factor, node.weight
    for place in range(places):
        left, passed = 0.0, 0
        beside[:] = 0.0
        for at in range(held.found[place]):
            bin_at = place * LEVELS + levels[place, at]
            new = counts[0] * 0
            over = 0.0
            for code in range(classes):
                count = counts[bin_at * classes + code]
                counts[bin_at * classes + code] = 0
                new += count
                beside[code] += count * factor[code]
                left += count * factor[code]
            for code in range(classes):
                apart = beside[code] * weight - total[code] * left
                over += apart * apart
            if counted:
                passed += rows[bin_at]
                rows[bin_at] = 0
            else:
                passed += int(new)
            below[place, at], worth[place, at] = passed, over / (left * (weight - left))


@njit(cache=True, nogil=True)
def keep_best(asked, m, held, best, top):  # type: ignore[no-untyped-def]
    """Hold the splits of some features against the best yet under each leaf size."""
    worth, below, levels, found, bests, leasts = held.worth, held.below, held.levels, held.found, best.worth, best.least
    for place in range(len(asked)):
        if largest(worth, place, found[place] - 1) <= bests[0] * MORE:
            continue  # the largest leaf size has the least to choose from, and so the worst
        for way in range(len(leasts)):
            most, chosen = bests[way] * MORE, -1
            for at in range(found[place] - 1):
                fits = leasts[way] == 1 or (below[place, at] >= leasts[way] and m - below[place, at] >= leasts[way])
                if fits and worth[place, at] > most:
                    most, chosen = worth[place, at], at
            if chosen >= 0:
                bests[way] = most if most < top else np.inf
                best.feature[way] = asked[place]
                best.before[way], best.after[way] = levels[place, chosen], levels[place, chosen + 1]


@njit(cache=True, nogil=True)
def largest(worth, place, count):  # type: ignore[no-untyped-def]
    """Return the largest worth of a feature's splits, by four maxima that do not wait for each other; -1 of none."""
    one = two = three = four = -1.0
    whole = count // 4 * 4
    for at in range(0, whole, 4):
        one, two = max(one, worth[place, at]), max(two, worth[place, at + 1])
        three, four = max(three, worth[place, at + 2]), max(four, worth[place, at + 3])
    for at in range(whole, count):
        one = max(one, worth[place, at])
    return max(max(one, two), max(three, four))
