"""The hinge with a free intercept: the solutions along C found from one another.

Where C is small, every row is at its bound and the solution is known (:class:`_Start`); from there on, the rows
inside their box solve a linear system, and rows are let in or out of it until nothing changes: a primal-dual active
set method (Hintermueller, Ito and Kunisch 2002, SIAM Journal on Optimization 13:865), which ends in a few steps from
the solution at the C before. It need not end from anywhere: then, and where its gap does not certify it, an interior
point method answers. A solution at which no row is at its bound is that of every greater C.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from featx.linear_svm import interior_point
from featx.linear_svm.places import solved
from featx.linear_svm.products import Products, Solutions

SETS = 40  # changes of the active sets at most
STRIDES = (1, 3, 9)  # from one C to the next, where fewer lead nowhere
SYSTEM = 4000  # rows inside their box up to which their system is factored
RIDGE = 1e-12  # on the diagonal: rows that lie in each other's span leave a system that is barely positive


class _Point(NamedTuple):
    """A solution: alpha of each row, from 0 to its bound, and the intercept."""

    alpha: np.ndarray
    intercept: float


class _Problem(NamedTuple):
    """One column: products among its rows (n, n), their labels and weights."""

    K: np.ndarray
    y: np.ndarray
    weights: np.ndarray

    def certified(self, point: _Point, C: float, *, tolerance: float) -> bool:
        """Return whether a point's gap, from margins computed anew, is within the tolerance."""
        B = self.y * point.alpha
        image: np.ndarray = self.K @ B
        return bool(_gap(self.y, B, image, image + point.intercept, C * self.weights)[1] <= tolerance)

    def bounded(self, point: _Point, C: float) -> bool:
        """Return whether a row is at its bound."""
        return bool((point.alpha >= C * self.weights * (1 - 1e-9)).any())

    def without_slack(self, point: _Point) -> _Point:
        """Return a separating solution stretched until no row lacks anything that a greater C would multiply."""
        stretch = 1 / min(1.0, (self.y * (self.K @ (self.y * point.alpha) + point.intercept)).min())
        return _Point(point.alpha * stretch, point.intercept * stretch)


class _Start:
    """Where a path starts: up to ``limit``, every row is at its bound.

    That holds while an intercept leaves no row beyond its margin, and needs weights of both classes with one total.
    """

    def __init__(self, problem: _Problem) -> None:
        self.weights = problem.weights
        signed = problem.y * problem.weights
        margins = problem.K @ signed
        self.high, self.low = margins[problem.y > 0].max(), margins[problem.y < 0].min()
        spread = self.high - self.low
        even = abs(signed.sum()) <= 1e-9 * problem.weights.sum()
        self.limit = (2 / spread if spread > 0 else np.inf) if even else 0.0

    def point(self, C: float) -> _Point:
        """Return the solution at a C within the limit; of the intercepts that serve, the middle one."""
        return _Point(C * self.weights, -C * (self.high + self.low) / 2)


def path(products: Products, Y: np.ndarray, weights: np.ndarray, Cs: Sequence[float], tolerance: float) -> Solutions:
    """Return the solutions for every C; arguments as of :func:`featx.linear_svm.solve`."""
    work: Counter[str] = Counter()
    B, intercept = np.zeros((len(Cs), *Y.shape)), np.zeros((len(Cs), Y.shape[1]))
    for p in range(Y.shape[1]):
        rows = np.flatnonzero(weights[:, p])
        problem = _Problem(products.block(rows), Y[rows, p], weights[rows, p])
        for at, point in enumerate(_points(problem, Cs, tolerance, work)):
            B[at, rows, p], intercept[at, p] = problem.y * point.alpha, point.intercept
    margins = np.stack([products.exactly(one) for one in B]) + intercept[:, None, :]
    told = [
        _gap(Y, coef, f - offset, f, C * weights) for coef, f, offset, C in zip(B, margins, intercept, Cs, strict=True)
    ]
    objective, gap = (np.array(part) for part in zip(*told, strict=True))
    return Solutions(B, intercept, margins, objective, gap, work)


