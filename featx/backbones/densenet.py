"""Densely connected networks (Huang et al., 2017).

``conv0`` is taken after batch norm and ReLU, ``norm5`` before its ReLU; ``denseblock1`` ... ``denseblock4`` are the
concatenated maps; ``penultimate`` is the global average after the last ReLU. This file must never know weights files
or datasets; it only says how keys were spelled in older ones.
"""

from __future__ import annotations

import re

from featx.backbones.base import Backbone, head, maps, torchvision_network

_BLOCKS = {f"denseblock{number}": f"features.denseblock{number}" for number in range(1, 5)}
_TRANSITIONS = {f"transition{number}": f"features.transition{number}" for number in range(1, 4)}
_LAYERS = (
    *maps({"conv0": "features.relu0", "pool0": "features.pool0"}),
    *sorted(maps(_BLOCKS | _TRANSITIONS), key=lambda layer: layer.name[-1]),
    *maps({"norm5": "features.norm5"}),
    *head("classifier"),
)


def _modern_key(key: str) -> str:
    """``denselayer1.norm.1.weight``, as the published files still spell it, is ``denselayer1.norm1.weight`` now."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)


def _densenet(name: str) -> Backbone:
    return Backbone(name, family="densenet", layers=_LAYERS, build=torchvision_network(name), rename=_modern_key)


densenet121 = _densenet("densenet121")
densenet161 = _densenet("densenet161")
densenet169 = _densenet("densenet169")
densenet201 = _densenet("densenet201")
