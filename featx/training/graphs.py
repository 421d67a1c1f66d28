"""A network read as a graph of operations, and told apart at a value through which everything goes.

The parts share the network's own modules. This file must never know data, nor why a network is divided.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import fx, nn

OWN_LEAVES = ("featx.backbones.heads",)  # modules that stay whole in a graph, beside those of torch.nn


def graph_of(network: nn.Module) -> fx.Graph:
    """Return a network's operations as they are in its present mode.

    Raises
    ------
    ValueError
        Where its code does what no graph can tell.
    """
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


def ends(graph: fx.Graph, stops: Callable[[fx.Node], bool]) -> Iterator[str]:
    """Yield the names of values at which a beginning may end, the last one first.

    Parameters
    ----------
    graph : torch.fx.Graph
        Of a network.
    stops : callable
        Whether an operation by itself may not be in the beginning; nor is then what depends on it.
    """
    nodes = list(graph.nodes)
    place = {node: at for at, node in enumerate(nodes)}
    images, outside = of_images(nodes), set()
    found, furthest = [], 0  # the furthest operation that takes a value from before
    for node in nodes:
        if any(one in outside for one in node.all_input_nodes) or stops(node):
            outside.add(node)
        if node not in images:
            continue
        if furthest <= place[node] and node not in outside and node.op.startswith("call_"):
            found.append(node.name)
        furthest = max([furthest, *(place[user] for user in node.users)])
    yield from reversed(found)


def of_images(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """Return the values that depend on the images."""
    found: set[fx.Node] = set()
    for node in nodes:
        if node.op == "placeholder" or not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found


def in_training(node: fx.Node) -> bool:
    """Return whether a function is told that the network learns (``dropout``, ``stochastic_depth``)."""
    try:
        given = inspect.signature(node.target).bind(*node.args, **node.kwargs)  # type: ignore[arg-type]
        given.apply_defaults()
    except (ValueError, TypeError):  # built in: draws at random only by a name that says so
        return any(word in str(node.target) for word in ("dropout", "rand", "bernoulli"))
    return bool(given.arguments.get("training", False))


def attribute(network: nn.Module, path: str) -> Any:
    """Return what lies at a dotted path: a weight or a buffer."""
    owner, _, name = path.rpartition(".")
    return getattr(network.get_submodule(owner), name)


def until(network: nn.Module, graph: fx.Graph, name: str) -> Any:
    """Return the operations up to a value as a module."""
    nodes = list(graph.nodes)
    end = next(at for at, node in enumerate(nodes) if node.name == name)
    return _module(network, nodes[: end + 1], ends_with=nodes[end])


def behind(network: nn.Module, graph: fx.Graph, name: str) -> Any:
    """Return the operations behind a value as a module; the value comes in instead of images."""
    nodes = list(graph.nodes)
    end = next(at for at, node in enumerate(nodes) if node.name == name)
    images = of_images(nodes)
    constants = [node for node in nodes[:end] if node not in images]
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
