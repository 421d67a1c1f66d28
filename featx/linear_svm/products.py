"""Products of rows with rows, what a path of solutions holds, and the tolerances of both losses."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import NamedTuple

import numpy as np

from featx.linear_svm.leading import Leading, leading

TOLERANCE = 1e-5  # of the relative duality gap
ACCEPTED = 1e-4  # gap above which a problem is said not to have converged
DOUBLE_ROWS = 3000  # rows up to which products are kept in double precision
SPAN = 128  # rows turned to double precision at a time
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
        weights = np.zeros((self._X.shape[1], B.shape[1]))
        for span in spans_of(self.rows):
            weights += self._X[span].astype(np.float64).T @ B[span]
        parts = [self._X[span].astype(np.float64) @ weights for span in spans_of(self.rows)]
        return np.concatenate(parts) + self.extra * B.sum(0)

    @cached_property
    def leading(self) -> Leading:
        """The leading directions of the products: enough to go by, not exact."""
        return leading(self.times, self.rows)

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


def solved(system: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """Return the solutions of a positive definite system, shape (m, p), or None where it is not.

    numpy's factor lets go of Python's lock while it is computed, scipy's does not: several threads solve at once.
    """
    from scipy.linalg.lapack import dpotrs

    try:
        factor = np.linalg.cholesky(system)
    except np.linalg.LinAlgError:
        return None
    return np.asarray(dpotrs(factor.T, right, lower=0)[0])
