"""What learns and what is frozen: by the layers of a backbone, in the order in which they are called.

What is frozen stays as it is to the last bit: its weights, and the statistics of its batch norm too, since its modules
are kept in evaluation mode while the rest learns. This file must never know data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.backbones import Backbone, Layer
from featx.backbones.order import Span, side_for, spans
from featx.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from torch import nn

KINDS = ("none", "all", "upto:LAYER", "blocks:FIRST,...", "all-but:LAST,...")
_CONVOLUTION = re.compile(r"conv\d+_\d+")


@dataclass(frozen=True)
class Frozen:
    """What of a network does not learn.

    Attributes
    ----------
    parameters : frozenset of str
        Names of the weights that stay as they are.
    modules : tuple of str
        Paths of the modules that stay in evaluation mode.
    """

    parameters: frozenset[str]
    modules: tuple[str, ...]

    def apply(self, network: nn.Module) -> None:
        """Let exactly the rest have gradients."""
        for name, values in network.named_parameters():
            values.requires_grad_(name not in self.parameters)

    def train(self, network: nn.Module) -> None:
        """Put a network into training mode, all but what is frozen."""
        network.train()
        modules = dict(network.named_modules())
        for path in self.modules:
            modules[path].training = False


def frozen_for(network: nn.Module, backbone: Backbone, text: str, *, head: str) -> Frozen:
    """Settle what is frozen.

    Parameters
    ----------
    network : torch.nn.Module
        The network, head included; it is run once on a blank image.
    backbone : Backbone
        What it is, head included.
    text : str
        ``none``; ``all`` (only the head learns); ``upto:LAYER`` (that layer and all before it); ``blocks:A,B`` (these
        blocks), ``all-but:A,B`` (every block but these). A block is ``first``, ``last``, its number, or the name of
        the layer that it ends with.
    head : str
        Path of the head, which always learns.

    Raises
    ------
    UsageError
        Where the text is none of these, or nothing is before the layer named.
    """
    kind, colon, detail = text.partition(":")
    if text == "none":
        return Frozen(frozenset(), ())
    found = spans(network, side=side_for(backbone))
    start = found[head].start
    if text == "all":
        regions = [Span(0, start)]
    elif kind == "upto" and detail:
        regions = [Span(0, _end(found, backbone.layer(detail)))]
    elif kind in ("blocks", "all-but") and colon:
        named = _named(network, backbone, found, detail, until=start)
        regions = (
            named
            if kind == "blocks"
            else [s for s in _spans_of_blocks(network, backbone, found, start) if s not in named]
        )
    else:
        raise UsageError(f"--freeze {text!r}: expected one of {', '.join(KINDS)}")
    return _within(network, found, regions, head=head)


def with_norms_kept(frozen: Frozen, network: nn.Module, *, head: str) -> Frozen:
    """Return the same with every batch norm before the head in evaluation mode: it keeps its statistics."""
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [
        path
        for path, module in network.named_modules()
        if isinstance(module, _BatchNorm) and path not in frozen.modules and not path.startswith(f"{head}.")
    ]
    return Frozen(frozen.parameters, (*frozen.modules, *norms))


def _end(found: dict[str, Span], layer: Layer) -> int:
    if layer.module not in found:
        raise UnknownName("module that is called", layer.module, filter(None, found))
    span = found[layer.module]
    return span.start - 1 if layer.take == "input" else span.end


def _within(network: nn.Module, found: dict[str, Span], regions: Sequence[Span], *, head: str) -> Frozen:
    """Return what lies in the regions; a weight counts where the module that owns it is first called."""

    def holds(start: int, end: int) -> bool:
        return any(region.start <= start and end <= region.end for region in regions)

    def owner(name: str) -> str:
        path = name.rpartition(".")[0]
        while path not in found:  # some modules take the weights of a part of theirs without calling it
            path = path.rpartition(".")[0]
        return path

    def in_head(path: str) -> bool:
        return path == head or path.startswith(f"{head}.")

    parameters = {name for name, _ in network.named_parameters() if not in_head(name)}
    still = {name for name in parameters if holds(found[owner(name)].start, found[owner(name)].start)}
    modules = [path for path, span in found.items() if path and not in_head(path) and holds(*span)]
    return Frozen(frozenset(still), tuple(modules))


def blocks(backbone: Backbone) -> list[Layer]:
    """Return the layers that blocks end with, in forward order.

    Networks whose layers are called ``conv1_1`` ... have blocks that end with a pooling, others one for each layer;
    ``fc6`` and the like are blocks by themselves.
    """
    by_pool = any(_CONVOLUTION.fullmatch(layer.name) for layer in backbone.layers)
    last = backbone.layer("logits").name
    return [
        layer
        for layer in backbone.layers
        if layer.name != last
        and layer.take == "output"
        and not re.match(r"hidden\d", layer.name)
        and not (by_pool and _CONVOLUTION.fullmatch(layer.name))
        and not layer.name.endswith("-pre")
    ]


def _blocks_with_weights(
    network: nn.Module, backbone: Backbone, found: dict[str, Span], until: int
) -> list[tuple[str, Span]]:
    """Return name and span of each block before the head that has weights; one without joins the block before it."""
    owners = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
    starts = [found[path].start for path in owners if path in found]
    kept: list[tuple[str, Span]] = []
    begin = 0
    for layer in blocks(backbone):
        end = _end(found, layer)
        if begin > end or end > until:
            continue
        if any(begin <= start <= end for start in starts) or not kept:
            kept.append((layer.name, Span(begin, end)))
        else:
            kept[-1] = (layer.name, Span(kept[-1][1].start, end))
        begin = end + 1
    return kept


def _spans_of_blocks(network: nn.Module, backbone: Backbone, found: dict[str, Span], until: int) -> list[Span]:
    return [span for _, span in _blocks_with_weights(network, backbone, found, until)]


def _named(network: nn.Module, backbone: Backbone, found: dict[str, Span], detail: str, *, until: int) -> list[Span]:
    known = _blocks_with_weights(network, backbone, found, until)
    place = {"first": 0, "last": len(known) - 1} | {str(n): n - 1 for n in range(1, len(known) + 1)}
    place |= {name: at for at, (name, _) in enumerate(known)}
    chosen = []
    for word in filter(None, (part.strip() for part in detail.split(","))):
        if word not in place:
            raise UnknownName(f"block of {backbone.name}", word, place)
        chosen.append(known[place[word]][1])
    return chosen
