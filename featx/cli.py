"""The command line: options in, one library call, words for a person out.

Each verb is one call of the library; nothing is computed here. Whatever works with torch or scikit-learn is imported
inside a verb, so that help appears at once.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from featx.errors import FeatxError, UsageError
from featx.options import (
    audit_options,
    backbone_options,
    cache_option,
    data_argument,
    dataset_options,
    evaluate_options,
    fit_options,
    names,
    quiet_options,
)

SKIPPED = 3
INTERRUPTED = 130


class Featx(click.Group):
    """The group of verbs: turns every FeatxError into one sentence and its exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a verb; a traceback appears under ``--debug`` only."""
        debug = "--debug" in sys.argv
        # Pillow's word on very large images, which featx refuses with words of its own
        warnings.filterwarnings("ignore", message="Image size .* exceeds limit")
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
            sys.exit(code if isinstance(code, int) else 0)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("stopped; what `featx extract` had finished is kept, and it goes on from there", err=True)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except FeatxError as error:
            if debug:
                raise
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_code)
        except (OSError, MemoryError) as error:
            if debug:
                raise
            click.echo(f"Error: {_system_words(error)}", err=True)
            sys.exit(1)


def _system_words(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "out of memory; take a smaller --batch-size or --size"
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}; nothing that was finished is lost"


@click.group(cls=Featx, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="featx")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Deep features once, classical classifiers compared honestly.

    \b
    featx extract DATA --layer fc7            images -> cached features
    featx fit --clf svm --design mel-vs-benign    cached features -> scores over grouped 5x2 folds
    featx demo                                all of it on synthetic images
    """  # noqa: D301


@main.command()
@data_argument
@dataset_options
@backbone_options
@cache_option
@quiet_options
@click.pass_context
def extract(ctx: click.Context, data: Path | None, quiet: bool, verbose: bool, **options: Any) -> None:
    """Extract deep features of DATA into the cache, or find them there.

    DATA is a folder or a table of images (or FEATX_DATA); without it, the built-in synthetic demo is used.
    """
    from featx.extraction import extract

    if data is None and not quiet:
        click.echo("no DATA given: the built-in demo is used (synthetic images)", err=True)
    with _progress("extract", unit="img", quiet=quiet) as bar:
        found = extract(data, on_progress=bar, columns=_columns(options), **options)
    _tell_extraction(found, quiet=quiet, verbose=verbose)
    if found.failed:
        ctx.exit(SKIPPED)


@main.command()
@data_argument
@click.option("--clf", "classifiers", default="svm", show_default=True, help="Classifier.")
@click.option(
    "--design", "designs", default=None, help="Which diagnosis is which class: a name or a YAML file [mel-vs-benign]."
)
@fit_options
@cache_option
@quiet_options
def fit(classifiers: str, designs: str | None, **options: Any) -> None:
    """Fit one classifier on cached features, over grouped folds.

    Takes the features that were extracted last, or those of DATA, or --features.
    """
    if "," in classifiers:
        raise UsageError(f"fit takes one classifier, {classifiers!r} came; `featx compare` takes several")
    _compare("fit", [classifiers], [designs] if designs else [], **options)


@main.command()
@data_argument
@click.option(
    "--clf",
    "classifiers",
    multiple=True,
    callback=names,
    default=("svm,rf,tree",),
    show_default=True,
    help="Classifiers, with commas between.",
)
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


PAPER_DESIGNS = ["malignant-vs-benign", "mel-vs-benign", "bcc-vs-mel-vs-benign"]


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
    **options: Any,
) -> None:
    from featx.cache.places import Places
    from featx.comparison import compare
    from featx.designs import custom

    if positive or negative or drop:
        designs = [*designs, custom(positive, negative, drop=drop)]
    designs = designs or (["mel-vs-benign"] if verb == "fit" else PAPER_DESIGNS)
    typed = click.get_current_context().get_parameter_source("data") is click.core.ParameterSource.COMMANDLINE
    if features and typed:
        raise UsageError("DATA and --features both say what is fitted; give one of them")
    chosen = list(features) or _last_of(data, Places.at(options["cache"]))
    if not quiet:
        click.echo(f"features: {', '.join(map(str, chosen))}", err=True)
    with _progress(verb, unit="split", quiet=quiet) as bar:
        found = compare(chosen, classifiers=classifiers, designs=designs, verb=verb, on_progress=bar, **options)
    _tell_comparison(found, quiet=quiet, verbose=verbose)


def _last_of(data: Path | None, places: Any) -> list[Path]:
    """Return the features extracted last: of DATA where it is given, else of the only dataset of the cache."""
    if data is None:
        return places.last()
    from featx.matrix import extracted_from

    return extracted_from(data, places)


