"""A measured leak in words and tables. Computes nothing but means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.pipeline.leak.arms import STEPS

if TYPE_CHECKING:
    from featx.pipeline.leak import Leak
    from featx.pipeline.leak.scoring import Optimism

TITLES = {"auc": "AUC", "auc_ovo": "AUC (Hand and Till)", "accuracy": "accuracy",
          "balanced_accuracy": "balanced accuracy", "f1_macro": "macro F1"}  # fmt: skip
HEADER = (
    "protocol", "dataset", "features", "classifier", "design", "repeats", "leak", "metric", "leaky", "honest",
    "optimism", "low", "high", "p", "note",
)  # fmt: skip
ESTIMATES = (
    "What the leaky way reports, on average over samples of this size from this source, less what the honest way does; "
    "in brackets the 95 % interval of Nadeau and Bengio over repeated hold-outs. Accuracy depends on how many of what "
    "is tested are melanomas (or of each class), and copies change that: balanced accuracy does not."
)


def csv_rows(found: Leak) -> list[tuple[Any, ...]]:
    """Return a row for each leak and metric, under ``HEADER``."""
    about = (found.protocol.name, found.title, found.features, found.classifier, found.design, found.repeats)
    return [(*about, *row) for row in found.rows]


def told(found: Leak) -> str:
    """Return the scores of each arm and what each leak adds, as aligned text."""
    metrics = list(dict.fromkeys(row.metric for row in found.rows))
    titles = [TITLES.get(metric, metric) for metric in metrics]
    arms = [[name, *(f"{_mean(found, name, metric):.3f}" for metric in metrics)] for name in found.scores]
    leaks = [[f"added: {step.leak}", *(signed(_row(found, step.leak, metric)) for metric in metrics)] for step in STEPS]
    head = f"{found.title}, {found.design}: {found.counts} (images + copies); {found.classifier} on {found.features}"
    return "\n".join(
        [
            f"The leak of {found.protocol.study}: {found.protocol.says}.",
            f"{head}; means of {found.repeats} hold-outs, {_shares(found)} to train, validate and test",
            *_aligned([["", *titles], *arms, *leaks]),
            ESTIMATES,
        ]
    )


def markdown(found: Leak) -> str:
    """Return the same as a Markdown table."""
    metrics = list(dict.fromkeys(row.metric for row in found.rows))
    lines = [f"| | {' | '.join(TITLES.get(metric, metric) for metric in metrics)} |", "|---" * (len(metrics) + 1) + "|"]
    for name in found.scores:
        lines.append(f"| {name} | {' | '.join(f'{_mean(found, name, metric):.3f}' for metric in metrics)} |")
    for step in STEPS:
        lines.append(f"| added: {step.leak} | {' | '.join(signed(_row(found, step.leak, m)) for m in metrics)} |")
    return "\n".join(lines) + "\n"


def _mean(found: Leak, arm: str, metric: str) -> float:
    return float(np.mean([one[metric] for one in found.scores[arm]]))


def _row(found: Leak, leak: str, metric: str) -> Optimism:
    return next(row for row in found.rows if (row.leak, row.metric) == (leak, metric))


def signed(row: Optimism) -> str:
    """Return a difference with its sign, and its interval where there is one."""
    interval = "" if row.low is None or row.high is None else f" ({row.low:+.3f} to {row.high:+.3f})"
    return f"{row.difference:+.3f}{interval}"


def _shares(found: Leak) -> str:
    return " : ".join(f"{share:.1%}" for share in found.protocol.shares)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows]  # fmt: skip
