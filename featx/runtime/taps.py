"""Taking activations out of a network by hooks, so that any dotted path is a layer, and telling their shapes.

This file must never know images, pooling, or who computes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import UsageError
from featx.images import Normalisation
from featx.runtime.base import Tap

if TYPE_CHECKING:
    import torch
    from torch import nn


def tap(network: nn.Module, layers: Sequence[Tap], take: Callable[[str, Any], None]) -> list[Any]:
    """Have ``take`` told the name and the activation of each layer in every forward pass; returns the hooks' handles.

    Raises
    ------
    UsageError
        Where a module at a dotted path is missing.
    """
    modules = dict(network.named_modules())
    handles = []
    for layer in layers:
        if layer.module not in modules:
            raise UsageError(
                f"the network has no module {layer.module!r}; `featx info --backbone` lists the layers by name"
            )
        module = modules[layer.module]
        if layer.take == "input":
            hook = module.register_forward_pre_hook(lambda _, inputs, name=layer.name: take(name, inputs[0]))
        else:
            hook = module.register_forward_hook(lambda _, __, output, name=layer.name: take(name, output))
        handles.append(hook)
    return handles


def refuse_rowless(layer: Tap, value: Any, *, images: int) -> None:
    """Refuse a layer that gave no tensor, or one that has not one row an image.

    Raises
    ------
    UsageError
        With what it gave.
    """
    import torch

    if not isinstance(value, torch.Tensor):
        raise UsageError(f"layer {layer.name!r} gives no tensor in a forward pass; take another layer")
    if value.ndim < 2 or len(value) != images:
        raise UsageError(
            f"layer {layer.name!r} gives {tuple(value.shape)} for {images} images, not one row an image; "
            "take another layer"
        )


def layer_shapes(network: nn.Module, *, layers: Sequence[Tap], size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of each layer's activations, computed without computing them.

    Parameters
    ----------
    network : torch.nn.Module
        Built on torch's ``meta`` device.
    layers : sequence of Tap
        The layers.
    size : int
        Side of the input.

    Raises
    ------
    UsageError
        Where the network does not take that size.
    """
    import torch

    shapes: dict[str, tuple[int, ...]] = {}

    def keep(name: str, value: Any) -> None:
        shapes[name] = tuple(value.shape[1:])

    tap(network, layers, keep)
    with size_refused(size):
        network.eval()(torch.zeros(1, 3, size, size, device="meta"))
    return shapes


@contextlib.contextmanager
def size_refused(size: int) -> Iterator[None]:
    """Turn a network's complaint into a sentence; most often it is about the size of its input."""
    try:
        yield
    except (RuntimeError, ValueError, AssertionError) as error:
        told = " ".join(str(error).split())[:200]
        if "memory" in told:
            raise MemoryError(told) from error
        raise UsageError(f"this backbone cannot be run on images of {size} x {size} pixels ({told})") from error


def affine(normalise: Normalisation, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and shift such that ``pixel * scale + shift`` is the normalised pixel."""
    import torch

    std = np.asarray(normalise.std, dtype=np.float64)
    scale, shift = normalise.scale / std, -np.asarray(normalise.mean, dtype=np.float64) / std
    return tuple(torch.tensor(x, dtype=torch.float32, device=device).view(1, 3, 1, 1) for x in (scale, shift))  # type: ignore[return-value]
