"""Many linear SVMs at once: every problem of a family over shared products of rows, every C of a path, each certified.

The problems of a family share their rows. Splits, inner parts, classes and designs are columns of labels and weights
over them; a weight of zero leaves a row out of a problem. Two losses, the objectives of two solvers that everybody
knows, with c_i the weight of row i:

``squared_hinge``  |w|^2/2 + b^2/2 + C sum c_i max(0, 1 - y_i f_i)^2    liblinear's LinearSVC (regularised intercept)
``hinge``          |w|^2/2         + C sum c_i max(0, 1 - y_i f_i)      libsvm's SVC(kernel="linear") (free intercept)

The squared hinge is solved here by Newton's method on the rows inside the margin (Chapelle 2007, Neural Computation
19:1155) with an exact search along each step; from the solution at the C before, it ends in a few steps. All columns
go in step, so that what they share is one matrix product: where the rows inside the margin are many, their system is
solved by conjugate gradients for all columns together, where they are few, by Cholesky's factors in double precision.
The hinge is handed to libsvm on the products that are there already; a solution at which no row is at its bound is that
of every greater C, and is not computed again.

The certificate is the relative duality gap, from margins that are computed anew in double precision. Knows numbers
only: no folds, no files, no classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

LOSSES = ("squared_hinge", "hinge")
TOLERANCE = 1e-5  # of the relative duality gap
ACCEPTED = 1e-4  # gap above which a problem is said not to have converged
STEPS = 60
FACTORED = 2200  # rows inside the margin up to which a system is factored in double precision
GRADIENTS = 400  # conjugate gradients at most
ROUGH_STEPS = 3  # first steps, whose systems need not be solved to the end
HALVINGS = 25  # of the interval of a step length
DOUBLE_ROWS = 3000  # rows up to which products are kept in double precision
LIBSVM_STEPS = 2_000_000  # beyond, the gap says how far it came
MOST_ROWS = 12_000  # rows up to which products are kept as a matrix (576 MB in single precision)


class Products:
    """Products of rows with rows: kept as a matrix where it fits, else formed from the rows when they are wanted.

    Parameters
    ----------
    X : numpy.ndarray of float, shape (n, d)
        Rows.
    extra : float
        Added to each product: 1 makes the intercept a regularised weight.
    matrix : numpy.ndarray, shape (n, n), optional
        The products without ``extra``, where they are known already.
    """

    def __init__(self, X: np.ndarray, *, extra: float = 0.0, matrix: np.ndarray | None = None) -> None:
        self.rows = len(X)
        self.extra = extra
        precision = np.float64 if self.rows <= DOUBLE_ROWS else np.float32
        self._X: np.ndarray = np.asarray(X, dtype=precision)
        if matrix is None and self.rows <= MOST_ROWS:
            matrix = self._X @ self._X.T
        self._matrix = None if matrix is None else np.asarray(matrix, dtype=precision) + np.asarray(extra, precision)

    def times(self, B: np.ndarray) -> np.ndarray:
        """Return the products times a matrix, shape (n, p), in their own precision."""
        if self._matrix is not None:
            return self._matrix @ B.astype(self._matrix.dtype, copy=False)
        B = B.astype(self._X.dtype, copy=False)
        return self._X @ (self._X.T @ B) + self._X.dtype.type(self.extra) * B.sum(0)

    def exactly(self, B: np.ndarray) -> np.ndarray:
        """Return the products times a matrix in double precision, shape (n, p)."""
        if self._matrix is not None and self._matrix.dtype == np.float64:
            return self._matrix @ B
        weights, n = np.zeros((self._X.shape[1], B.shape[1])), self.rows
        for start in range(0, n, 1024):
            weights += self._X[start : start + 1024].astype(np.float64).T @ B[start : start + 1024]
        parts = [self._X[start : start + 1024].astype(np.float64) @ weights for start in range(0, n, 1024)]
        return np.concatenate(parts) + self.extra * B.sum(0)

    def block(self, rows: np.ndarray) -> np.ndarray:
        """Return the products among some rows, float64 of shape (m, m), a copy."""
        if self._matrix is not None:
            return self._matrix[np.ix_(rows, rows)].astype(np.float64)
        return (self._X[rows] @ self._X[rows].T).astype(np.float64) + self.extra


class Solutions(NamedTuple):
    """The solutions of a family along a path of C.

    Attributes
    ----------
    coef : numpy.ndarray of float64, shape (c, n, p)
        Dual coefficients times labels: the weights are their products with the rows.
    intercept : numpy.ndarray of float64, shape (c, p)
        Intercepts (for the squared hinge the sum of the coefficients).
    margins : numpy.ndarray of float64, shape (c, n, p)
        Decision values of all rows of the family, also of those left out of a problem.
    objective, gap : numpy.ndarray of float64, shape (c, p)
        Primal objective, and relative duality gap.
    work : collections.Counter
        Newton steps, systems factored, columns of products, libsvm fits.
    """

    coef: np.ndarray
    intercept: np.ndarray
    margins: np.ndarray
    objective: np.ndarray
    gap: np.ndarray
    work: Counter[str]

    @property
    def converged(self) -> np.ndarray:
        """Which problems are certified, bool of shape (c, p)."""
        return self.gap <= ACCEPTED


def balanced(Y: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return weights that give both labels of each column the same total, mean 1 over the rows used; 0 elsewhere.

    Parameters
    ----------
    Y : numpy.ndarray, shape (n, p)
        Labels, -1 or 1.
    used : numpy.ndarray of bool, shape (n, p)
        Which rows are in which problem.
    """
    positive, negative = ((Y > 0) & used).sum(0), ((Y < 0) & used).sum(0)
    share = np.where(Y > 0, np.maximum(positive, 1), np.maximum(negative, 1))
    return np.where(used, (positive + negative) / (2 * share), 0.0)


