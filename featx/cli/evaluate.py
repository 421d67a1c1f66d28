"""`featx evaluate`: trained on one feature file, tested on another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featx.cli.compare import last_of
from featx.cli.options import cache_option, classifiers_option, data_argument, evaluate_options, names, quiet_options
from featx.cli.talk import progress
from featx.errors import UsageError


@click.command()
@data_argument
@classifiers_option
@click.option(
    "--design",
    "designs",
    multiple=True,
    callback=names,
    help="Designs, with commas between: names or YAML files [mel-vs-benign].",
)
@evaluate_options
@cache_option
@quiet_options
def evaluate(
    *,
    data: Path | None,
    designs: list[Any],
    features: Path | None,
    positive: list[str],
    negative: list[str],
    drop: list[str],
    cache: Path | None,
    quiet: bool,
    verbose: bool,
    engine: str,
    **options: Any,
) -> None:
    """Train on one feature file and test on another's rows: external validation.

    Trains on the features that were extracted last, or those of DATA, or --features; tests on --test. Images, groups
    and near-duplicates that both hold are refused.
    """
    from featx.cache.places import Places
    from featx.designs import custom
    from featx.engine import using
    from featx.evaluation import evaluate, only

    typed = click.get_current_context().get_parameter_source("data") is click.core.ParameterSource.COMMANDLINE
    if features and typed:
        raise UsageError("DATA and --features both say what is trained on; give one of them")
    chosen = features or only(last_of(data, Places.at(cache)))
    if positive or negative or drop:
        designs = [*designs, custom(positive, negative, drop=drop)]
    designs = designs or ["mel-vs-benign"]
    if not quiet:
        click.echo(f"train: {chosen}\ntest: {options['test']}", err=True)
    with using(engine), progress("evaluate", unit="fit", quiet=quiet) as bar:
        found = evaluate(chosen, designs=designs, cache=cache, on_progress=bar, **options)
    _tell_evaluation(found, quiet=quiet, verbose=verbose)


def _tell_evaluation(found: Any, *, quiet: bool, verbose: bool) -> None:
    from featx.description.evaluation import evaluation_told

    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(evaluation_told(found, verbose=verbose))
    if not quiet:
        click.echo(f"written: {found.folder}/run.json, scores.csv, predictions.csv", err=True)
