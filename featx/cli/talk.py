"""What verbs share when they talk to a person: progress, notes, what was written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click


def columns(options: dict[str, Any]) -> Any:
    """Take the options that say where the labels stand out of the rest."""
    from featx.datasets import Columns

    named = {name: options.pop(f"{name}_column") for name in ("image", "label", "group", "unit", "split")}
    return Columns(labels=options.pop("labels"), **named)


@contextmanager
def progress(what: str, *, unit: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
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


def tell_extraction(found: Any, *, quiet: bool, verbose: bool) -> None:
    """Say what an extraction did."""
    from featx.description.extraction import extraction_told

    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    if not quiet or found.failed:
        click.echo(extraction_told(found, verbose=verbose))


def tell_comparison(found: Any, *, quiet: bool, verbose: bool) -> None:
    """Say what a comparison found."""
    from featx.description.comparison import comparison_told

    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(comparison_told(found, verbose=verbose))
    if not quiet:
        click.echo(f"written: {found.folder}/run.json, scores.csv, predictions.csv, clinical.csv and more", err=True)
