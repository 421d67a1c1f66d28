"""`featx info`: what a file, a network or this installation is."""

from __future__ import annotations

from pathlib import Path

import click

from featx.cli.options import cache_option


@click.command()
@click.argument("features", required=False, type=click.Path(path_type=Path))
@click.option("--backbone", help="List the layers of a network with their shapes.")
@click.option("--size", type=int, help="Side of the image in pixels, for shapes.")
@cache_option
def info(features: Path | None, backbone: str | None, size: int | None, cache: Path | None) -> None:
    """Tell of a feature file, of a network's layers, or of this installation and its cache."""
    from featx.cache.sets import is_set
    from featx.description import cache as stored
    from featx.description import extraction as description
    from featx.description import training

    if features is not None and is_set(features):
        click.echo(training.of_set(features))
    elif features is not None:
        click.echo(stored.of_features(features))
    elif backbone is not None:
        click.echo(description.of_backbone(backbone, size=size))
    else:
        click.echo(description.of_installation(cache))
