"""The squared hinge: Newton's method on the rows inside the margin, all columns of a family in step.

Chapelle (2007, Neural Computation 19:1155) with whole steps where the primal falls, else an exact search along them.
Where C is small, most rows stay inside, conjugate gradients that know the leading directions end in a few products, and
all such C are columns of one product; a greater C starts from the solution before it. Where the rows inside the margin
are few, their system is factored. At the end margins that were carried along in single precision are computed anew in
double precision, for all C at once, and where a gap is too wide then, a column goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from featx.linear_svm import gradients
from featx.linear_svm.gradients import Goal, Systems
from featx.linear_svm.leading import Near
from featx.linear_svm.products import Products, Solutions

STEPS = 60
ROUNDS = 5  # of steps, each from margins computed anew
FACTORED = 2000  # rows inside the margin up to which a system is factored
LOOSE = 0.3  # accuracy of conjugate gradients in a first step; later times the share of rows that the step before moved
ENOUGH = 0.5  # of the tolerance: what conjugate gradients may leave missing
SPREAD = 1e-4  # of the margins' squares: a gap below lets them be off by a hundredth of how far they are apart
LEAST = 1e-3  # of the tolerance: where margins are nowhere apart, a gap below is closed
STILL = 0.1  # of the tolerance: where the objective falls by less, the margins at hand tell no more
FALL = 0.1  # of what the slope promises: where the primal falls by that, a step is gone to its end
HALVINGS = 25  # of the interval of a step length


def path(products: Products, Y: np.ndarray, weights: np.ndarray, Cs: Sequence[float], tolerance: float) -> Solutions:
    """Return the solutions for every C; arguments as of :func:`featx.linear_svm.solve`."""
    columns = _Columns(products, Y, weights, Cs)
    columns.along(_in_step(products, weights, Cs), tolerance)
    columns.certify(tolerance)
    return columns.solutions()


def _in_step(products: Products, weights: np.ndarray, Cs: Sequence[float]) -> Iterator[range]:
    """Give the C that are solved in step: those whose ridge is above what the leading directions leave, then each."""
    small = 0
    if products.rows > FACTORED and not products.narrow:
        most = 0.5 / (products.leading.rest * weights.max())
        small = sum(most >= C for C in Cs)
    yield from [range(small)] if small else []
    yield from (range(at, at + 1) for at in range(small, len(Cs)))


class _Columns:
    """The problems of a family at all C, each a column: coefficients B and margins F, float64 of shape (n, c p)."""

    def __init__(self, products: Products, Y: np.ndarray, weights: np.ndarray, Cs: Sequence[float]) -> None:
        self.products, self.shape, self.work = products, (len(Y), len(Cs), Y.shape[1]), Counter[str]()
        self.Y = np.tile(Y, (1, len(Cs)))
        self.U = np.concatenate([C * weights for C in Cs], axis=1)
        self.used = self.U > 0
        self.ridge = np.divide(0.5, self.U, out=np.ones_like(self.U), where=self.used)
        self.B, self.F = np.zeros_like(self.Y), np.zeros_like(self.Y)
        self.primal, self.gap = np.full((2, self.Y.shape[1]), np.inf)
        self._near: Near | None = None
        self._multiply = products.times

    def along(self, parts: Iterable[range], tolerance: float) -> None:
        """Solve the C in rising order, some in step, each part from the solution at the C before."""
        for part in parts:
            columns = np.arange(part.start * self.shape[2], part.stop * self.shape[2])
            if part.start:
                before = (part.start - 1) * self.shape[2] + columns % self.shape[2]
                self.B[:, columns], self.F[:, columns] = self.B[:, before], self.F[:, before]
            self._descend(columns, tolerance, first=LOOSE)

    def certify(self, tolerance: float) -> None:
        """Compute margins anew in double precision, and go on from there where a gap is too wide."""
        todo = np.arange(self.B.shape[1])
        for turn in range(1, ROUNDS + 1):
            self.F[:, todo] = self.products.exactly(self.B[:, todo])
            primal, _ = self._told(todo)
            gap = self._gap(todo, primal)
            self.primal[todo], self.gap[todo] = primal, gap / primal
            todo = todo[gap > tolerance * primal]
            if not len(todo) or turn == ROUNDS:
                break
            self._descend(todo, tolerance, first=0.0)
            self._multiply = self.products.exactly  # for what single precision does not settle

    def solutions(self) -> Solutions:
        """Return what was found, by C."""
        coef, margins = (np.ascontiguousarray(part.reshape(self.shape).transpose(1, 0, 2)) for part in (self.B, self.F))
        objective, gap = self.primal.reshape(self.shape[1:]), self.gap.reshape(self.shape[1:])
        return Solutions(coef, coef.sum(1) * self.products.extra, margins, objective, gap, self.work)

    def _told(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the primal objective of some columns, and about the gap: how far rows are from ``2 U slack``."""
        B, F, U, ridge = (part[:, columns] for part in (self.B, self.F, self.U, self.ridge))
        alpha, slack = self.Y[:, columns] * B, 1 - self.Y[:, columns] * F
        lacking = np.maximum(0, slack)
        primal = 0.5 * _inner(B, F) + _inner(U, lacking**2)
        away = _inner(U, (lacking - ridge * alpha) ** 2) - _inner(np.maximum(0, alpha), np.minimum(0, slack))
        return primal, away

    def _spread(self, columns: np.ndarray) -> np.ndarray:
        """Return the squares of the margins about their mean, weighted as their loss is."""
        F, U = self.F[:, columns], self.U[:, columns]
        return np.asarray(_inner(U, (F - _inner(U, F) / U.sum(0)) ** 2))

    def _gap(self, columns: np.ndarray, primal: np.ndarray) -> np.ndarray:
        """Return the distance of the primal from the dual at the coefficients clipped to their box.

        What clipping changes is in few rows: their products among themselves give the norm of the clipped.
        """
        Y, B, F = (part[:, columns] for part in (self.Y, self.B, self.F))
        alpha = np.maximum(0, Y * B)
        clipped = Y * alpha - B
        norms = _inner(B + 2 * clipped, F) + self.products.norms(clipped)
        dual = alpha.sum(0) - 0.5 * norms - 0.5 * _inner(alpha, self.ridge[:, columns] * alpha)
        return np.asarray(primal - dual)

    def _descend(self, columns: np.ndarray, tolerance: float, *, first: float) -> None:
        """Do Newton steps until the gap of each column is closed, or neither it nor the objective falls any more.

        Conjugate gradients go to the accuracy ``first``, later as far as rows that change let a step be of use.
        """
        lowest, closest = np.full((2, self.B.shape[1]), np.inf)
        before = np.zeros(self.B.shape, dtype=bool)
        for _ in range(STEPS):
            primal, gap = self._told(columns)
            enough = np.clip(SPREAD * self._spread(columns), LEAST * tolerance * primal, tolerance * primal)
            if len(close := np.flatnonzero(gap <= enough)):
                gap[close] = self._gap(columns[close], primal[close])
            still = (lowest[columns] - primal <= STILL * tolerance * primal) & (gap > closest[columns] / 2)
            going = ~still & (gap > enough)
            lowest[columns], closest[columns] = primal, np.minimum(gap, closest[columns])
            columns, enough, spare = columns[going], enough[going], STILL * tolerance * primal[going]
            if not len(columns):
                break
            held = self.used[:, columns] & (self.Y[:, columns] * self.F[:, columns] < 1)
            changed = (held != before[:, columns]).sum(0) / np.maximum(1, held.sum(0))
            before[:, columns] = held
            goal = Goal(first * np.minimum(1, changed), ENOUGH * enough)
            self._go(columns, *self._step(columns, held, goal), spare=spare)
            self.work["steps"] += len(columns)

    def _step(self, columns: np.ndarray, held: np.ndarray, goal: Goal) -> tuple[np.ndarray, np.ndarray]:
        """Return the way to where the quadratic of the rows held has its least, and its margins."""
        Y, B, F, ridge = (part[:, columns] for part in (self.Y, self.B, self.F, self.ridge))
        gone = np.where(held, 0.0, B)
        dB, dF = -gone, -self._times(gone)
        missing = np.where(held, Y - F - dF - ridge * B, 0.0)
        systems = Systems(held, ridge, B - gone, missing)
        few = (held.sum(0) <= FACTORED) | self.products.narrow
        if len(at := np.flatnonzero(few)):
            x = self._factored(systems.of(at))
            dB[:, at] += x
            dF[:, at] += self._times(x)
        if len(at := np.flatnonzero(~few)):
            self._near = self._near or Near(self.products.leading, self.ridge, self.used, place=self.products.place)
            x, image = gradients.solved(
                systems.of(at), self._times, near=self._near, columns=columns[at], goal=goal.of(at)
            )
            dB[:, at] += x
            dF[:, at] += image
        return dB, dF

    def _factored(self, systems: Systems) -> np.ndarray:
        """Return the solution of each system, by a factor."""
        x = np.zeros_like(systems.start)
        for column in range(x.shape[1]):
            rows = np.flatnonzero(systems.held[:, column])
            ridge, missing = systems.ridge[rows, column], systems.missing[rows, column]
            found = self.products.solved(rows, missing, ridge=ridge) if len(rows) else None
            if found is not None:  # else the search along the way and the gap tell that nothing came
                x[rows, column] = found
        self.work["factored"] += x.shape[1]
        return x

    def _times(self, B: np.ndarray) -> np.ndarray:
        """Return the products times the columns that are not 0, float64."""
        at = np.flatnonzero(B.any(0))
        found = np.zeros_like(B)
        if len(at):
            found[:, at] = self._multiply(B[:, at])
            self.work["product columns"] += len(at)
        return found

    def _go(self, columns: np.ndarray, dB: np.ndarray, dF: np.ndarray, *, spare: np.ndarray) -> None:
        """Go along a way: all of it, or as far as the primal falls."""
        U, Y, B, F = (part[:, columns] for part in (self.U, self.Y, self.B, self.F))
        t = _step_length(U, Y, F, dF=dF, linear=_inner(B, dF), quadratic=_inner(dB, dF), spare=spare)
        self.B[:, columns] = B + t * dB
        self.F[:, columns] = F + t * dF


