"""Products of rows with rows, what a path of solutions holds, and the tolerances of both losses."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from featx.linear_svm.leading import Leading, leading
from featx.linear_svm.places import place

TOLERANCE = 1e-5  # of the relative duality gap
ACCEPTED = 1e-4  # gap above which a problem is said not to have converged
DOUBLE_ROWS = 3000  # rows up to which products are kept in double precision
SPAN = 128  # rows turned to double precision at a time
SPARSE = 0.15  # share of the rows up to which those of a factor that are not 0 are taken out
SINGLE = 1e-3  # least ridge of systems that single precision factors: it errs by some 1e-5
NARROW = 512  # features up to which many rows are taken for narrow
MOST_ROWS = 12_000  # rows up to which products are kept as a matrix (576 MB in single precision)


class Products:
    """Products of rows with rows: kept as a matrix where it fits, else formed from the rows when they are wanted.

    Where rows are many and features few (``narrow``), they are formed from the rows in double precision: systems are
    of as many unknowns as there are features, and single precision would lose a great C.

    Parameters
    ----------
    X : numpy.ndarray of float, shape (n, d)
        Rows.
    extra : float
        Added to each product: 1 makes the intercept a regularised weight.
    matrix : numpy.ndarray, shape (n, n), optional
        The products without ``extra``, where they are known already.
    device : str, optional
        Where matrices are held and multiplied: a device of torch's (``cpu``, ``cuda``); without one, by numpy.

    Raises
    ------
    UsageError
        Where torch finds no such device.
    """

    def __init__(
        self, X: np.ndarray, *, extra: float = 0.0, matrix: np.ndarray | None = None, device: str | None = None
    ) -> None:
        self.rows = len(X)
        self.extra = extra
        self.narrow = self.rows > DOUBLE_ROWS and X.shape[1] <= min(NARROW, self.rows // 4)
        self.precision: Any = np.float64 if self.narrow or self.rows <= DOUBLE_ROWS else np.float32
        self.place = place(device)
        self._X = self.place.put(X, self.precision)
        self._matrix = None
        if not self.narrow and matrix is not None:
            self._matrix = self.place.put(matrix, self.precision)
        elif not self.narrow and self.rows <= MOST_ROWS:
            self._matrix = self._X @ self._X.T

    def times(self, B: np.ndarray) -> np.ndarray:
        """Return the products times a matrix, shape (n, p), in their own precision."""
        B = B.astype(self.precision, copy=False)
        if self._matrix is None:
            found = self._X @ (self._X.T @ self.place.put(B, self.precision))
        elif len(rows := np.flatnonzero(B.any(1))) <= SPARSE * self.rows:
            found = self._matrix[rows].T @ self.place.put(B[rows], self.precision)
        else:
            found = self._matrix @ self.place.put(B, self.precision)
        return self.place.get(found) + self.precision(self.extra) * B.sum(0)

    def exactly(self, B: np.ndarray) -> np.ndarray:
        """Return the products times a matrix in double precision, shape (n, p)."""
        if self._matrix is not None and self.precision == np.float64:
            return self.place.get(self._matrix @ self.place.put(B, np.float64)) + self.extra * B.sum(0)
        weights, spans = self._weights(self._X, B), spans_of(self.rows)
        parts = [self.place.get(self.place.cast(self._X[span], np.float64) @ weights) for span in spans]
        return np.concatenate(parts) + self.extra * B.sum(0)

    def norms(self, B: np.ndarray) -> np.ndarray:
        """Return each column times the products times itself, in double precision, shape (p,)."""
        rows = np.flatnonzero(B.any(1))
        weights = self.place.get(self._weights(self._X[rows], B[rows]))
        return np.asarray((weights**2).sum(0) + self.extra * B.sum(0) ** 2)

    def _weights(self, X: Any, B: np.ndarray) -> Any:
        """Return the sums of rows times coefficients, float64 of shape (d, p), where matrices are held."""
        weights = self.place.put(np.zeros((X.shape[1], B.shape[1])), np.float64)
        for span in spans_of(len(X)):
            weights += self.place.cast(X[span], np.float64).T @ self.place.put(B[span], np.float64)
        return weights

    @cached_property
    def leading(self) -> Leading:
        """The leading directions of the products: enough to go by, not exact."""
        return leading(self.times, self.rows)

    def block(self, rows: np.ndarray) -> np.ndarray:
        """Return the products among some rows, float64 of shape (m, m), a copy."""
        return self.place.get(self._among(rows, np.float64))

    def solved(self, rows: np.ndarray, right: np.ndarray, *, ridge: np.ndarray) -> np.ndarray | None:
        """Return the solution of the products among some rows and a ridge, float64 of shape (m,); None where it fails.

        By a factor, in the precision of the products; in double precision where single would lose the ridge.
        """
        if self.narrow:
            return self._solved_by_features(rows, right, ridge)
        precision = self.precision if ridge.min() > SINGLE else np.float64
        system = self._among(rows, precision)
        system.reshape(-1)[:: len(rows) + 1] += self.place.put(ridge, precision)
        found = self.place.solved(system, right.astype(precision))
        return None if found is None else found.astype(np.float64)

    def _solved_by_features(self, rows: np.ndarray, right: np.ndarray, ridge: np.ndarray) -> np.ndarray | None:
        """Return the same by the identity of Woodbury: Newton's method on the weights (Chapelle 2007)."""
        X = np.column_stack([self.place.get(self._X[rows]), np.full(len(rows), np.sqrt(self.extra))])
        held = self.place.put(X / np.sqrt(ridge)[:, None], np.float64)
        system = held.T @ held
        system.reshape(-1)[:: X.shape[1] + 1] += 1
        weights = self.place.solved(system, X.T @ (right / ridge))
        return None if weights is None else np.asarray((right - X @ weights) / ridge)

    def _among(self, rows: np.ndarray, precision: Any) -> Any:
        if self._matrix is None:
            part = self.place.cast(self._X[rows], precision)
            found = part @ part.T
        else:
            found = self.place.cast(self.place.among(self._matrix, rows), precision)
        found += self.extra
        return found


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
        Newton steps, systems factored, columns of products; active sets, interior points.
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


def spans_of(rows: int) -> list[slice]:
    """Return rows as spans that are turned to double precision one at a time, so that they stay in cache."""
    return [slice(start, start + SPAN) for start in range(0, rows, SPAN)]
