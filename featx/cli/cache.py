"""`featx cache`: what lies in a cache, and what may go."""

from __future__ import annotations

from pathlib import Path

import click

from featx.cli.options import cache_option, names, quiet_options


@click.group()
def cache() -> None:
    """List what lies in the cache, or delete what nobody can use any more."""


@cache.command("list")
@click.argument("dataset", required=False)
@cache_option
@quiet_options
def list_(dataset: str | None, *, cache: Path | None, quiet: bool, verbose: bool) -> None:
    """List what lies in the cache with size, age, rows, and what is against it.

    Feature files one by one, then decoded images, converted networks, cells and unfinished trainings by kind
    (--verbose: one by one). Reasons: damaged, unreadable, outdated (rules of an older featx), leftover (of a killed
    run), incomplete, no-dataset (the images are not there), other-versions (of torch, OpenVINO ...), unused (for 90
    days; only of what is made again).
    """
    from featx.cache.places import Places
    from featx.description.cache import listed
    from featx.housekeeping import holdings, leftovers, sections, totals

    places = Places.at(cache)
    alone = quiet or dataset is not None
    click.echo(
        listed(
            [*holdings(places, dataset), *([] if alone else leftovers(places))],
            {} if alone else totals(places),
            sections=[] if alone else sections(places),
            places=places,
            verbose=verbose,
        )
    )


@cache.command()
@click.argument("dataset", required=False)
@click.option(
    "--stale",
    "reasons",
    multiple=True,
    callback=names,
    default=("damaged,outdated,leftover",),
    show_default=True,
    help="What goes, with commas between; also incomplete, no-dataset, other-versions, unreadable, unused.",
)
@click.option(
    "--unused-for",
    type=click.FloatRange(min=0),
    default=90,
    show_default=True,
    metavar="DAYS",
    help="What counts as unused, of what is made again when it is wanted.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@cache_option
@quiet_options
@click.pass_context
def prune(
    ctx: click.Context,
    dataset: str | None,
    *,
    reasons: list[str],
    unused_for: float,
    yes: bool,
    cache: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Delete what nobody can use any more, after asking.

    Feature files, and what is made again when it is wanted: decoded images, converted networks, cells, unfinished
    trainings. Results (runs, folds, trained weights) stay, and so does a file that is being written.
    """
    from featx.cache.places import Places
    from featx.description.cache import pruned, to_prune
    from featx.housekeeping import everything, holdings, prunable, prune

    places = Places.at(cache)
    found = holdings(places, dataset) if dataset else everything(places, unused_days=unused_for)
    entries = prunable(found, reasons)
    if not entries:
        click.echo(f"nothing in {places.root} is {' or '.join(reasons)}")
        return
    if not (quiet and yes):
        click.echo(to_prune(entries, places=places))
    if not (yes or _agreed()):
        click.echo("nothing was deleted")
        return
    gone, kept = prune(entries)
    click.echo(pruned(gone, kept))
    ctx.exit(1 if kept else 0)


def _agreed() -> bool:
    """Ask; no answer, as in a script, is a no."""
    try:
        return click.confirm("delete them?")
    except click.Abort:
        click.echo(err=True)
        return False
