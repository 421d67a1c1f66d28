"""LIME for images (Ribeiro, Singh and Guestrin 2016): a straight line fitted to what a predictor says of an image with
some of its superpixels hidden. Never knows who made the predictor.

A published study of HAM10000 states 10 superpixels, random masks, a weighted linear model and the 4 superpixels that
speak most for the class; it states no number of masks, no kernel, no segmenter and not what hides a superpixel. Here
distance (cosine, to the whole image), kernel (of width 0.25) and ridge (with a penalty of 1) are those of the authors'
``lime`` package; the segmenter is SLIC, and a hidden superpixel has the mean colour of the rest of the image. The
package gives it its own mean colour, in which a lesion that is one superpixel stays a lesion.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from featx.errors import UsageError
from featx.explain.segments import (
    AT_ONCE,
    HIDES,
    SUPERPIXELS,
    Predict,
    covers,
    masked,
    numbered,
    refuse_other_pixels,
    superpixels,
    values_of,
)

TOP = 4  # superpixels that the study shows
SAMPLES = 512  # all masks there are of 9 superpixels, which is about what SLIC gives where 10 are asked for
WIDTH = 0.25  # of the kernel, in cosine distance
PENALTY = 1.0  # of the ridge


class Lime(NamedTuple):
    """A straight line through what a predictor says around an image.

    Attributes
    ----------
    segments : numpy.ndarray of int64, shape (h, w)
        The superpixel of each pixel, 0 to k - 1.
    weights : numpy.ndarray of float64, shape (k,)
        By how much the line rises where a superpixel is shown.
    intercept : float
        The line where all are hidden.
    value : float
        What the predictor says of the whole image.
    r2 : float
        How well the line fits, weighted by the kernel as the fit is; NaN where all masks get the same value.
    top : tuple of int
        The superpixels that raise the value most, at most as many as asked for, the strongest first.
    masks : int
        Masks that the line was fitted to.
    passes : int
        Images that the predictor was asked about: a mask that was drawn twice is asked about once.
    """

    segments: np.ndarray
    weights: np.ndarray
    intercept: float
    value: float
    r2: float
    top: tuple[int, ...]
    masks: int
    passes: int


def lime(
    pixels: np.ndarray,
    predict: Predict,
    *,
    segments: np.ndarray | None = None,
    count: int = SUPERPIXELS,
    top: int = TOP,
    samples: int = SAMPLES,
    hide: str = HIDES[0],
    width: float = WIDTH,
    penalty: float = PENALTY,
    seed: int = 0,
    at_once: int = AT_ONCE,
) -> Lime:
    """Explain what a predictor says of an image by its superpixels.

    Parameters
    ----------
    pixels : numpy.ndarray of uint8, shape (h, w, 3)
        RGB, as the predictor takes it.
    predict : callable
        Pixels of images, uint8 (n, h, w, 3), in; one number each, (n,), out.
    segments : numpy.ndarray of int, shape (h, w), optional
        Superpixels of your own, by any numbers.
    count : int
        Superpixels that SLIC is asked for.
    top : int
        Superpixels that are named as the strongest.
    samples : int
        Masks; where the superpixels have no more masks than that, all are taken, each counting as often as it would
        be drawn.
    hide : {"rest", "own"}
        What hides a superpixel: the mean colour of the rest of the image, or its own.
    width : float
        Of the kernel ``sqrt(exp(-d^2 / width^2))`` over the cosine distance d to the mask that hides nothing.
    penalty : float
        Of the squared weights, the intercept excepted.
    seed : int
        Of the masks.
    at_once : int
        Images handed to ``predict`` together.

    Returns
    -------
    Lime

    Raises
    ------
    UsageError
        Where there is but one superpixel, or a setting makes no sense.

    Examples
    --------
    A predictor that looks at the upper left quarter alone, and quarters as superpixels:

    >>> pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    >>> pixels[:4, :4] //= 4
    >>> quarters = np.kron([[0, 1], [2, 3]], np.ones((4, 4), dtype=int))
    >>> found = lime(pixels, lambda batch: batch[:, 0, 0, 0] / 255.0, segments=quarters)
    >>> found.masks, int(np.abs(found.weights).argmax()), found.r2 > 0.8
    (16, 0, True)
    """
    refuse_other_pixels(pixels)
    if samples < 2 or width <= 0 or penalty < 0 or top < 1:
        raise UsageError(
            f"samples are at least 2, top 1, the kernel wider than 0 and the penalty not below 0; {samples}, {top}, "
            f"{width:g} and {penalty:g} came"
        )
    segments = superpixels(pixels, count=count) if segments is None else numbered(segments)
    masks = masks_for(int(segments.max()) + 1, samples=samples, seed=seed)
    unique, drawn = np.unique(masks, axis=0, return_inverse=True)
    hidden = covers(pixels, segments, hide=hide)
    parts = [
        values_of(predict, masked(pixels, hidden, segments, masks=unique[at : at + at_once]))
        for at in range(0, len(unique), at_once)
    ]
    values = np.concatenate(parts)[drawn.ravel()]
    kernel = nearness(masks, width=width) * (samples / len(masks))  # the penalty means the same where all are taken
    weights, intercept, r2 = line(masks, values, kernel=kernel, penalty=penalty)
    strongest = [int(at) for at in np.argsort(-weights, kind="stable")[:top] if weights[at] > 0]
    return Lime(segments, weights, intercept, float(values[0]), r2, tuple(strongest), len(masks), len(unique))


def masks_for(k: int, *, samples: int, seed: int) -> np.ndarray:
    """Return masks of superpixels, bool (m, k): the first hides nothing; all there are, where samples suffice for them.

    Raises
    ------
    UsageError
        Where there is but one superpixel: nothing can be told apart then.
    """
    if k < 2:
        raise UsageError("the image has but one superpixel, so that nothing can be hidden by parts; ask for more")
    if k < 31 and 2**k <= samples:
        return (np.arange(2**k)[::-1, None] >> np.arange(k) & 1).astype(bool)
    masks = np.random.default_rng(seed).integers(0, 2, (samples, k)).astype(bool)
    masks[0] = True
    return masks


def nearness(masks: np.ndarray, *, width: float) -> np.ndarray:
    """Return how much each mask counts, float64 (m,), by its cosine distance to the mask that hides nothing."""
    distance = 1 - np.sqrt(masks.mean(1))
    return np.sqrt(np.exp(-(distance**2) / width**2))


def line(
    masks: np.ndarray, values: np.ndarray, *, kernel: np.ndarray, penalty: float
) -> tuple[np.ndarray, float, float]:
    """Fit weighted ridge with a free intercept.

    Parameters
    ----------
    masks : numpy.ndarray of bool, shape (m, k)
        What is shown.
    values : numpy.ndarray of float64, shape (m,)
        What was said of it.
    kernel : numpy.ndarray of float64, shape (m,)
        How much each counts.
    penalty : float
        Of the squared weights.

    Returns
    -------
    weights : numpy.ndarray of float64, shape (k,)
    intercept : float
    r2 : float
        Share of the weighted variance that the line explains; NaN where there is none.
    """
    X, share = masks.astype(np.float64), kernel / kernel.sum()
    mean, middle = share @ X, float(share @ values)
    centred, told = X - mean, values - middle
    gram = (centred * kernel[:, None]).T @ centred + penalty * np.eye(X.shape[1])
    weights = np.linalg.lstsq(gram, (centred * kernel[:, None]).T @ told, rcond=None)[0]
    total = float(share @ told**2)
    if total <= (1e-12 * max(1.0, float(np.abs(values).max()))) ** 2:  # nothing but rounding varies
        return np.zeros(X.shape[1]), middle, float("nan")
    left = float(share @ (told - centred @ weights) ** 2)
    return weights, middle - float(mean @ weights), 1 - left / total
