"""A run as a page shows it: its rows by unit, and names for its cells. Computes no metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from featx.matrix import Features
from featx.page import Part, Section
from featx.report.reading import Design, Key, Run, Side
from featx.units import mean_scores, units_of

RESULTS, CHECKS, DATA = "Results", "Checks", "Data"
MOST_CELLS = 6  # of a design that have curves and tables of their own


class Rows(NamedTuple):
    """A test side by unit: class codes (n,), scores (n, c), and probabilities (n, c) or None."""

    y: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray | None

    @property
    def called(self) -> np.ndarray:
        """Class codes with the highest score, int of shape (n,)."""
        return np.asarray(self.scores.argmax(1))


@dataclass(frozen=True)
class Shown:
    """A run and what is known of its rows beside it.

    Attributes
    ----------
    run : Run
        The run.
    features : Features or None
        The feature file of its rows, None where it cannot be had.
    lacking : str
        Why it cannot.
    number : int
        Its place among several runs, 0 where it is the only one.
    """

    run: Run
    features: Features | None
    lacking: str = ""
    number: int = 0

    @property
    def word(self) -> str:
        """What the run is called where there are several."""
        return f"run {self.number}, {self.run.called}" if self.number else ""

    def section(self, heading: str, parts: Sequence[Part], *, chapter: str) -> Section:
        """Return a section that names the run where there are several."""
        return Section(": ".join(filter(None, (heading, self.word))), tuple(parts), chapter)

    def caption(self, text: str) -> str:
        """Return a caption that names the run where there are several."""
        return f"{text} ({self.word})" if self.number else text

    @property
    def unit(self) -> str:
        """What the rows of :meth:`rows` are of: the unit of the scores, or images where nobody can say the unit."""
        return self.run.unit if self.features is not None else "image"

    def drawn(self, design: Design) -> list[Key]:
        """Return the cells of a design that are drawn: the best six by their mean on test rows."""
        return self.run.keys(design)[:MOST_CELLS]

    def rows(self, key: Key) -> list[Rows]:
        """Return the test sides of a cell by unit."""
        return [self._by_unit(side) for side in self.run.sides[key]]

    def _by_unit(self, side: Side) -> Rows:
        if self.unit == "image" or self.features is None:
            return Rows(side.y, side.scores, side.probabilities)
        samples = [self.features.dataset.samples[self.row[name]] for name in side.samples]
        units = units_of(self.features.dataset, samples, unit=self.unit, y=side.y)
        told = mean_scores(units, side.scores, y=side.y, groups=side.groups)
        kept = side.probabilities
        mean = None if kept is None else mean_scores(units, kept, y=side.y, groups=side.groups).scores
        return Rows(told.y, told.scores, mean)

    @cached_property
    def row(self) -> dict[str, int]:
        """Row of each sample in the feature file; empty where there is none."""
        return {sample.id: at for at, sample in enumerate(self.features.dataset.samples)} if self.features else {}


def runs_told(some: Sequence[Shown], shown: Sequence[Shown]) -> str:
    """Return which of several runs something is told of; nothing where it is of all."""
    if len(some) == len(shown):
        return ""
    numbers = [str(one.number) for one in some]
    *most, last = numbers
    return f"runs {', '.join(most)} and {last}" if most else f"run {last}"
