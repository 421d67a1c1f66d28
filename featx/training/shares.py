"""A step's images in parts through a network, several parts at once, each on a core of its own.

What comes out is what the whole would give, to rounding: nothing in the front of the network, which is run so, looks
from one image at another (as a batch norm that learns does) or draws at random; what does comes behind it and takes all
images together. How images are parted depends on their number alone, and gradients of parts are added in their order:
neither the number of cores nor which of them is faster changes a bit. This file must never know data.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from featx.engine import cores
from featx.training import graphs
from featx.training.folding import fold
from featx.training.workers import Workers

if TYPE_CHECKING:
    import torch
    from torch import fx, nn

FEW = 8  # images that are not parted
PART = 16  # images that go through together, at most: each part costs a pass over the gradients of all weights
LEAST = 0.5  # of a network's operations that must be in its front
WORTH = 4  # numbers in a step's maps for each weight, from which on parts are worth their gradients
PROBE = 2  # images of noise on which both ways are compared
TOLERANCE = 1e-3  # of the largest value there

Prepare = Callable[[slice], "torch.Tensor"]


def parts_of(count: int) -> list[slice]:
    """Return images in even parts, as many as a power of two, so that any few cores have as much to do each."""
    parts = 1 if count < FEW else 2
    while parts * PART < count:
        parts *= 2
    edges = [number * count // parts for number in range(parts + 1)]
    return [slice(*edge) for edge in itertools.pairwise(edges)]


def workers_for(device: str, *, images: int) -> Workers:
    """Return who computes the parts of so many images; cores that are left over help within operations."""
    parts = len(parts_of(images)) if device == "cpu" else 1
    return Workers(min(cores(), parts), each=max(1, cores() // parts))


class Shares:
    """A network that learns, its images in parts.

    Parameters
    ----------
    front, rest : torch.fx.GraphModule
        What is run in parts, and what takes all images together behind it. The front's kept norms are folded.
    workers : Workers
        Who runs them.
    precision : str
        Whether activations are in bf16.
    maps : mapping of str to int
        Numbers that come out of each operation of the front in a step, by its name.

    Attributes
    ----------
    parted : bool
        Whether images go in parts. Each part has gradients of all weights: they are together where there are more
        weights than a part's maps have numbers.
    """

    def __init__(
        self, front: fx.GraphModule, rest: fx.GraphModule, *, workers: Workers, precision: str, maps: Mapping[str, int]
    ) -> None:
        self._front, self._rest, self._workers, self._precision = front, rest, workers, precision
        weights = sum(values.numel() for values in front.parameters() if values.requires_grad)
        self.parted = sum(maps.values()) >= WORTH * weights
        self._folds = fold(front, maps=maps)
        self._others = [values for values in front.parameters() if values.requires_grad]

    def __call__(self, prepare: Prepare, count: int) -> torch.Tensor:
        """Return what the network gives for so many images, float32.

        Parameters
        ----------
        prepare : callable
            Returns the images of a part as the network takes them; it is called in threads.
        count : int
            How many images there are.
        """
        with _autocast(self._precision):
            return self._rest(self.before(prepare, count)).float()

    def before(self, prepare: Prepare, count: int) -> torch.Tensor:
        """Return what the front gives."""
        given = [values for one in self._folds for values in one.effective()]
        parts = parts_of(count) if self.parted else [slice(0, count)]
        return _through().apply(self, prepare, parts, *given, *self._others)

    def give(self, values: Sequence[torch.Tensor | None]) -> list[torch.Tensor | None]:
        """Set the weights of folded convolutions; return all weights of the front, where gradients of parts end."""
        folded = values[: 2 * len(self._folds)]
        own = [None if one is None else one.detach().requires_grad_(one.requires_grad) for one in folded]
        for at, one in enumerate(self._folds):
            one.both.weight, one.both.bias = own[2 * at : 2 * at + 2]
        return [*own, *self._others]

    def values(self, prepare: Prepare, parts: Sequence[slice]) -> list[torch.Tensor]:
        """Return what the front gives for each part, with its way back."""
        import torch

        def forth(at: int) -> torch.Tensor:
            with torch.enable_grad(), _autocast(self._precision):
                return self._front(prepare(parts[at]))

        return list(self._workers.map(forth, len(parts)))

    def gradients(
        self, values: list[Any], ends: Sequence[torch.Tensor], given: Sequence[torch.Tensor]
    ) -> list[torch.Tensor | None]:
        """Return the gradients of the front's weights, added over its parts, whose values are given up."""
        import torch

        def back(at: int) -> tuple[torch.Tensor | None, ...]:
            value, values[at] = values[at], None  # what it holds is free when it is through
            return torch.autograd.grad(value, ends, given[at], allow_unused=True)

        return _added(self._workers.map(back, len(values)))


