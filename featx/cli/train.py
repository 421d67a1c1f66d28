"""`featx train`: a network from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featx.cli.finetune import learn
from featx.cli.options import cache_option, data_argument, dataset_options, quiet_options
from featx.cli.training_options import learning_options, network_options, picture_options, question_options


@click.command()
@data_argument
@dataset_options
@network_options
@question_options
@picture_options
@learning_options(lr=1e-3, head_lr=None, epochs=60)
@cache_option
@quiet_options
def train(data: Path | None, seed: int, **options: Any) -> None:
    """Train a network from random weights, one for each split on its train side, and extract its features.

    \b
    featx train DATA --backbone maia-custom1 --augment flip,right-angles
    featx train OTHER --folds all          one network on everything: weights to start from with `featx finetune`
    """  # noqa: D301
    learn(data, weights=f"random:{seed}", freeze="none", seed=seed, **options)