def _points(problem: _Problem, Cs: Sequence[float], tolerance: float, work: Counter[str]) -> Iterator[_Point]:
    """Give the solution of one problem at each C, in rising order."""
    start = _Start(problem)
    before, bounded = min(start.limit, Cs[-1]), True
    point = start.point(before)
    for C in Cs:
        if start.limit >= C:
            yield start.point(C)
            continue
        if bounded:
            point = _solved(problem, C, (before, point), tolerance=tolerance, work=work)
            before, bounded = C, problem.bounded(point, C)
            point = point if bounded else problem.without_slack(point)
        yield point


def _solved(problem: _Problem, C: float, near: tuple[float, _Point], *, tolerance: float, work: Counter[str]) -> _Point:
    """Return the solution at a C from that at a smaller one: in one stride, in shorter ones, or from the interior."""
    bound = C * problem.weights
    for strides in STRIDES if near[0] > 0 else ():
        found: _Point | None = near[1]
        for between in np.geomspace(near[0], C, strides + 1)[1:]:
            found = found and _active_sets(problem, between * problem.weights, found, work)
        if found and problem.certified(found, C, tolerance=tolerance):
            return found
    work["interior points"] += 1
    rough = _feasible(problem.y, _Point(*interior_point.minimise(problem.K, problem.y, bound)), bound)
    fine = _active_sets(problem, bound, rough, work)
    return fine if fine and problem.certified(fine, C, tolerance=tolerance) else rough


def _active_sets(problem: _Problem, bound: np.ndarray, near: _Point, work: Counter[str]) -> _Point | None:
    """Return the solution with these bounds, from one nearby; None where the sets come back to where they were."""
    K, y, _ = problem
    length = 1 / np.trace(K) * len(K)
    towards = near.alpha + length * (1 - y * (K @ (y * near.alpha) + near.intercept))
    seen = set()
    for _ in range(SETS):
        full = towards >= bound
        inside = (towards > 0) & ~full
        key = full.tobytes() + inside.tobytes()
        if key in seen or not inside.any() or inside.sum() > SYSTEM:
            return None
        seen.add(key)
        work["active sets"] += 1
        point = _with_sets(problem, np.where(full, bound, 0.0), np.flatnonzero(inside))
        if point is None:
            return None
        left = 1 - y * (K @ (y * point.alpha) + point.intercept)
        left[inside] = 0.0
        towards = point.alpha + length * left
        if ((towards >= bound) == full).all() and ((towards > 0) == (full | inside)).all():
            return _feasible(y, point, bound)
    return None


def _with_sets(problem: _Problem, alpha: np.ndarray, inside: np.ndarray) -> _Point | None:
    """Return alpha and intercept that put the rows inside their box on the margin and the labels' total at zero.

    A constant is added to the products, and taken from the intercept again: with the total fixed it changes nothing,
    and the system of one row more than there are features keeps its rank.
    """
    K, y, _ = problem
    constant = np.trace(K) / len(K)
    system = K[inside[:, None], inside] + constant
    system.flat[:: len(inside) + 1] += RIDGE * constant
    right = np.ones((len(inside), 2))
    right[:, 0] = y[inside] - (K @ (y * alpha))[inside]
    parts = solved(system, right)
    if parts is None:
        return None
    total = y @ alpha
    shift = (parts[:, 0].sum() + total) / parts[:, 1].sum()
    alpha[inside] = y[inside] * (parts[:, 0] - shift * parts[:, 1])
    return _Point(alpha, float(shift - constant * total))


def _feasible(y: np.ndarray, point: _Point, bound: np.ndarray) -> _Point:
    """Return a point whose alpha keep their bounds and have one total in both classes: else its dual bounds nothing."""
    alpha = np.clip(point.alpha, 0, bound)
    positive, negative = alpha[y > 0].sum(), alpha[y < 0].sum()
    least = min(positive, negative)
    return _Point(alpha * np.where(y > 0, least / positive, least / negative), point.intercept)


def _gap(
    Y: np.ndarray, B: np.ndarray, image: np.ndarray, F: np.ndarray, U: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the primal objective, and its relative distance from the dual at the coefficients clipped to their box."""
    alpha = np.clip(Y * B, 0, U)
    primal = 0.5 * (B * image).sum(0) + (U * np.maximum(0, 1 - Y * F)).sum(0)
    dual = alpha.sum(0) - 0.5 * (Y * alpha * image).sum(0)
    return primal, (primal - dual) / primal
