"""Conjugate gradients for the systems of several columns at once: what they share is one matrix product a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from featx.linear_svm.leading import Near

MOST = 400  # steps


class Systems(NamedTuple):
    """Systems ``(products + ridge) x = right`` over the rows that each column holds; arrays of shape (n, p).

    Attributes
    ----------
    held : numpy.ndarray of bool
        The rows of each.
    ridge : numpy.ndarray of float64
        Positive.
    start : numpy.ndarray of float64
        Where to start; 0 in rows not held.
    missing : numpy.ndarray of float64
        What the start lacks: the right side less the system at it; 0 in rows not held.
    """

    held: np.ndarray
    ridge: np.ndarray
    start: np.ndarray
    missing: np.ndarray


def solved(
    systems: Systems, times: Callable[[np.ndarray], np.ndarray], *, near: Near, columns: np.ndarray, accuracy: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much the solutions are away from the start, and the products times that, both of shape (n, p).

    Parameters
    ----------
    systems : Systems
        What is solved.
    times : callable
        Returns the products times a matrix.
    near : Near
        Solves systems near these.
    columns : numpy.ndarray of int
        What they are called there.
    accuracy : float
        What may be missing at the end, as a share of ``ridge * solution``, both measured in the inverse of the ridge.
        There, the square of it bounds by which share of the loss a Newton step falls short.
    """
    held, ridge, start, missing = systems
    x, image, r = np.zeros_like(start), np.zeros_like(start), missing.copy()
    near.hold(held, columns)
    ahead = near.solved(r, columns) * held
    p, along_r = ahead.astype(np.float64), _inner(r, ahead)
    for _ in range(MOST):
        goal = accuracy**2 * _inner(start + x, ridge * (start + x))
        live = np.flatnonzero((_inner(r, r / ridge) > goal) & (along_r > 0))
        if not len(live):
            break
        along, rows = p[:, live], held[:, live]
        products = times(along)
        system = rows * (products + ridge[:, live] * along)
        length = along_r[live] / _inner(along, system)
        x[:, live] += length * along
        image[:, live] += length * products
        r[:, live] -= length * system
        ahead = near.solved(r[:, live], columns[live]) * rows
        left = _inner(r[:, live], ahead)
        p[:, live] = ahead + left / along_r[live] * along
        along_r[live] = left
    return x, image


def _inner(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", A, B, dtype=np.float64)
