"""`featx finetune`: weights in, weights that know these data out, and their features in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from featx.cli.options import cache_option, data_argument, dataset_options, quiet_options, weights_option
from featx.cli.talk import columns, progress
from featx.cli.training_options import (
    freeze_option,
    grid_of,
    learning_options,
    network_options,
    picture_options,
    question_options,
)

SETTINGS = (
    "optimiser", "lr", "head_lr", "momentum", "l2", "epochs", "head_epochs", "batch_size", "decay", "patience",
    "factor", "stop", "min_delta", "validation", "balance", "loss", "precision", "seed",
)  # fmt: skip


@click.command()
@data_argument
@dataset_options
@network_options
@weights_option
@freeze_option
@question_options
@picture_options
@learning_options(lr=1e-4, head_lr=1e-3, epochs=20)
@cache_option
@quiet_options
def finetune(data: Path | None, weights: str | None, **options: Any) -> None:
    """Train a network on from given weights, one for each split on its train side, and extract its features.

    \b
    The features are one entry of the cache, which serves those folds alone:
      featx finetune DATA --freeze all-but:last --design mel-vs-benign
      featx compare --design mel-vs-benign --clf svm,rf,tree,argmax
    Weights for other data, which start from these: --folds all, then --weights FILE there.
    Settings chosen inside each train side: --grid l2=1e-4,1e-3,1e-2 --grid lr=1e-4,1e-3
    A training that was stopped goes on where it was; one that is done is not done again.
    """  # noqa: D301
    learn(data, weights=weights or "imagenet", **options)


def learn(
    data: Path | None,
    *,
    weights: str,
    design: str,
    positive: list[str],
    negative: list[str],
    drop: list[str],
    augment: str,
    norms: str | None,
    grids: list[str],
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Train, and say what came of it."""
    from featx.augment import parse
    from featx.description.training import training_told
    from featx.designs import custom
    from featx.training import Settings, finetune

    norms = norms or ("batch" if weights.partition(":")[0] == "random" else "keep")
    given = {name: options.pop(name) for name in SETTINGS}
    settings = Settings(**given, norms=norms, augmentation=parse(augment))
    chosen = custom(positive, negative, drop=drop) if positive or negative or drop else design
    if data is None and not quiet:
        click.echo("no DATA given: the built-in demo is used (synthetic images)", err=True)
    with progress("decode", unit="img", quiet=quiet) as decoded, _epochs(settings, quiet=quiet) as told:
        found = finetune(
            data,
            weights=weights,
            design=chosen,
            settings=settings,
            columns=columns(options),
            grid=grid_of(grids),
            on_decoded=decoded,
            on_epoch=told,
            **options,
        )
    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(training_told(found, verbose=verbose))


@contextmanager
def _epochs(settings: Any, *, quiet: bool) -> Iterator[Any]:
    """Say a line after each epoch: of hours of work, a pipe should hear too."""
    from featx.description.training import epoch_told

    def tell(split: str, row: dict[str, Any]) -> None:
        if not quiet:
            click.echo(epoch_told(split, row, total=settings.head_epochs + settings.epochs), err=True)

    yield tell
