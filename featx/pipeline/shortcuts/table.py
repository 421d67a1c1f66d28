"""What tells the classes without the picture, as a table of the run. Asks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featx.pipeline.shortcuts.steps import KIND
from featx.pipeline.tables import Made
from featx.pipeline.unfolding import Plan

HEADS = ("dataset", "design", "told by", "AUC", "lowest, highest", "best told", "its AUC", "level")


def tables(plan: Plan, results: Mapping[str, dict[str, Any]]) -> list[Made]:
    """Return one table of all that was asked, none where nothing was; what is red or amber stands below it in words."""
    rows, values, notes = [], [], []
    for step in plan.steps.values():
        if step.kind != KIND:
            continue
        title = plan.material.datasets[step.data].title
        for row in results[step.digest]["rows"]:
            numbers = (f"{row['auc']:.3f}", f"{row['low']:.3f} {row['high']:.3f}", row["exposed"],
                       f"{row['exposed_auc']:.3f}", "" if row["level"] == "green" else row["level"])  # fmt: skip
            rows.append((title, row["design"], row["what"], *numbers))
            values.append((title, row["design"], row["what"], row["auc"], numbers[1], row["exposed"],
                           row["exposed_auc"], row["level"]))  # fmt: skip
        notes += results[step.digest]["notes"]
    if not rows:
        return []
    title = "What tells the classes WITHOUT the picture (a forest over grouped 5x2 folds; .500 is chance)"
    return [Made("shortcuts", title, HEADS, 3, tuple(rows), tuple(values), tuple(notes))]
