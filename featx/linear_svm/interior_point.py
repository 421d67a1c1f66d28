"""A box-constrained quadratic programme with one equation, by a primal-dual interior point method.

Slower than sets of active rows and never lost: it needs no start, and ends in some twenty steps at any C and rank.
Mehrotra (1992, SIAM Journal on Optimization 2:575), with predictor and corrector on one Cholesky factor a step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

STEPS = 80
SMALL = 1e-11  # complementarity, relative to the objective, at which it ends
ALMOST = 0.995  # of the way to the boundary that a step may go


def minimise(K: np.ndarray, y: np.ndarray, bound: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the alpha that are least in alpha' Q alpha / 2 - sum alpha with y' alpha = 0, and the intercept.

    Parameters
    ----------
    K : numpy.ndarray of float64, shape (n, n)
        Products among rows; Q is ``y_i y_j K_ij``.
    y : numpy.ndarray, shape (n,)
        Labels, -1 or 1.
    bound : numpy.ndarray of float64, shape (n,)
        Largest alpha of each row; the least is 0.

    Returns
    -------
    alpha : numpy.ndarray of float64, shape (n,)
    intercept : float
        The multiplier of the equation.
    """
    from scipy.linalg.lapack import dpotrf

    Q = y[:, None] * K * y
    at = _Iterate(bound / 2, bound / 2, np.empty(0), np.empty(0), 0.0)
    image = Q @ at.alpha
    far_off = np.full(len(y), 1 + np.abs(image - 1).max())
    at = at._replace(low=far_off, high=far_off)
    for _ in range(STEPS):
        if at.complementarity <= SMALL * max(1.0, abs(at.alpha @ image / 2 - at.alpha.sum())):
            break
        system = Q.copy()
        system.flat[:: len(y) + 1] += at.low / at.alpha + at.high / at.room
        factor, failed = dpotrf(system.T, lower=1, overwrite_a=1)
        if failed:
            break
        newton = _Newton(factor, y, at, 1 - image - y * at.intercept + at.low - at.high)
        at = at.moved(*_corrected(newton, at))
        image = Q @ at.alpha
    return at.alpha, float(at.intercept)


class _Iterate(NamedTuple):
    """A point inside the box: alpha, its room to the bound, the multipliers of both bounds, and the intercept."""

    alpha: np.ndarray
    room: np.ndarray
    low: np.ndarray
    high: np.ndarray
    intercept: float

    @property
    def complementarity(self) -> float:
        """Return the total that a solution has zero of."""
        return float(self.alpha @ self.low + self.room @ self.high)

    def moved(self, by: _Iterate, far: float) -> _Iterate:
        """Return the point at the end of a step."""
        return _Iterate(
            self.alpha + far * by.alpha,
            self.room + far * by.room,
            self.low + far * by.low,
            self.high + far * by.high,
            self.intercept + far * by.intercept,
        )

    def reach(self, by: _Iterate) -> float:
        """Return how far a step may go, 1 at most, before something that is positive would not be."""
        values, changes = np.concatenate(self[:4]), np.concatenate(by[:4])
        falls = changes < 0
        return float(min(1.0, (-values[falls] / changes[falls]).min())) if falls.any() else 1.0


class _Newton:
    """The linear system of a step, factored: asked twice, with other targets of complementarity."""

    def __init__(self, factor: np.ndarray, y: np.ndarray, at: _Iterate, uneven: np.ndarray) -> None:
        self.factor, self.y, self.at, self.uneven = factor, y, at, uneven
        self.across = self._solved(y)

    def step(self, to_low: np.ndarray, to_high: np.ndarray) -> _Iterate:
        """Return the step that changes the complementarity of each row by so much."""
        alpha, room, low, high, _ = self.at
        along = self._solved(self.uneven + to_low / alpha - to_high / room)
        shift = (self.y @ along + self.y @ alpha) / (self.y @ self.across)
        change = along - shift * self.across
        return _Iterate(change, -change, (to_low - low * change) / alpha, (to_high + high * change) / room, shift)

    def _solved(self, right: np.ndarray) -> np.ndarray:
        from scipy.linalg.lapack import dpotrs

        return np.asarray(dpotrs(self.factor, right, lower=1)[0])


def _corrected(newton: _Newton, at: _Iterate) -> tuple[_Iterate, float]:
    """Return the step and its length: towards the centre as far as the step straight ahead falls short."""
    ahead = newton.step(-at.alpha * at.low, -at.room * at.high)
    left = at.moved(ahead, at.reach(ahead)).complementarity / at.complementarity
    centre = left**3 * at.complementarity / (2 * len(at.alpha))
    step = newton.step(
        centre - at.alpha * at.low - ahead.alpha * ahead.low, centre - at.room * at.high - ahead.room * ahead.high
    )
    return step, ALMOST * at.reach(step)