@main.command()
@data_argument
@click.option(
    "--clf",
    "classifiers",
    multiple=True,
    callback=names,
    default=("svm,rf,tree",),
    show_default=True,
    help="Classifiers, with commas between.",
)
@click.option(
    "--design",
    "designs",
    multiple=True,
    callback=names,
    default=("mel-vs-benign",),
    show_default=True,
    help="Designs, with commas between: names or YAML files.",
)
@evaluate_options
@cache_option
@quiet_options
def evaluate(
    *, data: Path | None, features: Path | None, cache: Path | None, quiet: bool, verbose: bool, **options: Any
) -> None:
    """Train on one feature file and test on another's rows: external validation.

    Trains on the features that were extracted last, or those of DATA, or --features; tests on --test. Images, groups
    and near-duplicates that both hold are refused.
    """
    from featx.cache.places import Places
    from featx.evaluation import evaluate, only

    typed = click.get_current_context().get_parameter_source("data") is click.core.ParameterSource.COMMANDLINE
    if features and typed:
        raise UsageError("DATA and --features both say what is trained on; give one of them")
    chosen = features or only(_last_of(data, Places.at(cache)))
    if not quiet:
        click.echo(f"train: {chosen}\ntest: {options['test']}", err=True)
    with _progress("evaluate", unit="fit", quiet=quiet) as bar:
        found = evaluate(chosen, cache=cache, on_progress=bar, **options)
    _tell_evaluation(found, quiet=quiet, verbose=verbose)


def _tell_evaluation(found: Any, *, quiet: bool, verbose: bool) -> None:
    from featx.description import evaluation_told

    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(evaluation_told(found, verbose=verbose))
    if not quiet:
        click.echo(f"written: {found.folder}/run.json, scores.csv, predictions.csv, clinical.csv and more", err=True)


@main.command()
@click.argument("features", required=False, type=click.Path(path_type=Path))
@click.option("--backbone", help="List the layers of a network with their shapes.")
@click.option("--size", type=int, help="Side of the image in pixels, for shapes.")
@cache_option
def info(features: Path | None, backbone: str | None, size: int | None, cache: Path | None) -> None:
    """Tell of a feature file, of a network's layers, or of this installation and its cache."""
    from featx import description

    if features is not None:
        click.echo(description.of_features(features))
    elif backbone is not None:
        click.echo(description.of_backbone(backbone, size=size))
    else:
        click.echo(description.of_installation(cache))


@main.group(invoke_without_command=True)
@click.pass_context
def datasets(ctx: click.Context) -> None:
    """List the dataset formats that featx reads; `featx datasets check DATA` looks at one."""
    if ctx.invoked_subcommand is None:
        from featx import description

        click.echo(description.of_adapters())


@datasets.command()
@data_argument
@dataset_options
@audit_options
@cache_option
@quiet_options
def check(data: Path | None, *, quiet: bool, verbose: bool, **options: Any) -> None:
    """Look at DATA before anything is learned from it.

    Tells found = kept + dropped (reason), diagnoses, groups, designs, identical and nearly identical images, and how
    well the label is told without the picture (shortcuts).
    """
    from featx import description

    found = _audit(data, quiet=quiet, **options)
    click.echo(description.of_audit(found, verbose=verbose))


@main.command()
@data_argument
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="eda.html",
    show_default=True,
    help="The page to write.",
)
@dataset_options
@audit_options
@cache_option
@quiet_options
def eda(data: Path | None, *, out: Path, quiet: bool, verbose: bool, **options: Any) -> None:
    """Write one self-contained HTML page on what DATA are: counts, ages, sizes, duplicates, shortcuts.

    It holds no picture of DATA and asks nothing of the network.
    """
    from featx import atomic
    from featx.eda import page_of

    found = _audit(data, quiet=quiet, **options)
    page = page_of(
        found.dataset, fingerprints=found.fingerprints, pairs=found.pairs, shortcuts=found.shortcuts, date=_today()
    )
    atomic.write_text(out, page)
    if not quiet:
        click.echo(f"written: {out} ({out.stat().st_size / 1e3:.0f} kB)", err=True)


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()


def _audit(data: Path | None, *, quiet: bool, **options: Any) -> Any:
    from featx.audit import audit

    with _progress("look", unit="img", quiet=quiet) as bar:
        return audit(data, columns=_columns(options), on_progress=bar, **options)


@main.command()
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

    with _progress("draw", unit="img", quiet=quiet) as bar:
        demo_dataset(Places.at(cache), on_progress=bar)
    with _progress("extract", unit="img", quiet=quiet) as bar:
        found = extract(None, backbone=backbone, weights=weights, cache=cache, on_progress=bar)
    _tell_extraction(found, quiet=quiet, verbose=verbose)
    with _progress("compare", unit="split", quiet=quiet) as bar:
        compared = compare(found.files, designs=PAPER_DESIGNS, cache=cache, out=out, verb="demo", on_progress=bar)
    _tell_comparison(compared, quiet=quiet, verbose=verbose)


def _columns(options: dict[str, Any]) -> Any:
    """Take the options that say where the labels stand out of the rest."""
    from featx.datasets import Columns

    named = {name: options.pop(f"{name}_column") for name in ("image", "label", "group", "unit", "split")}
    return Columns(labels=options.pop("labels"), **named)


@contextmanager
def _progress(what: str, *, unit: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with rate and time left on a terminal, and nothing in a pipe."""
    from tqdm import tqdm

    bar = tqdm(desc=what, unit=unit, disable=quiet or not sys.stderr.isatty(), file=sys.stderr, leave=False)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        bar.close()


def _tell_extraction(found: Any, *, quiet: bool, verbose: bool) -> None:
    from featx.description import extraction_told

    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    if not quiet or found.failed:
        click.echo(extraction_told(found, verbose=verbose))


def _tell_comparison(found: Any, *, quiet: bool, verbose: bool) -> None:
    from featx.description import comparison_told

    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(comparison_told(found, verbose=verbose))
    if not quiet:
        click.echo(f"written: {found.folder}/run.json, scores.csv, predictions.csv, clinical.csv and more", err=True)
