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

    def of(self, columns: np.ndarray) -> Systems:
        """Return the systems of some columns."""
        return Systems(*(part[:, columns] for part in self))


class Goal(NamedTuple):
    """What may be missing at the end in each column, measured in the inverse of the ridge; arrays of shape (p,).

    Attributes
    ----------
    accuracy : numpy.ndarray of float64
        As a share of ``ridge * solution``; its square bounds by which share of the loss a Newton step falls short.
    enough : numpy.ndarray of float64
        The square of what may be missing in any case: half of it is what it adds to the duality gap.
    """

    accuracy: np.ndarray
    enough: np.ndarray

    def of(self, columns: np.ndarray) -> Goal:
        """Return the goal of some columns."""
        return Goal(self.accuracy[columns], self.enough[columns])


def solved(
    systems: Systems, times: Callable[[np.ndarray], np.ndarray], *, near: Near, columns: np.ndarray, goal: Goal
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
    goal : Goal
        When to end.
    """
    held, ridge, start, missing = systems
    x, image, r = np.zeros_like(start), np.zeros_like(start), missing.copy()
    near.hold(held, columns)
    ahead = near.solved(r, columns) * held
    p, along_r = ahead.astype(np.float64), _inner(r, ahead)
    for _ in range(MOST):
        allowed = goal.accuracy**2 * _inner(start + x, ridge * (start + x))
        live = np.flatnonzero((_inner(r, r / ridge) > np.maximum(allowed, goal.enough)) & (along_r > 0))
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
