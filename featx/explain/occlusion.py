"""Occlusion (Zeiler and Fergus 2014): what a predictor says of an image with a patch of it covered, patch by patch.

Never knows who made the predictor.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from featx.errors import UsageError
from featx.explain.segments import AT_ONCE, Predict, refuse_other_pixels, values_of

PATCHES = 8  # along a side, where nothing else is asked for
STEPS = 2  # places of a patch within its own side


class Occlusion(NamedTuple):
    """What covering costs.

    Attributes
    ----------
    heat : numpy.ndarray of float64, shape (h, w)
        By how much the value falls, averaged over the patches that cover a pixel; below 0 where it rises.
    places : numpy.ndarray of int64, shape (m, 2)
        Upper left corner (row, column) of each patch.
    drops : numpy.ndarray of float64, shape (m,)
        By how much the value falls with each.
    patch, stride : int
        Side of the patches, and between two of them, in pixels.
    value : float
        What the predictor says of the whole image.
    passes : int
        Images that the predictor was asked about.
    """

    heat: np.ndarray
    places: np.ndarray
    drops: np.ndarray
    patch: int
    stride: int
    value: float
    passes: int


def occlusion(
    pixels: np.ndarray,
    predict: Predict,
    *,
    patch: int | None = None,
    stride: int | None = None,
    at_once: int = AT_ONCE,
) -> Occlusion:
    """Cover an image patch by patch, in its mean colour, and tell by how much what is said of it falls.

    Parameters
    ----------
    pixels : numpy.ndarray of uint8, shape (h, w, 3)
        RGB, as the predictor takes it.
    predict : callable
        Pixels of images, uint8 (n, h, w, 3), in; one number each, (n,), out.
    patch : int, optional
        Side of the square that covers, in pixels; an eighth of the image's shorter side.
    stride : int, optional
        From one to the next; half a patch. The last of a row lies at the image's edge.
    at_once : int
        Images handed to ``predict`` together.

    Returns
    -------
    Occlusion

    Raises
    ------
    UsageError
        Where a patch is larger than the image, or steps leave gaps.

    Examples
    --------
    >>> pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    >>> pixels[2:4, 4:6] = 255
    >>> found = occlusion(pixels, lambda batch: batch[:, 2:4, 4:6].mean((1, 2, 3)), patch=2, stride=2)
    >>> np.unravel_index(found.heat.argmax(), found.heat.shape)
    (np.int64(2), np.int64(4))
    """
    refuse_other_pixels(pixels)
    height, width = pixels.shape[:2]
    patch = max(1, min(height, width) // PATCHES) if patch is None else patch
    stride = max(1, patch // STEPS) if stride is None else stride
    if not 1 <= stride <= patch <= min(height, width):
        raise UsageError(
            f"a patch has a side from 1 to {min(height, width)} pixels and moves by 1 to its side; {patch} and "
            f"{stride} came"
        )
    places = np.array(list(product(steps(height, patch, stride), steps(width, patch, stride))))
    colour = np.rint(pixels.mean((0, 1))).astype(np.uint8)
    value = float(values_of(predict, pixels[None])[0])
    parts = [
        values_of(predict, _covered(pixels, places[at : at + at_once], patch=patch, colour=colour))
        for at in range(0, len(places), at_once)
    ]
    drops = value - np.concatenate(parts)
    return Occlusion(_spread(places, drops, patch, pixels), places, drops, patch, stride, value, len(places) + 1)


def steps(length: int, patch: int, stride: int) -> list[int]:
    """Return where patches begin along a side, the last at its end.

    Examples
    --------
    >>> steps(10, 4, 4)
    [0, 4, 6]
    """
    return [*range(0, length - patch, stride), length - patch]


def _covered(pixels: np.ndarray, places: np.ndarray, *, patch: int, colour: np.ndarray) -> np.ndarray:
    batch = np.repeat(pixels[None], len(places), axis=0)
    for image, (row, column) in zip(batch, places.tolist(), strict=True):
        image[row : row + patch, column : column + patch] = colour
    return batch


def _spread(places: np.ndarray, drops: np.ndarray, patch: int, pixels: np.ndarray) -> np.ndarray:
    total, count = np.zeros((2, *pixels.shape[:2]))
    for (row, column), drop in zip(places.tolist(), drops.tolist(), strict=True):
        total[row : row + patch, column : column + patch] += drop
        count[row : row + patch, column : column + patch] += 1
    return np.asarray(total / count)
