"""Pillow's antialiased bilinear resize, compiled: the same bits in a quarter to a third of the time.

Pillow shrinks lines first and columns of the outcome then, with weights of 22 bits, and rounds to bytes in between
(Resample.c). Here a line is summed four pixels at a time, and no more lines are held than a row of the outcome wants.
Since Pillow 13 what is taller than wide may go the other way round: it is left to Pillow. Needs numba (the extras
``cpu`` and ``fast``). Knows no files.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from PIL import Image

BITS = 22  # of a weight, as in Pillow: bytes times weights that add up to one fit into 31 bits
HALF = 1 << (BITS - 1)
BANDS = 4  # red, green, blue and a byte that says nothing: four bytes are a word, and four words a load
PIXELS = 4  # that are multiplied at a time
LANES = PIXELS * BANDS
TRIED = (37, 53)  # height and width of the noise on which both ways are compared


class Weights(NamedTuple):
    """What one direction of a resize adds up: where each pixel of the outcome begins, of how many, how much of each."""

    first: np.ndarray
    many: np.ndarray
    values: np.ndarray


def weights(length: int, low: float, high: float, size: int) -> Weights:
    """Return the weights of Pillow's bilinear filter, widened by as much as it shrinks.

    Parameters
    ----------
    length : int
        Pixels there are.
    low, high : float
        Which of them are resized; Pillow keeps these in single precision.
    size : int
        Pixels of the outcome.

    Returns
    -------
    Weights
        ``first`` and ``many`` are int64 of shape (size,), ``values`` int32 of shape (size, most).
    """
    start, end = np.float32(low), np.float32(high)
    scale = float(end - start) / size
    support = max(scale, 1.0)
    centres = float(start) + (np.arange(size) + 0.5) * scale
    first = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    many = np.minimum((centres + support + 0.5).astype(np.int64), length) - first
    offsets = np.arange(many.max())
    shares = np.maximum(1 - np.abs((offsets + first[:, None] - centres[:, None] + 0.5) * (1 / support)), 0)
    shares[offsets >= many[:, None]] = 0
    total = shares.cumsum(axis=1)[:, -1:]  # added up one after the other, as in Pillow, not by numpy in pairs
    return Weights(first, many, (0.5 + shares / total * (1 << BITS)).astype(np.int32))


class Plan(NamedTuple):
    """How images of one shape are resized: the weights along lines four pixels at a time, and those of columns."""

    starts: np.ndarray
    across: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    down: np.ndarray


@functools.lru_cache(maxsize=256)
def plan(height: int, width: int, box: tuple[float, float, float, float], size: int) -> Plan | None:
    """Return how to resize, or None where it is for Pillow: narrow images and what is taller than wide."""
    left, top, right, bottom = box
    if height > width or bottom - top > right - left:
        return None
    along, down = weights(width, left, right, size), weights(height, top, bottom, size)
    together = -(-along.values.shape[1] // PIXELS) * PIXELS
    if together > width:
        return None
    starts = np.minimum(along.first, width - together)  # no load goes beyond the end of a line
    places = (along.first - starts)[:, None] + np.arange(along.values.shape[1])
    padded = np.zeros((size, 2 * together), np.int32)
    np.put_along_axis(padded, places, along.values, axis=1)
    across = np.repeat(padded[:, :together], BANDS, axis=1)
    return Plan(starts * BANDS, np.ascontiguousarray(across), down.first, down.many, down.values)


def resize(pixels: np.ndarray, out: np.ndarray, *, box: tuple[float, float, float, float]) -> bool:
    """Resize an image as ``Image.resize(size, BILINEAR, box=box)`` does, from several threads at once if need be.

    Parameters
    ----------
    pixels : numpy.ndarray of uint8, shape (height, width, 4)
        The image; the fourth byte is not looked at.
    out : numpy.ndarray of uint8, shape (size, size, 3)
        Where the outcome goes.
    box : tuple of float
        Left, top, right and bottom of what is resized.

    Returns
    -------
    bool
        Whether it was done; where not, ``out`` is as it was and Pillow is to be asked.
    """
    height, width, _ = pixels.shape
    found = plan(height, width, box, len(out))
    if found is None:
        return False
    _shrink(pixels.reshape(height, -1), *found, out)
    return True


def agrees() -> bool:
    """Return whether this Pillow's resize is the one that is rebuilt here, by asking both."""
    height, width = TRIED
    noise = np.random.default_rng(0).integers(0, 256, (height, width, BANDS), dtype=np.uint8)
    whole, crop = (0.0, 0.0, float(width), float(height)), (1.3, 2.6, 1.3 + 33.1, 2.6 + 33.1)
    for size in (13, 64):
        for box in (whole, crop):
            out = np.empty((size, size, 3), np.uint8)
            theirs = Image.fromarray(noise[..., :3]).resize((size, size), Image.Resampling.BILINEAR, box=box)
            if not (resize(noise, out, box=box) and np.array_equal(out, np.asarray(theirs))):
                return False
    return True


