"""`featx extract`: images in, cached features out."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from featx.cli.options import backbone_options, cache_option, data_argument, dataset_options, quiet_options
from featx.cli.talk import columns, progress, tell_extraction

SKIPPED = 3


@click.command()
@data_argument
@dataset_options
@backbone_options
@click.option("--retry-failed", is_flag=True, help="Try images again that failed in an earlier run.")
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
    with stoppable(), progress("extract", unit="img", quiet=quiet) as bar:
        found = extract(data, on_progress=bar, columns=columns(options), **options)
    tell_extraction(found, quiet=quiet, verbose=verbose)
    if found.failed:
        ctx.exit(SKIPPED)


@contextmanager
def stoppable() -> Iterator[None]:
    """Have SIGTERM, which a scheduler sends before it kills, stop a run in order, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
