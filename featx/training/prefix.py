"""The frozen beginning of a network, told apart from the rest of it, so that it need be computed once an image.

A network is read as a graph of operations. Its beginning ends at the last value through which everything goes and
before which nothing learns, draws or keeps count: not a weight with a gradient, no batch norm or dropout in training
mode. The two parts share the network's own modules. This file must never know data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from featx.training import graphs
from featx.training.plan import Frozen

if TYPE_CHECKING:
    import numpy as np
    from torch import fx, nn

TRIED = 5  # places to end at, from the last one on, before a beginning counts as none
PROBE = 2  # blank images that are put through


class Divided(NamedTuple):
    """A network in two parts.

    Attributes
    ----------
    before : torch.nn.Module
        The frozen beginning, images to activations; to be run while the network is in evaluation mode.
    learning, judging : torch.nn.Module
        The rest, activations to logits: as it is while the network learns, and while it is judged.
    code : str
        What the beginning computes, as text; its weights are told by :meth:`tensors`.
    shape : tuple of int
        Of one image's activations.
    dtype : str
        Of activations, as torch calls it (``float32``, ``bfloat16``).
    """

    before: nn.Module
    learning: nn.Module
    judging: nn.Module
    code: str
    shape: tuple[int, ...]
    dtype: str

    def tensors(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the weights and statistics of the beginning, by name."""
        for name, values in self.before.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                yield name, values.cpu().numpy()


def divide(network: nn.Module, frozen: Frozen, *, side: int, device: str, precision: str) -> Divided | None:
    """Tell the frozen beginning of a network from the rest.

    Parameters
    ----------
    network : torch.nn.Module
        The network, ``frozen`` applied. It is left as ``frozen.train`` leaves it.
    frozen : Frozen
        What does not learn.
    side : int
        Of the images in pixels.
    device, precision : str
        Where it is, and whether activations are in bf16.

    Returns
    -------
    Divided or None
        None where nothing is frozen before the first thing that learns.

    Raises
    ------
    ValueError
        Where a network cannot be read as a graph of operations, or not be told apart.
    """
    frozen.train(network)
    learning = graphs.graph_of(network)
    places = list(graphs.ends(learning, lambda node: _learns(node, network)))
    if not places:
        return None
    judging = graphs.graph_of(network.eval())
    try:
        for name in places[:TRIED]:
            if found := _divided(network, learning, judging, name, side=side, device=device, precision=precision):
                return found
    finally:
        frozen.train(network)
    raise ValueError(f"no single value leaves what is frozen (tried {', '.join(places[:TRIED])})")


def _learns(node: fx.Node, network: nn.Module) -> bool:
    """Return whether an operation by itself learns, draws at random or keeps count."""
    if node.op == "call_module":
        return _alive(network.get_submodule(str(node.target)))
    if node.op == "get_attr":
        return bool(getattr(graphs.attribute(network, str(node.target)), "requires_grad", False))
    return node.op == "call_function" and graphs.in_training(node)


def _alive(module: nn.Module) -> bool:
    """Return whether a module has weights that learn, or is in training mode and may behave otherwise there."""
    if any(values.requires_grad for values in module.parameters()):
        return True
    parts = [part for part in module.modules() if part.training]
    return any(
        hasattr(part, "p") or any(True for _ in part.parameters()) or any(True for _ in part.buffers())
        for part in parts
    )


def _divided(
    network: nn.Module,
    learning: fx.Graph,
    judging: fx.Graph,
    name: str,
    *,
    side: int,
    device: str,
    precision: str,
) -> Divided | None:
    """Return a network in two parts at a value; None where the value is none for each image, or the sum is another."""
    import torch

    if name not in {node.name for node in judging.nodes}:
        return None
    before, rest = graphs.until(network, judging, name), graphs.behind(network, judging, name)
    blank = torch.randn(PROBE, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    blank = blank.contiguous(memory_format=torch.channels_last)
    network.eval()
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
        value = before(blank)
        if not isinstance(value, torch.Tensor) or value.ndim < 2 or len(value) != PROBE:
            return None
        shape, dtype = tuple(value.shape[1:]), str(value.dtype).removeprefix("torch.")
        if not torch.allclose(rest(value).float(), network(blank).float(), rtol=1e-3, atol=1e-4):
            return None
    return Divided(before, graphs.behind(network, learning, name), rest, before.code, shape, dtype)
