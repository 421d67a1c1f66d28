"""The frozen beginning of a network, told apart from the rest of it, so that it need be computed once an image.

A network is read as a graph of operations. Its beginning ends at the last value through which everything goes and
before which nothing learns, draws or keeps count: not a weight with a gradient, no batch norm or dropout in training
mode. The two parts share the network's own modules. This file must never know data.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from featx.training.plan import Frozen

if TYPE_CHECKING:
    import numpy as np
    from torch import fx, nn

OWN_LEAVES = ("featx.backbones.heads",)  # modules that stay whole in a graph, beside those of torch.nn
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
    learning = _graph(network)
    places = list(_ends(learning, network))
    if not places:
        return None
    judging = _graph(network.eval())
    try:
        for name in places[:TRIED]:
            if found := _divided(network, learning, judging, name, side=side, device=device, precision=precision):
                return found
    finally:
        frozen.train(network)
    raise ValueError(f"no single value leaves what is frozen (tried {', '.join(places[:TRIED])})")


def _graph(network: nn.Module) -> fx.Graph:
    """Return a network's operations as they are in its present mode."""
    from torch import fx

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            if m._forward_hooks:  # a network that is cut ends its pass in such a hook
                return False
            own = type(m).__module__ in OWN_LEAVES
            return own or super().is_leaf_module(m, module_qualified_name)

    try:
        return Tracer().trace(network)
    except Exception as error:  # whatever a network's code does to values that are none yet
        raise ValueError(f"it cannot be read as a graph: {' '.join(str(error).split())[:150]}") from error


def _ends(graph: fx.Graph, network: nn.Module) -> Iterator[str]:
    """Yield the names of values at which the beginning may end, the last one first."""
    nodes = list(graph.nodes)
    place = {node: at for at, node in enumerate(nodes)}
    of_images, learns = _of_images(nodes), set()
    ends, furthest = [], 0  # the furthest operation that takes a value from before
    for node in nodes:
        if any(one in learns for one in node.all_input_nodes) or _learns(node, network):
            learns.add(node)
        if node not in of_images:
            continue
        if furthest <= place[node] and node not in learns and node.op.startswith("call_"):
            ends.append(node.name)
        furthest = max([furthest, *(place[user] for user in node.users)])
    yield from reversed(ends)


def _of_images(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """Return the values that depend on the images."""
    found: set[fx.Node] = set()
    for node in nodes:
        if node.op == "placeholder" or not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found


def _learns(node: fx.Node, network: nn.Module) -> bool:
    """Return whether an operation by itself learns, draws at random or keeps count."""
    if node.op == "call_module":
        return _alive(network.get_submodule(str(node.target)))
    if node.op == "get_attr":
        return bool(getattr(_attribute(network, str(node.target)), "requires_grad", False))
    return node.op == "call_function" and _in_training(node)


def _alive(module: nn.Module) -> bool:
    """Return whether a module has weights that learn, or is in training mode and may behave otherwise there."""
    if any(values.requires_grad for values in module.parameters()):
        return True
    parts = [part for part in module.modules() if part.training]
    return any(
        hasattr(part, "p") or any(True for _ in part.parameters()) or any(True for _ in part.buffers())
        for part in parts
    )


def _attribute(network: nn.Module, path: str) -> Any:
    owner, _, name = path.rpartition(".")
    return getattr(network.get_submodule(owner), name)


def _in_training(node: fx.Node) -> bool:
    """Return whether a function is told that the network learns (``dropout``, ``stochastic_depth``)."""
    try:
        given = inspect.signature(node.target).bind(*node.args, **node.kwargs)  # type: ignore[arg-type]
        given.apply_defaults()
    except (ValueError, TypeError):  # built in: draws at random only by a name that says so
        return any(word in str(node.target) for word in ("dropout", "rand", "bernoulli"))
    return bool(given.arguments.get("training", False))


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
    before, rest = _before(network, judging, name), _rest(network, judging, name)
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
    return Divided(before, _rest(network, learning, name), rest, before.code, shape, dtype)


def _before(network: nn.Module, graph: fx.Graph, name: str) -> Any:
    """Return the operations up to a value."""
    nodes = list(graph.nodes)
    end = next(at for at, node in enumerate(nodes) if node.name == name)
    return _module(network, nodes[: end + 1], ends_with=nodes[end])


def _rest(network: nn.Module, graph: fx.Graph, name: str) -> Any:
    """Return the operations behind a value, which comes in instead of images."""
    nodes = list(graph.nodes)
    end = next(at for at, node in enumerate(nodes) if node.name == name)
    of_images = _of_images(nodes)
    constants = [node for node in nodes[:end] if node not in of_images]
    return _module(network, [*constants, *nodes[end + 1 :]], begins_with=nodes[end])


def _module(
    network: nn.Module,
    nodes: Sequence[fx.Node],
    *,
    begins_with: fx.Node | None = None,
    ends_with: fx.Node | None = None,
) -> Any:
    from torch import fx

    graph, copies = fx.Graph(), {}
    if begins_with is not None:
        copies[begins_with] = graph.placeholder("activations")
    for node in nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
    if ends_with is not None:
        graph.output(copies[ends_with])
    module = fx.GraphModule(network, graph)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    return module
