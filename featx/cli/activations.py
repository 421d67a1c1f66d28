"""`featx activations`: the maps of a layer, one set of weights beside another, and a network's first filters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from featx.cli.options import cache_option, choice, image_options, quiet_options, together
from featx.errors import UsageError

MOST = 20  # images on one picture

pixel_options = together(*(one for one in image_options[:-1]))  # the weights say how pixels are normalised


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1)
@click.option("--backbone", default="vgg16", show_default=True, help="Network (`featx info` lists them).")
@click.option("--layer", help="Layer by name (`featx info --backbone NAME`) or dotted path [the first].")
@click.option(
    "--weights",
    multiple=True,
    default=("imagenet",),
    show_default=True,
    metavar="imagenet|random[:SEED]|FILE",
    help="Weights; several by several options, beside one another.",
)
@click.option(
    "--maps", "most", type=click.IntRange(1, 4096), default=64, show_default=True, help="Maps that are shown."
)
@click.option("--filters", is_flag=True, help="Show the filters of the first convolution; no IMAGE is needed.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="activations.png",
    show_default=True,
    help="The picture to write.",
)
@pixel_options
@choice("--device", "auto", "cpu", "cuda", default="auto", text="auto takes a GPU where there is one.")
@cache_option
@quiet_options
def activations(
    images: tuple[str, ...],
    *,
    backbone: str,
    layer: str | None,
    weights: tuple[str, ...],
    most: int,
    filters: bool,
    out: Path,
    device: str,
    cache: Path | None,
    quiet: bool,
    verbose: bool,
    **pixels: Any,
) -> None:
    """Show what a layer of a network gives for images, map by map, each from black (least) to white (most).

    IMAGE is a file or a folder, or - for a list of paths on standard input. With --filters, the filters of the first
    convolution stand first.
    """
    if out.suffix.lower() != ".png":
        raise UsageError(f"-o {out}: the picture ends in .png")
    if not images and not filters:
        raise UsageError("give an IMAGE, or --filters for the filters of the first convolution alone")
    from featx import atomic
    from featx.description.activations import filters_row, maps_rows, picture_of, told_of
    from featx.explain import activations as maps_of
    from featx.explain import filters as filters_of

    rows, lines = [], []
    about: dict[str, Any] = {"backbone": backbone, "cache": cache}
    if filters:
        kernels = [filters_of(weights=one, **about) for one in weights]
        rows.append(filters_row(kernels, most=most))
    if images:
        paths, transform = _paths(images), _transform(backbone, pixels)
        found = maps_of(paths, layer=layer, weights=weights, transform=transform, device=device, **about)
        rows += maps_rows(found, paths, most=most)
        lines = told_of(found, paths)
    atomic.write_bytes(out, picture_of(rows, backbone=backbone))
    if not quiet:
        click.echo("\n".join([*lines, f"written: {out} ({out.stat().st_size / 1e3:.0f} kB)"]), err=True)


def _paths(images: tuple[str, ...]) -> list[str]:
    from featx.predictor.listing import images_of

    paths = images_of(images, listed=sys.stdin if "-" in images else ())
    if len(paths) > MOST:
        raise UsageError(f"{len(paths)} images are too many for one picture (limit {MOST}); give fewer")
    return paths


def _transform(backbone: str, pixels: dict[str, Any]) -> Any:
    from featx.backbones import BACKBONES
    from featx.extraction.request import size_for
    from featx.images import Transform

    return Transform(**{**pixels, "size": size_for(BACKBONES[backbone], pixels["size"])})
