"""Augmentation: the same picture scaled, turned, flipped, sheared or shifted, drawn anew each time.

Works on whole batches, where they lie, and only ever while a network learns: nothing that is extracted or judged comes
here. Draws are handed in as numbers from 0 to 1, so that a run that goes on after a kill turns each picture the same
way. The one exception is :func:`turned`, which makes named copies of one picture, without chance: what balancing before
a split adds to its results is measured on them. This file must never know a dataset, the cache or a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain, combinations, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import torch

USUAL = {"scale": 1.3, "stretch": 1.3, "rotate": 180.0, "shear": 30.0, "shift": 30 / 224, "flip": 1.0}
LIMITS = {"scale": 4.0, "stretch": 4.0, "rotate": 180.0, "shear": 60.0, "shift": 0.5}
WORDS = (*USUAL, "right-angles", "paper", "none")
DRAWS = 10  # numbers that one picture takes
MOVES = ("flip-h", "flip-v", "turn-90", "turn-180", "turn-270")  # the order is that of Maia (2019)


@dataclass(frozen=True)
class Augmentation:
    """What may be done to a picture; each is off by default.

    Attributes
    ----------
    scale : float
        Zoom by 1/scale to scale, drawn evenly on a logarithmic scale; 1 is off.
    stretch : float
        The same, of the ratio of width to height.
    rotate, shear : float
        Degrees to either side; 0 is off, a rotation of 180 is any.
    shift : float
        Share of the side, to either side.
    flip : bool
        Left to right and top to bottom, each of them half of the time.
    right_angles : bool
        Turns of 0, 90, 180 and 270 degrees. With these and flips alone, no pixel is
        interpolated.
    """

    scale: float = 1.0
    stretch: float = 1.0
    rotate: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    flip: bool = False
    right_angles: bool = False

    @property
    def exact(self) -> bool:
        """Whether pixels are moved and never interpolated."""
        return (self.scale, self.stretch, self.rotate, self.shear, self.shift) == (1.0, 1.0, 0.0, 0.0, 0.0)

    def __bool__(self) -> bool:
        """Whether anything is done."""
        return self != Augmentation()

    def describe(self) -> dict[str, Any]:
        """Return it as plain values, for records."""
        return asdict(self)


def parse(text: str) -> Augmentation:
    """Read ``flip,rotate=180,scale=1.3``: what is named is on, with the usual measure or the one given.

    ``paper`` is what Menegola et al. (2017) released (zoom and stretch to 1.3, any rotation, shear to 30 degrees, shift
    to 30 pixels of 224, flips); ``right-angles`` is the four turns alone; ``none`` is nothing.

    Raises
    ------
    UnknownName
        Where a word is none of these.
    UsageError
        Where a measure is no number, or beyond sense.

    Examples
    --------
    >>> parse("flip,rotate=15")
    Augmentation(scale=1.0, stretch=1.0, rotate=15.0, shear=0.0, shift=0.0, flip=True, right_angles=False)
    """
    chosen: dict[str, Any] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = word.partition("=")
        if name not in WORDS:
            raise UnknownName("augmentation", name, WORDS)
        if equals and name not in LIMITS:
            raise UsageError(f"--augment {word}: {name} takes no measure; write {name} alone")
        if name == "paper":
            chosen |= {**USUAL, "flip": True}
        elif name in ("flip", "right-angles"):
            chosen[name.replace("-", "_")] = True
        elif name != "none":
            chosen[name] = _measure(name, value) if equals else USUAL[name]
    return Augmentation(**chosen)


def _measure(name: str, text: str) -> float:
    least = 1.0 if name in ("scale", "stretch") else 0.0
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= LIMITS[name]:
        raise UsageError(f"--augment {name}={text}: a number from {least:g} to {LIMITS[name]:g} is expected")
    return value


def apply(images: torch.Tensor, how: Augmentation, *, draws: np.ndarray) -> torch.Tensor:
    """Return a batch, each picture changed by its own draws.

    Parameters
    ----------
    images : torch.Tensor of float, shape (b, 3, s, s)
        Square pictures, normalised: what comes into view from outside is 0, the mean of what the network expects.
    how : Augmentation
        What may be done.
    draws : numpy.ndarray of float64, shape (b, 10)
        Evenly drawn from [0, 1).
    """
    if not how:
        return images
    return _moved(images, how, draws) if how.exact else _warped(images, how, draws)


def _moved(images: torch.Tensor, how: Augmentation, draws: np.ndarray) -> torch.Tensor:
    """Turn by right angles and flip, pixel for pixel."""
    import torch

    ways = ways_of(how, draws)
    out = torch.empty_like(images)
    for way in np.unique(ways).tolist():
        at = torch.from_numpy(np.flatnonzero(ways == way)).to(images.device)
        out[at] = laid(images[at], way)
    return out


def ways_of(how: Augmentation, draws: np.ndarray) -> np.ndarray:
    """Return which of the eight ways to lay a square each picture takes, where pixels are moved and no more.

    Parameters
    ----------
    how : Augmentation
        An exact one.
    draws : numpy.ndarray of float64, shape (b, 10)
        Evenly drawn from [0, 1).

    Returns
    -------
    numpy.ndarray of int, shape (b,)
        Twice the number of quarter turns, and 1 more where it is flipped left to right after them; top to bottom is
        half a turn and that flip.
    """
    across, down = _flips(how, draws).T
    return (_turns(how, draws) + 2 * down) % 4 * 2 + (across ^ down)


def every_way(how: Augmentation) -> tuple[int, ...]:
    """Return all ways that an exact augmentation can lay a picture: 0 is as it is."""
    ways = tuple(range(0, 8, 2)) if how.right_angles else (0,)
    flipped = tuple(sorted({way for one in ways for way in (one, one + 1, (one + 4) % 8, (one + 5) % 8)}))
    return flipped if how.flip else ways


def laid(images: torch.Tensor, way: int) -> torch.Tensor:
    """Return pictures of shape (b, 3, s, s), all laid one way."""
    import torch

    images = torch.rot90(images, way // 2, (2, 3)) if way // 2 else images
    return images.flip(3) if way % 2 else images


def _turns(how: Augmentation, draws: np.ndarray) -> np.ndarray:
    return np.floor(draws[:, 0] * 4).astype(int) if how.right_angles else np.zeros(len(draws), dtype=int)


def _flips(how: Augmentation, draws: np.ndarray) -> np.ndarray:
    return draws[:, 1:3] < 0.5 if how.flip else np.zeros((len(draws), 2), dtype=bool)


def _warped(images: torch.Tensor, how: Augmentation, draws: np.ndarray) -> torch.Tensor:
    """Resample, bilinear, by one affine map a picture."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    maps = torch.from_numpy(matrices(how, draws)).to(images.device, images.dtype)
    grid = affine_grid(maps, list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def matrices(how: Augmentation, draws: np.ndarray) -> np.ndarray:
    """Return the affine map of each picture, from where a pixel will be to where it is taken from.

    Returns
    -------
    numpy.ndarray of float64, shape (b, 2, 3)
        In coordinates from -1 to 1.
    """
    either = 2 * draws - 1  # from -1 to 1
    angle = np.deg2rad(how.rotate) * either[:, 3] + np.pi / 2 * _turns(how, draws)
    shear = np.tan(np.deg2rad(how.shear) * either[:, 4])
    zoom, ratio = how.scale ** either[:, 5], how.stretch ** (either[:, 6] / 2)
    mirror = np.where(_flips(how, draws), -1.0, 1.0)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1).reshape(-1, 2, 2)
    slant = np.stack([np.ones_like(shear), shear, np.zeros_like(shear), np.ones_like(shear)], 1).reshape(-1, 2, 2)
    sides = np.stack([mirror[:, 0] / (zoom * ratio), mirror[:, 1] * ratio / zoom], 1)
    linear = turn @ slant * sides[:, None, :]
    moved = 2 * how.shift * either[:, 7:9]
    return np.concatenate([linear, moved[:, :, None]], 2)


