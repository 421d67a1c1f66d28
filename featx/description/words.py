"""Names and tables as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from featx.datasets import Dataset

BESIDE = {
    2: ("average_precision", "balanced_accuracy", "sensitivity", "specificity"),
    3: ("auc_ovr", "average_precision", "balanced_accuracy", "f1_macro"),
}
SHORT = {
    "auc": "AUC",
    "auc_ovo": "AUC ovo",
    "auc_ovr": "AUC ovr",
    "average_precision": "AP",
    "balanced_accuracy": "bal.acc",
    "sensitivity": "sens",
    "specificity": "spec",
    "f1_macro": "F1 macro",
}


def shown_name(name: str) -> str:
    """Return a file's name with everything that a terminal would act on escaped."""
    decoded = name.encode(errors="backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in decoded)


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Return rows of cells as lines with columns, the first ``left`` of them to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(cell.ljust(w) if at < left else cell.rjust(w) for at, (cell, w) in enumerate(cells))

    return [f"  {line(row)}".rstrip() for row in rows]


def dataset_line(dataset: Dataset) -> str:
    """Return name, found = kept + dropped, and what the groups promise."""
    dropped = "".join(f" + {count} dropped ({why})" for why, count in dataset.dropped.items())
    return f"{dataset.title}: {dataset.found} found = {len(dataset.samples)} kept{dropped}; {dataset.grouping}"
