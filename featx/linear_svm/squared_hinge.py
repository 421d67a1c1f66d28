"""The squared hinge: Newton's method on the rows inside the margin, all columns of a family in step.

Chapelle (2007, Neural Computation 19:1155) with an exact search along each step. Where C is small, most rows stay
inside, conjugate gradients that know the leading directions end in a few products, and all such C are columns of one
product; a greater C starts from the solution before it. Where the rows inside the margin are few, their system is
factored in double precision. Margins that were carried along in single precision are computed anew in double
precision before a column is left, and where its gap is too wide then, it goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from featx.linear_svm import gradients
from featx.linear_svm.gradients import Systems
from featx.linear_svm.leading import Near
from featx.linear_svm.products import Products, Solutions, solved

Times = Callable[[np.ndarray], np.ndarray]
STEPS = 60
ROUNDS = 5  # of steps, each from margins computed anew
FACTORED = 1600  # rows inside the margin up to which a system is factored in double precision
ACCURACY = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # to which conjugate gradients go, step by step
STILL = 0.1  # of the tolerance: where the objective falls by less, the margins at hand tell no more
HALVINGS = 25  # of the interval of a step length


def path(products: Products, Y: np.ndarray, weights: np.ndarray, Cs: Sequence[float], tolerance: float) -> Solutions:
    """Return the solutions for every C; arguments as of :func:`featx.linear_svm.solve`."""
    work: Counter[str] = Counter()
    found: list[tuple[np.ndarray, ...]] = []
    for together in _in_step(products, weights, Cs):
        columns = _Columns(products, Y, weights, together, work)
        if found:
            columns.start(*found[-1][:2])
        columns.solve(tolerance)
        found += columns.each()
    coef, margins, objective, gaps = (np.array(part) for part in zip(*found, strict=True))
    return Solutions(coef, coef.sum(1) * products.extra, margins, objective, gaps, work)


def _in_step(products: Products, weights: np.ndarray, Cs: Sequence[float]) -> Iterator[list[float]]:
    """Give the C that are solved in step: those whose ridge is above what the leading directions leave, then each."""
    small: list[float] = []
    if products.rows > FACTORED:
        most = 0.5 / (products.leading.rest * weights.max())
        small = [C for C in Cs if most >= C]
        yield from [small] if small else []
    yield from ([C] for C in Cs[len(small) :])


class _Columns:
    """The problems of a family at some C, each a column: coefficients B and margins F, float64 of shape (n, c p)."""

    def __init__(
        self, products: Products, Y: np.ndarray, weights: np.ndarray, Cs: Sequence[float], work: Counter[str]
    ) -> None:
        self.products, self.count, self.work = products, len(Cs), work
        self.Y = np.tile(Y, (1, len(Cs)))
        self.U = np.concatenate([C * weights for C in Cs], axis=1)
        self.used = self.U > 0
        self.ridge = np.divide(0.5, self.U, out=np.ones_like(self.U), where=self.used)
        self.B, self.F = np.zeros_like(self.Y), np.zeros_like(self.Y)
        self.primal, self.gap = np.full((2, self.Y.shape[1]), np.inf)
        self._near: Near | None = None

    def start(self, B: np.ndarray, F: np.ndarray) -> None:
        """Start from a solution with its margins, that at the C before."""
        self.B, self.F = (np.tile(part, (1, self.count)) for part in (B, F))

    def solve(self, tolerance: float) -> None:
        """Solve all columns to a relative gap, or as far as rounds of steps lead."""
        todo = np.arange(self.B.shape[1])
        for turn in range(ROUNDS):
            self._descend(todo, tolerance, turn)
            self.F[:, todo] = self.products.exactly(self.B[:, todo])
            primal, _ = self._told(todo)
            gap = self._gap(todo, primal, self.products.exactly)
            self.primal[todo], self.gap[todo] = primal, gap / primal
            todo = todo[gap > tolerance * primal]
            if not len(todo):
                break

    def each(self) -> list[tuple[np.ndarray, ...]]:
        """Return (coefficients, margins, objective, relative gap) of the columns of each C."""
        parts = (self.B, self.F, self.primal, self.gap)
        return list(zip(*(np.split(part, self.count, axis=-1) for part in parts), strict=True))

    def _told(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the primal objective of some columns, and about the gap: how far rows are from ``2 U slack``."""
        B, F, U, ridge = (part[:, columns] for part in (self.B, self.F, self.U, self.ridge))
        alpha, slack = self.Y[:, columns] * B, 1 - self.Y[:, columns] * F
        lacking = np.maximum(0, slack)
        primal = 0.5 * _inner(B, F) + _inner(U, lacking**2)
        away = _inner(U, (lacking - ridge * alpha) ** 2) - _inner(np.maximum(0, alpha), np.minimum(0, slack))
        return primal, away

    def _gap(self, columns: np.ndarray, primal: np.ndarray, times: Times) -> np.ndarray:
        """Return the distance of the primal from the dual at the coefficients clipped to their box."""
        Y, B, F = (part[:, columns] for part in (self.Y, self.B, self.F))
        alpha, image = np.maximum(0, Y * B), F
        if len(clipped := np.flatnonzero((Y * alpha != B).any(0))):
            image = F.copy()
            image[:, clipped] = times((Y * alpha)[:, clipped])
        dual = alpha.sum(0) - 0.5 * _inner(Y * alpha, image) - 0.5 * _inner(alpha, self.ridge[:, columns] * alpha)
        return np.asarray(primal - dual)

    def _descend(self, columns: np.ndarray, tolerance: float, turn: int) -> None:
        """Do Newton steps until the gap of each column is closed, or neither it nor the objective falls any more."""
        lowest, closest = np.full((2, self.B.shape[1]), np.inf)
        for step in range(STEPS):
            primal, gap = self._told(columns)
            if len(close := np.flatnonzero(gap <= tolerance * primal)):
                gap[close] = self._gap(columns[close], primal[close], self._times)
            still = (lowest[columns] - primal <= STILL * tolerance * primal) & (gap > closest[columns] / 2)
            ended = still | (gap <= tolerance * primal)
            lowest[columns], closest[columns] = primal, np.minimum(gap, closest[columns])
            columns = columns[~ended]
            if not len(columns):
                break
            accuracy = ACCURACY[min(step, len(ACCURACY) - 1)] if turn == 0 else ACCURACY[-1]
            self._go(columns, *self._step(columns, accuracy))
            self.work["steps"] += len(columns)

    def _step(self, columns: np.ndarray, accuracy: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the way to where the quadratic of the rows inside the margin has its least, and its margins."""
        Y, B, F = self.Y[:, columns], self.B[:, columns], self.F[:, columns]
        held, ridge = self.used[:, columns] & (Y * F < 1), self.ridge[:, columns]
        gone = np.where(held, 0.0, B)
        dB, dF = -gone, -self._times(gone)
        missing = np.where(held, Y - F - dF - ridge * B, 0.0)
        systems = Systems(held, ridge, B - gone, missing)
        few = held.sum(0) <= FACTORED
        for part, solve in ((few, self._factored), (~few, self._by_gradients)):
            if len(at := np.flatnonzero(part)):
                x, image = solve(Systems(*(one[:, at] for one in systems)), columns[at], accuracy)
                dB[:, at] += x
                dF[:, at] += image
        return dB, dF

    def _factored(self, systems: Systems, _: np.ndarray, __: float) -> tuple[np.ndarray, np.ndarray]:
        x = np.zeros_like(systems.start)
        for column in range(x.shape[1]):
            rows = np.flatnonzero(systems.held[:, column])
            system = self.products.block(rows)
            system.flat[:: len(rows) + 1] += systems.ridge[rows, column]
            found = solved(system, systems.missing[rows, column]) if len(rows) else None
            if found is not None:  # else the search along the way and the gap tell that nothing came
                x[rows, column] = found
        self.work["factored"] += x.shape[1]
        return x, self._times(x)

    def _by_gradients(self, systems: Systems, columns: np.ndarray, accuracy: float) -> tuple[np.ndarray, np.ndarray]:
        self._near = self._near or Near(self.products.leading, self.ridge)
        return gradients.solved(systems, self._times, near=self._near, columns=columns, accuracy=accuracy)

    def _times(self, B: np.ndarray) -> np.ndarray:
        """Return the products times the columns that are not 0, float64."""
        at = np.flatnonzero(B.any(0))
        found = np.zeros_like(B)
        if len(at):
            found[:, at] = self.products.times(B[:, at])
            self.work["product columns"] += len(at)
        return found

    def _go(self, columns: np.ndarray, dB: np.ndarray, dF: np.ndarray) -> None:
        """Go along a way as far as the primal falls."""
        B, F = self.B[:, columns], self.F[:, columns]
        t = _step_length(
            self.U[:, columns], self.Y[:, columns], F, dF=dF, linear=_inner(B, dF), quadratic=_inner(dB, dF)
        )
        self.B[:, columns] = B + t * dB
        self.F[:, columns] = F + t * dF


def _inner(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", A, B)


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
