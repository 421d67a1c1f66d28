"""`featx verify`: every row of feature files, held against what was written and against its image."""

from __future__ import annotations

from pathlib import Path

import click

from featx.cli.options import cache_option, quiet_options
from featx.cli.talk import progress


@click.command()
@click.argument("features", nargs=-1, type=click.Path(path_type=Path))
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the images [where they were].")
@click.option("--images/--no-images", default=True, show_default=True, help="Read every image again and compare it.")
@cache_option
@quiet_options
@click.pass_context
def verify(
    ctx: click.Context,
    features: tuple[Path, ...],
    *,
    root: Path | None,
    images: bool,
    cache: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Check every row of FEATURES, its key, and its images where they are there.

    Without FEATURES, every feature file of the cache. Names bad rows; `featx extract` then computes just these.
    """
    from featx.cache.places import Places
    from featx.cache.verifying import verify
    from featx.description.cache import verified
    from featx.errors import CacheError
    from featx.housekeeping import feature_files

    places, bad = Places.at(cache), 0
    files = features or tuple(feature_files(places))
    if not files:
        raise CacheError(f"{places.root} holds no features; run `featx extract` first, or name a file")
    for path in files:
        try:
            with progress(path.name, unit="img", quiet=quiet) as bar:
                found = verify(path, root=root, look_at_images=images, on_progress=bar)
        except CacheError as error:
            if len(files) == 1:
                raise
            click.echo(f"Error: {error}", err=True)
            bad += 1
            continue
        bad += not found.sound
        if not (quiet and found.sound):
            click.echo(verified(found, verbose=verbose))
    ctx.exit(1 if bad else 0)