def _summed(_, line, at, across, start, loads):  # type: ignore[no-untyped-def]
    """Add up weighted pixels of a line, four at a time, and return the four bytes of one pixel as a word.

    Written out since compilers find no way to put sixteen products of four pixels side by side by themselves.
    """

    def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
        word, wide, narrow = ir.IntType(32), ir.VectorType(ir.IntType(32), LANES), ir.VectorType(ir.IntType(8), LANES)
        arrays = [context.make_array(signature.args[n])(context, builder, given[n]) for n in (0, 2)]
        bytes_, factors = (builder.gep(a.data, [given[n]]) for a, n in zip(arrays, (1, 3), strict=True))
        held = cgutils.alloca_once(builder, wide)
        builder.store(ir.Constant(wide, [HALF] * BANDS + [0] * (LANES - BANDS)), held)
        with cgutils.for_range(builder, given[4]) as loop:
            step = [builder.mul(loop.index, ir.Constant(loop.index.type, LANES))]
            four = builder.load(builder.bitcast(builder.gep(bytes_, step), narrow.as_pointer()), align=1)
            factor = builder.load(builder.bitcast(builder.gep(factors, step), wide.as_pointer()), align=4)
            builder.store(builder.add(builder.load(held), builder.mul(builder.zext(four, wide), factor)), held)
        total = builder.load(held)
        while total.type.count > BANDS:
            total = _halves_added(builder, total)
        pixel = builder.ashr(total, ir.Constant(total.type, [BITS] * BANDS))
        return builder.bitcast(builder.trunc(pixel, ir.VectorType(ir.IntType(8), BANDS)), word)

    return types.uint32(line, types.int64, across, types.int64, types.int64), generate


def _halves_added(builder, vector):  # type: ignore[no-untyped-def]
    half = vector.type.count // 2
    parts = [
        builder.shuffle_vector(
            vector,
            ir.Constant(vector.type, ir.Undefined),
            ir.Constant(ir.VectorType(ir.IntType(32), half), list(range(start, start + half))),
        )
        for start in (0, half)
    ]
    return builder.add(*parts)


summed: Any = intrinsic(_summed)


@njit(cache=True, nogil=True)
def _shrink(lines, starts, across, rows, counts, down, out):  # type: ignore[no-untyped-def]
    """Resize an image, lines as bytes; as many shrunk lines are held as a row of the outcome adds up."""
    size, held = len(starts), down.shape[1]
    ring = np.empty((held, size), np.uint32)
    shrunk = ring.view(np.uint8)
    factors, loads, step = across.reshape(-1), across.shape[1] // LANES, across.shape[1]
    total, row = np.empty(size * BANDS, np.int32), np.empty(size * BANDS, np.uint8)
    done = rows[0]
    for y in range(len(out)):
        while done < rows[y] + counts[y]:
            line, into = lines[done], ring[done % held]
            for x in range(size):
                into[x] = summed(line, starts[x], factors, x * step, loads)
            done += 1
        total[:] = np.int32(HALF)
        for place in range(counts[y]):
            factor, one = down[y, place], shrunk[(rows[y] + place) % held]
            for at in range(size * BANDS):
                total[at] += np.int32(one[at]) * factor
        for at in range(size * BANDS):
            row[at] = np.uint8(total[at] >> BITS)
        for x in range(size):
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = row[BANDS * x], row[BANDS * x + 1], row[BANDS * x + 2]
