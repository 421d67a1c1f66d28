"""`featx merge`: shard files into one feature file."""

from __future__ import annotations

from pathlib import Path

import click

from featx.cli.options import quiet_options

INCOMPLETE = 3


@click.command()
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="The file to make [the one that the shards are named after]."
)
@quiet_options
@click.pass_context
def merge(ctx: click.Context, shards: tuple[Path, ...], *, out: Path | None, quiet: bool, verbose: bool) -> None:
    """Put the SHARDS of `featx extract --shard I/N` together, checking each row.

    Shards of other weights, another transform, other data or other image bytes are refused. A row that is damaged in
    its shard stays pending, and `featx extract` computes it.
    """
    from featx.cache.merging import merge
    from featx.description.cache import merged

    found = merge(shards, out)
    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    if not quiet:
        click.echo(merged(found))
    ctx.exit(INCOMPLETE if found.pending else 0)
