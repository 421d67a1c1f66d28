"""A network with its normalisation, taps and pooling as one torch module, to be traced.

It imports torch, so it is imported late. This file must never know OpenVINO, images on disk, or what holds features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from featx.images import Normalisation
from featx.runtime.base import Tap
from featx.runtime.pooling import pooled
from featx.runtime.taps import affine, tap


class Tapped(nn.Module):
    """``uint8`` images [B, H, W, 3] in, a tuple of features [B, D] out, one of each layer.

    Parameters
    ----------
    network : torch.nn.Module
        Float32, in evaluation mode; it keeps hooks until :meth:`untap`.
    layers, normalise, pool
        As in :class:`featx.runtime.TorchRuntime`.
    """

    def __init__(self, network: nn.Module, *, layers: Sequence[Tap], normalise: Normalisation, pool: str) -> None:
        super().__init__()
        self.network = network
        self._layers, self._pool, self._bgr = list(layers), pool, normalise.bgr
        self._scale, self._shift = affine(normalise, "cpu")
        self._taken: dict[str, torch.Tensor] = {}
        # a copy, since many networks overwrite an activation in place with the next one
        self._hooks = tap(network, layers, lambda name, value: self._taken.__setitem__(name, value.clone()))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the features of each layer."""
        pixels = images.permute(0, 3, 1, 2).float()
        pixels = pixels.flip(1) if self._bgr else pixels
        self.network(pixels * self._scale + self._shift)
        return tuple(pooled(self._taken[layer.name], kind=layer.kind, pool=self._pool) for layer in self._layers)

    def untap(self) -> None:
        """Take the hooks out of the network."""
        for hook in self._hooks:
            hook.remove()
