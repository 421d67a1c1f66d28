"""`featx demo`: the main job on synthetic images."""

from __future__ import annotations

from pathlib import Path

import click

from featx.cli.compare import PAPER_DESIGNS
from featx.cli.options import cache_option, quiet_options
from featx.cli.talk import progress, tell_comparison, tell_extraction


@click.command()
@click.option("--backbone", default="vgg16", show_default=True, help="Network.")
@click.option(
    "--weights", metavar="imagenet|random[:SEED]|FILE", help="Weights [imagenet; random where they cannot be had]."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for run.json, scores.csv, predictions.csv [in the cache]."
)
@cache_option
@quiet_options
def demo(
    backbone: str, weights: str | None, cache: Path | None, *, quiet: bool, verbose: bool, out: Path | None
) -> None:
    """Run the main job on synthetic images: extract, then svm, rf and tree on three designs."""
    from featx.cache.places import Places
    from featx.comparison import compare
    from featx.extraction import demo_dataset, extract

    with progress("draw", unit="img", quiet=quiet) as bar:
        demo_dataset(Places.at(cache), on_progress=bar)
    with progress("extract", unit="img", quiet=quiet) as bar:
        found = extract(None, backbone=backbone, weights=weights, cache=cache, on_progress=bar)
    tell_extraction(found, quiet=quiet, verbose=verbose)
    with progress("compare", unit="split", quiet=quiet) as bar:
        compared = compare(found.files, designs=PAPER_DESIGNS, cache=cache, out=out, verb="demo", on_progress=bar)
    tell_comparison(compared, quiet=quiet, verbose=verbose)
