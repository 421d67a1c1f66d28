"""The tables of a comparison for papers and other tools: ``differences.csv``, ``table.md``, ``table.tex``.

Computes nothing: every number is in the record too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from featx.comparison.certainty import Judged

if TYPE_CHECKING:
    from featx.comparison import Comparison

DIFFERENCES = (
    "design", "metric", "first_features", "first_classifier", "second_features", "second_classifier", "test",
    "difference", "low", "high", "statistic", "p", "p_holm", "smallest_detectable", "note", "unit", "dataset",
)  # fmt: skip


def difference_rows(found: Comparison) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each pair and each test that is valid for the plan, the one that counts with Holm's p."""
    for judged in found.judged:
        for pair in judged.pairs:
            ends = (pair.first.features, pair.first.classifier, pair.second.features, pair.second.classifier)
            for test, holm in ((pair.main, pair.holm), *((other, None) for other in pair.others)):
                told = (test.difference, test.low, test.high, test.statistic, test.p, holm, test.smallest, test.note)
                yield (judged.design, judged.metric, *ends, test.test, *told, found.unit, found.title)


def markdown(found: Comparison) -> str:
    """Return the table of a comparison as Markdown: a row for each cell, mean and 95 % interval."""
    lines = [f"{found.title}; {found.grouping}; scored by {found.unit}", ""]
    lines += ["| design | features | classifier | metric | mean | 95 % interval |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(_plain(cell, r'([|*_`<>])') for cell in row)} |" for row in _rows(found)]
    return "\n".join([*lines, "", *_foot(found)]) + "\n"


def latex(found: Comparison) -> str:
    """Return the same table as LaTeX, for ``booktabs``."""
    head = " & ".join(("design", "features", "classifier", "metric", "mean", r"95\,\% interval"))
    title = _plain(found.title, "([%])")
    lines = [f"% {title}", r"\begin{tabular}{llllrr}", r"\toprule", rf"{head} \\", r"\midrule"]
    lines += [" & ".join(_plain(cell, r"([&%$#_{}])") for cell in row) + r" \\" for row in _rows(found)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, *(f"% {line}" for line in _foot(found))]) + "\n"


def _rows(found: Comparison) -> Iterator[Sequence[str]]:
    for judged in found.judged:
        cells = [*found.of(judged.design), *([judged.chosen] if judged.chosen else [])]
        for cell, interval in zip(cells, judged.intervals, strict=False):
            between = "" if interval is None or interval.low is None else f"{interval.low:.3f} to {interval.high:.3f}"
            mean = f"{cell.values(judged.metric).mean():.3f}"
            yield (judged.design, cell.features, cell.classifier, judged.metric, mean, between)


def _foot(found: Comparison) -> list[str]:
    estimates = {interval.estimates for judged in found.judged for interval in judged.intervals if interval}
    told = [f"intervals: {', '.join(sorted(estimates))}"] if estimates else []
    return [*told, *(f"{judged.design}: {note}" for judged in found.judged for note in judged.notes)]


def winners_told(judged: Judged) -> str:
    """Return what the best by test scores is worth, or nothing."""
    if judged.winner is None:
        return ""
    one = judged.winner
    return f"best by test scores {_short(one.told)}; corrected for having been picked {_short(one.corrected)}"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _plain(text: str, special: str) -> str:
    """Return a text in which what the format would act on is escaped."""
    return re.sub(special, r"\\\1", text.replace("\\", "/").replace("\n", " "))
