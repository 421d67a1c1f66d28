"""Superpixels: parts of an image that belong together, and the image without some of them. Never knows predictors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from featx.errors import UnknownName, UsageError

Predict = Callable[[np.ndarray], np.ndarray]
SUPERPIXELS = 10  # that the study asked for
COMPACTNESS = 10.0  # of SLIC: how much a superpixel's shape weighs beside its colour
SMOOTHED = 1.0  # standard deviation in pixels of the blur before it, so that hairs and noise draw no borders
HIDES = ("rest", "own")
AT_ONCE = 64  # images handed to a predict function together


def superpixels(pixels: np.ndarray, *, count: int = SUPERPIXELS, compactness: float = COMPACTNESS) -> np.ndarray:
    """Divide an image into superpixels by SLIC (Achanta et al. 2012), as scikit-image does.

    Parameters
    ----------
    pixels : numpy.ndarray of uint8, shape (h, w, 3)
        RGB.
    count : int
        How many are asked for; SLIC gives about as many.
    compactness : float
        How much nearness weighs beside colour.

    Returns
    -------
    numpy.ndarray of int64, shape (h, w)
        The superpixel of each pixel, numbered 0 to k - 1 without a gap.

    Raises
    ------
    UsageError
        Where scikit-image is not installed.
    """
    try:
        from skimage.segmentation import slic
    except ImportError:
        raise UsageError("superpixels need scikit-image: pip install 'featx[explain]'") from None
    found = slic(pixels, n_segments=count, compactness=compactness, sigma=SMOOTHED, start_label=0, channel_axis=-1)
    return numbered(found)


def numbered(segments: np.ndarray) -> np.ndarray:
    """Return segments with the numbers 0 to k - 1, in the order of their own numbers."""
    return np.unique(segments, return_inverse=True)[1].reshape(segments.shape).astype(np.int64)


def covers(pixels: np.ndarray, segments: np.ndarray, *, hide: str = HIDES[0]) -> np.ndarray:
    """Return what stands where superpixels are hidden, uint8 (h, w, 3): each in one colour.

    Parameters
    ----------
    pixels : numpy.ndarray of uint8, shape (h, w, 3)
        The image.
    segments : numpy.ndarray of int64, shape (h, w)
        The superpixel of each pixel.
    hide : {"rest", "own"}
        ``rest``: the mean colour of the rest of the image. ``own``: the superpixel's own mean colour, as the ``lime``
        package has it; one that is all lesion looks like a lesion still when it is hidden so.

    Raises
    ------
    UnknownName
        Where ``hide`` is neither.

    Examples
    --------
    >>> pixels = np.array([[[0, 0, 0], [9, 9, 9], [200, 0, 0]]], dtype=np.uint8)
    >>> covers(pixels, np.array([[0, 0, 1]]), hide="own")[0].tolist()
    [[4, 4, 4], [4, 4, 4], [200, 0, 0]]
    >>> covers(pixels, np.array([[0, 0, 1]]))[0].tolist()
    [[200, 0, 0], [200, 0, 0], [4, 4, 4]]
    """
    if hide not in HIDES:
        raise UnknownName("way to hide", hide, HIDES)
    flat, count = segments.ravel(), np.bincount(segments.ravel())
    colours = pixels.reshape(-1, 3).astype(np.float64)
    sums = np.stack([np.bincount(flat, colours[:, channel]) for channel in range(3)], axis=1)
    if hide == "rest" and len(count) > 1:
        sums, count = sums.sum(0) - sums, count.sum() - count
    return np.rint(sums / count[:, None]).astype(np.uint8)[segments]


def masked(pixels: np.ndarray, hidden: np.ndarray, segments: np.ndarray, *, masks: np.ndarray) -> np.ndarray:
    """Return an image once for each mask, uint8 (m, h, w, 3), with the superpixels that a mask leaves out hidden.

    Parameters
    ----------
    pixels, hidden : numpy.ndarray of uint8, shape (h, w, 3)
        The image, and what stands where it is hidden.
    segments : numpy.ndarray of int64, shape (h, w)
        The superpixel of each pixel.
    masks : numpy.ndarray of bool, shape (m, k)
        Which superpixels each image has.
    """
    return np.where(masks[:, segments][..., None], pixels, hidden)


def values_of(predict: Predict, batch: np.ndarray) -> np.ndarray:
    """Return what a predict function says of a batch, float64 (n,).

    Raises
    ------
    UsageError
        Where it does not say one finite number of each image.
    """
    found = np.asarray(predict(batch), dtype=np.float64)
    if found.shape != (len(batch),) or not np.isfinite(found).all():
        raise UsageError(
            f"a predict function returns one finite number for each of {len(batch)} images; an array of shape "
            f"{found.shape} came, {'with' if np.isfinite(found).all() else 'not'} finite throughout"
        )
    return found


def refuse_other_pixels(pixels: np.ndarray) -> None:
    """Raise UsageError where an image is not RGB of 8 bits."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise UsageError(f"pixels are uint8 of shape (height, width, 3); {pixels.dtype} {pixels.shape} came")
