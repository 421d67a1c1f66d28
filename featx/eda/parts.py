"""Charts and tables that several sections share: counts of a column, two-way counts, histograms with their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from featx import charts
from featx.eda.view import MOST_VALUES, Cross, crossed, lumped, ordered
from featx.page import Figure, Share, Table


def counted(values: Sequence[str], *, caption: str, name: str) -> Figure:
    """Return bars of how often each value comes; beyond 20 the rarest are counted together in the picture."""
    every = Counter(values)
    shown = Counter(lumped(values, tuple(every), most=MOST_VALUES))
    order, whole = ordered(shown), ordered(every)
    picture = charts.bars(order, np.array([shown[value] for value in order]), says=_says(caption, shown, order))
    rows = tuple((value, every[value], Share(every[value] / len(values))) for value in whole)
    return Figure(picture, Table(caption, (name, "images", "share"), rows))


def _says(caption: str, counts: Mapping[str, int], order: Sequence[str]) -> str:
    return f"{caption}: " + ", ".join(f"{value} {counts[value]:,}" for value in order)


def two_way(rows: Sequence[str], columns: Sequence[str], *, names: tuple[str, str]) -> Figure:
    """Return a heat map of two-way counts, each cell as dark as its share of its column."""
    cross = crossed(rows, columns)
    caption = f"{names[0]} by {names[1]} (shade: share of the column)"
    return heat(cross, shade=cross.shares, caption=caption, name=names[0])


def heat(cross: Cross, *, shade: np.ndarray, caption: str, name: str) -> Figure:
    """Return a heat map of counts."""
    picture = charts.heat_map(cross.counts, shade=shade, rows=cross.rows, columns=cross.columns, says=caption)
    counts = cross.counts.tolist()
    rows = tuple((row, *own) for row, own in zip(cross.rows, counts, strict=True))
    return Figure(picture, Table(caption, (name, *cross.columns), rows))


def spread(series: Mapping[str, np.ndarray], *, caption: str, axis: str, least: float = 0.0) -> Figure:
    """Return histograms of numbers over the same bins, a panel for each series."""
    at = charts.edges(np.concatenate(list(series.values())), least=least)
    counts = [np.histogram(values, at)[0].tolist() for values in series.values()]
    bins = [f"{left:g} to {right:g}" for left, right in zip(at[:-1].tolist(), at[1:].tolist(), strict=True)]
    rows = tuple((name, *own) for name, *own in zip(bins, *counts, strict=True))
    picture = charts.histograms(series, at=at, axis=axis, says=caption)
    return Figure(picture, Table(caption, (axis, *series), rows))


def summary(series: Mapping[str, np.ndarray], *, caption: str, name: str) -> Table:
    """Return mean, deviation and quartiles of numbers, a row for each series."""
    header = (name, "known", "mean", "standard deviation", "lowest", "quarter", "median", "three quarters", "highest")
    return Table(caption, header, tuple((word, *_told(values)) for word, values in series.items()))


def _told(values: np.ndarray) -> tuple[int | float | None, ...]:
    deviation = float(values.std(ddof=1)) if len(values) > 1 else None
    low, *quartiles, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return len(values), round(float(values.mean()), 3), deviation and round(deviation, 3), low, *quartiles, high


def count(number: int, word: str, words: str | None = None) -> str:
    """Return a number with its word: ``1 image``, ``2,000 images``."""
    return f"{number:,} {word if number == 1 else words or f'{word}s'}"
