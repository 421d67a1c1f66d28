"""`featx fit` and `featx compare`: cached features in, scores over grouped folds out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featx.cli.options import (
    cache_option,
    classifiers_option,
    data_argument,
    fit_options,
    names,
    quiet_options,
    save_options,
)
from featx.cli.talk import progress, tell_comparison
from featx.errors import UsageError

PAPER_DESIGNS = ["malignant-vs-benign", "mel-vs-benign", "bcc-vs-mel-vs-benign"]


@click.command()
@data_argument
@click.option("--clf", "classifiers", default="svm", show_default=True, help="Classifier.")
@click.option(
    "--design", "designs", default=None, help="Which diagnosis is which class: a name or a YAML file [mel-vs-benign]."
)
@fit_options
@save_options
@cache_option
@quiet_options
def fit(
    classifiers: str,
    designs: str | None,
    *,
    save: Path | None,
    embed_weights: bool,
    operating_point: str | None,
    **options: Any,
) -> None:
    """Fit one classifier on cached features, over grouped folds.

    Takes the features that were extracted last, or those of DATA, or --features. --save fits once more on all rows,
    for `featx predict`.
    """
    if "," in classifiers:
        raise UsageError(f"fit takes one classifier, {classifiers!r} came; `featx compare` takes several")
    if save is None:
        if embed_weights or operating_point:
            raise UsageError("--embed-weights and --operating-point are about the model that --save MODEL writes")
        _compare("fit", [classifiers], [designs] if designs else [], **options)
        return
    _fit_and_save(classifiers, designs, save, embed_weights, operating_point, options)


def _fit_and_save(
    classifier: str,
    designs: str | None,
    save: Path,
    embed_weights: bool,
    operating_point: str | None,
    options: dict[str, Any],
) -> None:
    """Evaluate, then fit on all rows with the same settings; what cannot be saved is refused first."""
    from featx.description.prediction import saved_told
    from featx.predictor import saving

    point = operating_point or saving.OPERATING_POINT
    saving.check(save, classifier, options["params"], accelerate=options["accelerate"], operating_point=point)
    found = _compare("fit", [classifier], [designs] if designs else [], **options)
    saved = saving.save_evaluated(save, found.run, found.questions, operating_point=point,
                                  embed_weights=embed_weights, cache=options["cache"])  # fmt: skip
    click.echo(saved_told(saved))


@click.command()
@data_argument
@classifiers_option
@click.option(
    "--design",
    "designs",
    multiple=True,
    callback=names,
    help="Designs, with commas between: names or YAML files [all three of the paper].",
)
@fit_options
@cache_option
@quiet_options
def compare(classifiers: list[str], designs: list[str], **options: Any) -> None:
    """Compare classifiers x designs x feature files over the same grouped folds.

    \b
    Classifiers: svm (linear, squared hinge), svc-linear (the paper's hinge), svm-rbf, rf, tree, logreg, knn, dummy.
    Designs: malignant-vs-benign, mel-vs-benign, bcc-vs-mel-vs-benign (three-class), diagnosis.
    """  # noqa: D301
    _compare("compare", classifiers, designs, **options)


def _compare(
    verb: str,
    classifiers: list[str],
    designs: list[Any],
    *,
    data: Path | None,
    features: tuple[Path, ...],
    positive: list[str],
    negative: list[str],
    drop: list[str],
    quiet: bool,
    verbose: bool,
    engine: str,
    **options: Any,
) -> Any:
    from featx.cache.places import Places
    from featx.comparison import compare
    from featx.designs import custom
    from featx.engine import using

    if positive or negative or drop:
        designs = [*designs, custom(positive, negative, drop=drop)]
    designs = designs or (["mel-vs-benign"] if verb == "fit" else PAPER_DESIGNS)
    typed = click.get_current_context().get_parameter_source("data") is click.core.ParameterSource.COMMANDLINE
    if features and typed:
        raise UsageError("DATA and --features both say what is fitted; give one of them")
    chosen = list(features) or last_of(data, Places.at(options["cache"]))
    if not quiet:
        click.echo(f"features: {', '.join(map(str, chosen))}", err=True)
    with using(engine), progress(verb, unit="split", quiet=quiet) as bar:
        found = compare(chosen, classifiers=classifiers, designs=designs, verb=verb, on_progress=bar, **options)
    tell_comparison(found, quiet=quiet, verbose=verbose)
    return found


def last_of(data: Path | None, places: Any) -> list[Path]:
    """Return the features extracted last: of DATA where it is given, else of the only dataset of the cache."""
    if data is None:
        return places.last()
    from featx.matrix import extracted_from

    return extracted_from(data, places)
