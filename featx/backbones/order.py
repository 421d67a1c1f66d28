"""In which order the modules of a network are called: what comes before a layer, and what a network cut there lacks.

Knows no weights and no training.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from featx.backbones.base import Backbone, Layer

if TYPE_CHECKING:
    from torch import nn

SIDE = 64  # of the blank image that is run; large enough for every backbone that does not ask for more


class Span(NamedTuple):
    """When a module is first called, and when it last returns, as places in one forward pass."""

    start: int
    end: int


def spans(network: nn.Module, *, side: int) -> dict[str, Span]:
    """Return the span of every module that a forward pass calls, by dotted path.

    Parameters
    ----------
    network : torch.nn.Module
        On any device, ``meta`` too; it is left in evaluation mode.
    side : int
        Side of the blank image, in pixels.
    """
    import torch

    found: dict[str, Span] = {}
    clock = iter(range(10**9))

    def begin(path: str) -> None:
        if path not in found:
            found[path] = Span(next(clock), -1)

    def end(path: str) -> None:
        found[path] = found[path]._replace(end=next(clock))

    with ExitStack() as stack:
        for path, module in network.named_modules():
            before = module.register_forward_pre_hook(lambda _, __, path=path: begin(path))
            # first, since a network that is cut ends its pass in a hook of the module that it is cut at
            after = module.register_forward_hook(lambda _, __, ___, path=path: end(path), prepend=True)
            stack.callback(before.remove)
            stack.callback(after.remove)
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, side, side, device=next(network.parameters()).device))
    return {path: span if span.end >= 0 else _until_cut(path, found) for path, span in found.items()}


def _until_cut(path: str, found: dict[str, Span]) -> Span:
    """Return the span of a module that never returned, because the pass was ended inside of it."""
    inside = [span.end for name, span in found.items() if name.startswith(f"{path}.") or not path]
    return Span(found[path].start, max(inside))


def side_for(backbone: Backbone) -> int:
    """Return the side of a blank image that a backbone takes."""
    return backbone.fixed_size or max(backbone.min_size, SIDE)


class Reached(Exception):
    """A layer was reached: carries what it gives."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def stop_at(module: nn.Module, *, take: str = "output") -> Any:
    """Have a forward pass end at a module with :class:`Reached`; return the handle of the hook."""

    def reach(*told: Any) -> None:
        raise Reached(told[-1] if take == "output" else told[1][0])

    return module.register_forward_pre_hook(reach) if take == "input" else module.register_forward_hook(reach)


def unused(network: nn.Module, layer: Layer, *, side: int) -> list[str]:
    """Return the modules that a forward pass up to a layer does not come to, the outermost of each branch.

    A module that was not called counts as used where the one that holds it returned: some take the weights of a part of
    theirs without calling it (the attention of Swin).
    """
    import torch

    modules = dict(network.named_modules())
    handle = stop_at(modules[layer.module])
    called: set[str] = set()
    returned: set[str] = set()
    handles = [handle]
    for path, module in modules.items():
        handles += [
            module.register_forward_pre_hook(lambda _, __, path=path: called.add(path)),
            module.register_forward_hook(lambda _, __, ___, path=path: returned.add(path), prepend=True),
        ]
    with torch.no_grad(), suppress(Reached):
        network.eval()(torch.zeros(1, 3, side, side, device=next(network.parameters()).device))
    for handle in handles:
        handle.remove()
    held = {parent for path in called for parent in _parents(path)}
    spare = {path for path in modules if path not in called | held and not returned & set(_parents(path))}
    return [path for path in modules if path in spare and not spare & set(_parents(path))]


def _parents(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition(".")[0]
        yield path
