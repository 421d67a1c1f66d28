"""A convolution whose weights are handed in, and which may end with a ReLU or ReLU6: one pass over its map, not three.

oneDNN applies the function while a result is still in the processor's registers; the way back needs no more than the
result. This file must never know networks or data.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

HIGHEST = 6.0  # of ReLU6
FUNCTIONS = ("", "relu", "relu6")


def convolution(like: nn.Conv2d, function: str = "") -> nn.Module:
    """Return a convolution like another one, whose ``weight`` and ``bias`` are set from outside before each pass.

    Parameters
    ----------
    like : torch.nn.Conv2d
        Gives stride, padding, dilation and groups, and no weights.
    function : {"", "relu", "relu6"}
        What follows.
    """
    import torch
    from torch import nn

    assert not isinstance(like.padding, str)
    stride, padding, dilation = list(like.stride), list(like.padding), list(like.dilation)
    one_pass = bool(function) and _has_one_pass()

    class Convolution(nn.Module):
        weight: torch.Tensor
        bias: torch.Tensor | None

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if one_pass:
                how = (stride, padding, dilation, like.groups)
                return _in_one_pass().apply(*_cast(images, self.weight, self.bias), how, function)
            values = torch.conv2d(images, self.weight, self.bias, stride, padding, dilation, like.groups)
            return _apart(values, function)

    return Convolution()


def _apart(values: torch.Tensor, function: str) -> torch.Tensor:
    from torch.nn.functional import relu, relu6

    return {"": lambda same: same, "relu": relu, "relu6": relu6}[function](values)


def _cast(*values: torch.Tensor | None) -> list[torch.Tensor | None]:
    """Return what a convolution takes as torch would cast it here."""
    import torch

    if not torch.is_autocast_enabled("cpu"):
        return list(values)
    kind = torch.get_autocast_dtype("cpu")
    return [None if value is None else value.to(kind) for value in values]


@cache
def _has_one_pass() -> bool:
    import torch

    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


@cache
def _in_one_pass() -> Any:
    """Return convolution and function as one operation of torch, with its gradient."""
    import torch

    words: dict[str, tuple[str, list[float]]] = {"relu": ("relu", []), "relu6": ("hardtanh", [0.0, HIGHEST])}

    class InOnePass(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, images: Any, weight: Any, bias: Any, how: Any, function: str) -> torch.Tensor:
            stride, padding, dilation, groups = how
            images = images.contiguous(memory_format=torch.channels_last)
            result = torch.ops.mkldnn._convolution_pointwise(
                images, weight, bias, padding, stride, dilation, groups, *words[function], ""
            )
            ctx.save_for_backward(images, weight, result)
            ctx.how, ctx.function, ctx.offsets = how, function, None if bias is None else list(bias.shape)
            return result

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            images, weight, result = ctx.saved_tensors
            (stride, padding, dilation, groups), wanted = ctx.how, list(ctx.needs_input_grad[:3])
            if ctx.function == "relu":
                gradient = torch.ops.aten.threshold_backward(gradient, result, 0.0)
            else:
                gradient = torch.ops.aten.hardtanh_backward(gradient, result, 0.0, HIGHEST)
            found = torch.ops.aten.convolution_backward(
                gradient, images, weight, ctx.offsets, stride, padding, dilation, False, [0, 0], groups, wanted
            )
            return *found, None, None

    return InOnePass