def _inner(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->j", A, B)


def _step_length(
    U: np.ndarray,
    Y: np.ndarray,
    F: np.ndarray,
    *,
    dF: np.ndarray,
    linear: np.ndarray,
    quadratic: np.ndarray,
    spare: np.ndarray,
) -> np.ndarray:
    """Return how far each column goes along its step: all of it where the primal falls, but for so much to spare.

    A whole step leaves no coefficient to a row outside the margin. Else as far as the primal falls: its slope rises, so
    that halving finds the end.
    """
    slack, change = 1 - Y * F, Y * dF

    def slope(t: np.ndarray, at: np.ndarray) -> np.ndarray:
        beyond = np.maximum(0, slack[:, at] - t * change[:, at])
        return linear[at] + t * quadratic[at] - 2 * (U[:, at] * beyond * change[:, at]).sum(0)

    t, every = np.ones(Y.shape[1]), np.arange(Y.shape[1])
    rise = linear + quadratic / 2 + _inner(U, np.maximum(0, slack - change) ** 2 - np.maximum(0, slack) ** 2)
    far = np.flatnonzero(rise > np.maximum(spare, FALL * slope(0 * t, every)))
    low, high = np.zeros(len(far)), np.ones(len(far))
    for _ in range(HALVINGS if len(far) else 0):
        middle = (low + high) / 2
        rising = slope(middle, far) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    t[far] = (low + high) / 2
    return t
