"""Plain JPEGs by libjpeg-turbo's own interface (simplejpeg, where it is installed): Pillow's pixels, sooner.

They land in memory that is used again, and are resized there without a copy. Whatever is not plain or makes the
decoder complain is left to Pillow, which then says what is wrong with it. This file must never know orientation,
resizing or any other kind of image.
"""

from __future__ import annotations

import functools
import importlib
import threading
from typing import Any

import numpy as np
from PIL import Image

PLAIN = ("YCbCr", "Gray")  # eight bits as cameras store them; what Pillow would convert by a rule of its own is not
LARGE = 4_000_000  # pixels from which on this is a gain whoever resizes them: at 12 million a quarter to a third
KEPT = 64 * 2**20  # bytes that a thread keeps from one image to the next; a larger image gets memory of its own

_kept = threading.local()


def lent(data: bytes, *, width: int, height: int) -> np.ndarray | None:
    """Decode a plain JPEG into memory that this thread's next call overwrites.

    Parameters
    ----------
    data : bytes
        A whole JPEG file.
    width, height : int
        Its sides in pixels, as Pillow read them.

    Returns
    -------
    numpy.ndarray of uint8, shape (height, width, 4), or None
        The pixels that Pillow decodes and a fourth byte that says nothing, not turned by any orientation; use it up
        before the next call. None where simplejpeg is not installed, where the image is not plain, and where the
        decoder has so much as a warning: then it is for Pillow to take or refuse.
    """
    decoder = _decoder()
    if decoder is None:
        return None
    try:
        found = decoder.decode_jpeg_header(data)
        if found[:2] != (height, width) or found[2] not in PLAIN:
            return None
        pixels: np.ndarray = decoder.decode_jpeg(data, "RGBX", buffer=_memory(width * height * 4))
    except Exception:  # warnings and whatever else it raises: Pillow decides what can be forgiven, and says what not
        return None
    return pixels


def installed() -> bool:
    """Return whether there is what decodes sooner than Pillow."""
    return _decoder() is not None


def image_of(pixels: np.ndarray) -> Image.Image:
    """Return lent pixels as an image of Pillow's of mode RGBX, in the same memory."""
    height, width, _ = pixels.shape
    return Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)


@functools.cache
def _decoder() -> Any:
    try:
        return importlib.import_module("simplejpeg")
    except ImportError:
        return None


def _memory(size: int) -> np.ndarray:
    """Return at least so many bytes: those that this thread used last, where they are enough."""
    held: np.ndarray | None = getattr(_kept, "memory", None)
    if held is not None and held.size >= size:
        return held
    fresh = np.empty(size, dtype=np.uint8)
    if size <= KEPT:
        _kept.memory = fresh
    return fresh