def move_lists(count: int) -> list[tuple[str, ...]]:
    """Return the first combinations of ``MOVES``: each by itself in their order, then each two, and so on.

    Maia (2019, released code) makes the copies of a picture so. Several lists lay it the same way: a flip along both
    axes, the sixth, is the turn by 180 degrees, the fourth.

    Parameters
    ----------
    count : int
        How many lists, at most the 31 that there are.

    Raises
    ------
    UsageError
        Where more are asked for.
    """
    most = 2 ** len(MOVES) - 1
    if not 0 <= count <= most:
        raise UsageError(f"a picture has at most {most} copies by flips and turns; {count} were asked for")
    every = chain.from_iterable(combinations(MOVES, size) for size in range(1, len(MOVES) + 1))
    return list(islice(every, count))


def turned(picture: np.ndarray, moves: Sequence[str]) -> np.ndarray:
    """Return a picture flipped and turned, one move after the other; pixels change their place and nothing else.

    Parameters
    ----------
    picture : numpy.ndarray, shape (h, w, ...)
        The picture; turns go against the clock.
    moves : sequence of str
        Of ``MOVES``.

    Raises
    ------
    UnknownName
        Where a move is none of them.
    """
    for move in moves:
        if move not in MOVES:
            raise UnknownName("move", move, MOVES)
        kind, _, how = move.partition("-")
        picture = np.flip(picture, 1 if how == "h" else 0) if kind == "flip" else np.rot90(picture, int(how) // 90)
    return picture
