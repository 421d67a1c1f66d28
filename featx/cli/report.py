"""`featx report`: runs as one page."""

from __future__ import annotations

from pathlib import Path

import click

from featx.cli.options import cache_option, quiet_options


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    help="The page to write.",
)
@click.option(
    "--figures",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write every figure to: PDF and SVG in print size, its numbers as CSV.",
)
@click.option("--no-map", is_flag=True, help="Leave out the map of the features.")
@click.option(
    "--thumbnails",
    is_flag=True,
    help="Show small pictures of the images that are hard. They are of patients: think where the page goes.",
)
@cache_option
@quiet_options
def report(
    runs: tuple[Path, ...],
    *,
    out: Path,
    figures: Path | None,
    no_map: bool,
    thumbnails: bool,
    cache: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Write one self-contained HTML page on RUNs: results, checks, data.

    RUN is a folder that `featx compare`, `fit`, `evaluate` or `run` wrote; of a study that `run` ran the page shows its
    own tables, figures and learning curves too. The page holds no picture of a patient unless
    --thumbnails asks for them, needs no network, and every figure has its numbers behind a link.
    """
    from datetime import UTC, datetime

    from featx import atomic
    from featx.report import report as make

    found = make(runs, cache=cache, maps=not no_map, thumbnails=thumbnails, date=datetime.now(UTC).date().isoformat())
    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    atomic.write_text(out, found.html)
    files = found.print_figures(figures) if figures else []
    if not quiet:
        click.echo(f"written: {out} ({out.stat().st_size / 1e3:.0f} kB)", err=True)
        if figures:
            click.echo(f"written: {figures} ({len(files) // 3} figures as PDF, SVG and CSV)", err=True)
    if verbose:
        for section in found.sections:
            click.echo(": ".join(filter(None, (section.chapter, section.heading))))
