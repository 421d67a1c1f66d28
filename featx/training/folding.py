"""Batch norm that keeps its statistics, made part of the convolution before it while both of them learn.

Such a norm scales and shifts each channel, which the convolution can do itself: with the weights ``w * s`` and the
offsets ``beta + (b - mean) * s``, where ``s = gamma / sqrt(variance + eps)``. These are computed anew in each step, and
gradients go through them to ``w``, ``b``, ``gamma`` and ``beta``: the same function and the same gradients, without
passes over whole maps, forth and back. A ReLU behind is made part of it too. This file must never know data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from featx.training.convolution import convolution

if TYPE_CHECKING:
    import torch
    from torch import fx, nn


class Fold(NamedTuple):
    """A convolution, the kept norm behind it if there is one, and the one convolution that stands for both."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d | None
    both: Any

    def effective(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return weights and offsets of the convolution that does both, through which gradients go."""
        import torch

        conv, norm = self.conv, self.norm
        if norm is None:
            return conv.weight, conv.bias
        assert norm.running_mean is not None and norm.running_var is not None
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else norm.weight * scale
        mean = norm.running_mean if conv.bias is None else norm.running_mean - conv.bias
        shift = -mean * scale if norm.bias is None else torch.addcmul(norm.bias, mean, scale, value=-1)
        return conv.weight * scale[:, None, None, None], shift


class _Chain(NamedTuple):
    """Operations that follow each other with nothing else between."""

    conv: fx.Node
    norm: fx.Node | None
    function: fx.Node | None
    word: str


def fold(network: fx.GraphModule, *, maps: Mapping[str, int] | None = None) -> list[Fold]:
    """Have convolutions do what follows them; return these, whose weights are then to be given in each pass.

    Parameters
    ----------
    network : torch.fx.GraphModule
        In the mode in which it learns. Its operations are exchanged; the modules that it was made of stay as they are.
    maps : mapping of str to int, optional
        Numbers that come out of each operation in a step, by its name. A norm is left alone where a convolution has
        more weights than that, which would cost more than the norm does.
    """
    folds = []
    for chain in list(_chains(network)):
        conv: Any = network.get_submodule(str(chain.conv.target))
        norm: Any = network.get_submodule(str(chain.norm.target)) if chain.norm is not None else None
        if norm is not None and maps is not None and maps[chain.conv.name] < conv.weight.numel():
            continue
        folds.append(Fold(conv, norm, convolution(conv, chain.word)))
        network.set_submodule(str(chain.conv.target), folds[-1].both)
        for node in (chain.function, chain.norm):
            if node is not None:
                node.replace_all_uses_with(node.all_input_nodes[0])
                network.graph.erase_node(node)
    network.delete_all_unused_submodules()
    network.recompile()
    return folds


def _chains(network: fx.GraphModule) -> Iterator[_Chain]:
    """Yield each convolution that is called once and has something behind it that it can do."""
    from torch import nn

    modules = dict(network.named_modules())
    calls = Counter(node.target for node in network.graph.nodes if node.op == "call_module")
    for node in network.graph.nodes:
        conv = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or calls[node.target] > 1 or not _plain(conv):
            continue
        after = _only_user(node)
        norm = after if after is not None and _kept_norm(after, modules) and calls[after.target] == 1 else None
        function = _only_user(norm) if norm is not None else after
        word = _word(function, modules) if function is not None else ""
        if norm is not None or word:
            yield _Chain(node, norm, function if word else None, word)


def _plain(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str) and not _watched(conv)


def _watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _kept_norm(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    from torch import nn

    norm = modules.get(str(node.target)) if node.op == "call_module" else None
    if not isinstance(norm, nn.BatchNorm2d) or norm.training or _watched(norm):
        return False
    return norm.running_mean is not None


def _word(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    """Return which function an operation is, as a convolution can do it; nothing for any other."""
    import torch
    from torch import nn
    from torch.nn import functional

    if node.op == "call_module":
        module = modules[str(node.target)]
        known = {nn.ReLU: "relu", nn.ReLU6: "relu6"}
        return "" if _watched(module) else known.get(type(module), "")
    functions: dict[Any, str] = {functional.relu: "relu", torch.relu: "relu", functional.relu6: "relu6"}
    return functions.get(node.target, "") if node.op == "call_function" else ""
