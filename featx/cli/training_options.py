"""The options of training, for `featx finetune` and `featx train` to share: what learns, on what, and how.

Only names, kinds and help: nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from featx.cli.options import (
    Decorator,
    choice,
    diagnoses,
    image_options,
    max_failures_option,
    names,
    reading_options,
    share,
    together,
)
from featx.errors import UsageError

HEADS = "linear, gap+512, flatten+128bn, 512-128, flatten+dense2+dropout2, or widths of your own"

network_options = together(
    click.option("--backbone", default="mobilenet_v2", show_default=True, help="Network (`featx info` lists them)."),
    click.option(
        "--cut", metavar="LAYER", help="End the network at this layer (pool4), and put the head there [its last layer]."
    ),
    click.option("--head", default="linear", show_default=True, help=f"What stands on it: {HEADS}."),
    click.option(
        "--dropout", type=float, help="Share left out after each hidden layer [.5 where the head says dropout]."
    ),
    choice("--loss", "softmax", "sigmoid", default="softmax", text="sigmoid: one output for two classes, BCE."),
)

freeze_option = click.option(
    "--freeze",
    default="none",
    show_default=True,
    metavar="WHAT",
    help="What does not learn: none, all (but the head), upto:LAYER, blocks:A,B, or all-but:A,B. A block is first, "
    "last, its number, or the layer that it ends with. Batch norm that is frozen keeps its statistics.",
)

question_options = together(
    click.option(
        "--design", default="mel-vs-benign", show_default=True, help="What is learned: a name or a YAML file."
    ),
    click.option(
        "--folds",
        default="5x2",
        show_default=True,
        help="One network is trained for each split, on its train side; as of `featx compare`. all: one network on "
        "everything, as a start for other data.",
    ),
    *reading_options,
    diagnoses("--positive", "Diagnoses of the positive class: a design of your own."),
    diagnoses("--negative", "Diagnoses of the negative class."),
    diagnoses("--drop", "Diagnoses that a design of your own leaves out."),
    click.option(
        "--layer",
        "layers",
        multiple=True,
        callback=names,
        default=("penultimate,logits",),
        show_default=True,
        help="Layers whose features go into the cache; logits takes --clf argmax.",
    ),
    click.option("--as", "called", metavar="WORD", help="What this training is called in names [the dataset's name]."),
)

picture_options = together(*image_options, max_failures_option)


def learning_options(*, lr: float, head_lr: float | None, epochs: int) -> Decorator:
    """Return the options on how a network learns, with the defaults of a verb."""
    return together(
        choice("--optimiser", "sgd", "nesterov", "adam", default="adam", text="Momentum, after Nesterov too, or Adam."),
        click.option("--lr", type=float, default=lr, show_default=True, help="Learning rate of the backbone."),
        click.option(
            "--head-lr", type=float, default=head_lr, show_default=head_lr is not None, help="Of the head [--lr]."
        ),
        click.option("--momentum", type=float, default=0.9, show_default=True, help="Of sgd and nesterov."),
        click.option("--l2", type=float, default=0.0, show_default=True, help="Weight decay; keras' l2 is half of it."),
        click.option("--epochs", type=int, default=epochs, show_default=True, help="At most."),
        click.option(
            "--head-epochs",
            type=int,
            default=0,
            show_default=True,
            help="Epochs before, in which the head learns alone.",
        ),
        click.option("--batch-size", type=int, default=32, show_default=True, help="Images in one step."),
        choice("--decay", "plateau", "cosine", "none", default="plateau", text="Of the learning rates."),
        click.option("--patience", type=int, default=3, show_default=True, help="Epochs before a plateau decays."),
        click.option(
            "--factor", type=float, default=0.1, show_default=True, help="What a plateau leaves of the rates."
        ),
        click.option(
            "--stop", type=int, default=8, show_default=True, help="Epochs without a lower validation loss; 0: never."
        ),
        click.option(
            "--min-delta", type=float, default=0.0, show_default=True, help="By how much a lower loss is lower."
        ),
        click.option(
            "--validation",
            default="10%",
            show_default=True,
            callback=share,
            help="Share of each train side, by group, whose loss decides which weights are kept.",
        ),
        choice(
            "--balance",
            "none",
            "weights",
            "sample",
            "oversample",
            default="weights",
            text="Classes of unequal size: weighted losses, weighted draws, or the smaller ones again.",
        ),
        click.option(
            "--norms",
            type=click.Choice(("batch", "keep")),
            help="What batch norm that is not frozen normalises by: the batch, or for good the statistics that came "
            "with the weights [keep; batch with random weights].",
        ),
        click.option(
            "--augment",
            default="none",
            show_default=True,
            metavar="A,B=X",
            help="While learning: flip, rotate[=DEGREES], scale[=1.3], stretch[=1.3], shear[=30], shift[=SHARE], "
            "right-angles (turns of 90 degrees), paper (all of Menegola et al.), none.",
        ),
        click.option(
            "--grid",
            "grids",
            multiple=True,
            metavar="NAME=A,B,...",
            help="Values to try, each with each, of lr, head-lr, l2, momentum or batch-size: each split takes the "
            "network with the lowest validation loss inside its train side.",
        ),
        click.option(
            "--keep-frozen",
            type=click.FloatRange(min=0),
            default=8.0,
            show_default=True,
            metavar="GB",
            help="What is frozen before all that learns is computed once an image, and kept up to so many GB; 0: anew "
            "in every epoch.",
        ),
        choice("--precision", "auto", "fp32", "bf16", default="auto", text="auto is bf16 where that is faster."),
        choice("--device", "auto", "cpu", "cuda", default="auto", text="auto takes a GPU where there is one."),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of folds and training."),
    )


def grid_of(texts: Sequence[str]) -> dict[str, list[float]]:
    """Read ``l2=1e-4,1e-3`` and the like.

    Raises
    ------
    UsageError
        Where one is no name with numbers, or a name comes twice.
    """
    grid: dict[str, list[float]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        name = name.strip().replace("-", "_")
        try:
            numbers = [float(value) for value in values.split(",")]
        except ValueError:
            raise UsageError(f"--grid {text!r}: write a name and numbers, such as l2=1e-4,1e-3") from None
        if name in grid:
            raise UsageError(f"--grid {name} came twice; give all its values at once")
        grid[name] = numbers
    return grid
