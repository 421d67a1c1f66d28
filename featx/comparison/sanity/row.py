"""A row of the checks, and the rows as text. Knows no data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CHANCE = 0.5  # AUC where nothing is known


class Sanity(NamedTuple):
    """One check.

    Attributes
    ----------
    what, design : str
        What was scored, and under which design.
    value : float or None
        AUC (Hand and Till's for more than two classes), or a difference of AUCs; None where it could not be had.
    low, high : float or None
        What ``sentence`` says of them: quantiles, an interval, or the lowest and highest split.
    level : {"green", "amber", "red", "info"}
        Red where the pipeline or the data must not be believed; info where nothing is judged.
    sentence : str
        What it means.
    """

    what: str
    design: str
    value: float | None
    low: float | None
    high: float | None
    level: str
    sentence: str


def sanity_told(rows: Sequence[Sanity]) -> str:
    """Return the checks as aligned text, a line each."""
    table = [
        (row.level, row.design, row.what, _number(row.value), _between(row.low, row.high), row.sentence) for row in rows
    ]
    widths = [max((len(line[at]) for line in table), default=0) for at in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[5]]) for line in table
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
