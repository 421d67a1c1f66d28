"""The leading directions of products between rows, and systems near those of Newton's method that they solve at once.

Features of a network vary much in few directions and little in many: a system is its ridge, a few hundred directions
that are known, and a small rest. What comes of this only says where to look; no solution and no certificate rests on
it. Knows no labels and no C.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from featx.linear_svm.places import Device, Host

RANK = 512  # directions at most
WEAK = 0.3  # of the ridge: weaker directions are left to conjugate gradients
OLD = 0.003  # share of the rows held that may have changed before a column's system is made anew


class Leading(NamedTuple):
    """Leading directions of products.

    Attributes
    ----------
    along : numpy.ndarray of float32, shape (n, k)
        Coordinates of the rows along them, the strongest first: the products are near ``along @ along.T``.
    strength : numpy.ndarray of float64, shape (k,)
        The squared length of each column.
    """

    along: np.ndarray
    strength: np.ndarray

    @property
    def rest(self) -> float:
        """Return about how strong the directions are that are left over."""
        return float(self.strength[-1])


def leading(times: Callable[[np.ndarray], np.ndarray], rows: int) -> Leading:
    """Return the leading directions of products among so many rows.

    Nystroem's approximation from some of the rows, always drawn with one seed (Williams & Seeger 2001, NeurIPS 13).
    Products with all rows would tell more (Tropp, Yurtsever, Udell & Cevher 2017, NeurIPS 30), but cost more time than
    they save.
    """
    asked = min(RANK, rows // 2)
    drawn = np.random.default_rng(0).choice(rows, asked, replace=False)
    image = times(_units(rows, drawn)).astype(np.float32)
    inner = image[drawn].astype(np.float64)
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    kept = values > 1e-7 * values[-1]  # below it, single precision has told nothing
    along = image @ (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32)
    strength, turned = np.linalg.eigh((along.T @ along).astype(np.float64))
    along = np.ascontiguousarray(along @ turned[:, ::-1].astype(np.float32))
    return Leading(along, np.maximum(strength[::-1], np.finfo(np.float32).tiny))


def _units(rows: int, places: np.ndarray) -> np.ndarray:
    units = np.zeros((rows, len(places)), dtype=np.float32)
    units[places, np.arange(len(places))] = 1
    return units


class Near:
    """Systems near those of several columns, ``along @ along.T`` and a ridge over the rows that a column holds.

    Solved by the identity of Woodbury, as many directions in each as its ridge lets count; the preconditioner of
    Frangella, Tropp & Udell (2023, SIAM Journal on Matrix Analysis and Applications 44:718). Where a column comes to
    hold other rows, what they change is added; where they are few, the system before is near enough.

    Parameters
    ----------
    directions : Leading
        Of the products.
    ridge : numpy.ndarray of float, shape (n, p)
        Ridge of each row in each column, positive.
    used : numpy.ndarray of bool, shape (n, p)
        Rows that a column may come to hold.
    place : Host or Device
        Where the directions are held.
    """

    def __init__(self, directions: Leading, ridge: np.ndarray, used: np.ndarray, *, place: Host | Device) -> None:
        self._place, self._along = place, place.put(directions.along, np.float32)
        self._over = np.where(used, 1 / (ridge + directions.rest), 0).astype(np.float32)
        counts = (directions.strength[:, None] * self._over.max(0) > WEAK).sum(0)
        self._counts = np.maximum(counts, 1)
        self._held = np.zeros(ridge.shape, dtype=bool)
        self._inner = [np.zeros((k, k)) for k in self._counts.tolist()]
        self._factors: list[np.ndarray] = [np.empty(0)] * ridge.shape[1]

    def hold(self, held: np.ndarray, columns: np.ndarray) -> None:
        """Let some columns hold these rows, bool of shape (n, len(columns))."""
        for at, column in enumerate(columns.tolist()):
            new, old = held[:, at], self._held[:, column]
            changed = new != old
            if self._factors[column].size and changed.sum() <= OLD * new.sum():
                continue
            if (old & changed).sum() > new.sum():
                self._inner[column] = self._of(new, column)
            else:
                self._inner[column] += self._of(new & changed, column) - self._of(old & changed, column)
            self._held[:, column] = new
            self._factors[column] = _factor(self._inner[column])

    def solved(self, R: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the solutions of some columns, float32 of shape (n, len(columns)); R is 0 in rows not held."""
        from scipy.linalg.lapack import spotrs

        over, held, counts = self._over[:, columns], self._held[:, columns], self._counts[columns]
        along = self._along[:, : counts.max()]
        found = over * R.astype(np.float32)
        inner = self._place.get(along.T @ self._place.put(np.where(held, found, np.float32(0)), np.float32))
        turned = np.zeros_like(inner)
        for at, (column, k) in enumerate(zip(columns.tolist(), counts.tolist(), strict=True)):
            turned[:k, at] = spotrs(self._factors[column], inner[:k, at])[0]
        back = self._place.get(along @ self._place.put(turned, np.float32))
        return found - np.where(held, over * back, np.float32(0))

    def _of(self, held: np.ndarray, column: int) -> np.ndarray:
        """Return the weighted squares of some rows' coordinates, float64 of shape (k, k)."""
        rows = np.flatnonzero(held)
        part = self._along[rows, : self._counts[column]]
        part *= self._place.put(np.sqrt(self._over[rows, column])[:, None], np.float32)
        return self._place.get(part.T @ part).astype(np.float64)


def _factor(inner: np.ndarray) -> np.ndarray:
    """Return the factor of a matrix of squares with 1 added on its diagonal, float32."""
    from scipy.linalg.lapack import dpotrf

    system = inner.copy()
    lost = np.finfo(np.float32).eps * np.trace(inner)  # in single precision, where a ridge is small beside the rest
    system.flat[:: len(system) + 1] += 1 + lost
    return np.asarray(dpotrf(system.T, overwrite_a=True)[0].astype(np.float32))
