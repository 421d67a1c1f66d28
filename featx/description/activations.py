"""A layer's maps and a network's first filters as panels and sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featx.description.words import shown_name
from featx.explain import Activations, Filters
from featx.explain import panels as draw
from featx.explain.panels import Panel
from featx.explain.sheet import Row, sheet

COLUMNS = 8


def filters_row(found: Sequence[Filters], *, most: int) -> Row:
    """Return the filters of one set of weights beside those of another."""
    return Row(f"Filters of the first convolution, {found[0].module}", tuple(_filters(one, most) for one in found))


def _filters(one: Filters, most: int) -> Panel:
    shown = one.filters[:most]
    height, width = shown.shape[2:]
    told = f"{_share(len(shown), len(one.filters))} filters of {height} x {width}, in red, green and blue"
    return Panel(draw.grid(shown, columns=COLUMNS, tile=draw.TILE // 2), one.weights, told)


def _share(shown: int, total: int) -> str:
    return f"all {total}" if shown == total else f"the first {shown} of {total}"


def maps_rows(found: Sequence[Activations], names: Sequence[str], *, most: int) -> list[Row]:
    """Return one row an image: the image, then the maps under each set of weights."""
    rows = []
    for number, name in enumerate(names):
        image = draw.picture(found[0].pixels[number])
        size = " x ".join(map(str, found[0].pixels.shape[2:0:-1]))
        whole = Panel(image, "The image", f"as the network takes it, {size} pixels")
        rows.append(Row(f"{name}, layer {found[0].layer}", (whole, *(_maps(one, number, most) for one in found))))
    return rows


def _maps(one: Activations, number: int, most: int) -> Panel:
    shown, total = one.maps[number][:most], one.maps.shape[1]
    height, width = shown.shape[1:]
    dead = draw.flat(shown)
    told = f"{_share(len(shown), total)} maps of {height} x {width}" + (
        f"; {dead} of them the same everywhere" if dead else ""
    )
    return Panel(draw.grid(shown, columns=COLUMNS), one.weights, told)


def picture_of(rows: Sequence[Row], *, backbone: str) -> bytes:
    """Return rows as one PNG."""
    foot = (
        "Each map and each filter goes from its own least value (black) to its own greatest (white): the brightness of "
        "two of them cannot be compared.",
        "Research use only: this is no medical device.",
    )
    return sheet(rows, title=f"What {backbone} makes of images", foot=foot)


def told_of(found: Sequence[Activations], names: Sequence[str]) -> list[str]:
    """Return a line for each image and set of weights."""
    return [
        f"{shown_name(name)}, {one.backbone}@{one.weights}, layer {one.layer}: {one.maps.shape[1]} maps of "
        f"{one.maps.shape[2]} x {one.maps.shape[3]}, {draw.flat(one.maps[number])} the same everywhere, "
        f"mean {float(np.mean(one.maps[number])):.3g}"
        for number, name in enumerate(names)
        for one in found
    ]
