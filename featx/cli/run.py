"""`featx run`: a published study's protocol, from data to tables."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from featx.cli.extract import stoppable
from featx.cli.options import cache_option, choice, dataset_options, quiet_options
from featx.cli.talk import columns, progress
from featx.errors import UsageError


def _pairs(_: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=VALUE."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text!r} is no {parameter.metavar}")
        if name in found:
            raise click.BadParameter(f"{name!r} came twice")
        found[name] = value
    return found


def _folds(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Read a scheme or a file, or DESIGN=FILE."""
    return {
        name if equals else "": value if equals else name for name, equals, value in (t.partition("=") for t in texts)
    }


@click.command()
@click.argument("pipeline", required=False)
@click.option(
    "--data",
    envvar="FEATX_DATA",
    type=click.Path(path_type=Path),
    help="The study's main dataset, or another one [the built-in demo: synthetic images].",
)
@click.option(
    "--with",
    "others",
    multiple=True,
    callback=_pairs,
    metavar="NAME=DIR",
    help="A further dataset of the study (retina=DIR, xray=DIR); what wants one that is not given is left out.",
)
@click.option(
    "--weights",
    multiple=True,
    callback=_pairs,
    metavar="NETWORK=FILE",
    help="File of a network's ImageNet weights [torchvision's; without them smoke takes random ones and says so].",
)
@choice(
    "--scale", "smoke", "full", default="smoke", text="smoke: fewer images and epochs, in minutes; full: the study's."
)
@click.option("--check", is_flag=True, help="Only read and check the pipeline.")
@click.option("--dry-run", is_flag=True, help="List the steps and which are done.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of pipeline files.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the run [runs/NAME-SCALE-DATASET in the cache]."
)
@click.option("--seed", type=click.IntRange(min=0), help="Of draws, folds and training [the pipeline's].")
@click.option(
    "--folds",
    multiple=True,
    callback=_folds,
    metavar="[DESIGN=]FOLDS",
    help="Folds instead of the study's, of all or of one design: a scheme or a file (the authors' protocol1.yml).",
)
@click.option(
    "--param", "params", multiple=True, metavar="NAME=VALUE", help="Fix a hyperparameter instead of choosing."
)
@dataset_options
@cache_option
@quiet_options
def run(pipeline: str | None, check: bool, dry_run: bool, schema: bool, **options: Any) -> None:
    """Run the protocol of a published study: PIPELINE is its name or a YAML file.

    \b
    featx run menegola2017                          on synthetic images, in minutes
    featx run menegola2017 --data ATLAS --weights vggm=imagenet-vgg-m.mat --with retina=EYEPACS --scale full
    featx run my_study.yaml --check
    A run that was stopped goes on where it was.
    """  # noqa: D301
    from featx import pipeline as study
    from featx.pipeline import reading

    if schema:
        click.echo(json.dumps(reading.schema(), indent=1))
        return
    if pipeline is None:
        raise UsageError(_none_given())
    found = study.opened(pipeline)
    if check:
        _say_checked(found)
        return
    _run(found, dry_run=dry_run, **options)


def _none_given() -> str:
    from featx.pipeline import shipped

    return f"say which study to run: {', '.join(shipped.names())}, or a pipeline file"


def _say_checked(found: Any) -> None:
    from featx.description.pipeline import checked_told

    click.echo(checked_told(found))


def _run(
    found: Any, *, dry_run: bool, out: Path | None, cache: Path | None, quiet: bool, verbose: bool, **options: Any
) -> None:
    from featx import pipeline as study
    from featx.cache.places import Places
    from featx.description.pipeline import notes_told, ran_told, steps_told

    asked = study.Asked(columns=columns(options), **options)
    if asked.data is None and "main" not in asked.others and not quiet:
        click.echo("no --data given: the built-in demo is used (synthetic images)", err=True)
    plan = study.planned(found, asked, cache=cache)
    if dry_run:
        click.echo(steps_told(plan, study.states(plan, study.folder_for(plan, out, Places.at(cache))), cache))
        return
    if not quiet:
        click.echo(notes_told(plan), err=True)
    with stoppable(), _steps(quiet=quiet) as told:
        ran = study.run(plan, out=out, cache=cache, **told)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None  # a file has no edge
    click.echo(ran_told(ran, verbose=verbose, width=width))


@contextmanager
def _steps(*, quiet: bool) -> Iterator[dict[str, Any]]:
    """Say a line for each step, and show a bar within it on a terminal."""

    def step(one: Any, number: int, count: int, done: bool) -> None:
        if not quiet:
            click.echo(f"[{number}/{count}] {one.name}{': done before' if done else ''}", err=True)

    with progress("", unit="", quiet=quiet) as bar:
        yield {"on_step": step, "on_progress": bar}
