"""What happened while a network learned: a table, pictures of it, and what is to be told. Trains nothing."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featx import atomic, charts, runs
from featx.charts import BLUE, VERMILION

COLUMNS = (
    "epoch", "phase", "lr_backbone", "lr_head", "train_loss", "train_accuracy", "validation_loss",
    "validation_accuracy", "validation_auc", "images", "seconds",
)  # fmt: skip
CHANCE = 0.99  # of the loss of guessing the classes' shares: above it, nothing was learned


def write(stem: Path, history: Sequence[dict[str, Any]], *, title: str) -> None:
    """Write a history as ``.csv``, and its curves as ``.svg`` and ``.png`` beside it."""
    rows = [[row.get(name) for name in COLUMNS] for row in history]
    runs.write_csv(stem.with_name(f"{stem.name}.csv"), COLUMNS, rows)
    for suffix, data in curves(history, title=title).items():
        atomic.write_bytes(stem.with_name(f"{stem.name}.{suffix}"), data)


def curves(history: Sequence[dict[str, Any]], *, title: str) -> dict[str, bytes]:
    """Draw loss and accuracy by epoch; return the picture as ``svg`` and as ``png``."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "featx", "axes.spines.top": False, "axes.spines.right": False})
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        for axes, lines in zip(figure.subplots(1, 2), _LINES, strict=True):
            _draw(axes, history, lines)
        figure.suptitle(charts.printable(title), fontsize="medium", parse_math=False)
        pictures = {}
        for suffix, canvas in (("svg", FigureCanvasSVG), ("png", FigureCanvasAgg)):
            stream = io.BytesIO()
            canvas(figure).print_figure(
                stream, format=suffix, dpi=120, metadata={"Date": None} if suffix == "svg" else {}
            )
            pictures[suffix] = stream.getvalue()
    return pictures


_LINES = (
    ("loss", {"train": ("train_loss", BLUE, "-"), "validation": ("validation_loss", VERMILION, "-")}),
    (
        "share",
        {
            "train accuracy": ("train_accuracy", BLUE, "-"),
            "validation accuracy": ("validation_accuracy", VERMILION, "-"),
            "validation AUC": ("validation_auc", VERMILION, ":"),
        },
    ),
)


def _draw(axes: Any, history: Sequence[dict[str, Any]], lines: tuple[str, dict[str, tuple[str, str, str]]]) -> None:
    """Draw some columns by epoch, the kept epoch marked, a new phase by a line."""
    ylabel, columns = lines
    epochs = [row["epoch"] for row in history]
    for name, (column, colour, style) in columns.items():
        marker = "o" if len(epochs) == 1 else None
        axes.plot(epochs, [row[column] for row in history], style, color=colour, label=name, marker=marker)
    best = min(history, key=lambda row: row["validation_loss"])["epoch"]
    axes.axvline(best, color="0.6", linewidth=0.8, linestyle="--", label=f"kept: epoch {best}")
    for row, after in itertools.pairwise(history):
        if row["phase"] != after["phase"]:
            axes.axvline(row["epoch"] + 0.5, color="0.8", linewidth=4)
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, fontsize="small")


def stuck(history: Sequence[dict[str, Any]], *, guess: float) -> str | None:
    """Return a sentence where the train loss never fell below that of guessing the classes' shares, else None."""
    lowest = min(row["train_loss"] for row in history)
    if lowest < CHANCE * guess:
        return None
    return (
        f"stuck at chance: in {len(history)} epochs the train loss never fell below {lowest:.3f}, where guessing the "
        f"classes' shares has {guess:.3f}; try another --lr, or let more learn (--freeze)"
    )
