"""`featx predict`: a saved model says of image files which class they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from featx.cli.options import cache_option, choice, quiet_options, together
from featx.cli.talk import progress
from featx.errors import UsageError

network_options = together(
    click.option(
        "--weights", metavar="imagenet|random[:SEED]|FILE", help="The network's weights [found by their digest]."
    ),
    click.option("--batch-size", type=click.IntRange(1, 4096), help="Images in a forward pass [16; 256 on a GPU]."),
    choice("--device", "auto", "cpu", "cuda", default="auto", text="auto takes a GPU where there is one."),
    choice("--runtime", "auto", "torch", "openvino", default="auto", text="What runs the network."),
)
trust_options = together(
    click.option("--unsafe-pickle", is_flag=True, help="Load a pickle, which can run any code; with --sha256 only."),
    click.option("--sha256", metavar="HEX", help="Of the very pickle that you trust."),
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="CSV file [standard output].")
@click.option("--table", type=click.Path(path_type=Path), help="Table that says what each image is of.")
@click.option("--unit-column", help="Its column of what a prediction is for, such as lesion_id.")
@click.option("--watch", type=click.Path(path_type=Path), help="Predict what arrives in a folder, until Ctrl-C.")
@click.option("--every", type=click.FloatRange(min=0.05), default=2.0, show_default=True, help="Seconds between looks.")
@network_options
@trust_options
@cache_option
@quiet_options
def predict(
    model: Path,
    images: tuple[str, ...],
    *,
    out: Path | None,
    table: Path | None,
    unit_column: str | None,
    watch: Path | None,
    every: float,
    unsafe_pickle: bool,
    sha256: str | None,
    quiet: bool,
    verbose: bool,
    **about: Any,
) -> None:
    """Say of images which class they are, by a MODEL that `featx fit --save` wrote.

    IMAGES are files or folders, or - for a list of paths on standard input. The table has calibrated probabilities,
    scores, whether the model was fitted on that very file, and a warning where an image lies far from what it was
    fitted on. Research use: not a medical device.
    """
    if bool(table) != bool(unit_column):
        raise UsageError("--table and --unit-column go together: the table says which unit each image is of")
    if watch and (images or table):
        raise UsageError("--watch predicts what arrives in its folder, image by image; leave IMAGES and --table out")
    predictor = loaded(model, unsafe_pickle=unsafe_pickle, sha256=sha256)
    if watch:
        _watch(predictor, watch, out=out, every=every, quiet=quiet, about=about)
        return
    from featx.description.prediction import header_of, predictions_told, rows_of
    from featx.predictor.listing import images_of, units_from
    from featx.spreadsheet import csv_text

    paths = images_of(images, listed=sys.stdin if "-" in images else ())
    units = units_from(table, paths, column=unit_column) if table and unit_column else None
    with progress("predict", unit="image", quiet=quiet) as bar:
        found = predictor.predict(paths, units=units, on_progress=bar, **about)
    unit = unit_column or "image"
    _write(csv_text(header_of(predictor, unit=unit), rows_of(predictor, found, unit=unit)), out)
    if not quiet:
        click.echo(predictions_told(predictor, found), err=True)
    if all(one.predicted is None for one in found):
        sys.exit(1)


def loaded(model: Path, *, unsafe_pickle: bool, sha256: str | None) -> Any:
    """Return the model; a pickle only where the user says so twice."""
    from featx.predictor import Predictor

    if unsafe_pickle != (sha256 is not None):
        raise UsageError("--unsafe-pickle and --sha256 go together: a pickle runs what it likes, so say which you mean")
    return Predictor.load(model, unsafe_sha256=sha256)


def _write(text: str, out: Path | None) -> None:
    from featx import atomic

    if out is None:
        click.echo(text, nl=False)
    else:
        atomic.write_text(out, text)


def _watch(predictor: Any, folder: Path, *, out: Path | None, every: float, quiet: bool, about: dict[str, Any]) -> None:
    """Predict what arrives, each row written as it is known, until Ctrl-C."""
    from featx.description.prediction import header_of, rows_of
    from featx.predictor.listing import arrivals
    from featx.spreadsheet import csv_text

    header, done, text = header_of(predictor, unit="image"), 0, ""
    if not quiet:
        click.echo(f"watching {folder}; Ctrl-C ends it", err=True)
    try:
        with predictor.network(**about) as network:
            for paths in arrivals(folder, seconds=every):
                found = predictor.predict(paths, network=network)
                table = csv_text(header, rows_of(predictor, found, unit="image"))
                text += table if not text else table.partition("\n")[2]
                _write(text if out else (table if not done else table.partition("\n")[2]), out)
                done += len(paths)
                sys.stdout.flush()
    except KeyboardInterrupt:
        click.echo(f"stopped after {done} images", err=True)
