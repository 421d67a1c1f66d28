"""Arrays as small pictures: an image with the borders of its superpixels, tinted where something speaks for or against.

Colours are those of ``charts``, which people who do not see all colours can tell apart. Never knows what is explained.
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np

from featx.charts import BLUE, VERMILION

SIDE = 384  # pixels of the longer side of a picture
STRONGEST = 0.75  # opacity of the strongest tint
LETTERS = 17  # height of a superpixel's number, in pixels
QUALITY = 88  # of JPEG
EDGE = (255, 225, 60)
TILE = 96  # pixels of the side of one map in a grid
GAP = 2


class Panel(NamedTuple):
    """A picture and what it shows.

    Attributes
    ----------
    pixels : numpy.ndarray of uint8, shape (h, w, 3)
        RGB.
    name : str
        What it is, in a word or two.
    says : str
        What it shows.
    """

    pixels: np.ndarray
    name: str
    says: str


def picture(pixels: np.ndarray) -> np.ndarray:
    """Return an image in the size of a panel, uint8 (h, w, 3)."""
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize(_shown(pixels.shape), Image.Resampling.BICUBIC))


def enlarged(values: np.ndarray, *, smooth: bool) -> np.ndarray:
    """Return values by pixel in the size of a panel, float64 (h, w): smooth, or each as a block."""
    from PIL import Image

    how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(_shown(values.shape), how), dtype=np.float64)


def _shown(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return width and height of a panel."""
    height, width = shape[:2]
    return max(1, round(SIDE * width / max(height, width))), max(1, round(SIDE * height / max(height, width)))


def bordered(shown: np.ndarray, segments: np.ndarray, *, numbers: bool = False) -> np.ndarray:
    """Return a panel with the borders of superpixels, and the number of each in its middle."""
    from PIL import Image, ImageDraw, ImageFont

    blocks = enlarged(segments, smooth=False).astype(np.int64)
    out = shown.copy()
    out[edges(blocks)] = EDGE
    if not numbers:
        return out
    image, font = Image.fromarray(out), ImageFont.load_default(LETTERS)
    for number, at in enumerate(middles(blocks)):
        style: Any = {"font": font, "anchor": "mm", "stroke_width": 2, "stroke_fill": (0, 0, 0)}
        ImageDraw.Draw(image).text(at, str(number), fill=(255, 255, 255), **style)
    return np.asarray(image)


def edges(segments: np.ndarray) -> np.ndarray:
    """Return where a pixel's right or lower neighbour is of another superpixel, bool (h, w).

    Examples
    --------
    >>> edges(np.array([[0, 0, 1], [0, 0, 1]])).astype(int).tolist()
    [[0, 1, 0], [0, 1, 0]]
    """
    found = np.zeros(segments.shape, dtype=bool)
    found[:, :-1] = segments[:, :-1] != segments[:, 1:]
    found[:-1] |= segments[:-1] != segments[1:]
    return found


def middles(segments: np.ndarray) -> list[tuple[float, float]]:
    """Return a place (x, y) inside of each superpixel: its pixel nearest to the mean of its pixels."""
    found = []
    for number in range(int(segments.max()) + 1):
        y, x = np.nonzero(segments == number)
        if len(y):
            at = int(((y - y.mean()) ** 2 + (x - x.mean()) ** 2).argmin())
            found.append((float(x[at]), float(y[at])))
    return found


def only(shown: np.ndarray, segments: np.ndarray, *, kept: tuple[int, ...]) -> np.ndarray:
    """Return a panel with all superpixels but some of them in grey."""
    inside = np.isin(enlarged(segments, smooth=False).astype(np.int64), kept)
    return bordered(np.where(inside[..., None], shown, _grey(shown)), segments)


def tinted(shown: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a panel in grey, vermilion where values are above zero and blue where below, the strongest most.

    Parameters
    ----------
    shown : numpy.ndarray of uint8, shape (h, w, 3)
        The panel.
    values : numpy.ndarray of float, shape (h, w)
        At the panel's size.
    """
    strength = np.abs(values) / (np.abs(values).max() or 1.0)
    colour = np.where((values > 0)[..., None], _rgb(VERMILION), _rgb(BLUE))
    opacity = STRONGEST * strength[..., None]
    return np.rint(_grey(shown) * (1 - opacity) + colour * opacity).astype(np.uint8)


def _grey(shown: np.ndarray) -> np.ndarray:
    """Return a panel without its colours and with less contrast, so that a tint reads on it."""
    grey = 70 + 0.6 * (shown @ np.array([0.299, 0.587, 0.114]))
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)


def _rgb(text: str) -> np.ndarray:
    return np.array([int(text[at : at + 2], 16) for at in (1, 3, 5)], dtype=np.float64)


def jpeg(pixels: np.ndarray) -> bytes:
    """Return a panel as JPEG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def grid(maps: np.ndarray, *, columns: int = 8, tile: int = TILE) -> np.ndarray:
    """Return maps as one picture of tiles, row by row, each from its own least value (black) to its greatest (white).

    Parameters
    ----------
    maps : numpy.ndarray of float, shape (c, h, w) or (c, 3, h, w)
        In grey or in colours; one that is the same everywhere is black.
    columns : int
        Tiles in a row.
    tile : int
        Side of a tile in pixels.

    Returns
    -------
    numpy.ndarray of uint8, shape (H, W, 3)
        On a grey ground.
    """
    columns = min(columns, len(maps))
    rows = -(-len(maps) // columns)
    out = np.full((rows * (tile + GAP) - GAP, columns * (tile + GAP) - GAP, 3), 128, dtype=np.uint8)
    for number, one in enumerate(maps):
        top, left = (number // columns) * (tile + GAP), (number % columns) * (tile + GAP)
        out[top : top + tile, left : left + tile] = _tile(one, tile)
    return out


def _tile(one: np.ndarray, tile: int) -> np.ndarray:
    from PIL import Image

    low, high = float(one.min()), float(one.max())
    grey = np.rint(255 * (one - low) / (high - low)) if high > low else np.zeros(one.shape)
    colours = np.moveaxis(grey, 0, -1) if one.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)
    # blocks where a map is smaller than its tile, so that its own resolution is seen
    how = Image.Resampling.BOX if max(colours.shape[:2]) > tile else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(colours.astype(np.uint8)).resize((tile, tile), how))


def flat(maps: np.ndarray) -> int:
    """Return how many maps are the same everywhere."""
    spread = maps.reshape(len(maps), -1)
    return int((spread.max(1) == spread.min(1)).sum())
