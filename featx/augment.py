"""Augmentation: the same picture scaled, turned, flipped, sheared or shifted, drawn anew each time.

Works on whole batches, where they lie, and only ever while a network learns: nothing that is extracted or judged comes
here. Draws are handed in as numbers from 0 to 1, so that a run that goes on after a kill turns each picture the same
way. This file must never know a dataset, the cache or a network.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import torch

USUAL = {"scale": 1.3, "stretch": 1.3, "rotate": 180.0, "shear": 30.0, "shift": 30 / 224, "flip": 1.0}
LIMITS = {"scale": 4.0, "stretch": 4.0, "rotate": 180.0, "shear": 60.0, "shift": 0.5}
WORDS = (*USUAL, "right-angles", "paper", "none")
DRAWS = 10  # numbers that one picture takes


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

    turns, flips = _turns(how, draws), _flips(how, draws)
    kinds = turns * 4 + flips @ (1, 2)
    out = torch.empty_like(images)
    for kind in np.unique(kinds).tolist():
        at = torch.from_numpy(np.flatnonzero(kinds == kind)).to(images.device)
        axes = [axis for axis, bit in ((3, 1), (2, 2)) if kind & bit]
        part = torch.rot90(images[at], kind // 4, (2, 3))
        out[at] = part.flip(axes) if axes else part
    return out


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
