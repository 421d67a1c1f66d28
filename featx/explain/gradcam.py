"""Grad-CAM (Selvaraju et al. 2017): where a convolutional map speaks for a class, by the gradient of the class's score.

The map's channels are added up, each with its mean gradient, and what is below zero is cut. Knows a network and two of
its layers, and how a score changes with the features; never what the score is of.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featx.errors import UsageError
from featx.explain.segments import refuse_other_pixels
from featx.images import Normalisation
from featx.runtime.base import Tap
from featx.runtime.pooling import pooled
from featx.runtime.taps import affine, refuse_rowless, size_refused, tap

if TYPE_CHECKING:
    import torch
    from torch import nn

MAPS = ("map", "map-last")


class GradCam(NamedTuple):
    """Where a class is seen.

    Attributes
    ----------
    map : numpy.ndarray of float64, shape (h, w)
        At the layer's own resolution, 0 or more; all 0 where nothing there speaks for the class.
    layer : str
        Whose map it is.
    features : numpy.ndarray of float32, shape (d,)
        What the gradient was taken at.
    """

    map: np.ndarray
    layer: str
    features: np.ndarray


def gradcam(
    pixels: np.ndarray,
    network: nn.Module,
    *,
    layer: Tap,
    features: Tap,
    gradient: Callable[[np.ndarray], np.ndarray],
    normalise: Normalisation,
    pool: str = "avg",
) -> GradCam:
    """Ask a network where it sees what a score rises with.

    Parameters
    ----------
    pixels : numpy.ndarray of uint8, shape (size, size, 3)
        RGB.
    network : torch.nn.Module
        On the processor, float32, in evaluation mode.
    layer : Tap
        A convolutional layer.
    features : Tap
        The layer that the score is computed from.
    gradient : callable
        The features, float32 (d,), in; the derivative of the score by each of them, (d,), out.
    normalise : Normalisation
        What the network expects of pixels.
    pool : str
        How a map becomes features, where ``features`` is one.

    Returns
    -------
    GradCam

    Raises
    ------
    UsageError
        Where the layer has no map, or the features do not come from it.
    """
    import torch

    refuse_other_pixels(pixels)
    batch = torch.from_numpy(pixels[None].copy()).permute(0, 3, 1, 2).float()
    scale, shift = affine(normalise, "cpu")
    batch = ((batch.flip(1) if normalise.bgr else batch) * scale + shift).requires_grad_()
    taken = _forward(network, batch, (layer, features))
    refuse_rowless(features, taken.get(features.name), images=1)
    refuse_rowless(layer, taken.get(layer.name), images=1)
    told = pooled(taken[features.name], kind=features.kind, pool=pool)
    row = told.detach().numpy()[0]
    slope = torch.from_numpy(np.asarray(gradient(row), dtype=np.float32))
    found = _channels_first(taken[layer.name], layer)
    (risen,) = torch.autograd.grad((told[0] * slope).sum(), taken[layer.name], allow_unused=True)
    if risen is None:
        raise UsageError(f"layer {layer.name!r} does not come before {features.name!r}, so that it has no gradient")
    weights = _channels_first(risen, layer).mean((1, 2))
    heat = torch.relu((weights[:, None, None] * found).sum(0))
    return GradCam(heat.detach().numpy().astype(np.float64), layer.name, row)


def _forward(network: nn.Module, batch: torch.Tensor, layers: tuple[Tap, Tap]) -> dict[str, Any]:
    taken: dict[str, Any] = {}

    def keep(name: str, value: Any) -> Any:
        taken[name] = value
        # what the network goes on with is a copy: many overwrite an activation in place
        return value.clone() if hasattr(value, "clone") else value

    with ExitStack() as stack, size_refused(batch.shape[-1]):
        unique = list({layer.name: layer for layer in layers}.values())
        for hook in tap(network, unique, keep):
            stack.callback(hook.remove)
        network(batch)
    return taken


def _channels_first(value: torch.Tensor, layer: Tap) -> torch.Tensor:
    if value.ndim != 4:
        raise UsageError(
            f"layer {layer.name!r} gives {tuple(value.shape[1:])} for an image, which is no map; take a convolution's"
        )
    return value[0].permute(2, 0, 1) if layer.kind == "map-last" else value[0]