def _added(parts: Iterable[Sequence[torch.Tensor | None]]) -> list[torch.Tensor | None]:
    """Return sums over parts, in their order; a weight that none of them came by has none."""
    total: list[torch.Tensor | None] = []
    for part in parts:
        total = [_sum(one, other) for one, other in zip(total, part, strict=True)] if total else list(part)
    return total


def _sum(one: torch.Tensor | None, other: torch.Tensor | None) -> torch.Tensor | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other  # not in place: torch may have given one tensor as the gradient of two weights


def _autocast(precision: str) -> torch.autocast:
    import torch

    # torch keeps casts of weights for all threads in one place, so that none is kept here
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)


@cache
def _through() -> Any:
    """Return the front as one operation of torch, with a gradient."""
    import torch

    class Through(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, shares: Shares, prepare: Prepare, parts: list[slice], *given: torch.Tensor | None) -> Any:
            ctx.shares, ctx.parts, ctx.ends = shares, parts, shares.give(given)
            ctx.values = shares.values(prepare, parts)
            return torch.cat([value.detach() for value in ctx.values])

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            learns = [values is not None and values.requires_grad for values in ctx.ends]
            ends = list(itertools.compress(ctx.ends, learns))
            found = iter(ctx.shares.gradients(ctx.values, ends, [gradient[part] for part in ctx.parts]))
            return None, None, None, *(next(found) if one else None for one in learns)

    return Through


# ---- which networks


def shared(
    network: nn.Module, *, workers: Workers, shape: tuple[int, ...], precision: str, images: int
) -> Shares | None:
    """Return a network whose images go through in parts; None where most of it must see them together.

    Parameters
    ----------
    network : torch.nn.Module
        On the processor, in the mode in which it learns.
    workers : Workers
        Who runs the parts.
    shape : tuple of int
        Of what it takes of one image.
    precision : str
        Whether activations are in bf16.
    images : int
        How many there are in a step.
    """
    import torch

    try:
        graph = graphs.graph_of(network)
    except ValueError:  # its code asks what images are, and perhaps how many
        return None
    name = next(graphs.ends(graph, lambda node: _together(node, network)), None)
    if name is None:
        return None
    front, rest = graphs.until(network, graph, name), graphs.behind(network, graph, name)
    if len(front.graph.nodes) < LEAST * len(graph.nodes):
        return None
    noise = torch.randn(PROBE, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, sizes = _run(front, noise)
        maps = {name: size * images for name, size in sizes.items()}
        found = Shares(front, rest, workers=workers, precision="fp32", maps=maps)
        single = [found.before(partial(_one_of, noise, at), 1) for at in range(PROBE)]
    if not _same(expected, single):
        return None
    return Shares(graphs.until(network, graph, name), rest, workers=workers, precision=precision, maps=maps)


def _run(front: fx.GraphModule, noise: torch.Tensor) -> tuple[Any, dict[str, int]]:
    """Return what the front gives, and how many numbers come out of each of its operations for one image."""
    import torch
    from torch import fx

    sizes: dict[str, int] = {}

    class Measured(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            sizes[n.name] = value.numel() // PROBE if isinstance(value, torch.Tensor) else 0
            return value

    return Measured(front).run(noise), sizes


def _together(node: fx.Node, network: nn.Module) -> bool:
    """Return whether an operation looks from one image at another, draws at random, or keeps count."""
    if node.op == "call_module":
        return any(_aside(part) for part in network.get_submodule(str(node.target)).modules())
    return node.op == "call_function" and graphs.in_training(node)


def _aside(module: nn.Module) -> bool:
    from torch.nn.modules.batchnorm import _NormBase

    if isinstance(module, _NormBase):
        return module.training or module.running_mean is None
    draws = (getattr(module, name, 0.0) for name in ("p", "dropout"))
    return module.training and any(isinstance(share, float) and share > 0 for share in draws)


def _one_of(noise: torch.Tensor, at: int, _: slice) -> torch.Tensor:
    return noise[at : at + 1]


def _same(expected: Any, single: Sequence[torch.Tensor]) -> bool:
    import torch

    if not isinstance(expected, torch.Tensor) or len(expected) != PROBE:
        return False
    return bool((torch.cat(list(single)) - expected).abs().max() <= TOLERANCE * expected.abs().max())
