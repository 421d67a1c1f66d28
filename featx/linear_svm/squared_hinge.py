"""The squared hinge: Newton's method on the rows inside the margin, all columns of a family in step.

Chapelle (2007, Neural Computation 19:1155) with an exact search along each step; from the solution at the C before, it
ends in a few steps. What the columns share is one matrix product: where the rows inside the margin are many, their
system is solved by conjugate gradients for all columns together, where they are few, by Cholesky's factors in double
precision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from featx.linear_svm.products import Products, Solutions, solved

STEPS = 60
FACTORED = 2200  # rows inside the margin up to which a system is factored in double precision
GRADIENTS = 400  # conjugate gradients at most
ROUGH_STEPS = 3  # first steps, whose systems need not be solved to the end
HALVINGS = 25  # of the interval of a step length


def path(products: Products, Y: np.ndarray, weights: np.ndarray, Cs: Sequence[float], tolerance: float) -> Solutions:
    """Return the solutions for every C; arguments as of :func:`featx.linear_svm.solve`."""
    state = _State(products, Y, weights)
    found: list[tuple[np.ndarray, ...]] = []
    for C in Cs:
        U = C * weights
        todo = np.arange(Y.shape[1])
        for step in range(STEPS):
            state.step(U[:, todo], todo, rough=step < ROUGH_STEPS)
            gap = _gap(products.times, Y[:, todo], state.B[:, todo], state.F[:, todo], U[:, todo])[1]
            todo = todo[~(np.abs(gap) <= tolerance)]
            if not len(todo):
                break
        state.F = products.exactly(state.B)  # the certificate counts on nothing that was carried along
        objective, gap = _gap(products.exactly, Y, state.B, state.F, U)
        found.append((state.B.copy(), state.B.sum(0) * products.extra, state.F.copy(), objective, gap))
    coef, intercept, margins, objective, gaps = (np.array(part) for part in zip(*found, strict=True))
    return Solutions(coef, intercept, margins, objective, gaps, state.work)


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
        system = self.products.block(rows)
        system[np.arange(len(rows)), np.arange(len(rows))] += ridge
        self.work["factored"] += 1
        found = solved(system, y)
        return np.zeros(len(rows)) if found is None else found  # the line search and the gap tell that nothing came

    def _gradients(
        self, inside: np.ndarray, ridge: np.ndarray, Y: np.ndarray, start: np.ndarray, *, rough: bool
    ) -> np.ndarray:
        """Solve the systems of several columns by conjugate gradients in single precision, all in step."""
        held, ridge = inside.astype(np.float32), ridge.astype(np.float32)
        right, x = (Y * inside).astype(np.float32), start.astype(np.float32)
        near = _Near(self.products, held, ridge)
        r = (right - self.products.times(x) - ridge * x) * held
        p = near.solved(r, np.arange(r.shape[1]))
        square, along_r = _squares(r), _inner(r, p)
        goal = np.maximum((1e-2 if rough else 1e-4) * np.sqrt(square), 2e-7 * np.sqrt(_squares(right)))
        for _ in range(GRADIENTS):
            live = np.flatnonzero(np.sqrt(square) > goal)
            if not len(live):
                break
            along = p[:, live]
            image = held[:, live] * self.products.times(along) + ridge[:, live] * along
            self.work["product columns"] += len(live)
            length = (along_r[live] / _inner(along, image)).astype(np.float32)
            x[:, live] += length * along
            rest = r[:, live] - length * image
            ahead = near.solved(rest, live)
            left = _inner(rest, ahead)
            p[:, live] = ahead + (left / along_r[live]).astype(np.float32) * along
            r[:, live], square[live], along_r[live] = rest, _squares(rest), left
        return x.astype(np.float64)


class _Near:
    """Systems near those of several columns, solved at once: the leading directions of the products, and the ridge.

    By the identity of Woodbury; the preconditioner of Frangella, Tropp & Udell (2023, SIAM Journal on Matrix Analysis
    and Applications 44:718), restricted to the rows that a column holds.
    """

    def __init__(self, products: Products, held: np.ndarray, ridge: np.ndarray) -> None:
        self._directions, strengths = products.leading
        rest = strengths[-1]
        self._over = np.divide(held, ridge + rest, out=np.zeros_like(held), where=held > 0)
        systems = np.stack([self._directions.T @ (over[:, None] * self._directions) for over in self._over.T])
        systems += np.diag(1 / strengths)
        self._inverse = np.linalg.inv(systems.astype(np.float64)).astype(np.float32)

    def solved(self, R: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the solutions of some columns, shape (n, p)."""
        over = self._over[:, columns]
        scaled = over * R
        inner = np.einsum("pkl,lp->kp", self._inverse[columns], self._directions.T @ scaled)
        return scaled - over * (self._directions @ inner)


def _inner(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    return (A * B).sum(0, dtype=np.float64)


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


def _gap(
    times: Callable[[np.ndarray], np.ndarray], Y: np.ndarray, B: np.ndarray, F: np.ndarray, U: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the primal objective, and its relative distance from the dual at the coefficients clipped to its box."""
    used = U > 0
    alpha = np.where(used, np.maximum(0, Y * B), 0)
    image = F
    if (clipped := (Y * alpha != B).any(0)).any():
        image = F.copy()
        image[:, clipped] = times((Y * alpha)[:, clipped])
    primal = 0.5 * (B * F).sum(0) + (U * np.maximum(0, 1 - Y * F) ** 2).sum(0)
    ridge = np.divide(alpha * alpha, U, out=np.zeros_like(alpha), where=used).sum(0)
    dual = alpha.sum(0) - 0.5 * (Y * alpha * image).sum(0) - 0.25 * ridge
    return primal, (primal - dual) / primal
