"""Which images a run gets wrong: the most confident mistakes of its best cell, and the hardest images of all cells."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from featx.report.reading import Design, Key, Side
from featx.report.shown import Shown

MOST_CASES = 20


class Case(NamedTuple):
    """What was said of one image, over all the times that it was tested.

    Attributes
    ----------
    sample, group : str
        Its id, and what it may not be divided from.
    truth, called : str
        Its class, and the class it was taken for most often when it was taken for another; empty where never.
    wrong, tests : int
        How often it was taken for another, of how many times.
    margin : float
        Mean lead of the called class's score over the true one's when it was wrong, in deviations of the scores of its
        cell and test side; 0 where never.
    """

    sample: str
    group: str
    truth: str
    called: str
    wrong: int
    tests: int
    margin: float


def mistakes(one: Shown, design: Design) -> list[Case]:
    """Return the images that the best cell gets wrong most of the times, the widest lead first."""
    best = one.run.keys(design)[0]
    wrong = [case for case in _cases(one, design, [best]) if 2 * case.wrong > case.tests]
    return sorted(wrong, key=lambda case: (-case.margin, case.sample))[:MOST_CASES]


def hardest(one: Shown, design: Design) -> list[Case]:
    """Return the images that all cells together get wrong most often, of equals the widest lead first."""
    wrong = [case for case in _cases(one, design, one.run.keys(design)) if case.wrong]
    return sorted(wrong, key=lambda case: (-case.wrong / case.tests, -case.margin, case.sample))[:MOST_CASES]


def _cases(one: Shown, design: Design, keys: Sequence[Key]) -> list[Case]:
    tests: Counter[str] = Counter()
    called: dict[str, Counter[int]] = defaultdict(Counter)
    margins: dict[str, list[float]] = defaultdict(list)
    known: dict[str, tuple[str, int]] = {}
    for side in (side for key in keys for side in one.run.sides[key]):
        tests.update(side.samples)
        known |= zip(side.samples, zip(side.groups, side.y.tolist(), strict=True), strict=True)
        lead = _leads(side)
        for at in np.flatnonzero(side.predicted != side.y).tolist():
            called[side.samples[at]][int(side.predicted[at])] += 1
            margins[side.samples[at]].append(float(lead[at]))
    return [_case(name, known[name], design, called[name], margins[name], tests) for name in tests]


def _leads(side: Side) -> np.ndarray:
    """Return by how much the highest score leads that of the true class, in deviations of such differences."""
    row = np.arange(len(side.y))
    others = side.scores.copy()
    others[row, side.y] = -np.inf
    lead = others.max(1) - side.scores[row, side.y]
    return np.asarray(lead / (lead.std() or 1.0))


def _case(
    name: str,
    known: tuple[str, int],
    design: Design,
    called: Counter[int],
    margins: Sequence[float],
    tests: Mapping[str, int],
) -> Case:
    group, code = known
    taken = design.classes[called.most_common(1)[0][0]] if called else ""
    margin = float(np.mean(margins)) if margins else 0.0
    return Case(name, group, design.classes[code], taken, called.total(), tests[name], margin)
