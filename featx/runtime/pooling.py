"""How activations become one vector an image, in plain torch operations that every runtime can carry out.

This file must never know where activations come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

POOLS = ("avg", "max", "flatten", "gem")
GEM_POWER = 3.0  # Radenovic et al. (2018), generalised mean pooling


def pooled(taken: torch.Tensor, *, kind: str, pool: str) -> torch.Tensor:
    """Turn a layer's activations into one vector an image.

    Parameters
    ----------
    taken : torch.Tensor, shape (b, d), (b, c, h, w), (b, h, w, c) or (b, 1 + n, d)
        By ``kind``: ``vector``, ``map``, ``map-last``, ``tokens``; ``auto`` tells from the number of dimensions.
    kind : str
        What the activations are.
    pool : {"avg", "max", "flatten", "gem"}
        ``gem`` is the generalised mean (Radenovic et al. 2018) with power 3.

    Returns
    -------
    torch.Tensor, shape (b, D)
    """
    if kind == "auto":
        kind = {2: "vector", 4: "map", 3: "tokens"}.get(taken.ndim, "flat")
    if kind in ("vector", "flat") or taken.ndim == 2:
        return taken.flatten(1)
    places = {
        "map": lambda: taken.flatten(2),
        "map-last": lambda: taken.flatten(1, 2).transpose(1, 2),
        "tokens": lambda: taken[:, 1:].transpose(1, 2),
    }[kind]()
    if pool == "flatten":
        return places.flatten(1)
    if pool == "max":
        return places.amax(2)
    if pool == "gem":
        return places.clamp(min=1e-6).pow(GEM_POWER).mean(2).pow(1 / GEM_POWER)
    return places.mean(2)
