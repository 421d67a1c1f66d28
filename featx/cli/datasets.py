"""`featx datasets` and `featx eda`: a look at data before anything is learned from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from featx.cli.options import audit_options, cache_option, data_argument, dataset_options, quiet_options
from featx.cli.talk import columns, progress


@click.group(invoke_without_command=True)
@click.pass_context
def datasets(ctx: click.Context) -> None:
    """List the dataset formats that featx reads; `featx datasets check DATA` looks at one."""
    if ctx.invoked_subcommand is None:
        from featx.description.data import of_adapters

        click.echo(of_adapters())


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
    from featx.description.data import of_audit

    found = _audit(data, quiet=quiet, **options)
    click.echo(of_audit(found, verbose=verbose))


@click.command()
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

    with progress("look", unit="img", quiet=quiet) as bar:
        return audit(data, columns=columns(options), on_progress=bar, **options)
