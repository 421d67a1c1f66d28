"""Many linear SVMs at once: every problem of a family over shared products of rows, every C of a path, each certified.

The problems of a family share their rows. Splits, inner parts, classes and designs are columns of labels and weights
over them; a weight of zero leaves a row out of a problem. Two losses, the objectives of two solvers that everybody
knows, with c_i the weight of row i:

``squared_hinge``  |w|^2/2 + b^2/2 + C sum c_i max(0, 1 - y_i f_i)^2    liblinear's LinearSVC (regularised intercept)
``hinge``          |w|^2/2         + C sum c_i max(0, 1 - y_i f_i)      libsvm's SVC(kernel="linear") (free intercept)

The certificate is the relative duality gap, from margins that are computed anew in double precision. Matrices are
numpy's, or tensors on a device of torch's. Knows numbers only: no folds, no files, no classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx.linear_svm import hinge, squared_hinge
from featx.linear_svm.places import taken
from featx.linear_svm.products import ACCEPTED, DOUBLE_ROWS, MOST_ROWS, TOLERANCE, Products, Solutions, spans_of

__all__ = [
    "ACCEPTED",
    "DOUBLE_ROWS",
    "LOSSES",
    "MOST_ROWS",
    "TOLERANCE",
    "Products",
    "Solutions",
    "balanced",
    "scores",
    "solve",
    "spans_of",
    "taken",
]

_PATHS = {"squared_hinge": squared_hinge.path, "hinge": hinge.path}
LOSSES = tuple(_PATHS)


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
    own, of, sign = _distinct(Y, weights)
    found = _PATHS[loss](products, Y[:, own], weights[:, own], Cs, tolerance)
    if len(own) == Y.shape[1]:
        return found
    coef, intercept, margins = (part[..., of] * sign for part in found[:3])
    return Solutions(coef, intercept, margins, found.objective[:, of], found.gap[:, of], found.work)


def _distinct(Y: np.ndarray, weights: np.ndarray) -> tuple[list[int], list[int], np.ndarray]:
    """Return the columns that differ, for each column which of them it is, and -1 where its labels are the other way.

    Benign against the rest of three classes is malignant against benign, seen from the other side.
    """
    known: dict[tuple[bytes, bytes], int] = {}
    own: list[int] = []
    of: list[int] = []
    signs = Y[np.argmax(weights > 0, axis=0), np.arange(Y.shape[1])]
    for column, sign in enumerate(signs.tolist()):
        used = weights[:, column] > 0
        key = weights[:, column].tobytes(), (used & (Y[:, column] == sign)).tobytes()
        if key not in known:
            known[key] = len(own)
            own.append(column)
        of.append(known[key])
    return own, of, signs * signs[own][of]


def scores(products: np.ndarray, solutions: Solutions) -> np.ndarray:
    """Return decision values of new rows, float64 of shape (c, m, p).

    Parameters
    ----------
    products : numpy.ndarray, shape (m, n)
        Products of the new rows with the family's, without its ``extra``: that is the solutions' intercept.
    solutions : Solutions
    """
    return np.stack([products @ coef for coef in solutions.coef]) + solutions.intercept[:, None, :]
