"""Batch norm folded into the convolution before it: the same function in fewer passes over memory.

Layers that are tapped between the two would see something else, so the outcome is checked at the taps. This file must
never know images or what features are for.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from featx.runtime.base import Tap
from featx.runtime.taps import tap

if TYPE_CHECKING:
    import torch
    from torch import nn

TOLERANCE = 1e-4  # of the largest activation of a layer


def fold_batch_norm(network: nn.Module, *, layers: Sequence[Tap], size: int) -> nn.Module:
    """Return a network whose batch norms are folded where that changes no tapped layer, else the network itself.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode, float32, on the CPU; it is left as it is.
    layers : sequence of Tap
        Where features will be taken.
    size : int
        Side of the images.

    Returns
    -------
    torch.nn.Module
        With modules of the same names.
    """
    pairs = _pairs(network)
    if not pairs:
        return network
    folded = copy.deepcopy(network)
    for conv, norm in pairs:
        _fold(folded, conv, norm)
    return folded if _same(network, folded, layers, size) else network


def _pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Return names of (convolution, batch norm) that follow each other, each called once, nothing else between."""
    from torch import fx, nn

    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return []
    try:
        graph = fx.symbolic_trace(network).graph
    except Exception:  # what a network does may hang on its input; then nothing is folded
        return []
    modules = dict(network.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    return [
        (str(node.args[0].target), str(node.target))
        for node in graph.nodes
        if node.op == "call_module"
        and isinstance(modules[node.target], nn.BatchNorm2d)
        and modules[node.target].running_mean is not None
        and _lone_convolution(node.args[0], modules)
        and calls[node.target] == calls[node.args[0].target] == 1
    ]


def _lone_convolution(node: Any, modules: dict[str, nn.Module]) -> bool:
    from torch import nn

    return node.op == "call_module" and isinstance(modules[node.target], nn.Conv2d) and len(node.users) == 1


def _fold(network: nn.Module, conv: str, norm: str) -> None:
    from torch import nn
    from torch.nn.utils import fuse_conv_bn_eval

    pair: Any = network.get_submodule(conv), network.get_submodule(norm)
    fused = fuse_conv_bn_eval(*pair)
    network.set_submodule(conv, fused)
    network.set_submodule(norm, nn.Identity())


def _same(network: nn.Module, folded: nn.Module, layers: Sequence[Tap], size: int) -> bool:
    """Return whether all tapped layers agree on images of noise."""
    before, after = (_activations(net, layers, size) for net in (network, folded))
    return before.keys() == after.keys() and all(
        bool((before[name] - after[name]).abs().max() <= TOLERANCE * before[name].abs().max()) for name in before
    )


def _activations(network: nn.Module, layers: Sequence[Tap], size: int) -> dict[str, torch.Tensor]:
    import torch

    taken: dict[str, torch.Tensor] = {}
    hooks = tap(network, layers, lambda name, value: taken.__setitem__(name, value.clone()))
    noise = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            network.eval()(noise)
    finally:
        for hook in hooks:
            hook.remove()
    return taken