def solve(
    products: Products,
    Y: np.ndarray,
    *,
    weights: np.ndarray,
    Cs: Sequence[float],
    loss: str = "squared_hinge",
    tolerance: float = TOLERANCE,
) -> Solutions:
    """Solve every problem of a family for every C.

    Parameters
    ----------
    products : Products
        Of the family's rows, with ``extra=1`` for the squared hinge and ``extra=0`` for the hinge.
    Y : numpy.ndarray, shape (n, p)
        Labels of each problem, -1 or 1.
    weights : numpy.ndarray of float, shape (n, p)
        Weight of each row in each problem; 0 leaves it out.
    Cs : sequence of float
        In rising order.
    loss : {"squared_hinge", "hinge"}
    tolerance : float
        Relative duality gap at which a problem is left.

    Returns
    -------
    Solutions
    """
    Y, weights = np.asarray(Y, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    path = _squared_hinge if loss == "squared_hinge" else _hinge
    return path(products, Y, weights, Cs, tolerance)


# ---- squared hinge


@dataclass
class _State:
    """Where a family stands: coefficients B and margins F of its columns."""

    products: Products
    Y: np.ndarray
    weights: np.ndarray
    B: np.ndarray = field(init=False)
    F: np.ndarray = field(init=False)
    work: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.B, self.F = np.zeros_like(self.Y), np.zeros_like(self.Y)

    def step(self, U: np.ndarray, columns: np.ndarray, *, rough: bool) -> None:
        """Do one Newton step of some columns, U their C times weight."""
        Y, F, used = self.Y[:, columns], self.F[:, columns], U > 0
        ridge = np.divide(0.5, U, out=np.ones_like(U), where=used)
        inside = used & (Y * F < 1)
        B = self._solved(inside, ridge, columns, rough=rough)
        target = self.products.times(B).astype(np.float64)
        dB, dF = B - self.B[:, columns], target - F
        t = _step_length(U, Y, F, dF=dF, linear=(self.B[:, columns] * dF).sum(0), quadratic=(dB * dF).sum(0))
        self.B[:, columns] += t * dB
        self.F[:, columns] += t * dF
        self.work.update({"steps": len(columns), "product columns": len(columns)})

    def _solved(self, inside: np.ndarray, ridge: np.ndarray, columns: np.ndarray, *, rough: bool) -> np.ndarray:
        """Return the coefficients that put the rows inside the margin where the quadratic has its least."""
        B = np.zeros(inside.shape)
        many = inside.sum(0) > FACTORED
        for column in np.flatnonzero(~many):
            rows = np.flatnonzero(inside[:, column])
            if len(rows):
                B[rows, column] = self._factored(rows, ridge[rows, column], self.Y[rows, columns[column]])
        if many.any():
            at = np.flatnonzero(many)
            start = self.B[:, columns[at]] * inside[:, at]
            B[:, at] = self._gradients(inside[:, at], ridge[:, at], self.Y[:, columns[at]], start, rough=rough)
        return B

    def _factored(self, rows: np.ndarray, ridge: np.ndarray, y: np.ndarray) -> np.ndarray:
        from scipy.linalg.lapack import dposv

        system = self.products.block(rows)
        system[np.arange(len(rows)), np.arange(len(rows))] += ridge
        self.work["factored"] += 1
        return dposv(system.T, y, lower=0, overwrite_a=1)[1]

    def _gradients(
        self, inside: np.ndarray, ridge: np.ndarray, Y: np.ndarray, start: np.ndarray, *, rough: bool
    ) -> np.ndarray:
        """Solve the systems of several columns by conjugate gradients in single precision, all in step."""
        held, ridge = inside.astype(np.float32), ridge.astype(np.float32)
        right, x = (Y * inside).astype(np.float32), start.astype(np.float32)
        r = (right - self.products.times(x) - ridge * x) * held
        p, square = r.copy(), _squares(r)
        goal = np.maximum((1e-2 if rough else 1e-4) * np.sqrt(square), 2e-7 * np.sqrt(_squares(right)))
        for _ in range(GRADIENTS):
            live = np.flatnonzero(np.sqrt(square) > goal)
            if not len(live):
                break
            along = p[:, live]
            image = held[:, live] * self.products.times(along) + ridge[:, live] * along
            self.work["product columns"] += len(live)
            length = (square[live] / (along * image).sum(0, dtype=np.float64)).astype(np.float32)
            x[:, live] += length * along
            rest = r[:, live] - length * image
            left = _squares(rest)
            p[:, live] = rest + (left / square[live]).astype(np.float32) * along
            r[:, live], square[live] = rest, left
        return x.astype(np.float64)


def _squares(R: np.ndarray) -> np.ndarray:
    return (R * R).sum(0, dtype=np.float64)


def _step_length(
    U: np.ndarray, Y: np.ndarray, F: np.ndarray, *, dF: np.ndarray, linear: np.ndarray, quadratic: np.ndarray
) -> np.ndarray:
    """Return how far the primal falls along the step of each column: its slope rises, so that halving finds the end."""
    slack, change = 1 - Y * F, Y * dF

    def slope(t: np.ndarray, at: np.ndarray) -> np.ndarray:
        beyond = np.maximum(0, slack[:, at] - t * change[:, at])
        return linear[at] + t * quadratic[at] - 2 * (U[:, at] * beyond * change[:, at]).sum(0)

    t, every = np.ones(Y.shape[1]), np.arange(Y.shape[1])
    far = np.flatnonzero(slope(t, every) > 1e-3 * np.abs(slope(0 * t, every)))
    low, high = np.zeros(len(far)), np.ones(len(far))
    for _ in range(HALVINGS if len(far) else 0):
        middle = (low + high) / 2
        rising = slope(middle, far) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    t[far] = (low + high) / 2
    return t


def _squared_hinge(
    products: Products, Y: np.ndarray, weights: np.ndarray, Cs: Sequence[float], tolerance: float
) -> Solutions:
    state = _State(products, Y, weights)
    found: list[tuple[np.ndarray, ...]] = []
    for C in Cs:
        U = C * weights
        todo = np.arange(Y.shape[1])
        for step in range(STEPS):
            state.step(U[:, todo], todo, rough=step < ROUGH_STEPS)
            gap = _squared_hinge_gap(products, Y[:, todo], state.B[:, todo], state.F[:, todo], U[:, todo])[1]
            todo = todo[~(np.abs(gap) <= tolerance)]
            if not len(todo):
                break
        state.F = products.exactly(state.B)  # the certificate counts on nothing that was carried along
        objective, gap = _squared_hinge_gap(products, Y, state.B, state.F, U)
        found.append((state.B.copy(), state.B.sum(0) * products.extra, state.F.copy(), objective, gap))
    coef, intercept, margins, objective, gaps = (np.array(part) for part in zip(*found, strict=True))
    return Solutions(coef, intercept, margins, objective, gaps, state.work)


def _squared_hinge_gap(
    products: Products, Y: np.ndarray, B: np.ndarray, F: np.ndarray, U: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the primal objective, and its relative distance from the dual at the coefficients clipped to its box."""
    used = U > 0
    alpha = np.where(used, np.maximum(0, Y * B), 0)
    image = F
    if (clipped := (Y * alpha != B).any(0)).any():
        image = F.copy()
        image[:, clipped] = products.exactly((Y * alpha)[:, clipped])
    primal = 0.5 * (B * F).sum(0) + (U * np.maximum(0, 1 - Y * F) ** 2).sum(0)
    ridge = np.divide(alpha * alpha, U, out=np.zeros_like(alpha), where=used).sum(0)
    dual = alpha.sum(0) - 0.5 * (Y * alpha * image).sum(0) - 0.25 * ridge
    return primal, (primal - dual) / primal


# ---- hinge


def _hinge(products: Products, Y: np.ndarray, weights: np.ndarray, Cs: Sequence[float], tolerance: float) -> Solutions:
    work: Counter[str] = Counter()
    columns = [_hinge_path(products, Y[:, p], weights[:, p], Cs, work) for p in range(Y.shape[1])]
    B = np.stack([coef for coef, _ in columns], axis=-1)
    intercept = np.stack([offset for _, offset in columns], axis=-1)
    margins = np.stack([products.exactly(one) for one in B]) + intercept[:, None, :]
    told = [
        _hinge_gap(Y, coef, f, offset, C * weights)
        for coef, f, offset, C in zip(B, margins, intercept, Cs, strict=True)
    ]
    objective, gap = (np.array(part) for part in zip(*told, strict=True))
    return Solutions(B, intercept, margins, objective, gap, work)


def _hinge_path(
    products: Products, y: np.ndarray, weights: np.ndarray, Cs: Sequence[float], work: Counter[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients (c, n) and intercepts (c,) of one problem."""
    from sklearn.svm import SVC

    rows = np.flatnonzero(weights)
    block = products.block(rows)
    coef, intercept = np.zeros((len(Cs), len(y))), np.zeros(len(Cs))
    bounded = True
    for at, C in enumerate(Cs):
        if not bounded:
            coef[at], intercept[at] = coef[at - 1], intercept[at - 1]
            continue
        machine = SVC(kernel="precomputed", C=C, tol=1e-6, cache_size=500, max_iter=LIBSVM_STEPS)
        machine.fit(block, y[rows], sample_weight=weights[rows])
        work["libsvm"] += 1
        coef[at, rows[machine.support_]] = machine.dual_coef_[0]
        intercept[at] = machine.intercept_[0]
        bounded = bool((np.abs(coef[at, rows]) >= C * weights[rows] * (1 - 1e-9)).any())
        if not bounded:  # the rows are separated: no slack may be left for a greater C to multiply
            stretch = 1 / min(1.0, (y[rows] * (block @ coef[at, rows] + intercept[at])).min())
            coef[at], intercept[at] = coef[at] * stretch, intercept[at] * stretch
    return coef, intercept


def _hinge_gap(
    Y: np.ndarray, B: np.ndarray, F: np.ndarray, intercept: np.ndarray, U: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    alpha = np.clip(Y * B, 0, U)
    image = F - intercept
    primal = 0.5 * (B * image).sum(0) + (U * np.maximum(0, 1 - Y * F)).sum(0)
    dual = alpha.sum(0) - 0.5 * (Y * alpha * image).sum(0)
    return primal, (primal - dual) / primal


def scores(products: np.ndarray, solutions: Solutions) -> np.ndarray:
    """Return decision values of new rows, float64 of shape (c, m, p).

    Parameters
    ----------
    products : numpy.ndarray, shape (m, n)
        Products of the new rows with the family's, without its ``extra``: that is the solutions' intercept.
    solutions : Solutions
    """
    return np.stack([products @ coef for coef in solutions.coef]) + solutions.intercept[:, None, :]
