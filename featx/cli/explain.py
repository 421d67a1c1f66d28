"""`featx explain`: what a saved model looks at in images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from featx.cli.options import cache_option, choice, quiet_options, together
from featx.cli.predict import loaded, network_options, trust_options
from featx.cli.talk import progress
from featx.errors import UsageError

MOST = 100  # images in one file
OF_METHOD = {  # options by the method that takes them
    "lime": ("superpixels", "top", "samples", "hide", "kernel_width", "seed"),
    "occlusion": ("patch", "stride"),
    "gradcam": ("layer",),
}

method_options = together(
    choice("--method", "lime", "occlusion", "gradcam", default="lime", text="How it is found out."),
    click.option("--class", "target", metavar="NAME", help="The class to explain [the one predicted of each image]."),
    choice("--of", "score", "probability", default="score", text="What of the class is explained."),
    click.option(
        "--superpixels",
        type=click.IntRange(2, 2000),
        default=10,
        show_default=True,
        help="LIME: how many SLIC is asked for.",
    ),
    click.option("--top", type=click.IntRange(min=1), default=4, show_default=True, help="LIME: how many are shown."),
    click.option(
        "--samples", type=click.IntRange(2, 100_000), default=512, show_default=True, help="LIME: random masks."
    ),
    choice(
        "--hide",
        "rest",
        "own",
        default="rest",
        text="LIME: a hidden superpixel has the mean colour of the rest of the image, or its own.",
    ),
    click.option(
        "--kernel-width",
        type=click.FloatRange(min=0, min_open=True),
        default=0.25,
        show_default=True,
        help="LIME: how near a mask must be to count.",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="LIME: of the masks."),
    click.option("--patch", type=click.IntRange(min=1), help="Occlusion: side in pixels [an eighth of the image]."),
    click.option("--stride", type=click.IntRange(min=1), help="Occlusion: from patch to patch [half a patch]."),
    click.option("--layer", help="Grad-CAM: the convolutional layer [the last before the model's features]."),
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default="explanation.html",
    show_default=True,
    help="A page (.html) or a picture (.png), with the numbers as .csv beside; or a folder for all of them.",
)
@method_options
@network_options
@trust_options
@cache_option
@quiet_options
@click.pass_context
def explain(
    ctx: click.Context,
    model: Path,
    images: tuple[str, ...],
    *,
    out: Path,
    method: str,
    target: str | None,
    of: str,
    weights: str | None,
    batch_size: int | None,
    device: str,
    runtime: str,
    unsafe_pickle: bool,
    sha256: str | None,
    cache: Path | None,
    quiet: bool,
    verbose: bool,
    **settings: Any,
) -> None:
    """Show what the answer of a MODEL hangs on in images.

    IMAGE is a file or a folder, or - for a list of paths on standard input. lime hides superpixels, occlusion covers
    patch by patch (both for any model); gradcam follows the gradient to the network's last map (for linear classifiers
    and networks' own outputs). LIME and the superpixels need pip install 'featx[explain]'. The pictures are of
    patients: think where they go. Research use: not a medical device.
    """
    refuse_unmeant(ctx, method)
    kind = kind_of(out)
    predictor = loaded(model, unsafe_pickle=unsafe_pickle, sha256=sha256)
    from featx.predictor.explaining import explain as explained_of
    from featx.predictor.listing import images_of

    paths = images_of(images, listed=sys.stdin if "-" in images else ())
    if kind != "folder" and len(paths) > MOST:
        raise UsageError(f"{len(paths)} images are too many for one file (limit {MOST}); give -o a folder")
    about = {"weights": weights, "batch_size": batch_size, "device": device, "runtime": runtime, "cache": cache}
    how = settings_of(method, settings)
    with predictor.network(**about) as network, progress("explain", unit="image", quiet=quiet) as bar:
        asked = {"method": method, "target": target, "of": of, "on_progress": bar, **how}
        found = list(explained_of(predictor, paths, network=network, **asked))
    told = {"method": method, "of": of, "about": settings | how}
    written = _written(predictor, found, out, kind=kind, told=told)
    _tell(predictor, found, written, of=of, quiet=quiet)
    if all(one.found is None for one in found):
        sys.exit(1)


def refuse_unmeant(ctx: click.Context, method: str) -> None:
    """Raise where an option of another method was given: it would change nothing."""
    for other, names in OF_METHOD.items():
        given = [name for name in names if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE]
        if other != method and given:
            raise UsageError(f"--{given[0].replace('_', '-')} is for --method {other}; --method {method} came")


def settings_of(method: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return a method's options by the names that the library has for them."""
    words = {"superpixels": "count", "kernel_width": "width"}
    return {words.get(name, name): options[name] for name in OF_METHOD[method] if options[name] is not None}


def kind_of(out: Path) -> str:
    """Return ``html``, ``png`` or ``folder``.

    Raises
    ------
    UsageError
        Where the name ends otherwise.
    """
    kind = {".html": "html", ".htm": "html", ".png": "png", "": "folder"}.get(out.suffix.lower())
    if out.is_dir():
        return "folder"
    if kind is None:
        raise UsageError(f"-o {out}: a page ends in .html, a picture in .png, and a folder has no ending")
    return kind


def _written(predictor: Any, found: list[Any], out: Path, *, kind: str, told: dict[str, Any]) -> list[Path]:
    """Write what was asked for, and return the files."""
    from featx import atomic
    from featx.datasets.base import slug
    from featx.description.explain import csv_of, page_of, picture_of

    good = [one for one in found if one.found is not None]
    if not good:
        return []
    csv = atomic.write_text(
        out.with_suffix(".csv") if kind != "folder" else out / "explanations.csv", csv_of(found, method=told["method"])
    )
    if kind == "png":
        return [atomic.write_bytes(out, picture_of(predictor, good, **told)), csv]
    files = [atomic.write_text(out if kind == "html" else out / "explanations.html", page_of(predictor, found, **told))]
    for number, one in enumerate(good if kind == "folder" else (), start=1):
        name = f"{number:03d}-{slug(Path(one.prediction.name).stem)[:60]}.png"
        files.append(atomic.write_bytes(out / name, picture_of(predictor, [one], **told)))
    return [*files, csv]


def _tell(predictor: Any, found: list[Any], written: list[Path], *, of: str, quiet: bool) -> None:
    from featx.description.explain import explained_told

    for one in found:
        if one.found is None or not quiet:
            click.echo(explained_told(predictor, one, of=of), err=one.found is None)
    if not quiet and written:
        files = [str(path) for path in written]
        shown = ", ".join(files if len(files) < 5 else [*files[:3], f"... ({len(files)} files)"])
        click.echo(f"written: {shown}", err=True)
