"""Heads: what stands on a backbone where its own last layer stood, for other classes than those it was made for.

A head is written as a word: ``linear``, ``gap+512``, ``flatten+128bn``, ``512-128``, ``flatten+dense2+dropout2``. This
file must never know data, nor how a head learns.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featx.errors import UsageError
from featx.runtime import pooled

if TYPE_CHECKING:
    import torch
    from torch import nn

WIDTH = 512  # of a dense layer that is asked for without a width
DROPPED = 0.5  # share that dropout leaves out where it is asked for without a share
_WIDTHS = re.compile(r"\d+(bn)?(-\d+(bn)?)*")
_WIDEST = 65_536
EXAMPLES = "linear, gap+512, flatten+128bn, 512-128, flatten+dense2+dropout2"


@dataclass(frozen=True)
class Head:
    """Hidden layers, and how a map becomes the vector before them.

    Attributes
    ----------
    pool : {"avg", "flatten"}
        How a map becomes a vector: by its average, or as it is. A vector stays what it is.
    on_map : bool
        Whether the head was asked for on a map (``gap``, ``flatten``), and not on the network's last vector.
    widths : tuple of int
        Of the hidden layers.
    normed : tuple of bool
        Whether batch norm follows a hidden layer (after its ReLU, as in keras).
    dropout : float
        Share left out after each hidden layer while learning.
    """

    pool: str = "avg"
    on_map: bool = False
    widths: tuple[int, ...] = ()
    normed: tuple[bool, ...] = ()
    dropout: float = 0.0


def parse_head(text: str, *, dropout: float | None = None) -> Head:
    """Read a head.

    Parameters
    ----------
    text : str
        ``gap`` or ``flatten`` first, where a map is meant; then widths with dashes between, each with ``bn`` where
        batch norm follows; ``denseN`` is N layers of 512, ``dropoutN`` dropout after each. ``linear`` has no hidden
        layer.
    dropout : float, optional
        Share left out; half where the text asks for dropout, else nothing.

    Raises
    ------
    UsageError
        Where the text is no head; it tells what one looks like.

    Examples
    --------
    >>> parse_head("flatten+128bn", dropout=0.3)
    Head(pool='flatten', on_map=True, widths=(128,), normed=(True,), dropout=0.3)
    """
    parts = text.split("+")
    start = parts.pop(0) if parts[0] in ("gap", "flatten", "linear") else ""
    widths: list[str] = []
    drops = False
    for part in parts:
        if _WIDTHS.fullmatch(part):
            widths += part.split("-")
        elif found := re.fullmatch(r"dense([1-9])", part):
            widths += [str(WIDTH)] * int(found[1])
        elif re.fullmatch(r"dropout[1-9]?", part):
            drops = True
        else:
            raise UsageError(f"--head {text!r}: {part!r} is no part of a head; write for instance {EXAMPLES}")
    sizes = tuple(int(width.removesuffix("bn")) for width in widths)
    if (start == "linear" and (sizes or drops)) or not all(0 < size <= _WIDEST for size in sizes):
        raise UsageError(f"--head {text!r}: linear stands alone, and widths are from 1 to {_WIDEST}; write {EXAMPLES}")
    if dropout is not None and not 0 <= dropout < 1:
        raise UsageError(f"--dropout takes a share from 0 to below 1; {dropout} came")
    share = dropout if dropout is not None else (DROPPED if drops else 0.0)
    pool = "flatten" if start == "flatten" else "avg"
    normed = tuple(width.endswith("bn") for width in widths)
    return Head(pool, start in ("gap", "flatten"), sizes, normed, share)


def build_head(head: Head, *, dim: int, outputs: int, kind: str) -> nn.Module:
    """Return a head as a sequence of named modules: ``pool``, ``fc1``, ``relu1``, ``bn1``, ``drop1`` ... ``logits``.

    Initial weights are Glorot uniform with zero biases.

    Parameters
    ----------
    head : Head
        Its layers.
    dim, outputs : int
        Length of the vector that comes in, and of the one that goes out.
    kind : str
        What comes in, as a layer's ``kind``.
    """
    from torch import nn

    modules: OrderedDict[str, nn.Module] = OrderedDict(pool=pooling(kind, head.pool))
    for number, (width, normed) in enumerate(zip(head.widths, head.normed, strict=True), start=1):
        modules |= {f"fc{number}": _linear(dim, width), f"relu{number}": nn.ReLU()}
        if normed:
            modules[f"bn{number}"] = nn.BatchNorm1d(width)
        modules[f"drop{number}"] = nn.Dropout(head.dropout)
        dim = width
    modules["logits"] = _linear(dim, outputs)
    return nn.Sequential(modules)


def _linear(dim: int, outputs: int) -> nn.Module:
    from torch import nn

    layer = nn.Linear(dim, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def pooling(kind: str, pool: str) -> nn.Module:
    """Return a module that makes one vector an image of what comes in."""
    from torch import nn

    class Pooling(nn.Module):
        def forward(self, taken: torch.Tensor) -> torch.Tensor:
            return pooled(taken, kind=kind, pool=pool)

    return Pooling()
