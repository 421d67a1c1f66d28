"""Where a network learns, and in what precision. Knows no data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featx.runtime import pick_device

if TYPE_CHECKING:
    from torch import nn


def settled(network: nn.Module, *, device: str, precision: str) -> tuple[str, str]:
    """Return device and precision: ``auto`` is a GPU where there is one, and bf16 where it pays.

    On a GPU that computes bf16 it does. On a processor it does where there are tiles for matrices (AMX) and every
    convolution takes all channels; grouped and depthwise ones (MobileNet) were slower in bf16 than in float32.

    Parameters
    ----------
    network : torch.nn.Module
        What learns, on any device.
    device, precision : str
        As a user names them.
    """
    import torch

    device = pick_device(device)
    if precision != "auto":
        return device, precision
    if device == "cuda":
        return device, "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    grouped = any(getattr(module, "groups", 1) > 1 for module in network.modules())
    return device, "bf16" if torch.cpu._is_amx_tile_supported() and not grouped else "fp32"
