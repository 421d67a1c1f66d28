"""MNASNet (Tan et al., 2019).

``stem`` ends with the first separable convolution, ``stage1`` ... ``stage6`` are the stacks of inverted residuals,
``head`` is the last 1x1 convolution after its ReLU. This file must never know weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, head, maps, torchvision_network

_STACKS = {f"stage{number}": f"layers.{number + 7}" for number in range(1, 7)}
_LAYERS = (*maps({"stem": "layers.7"} | _STACKS | {"head": "layers.16"}), *head("classifier.1"))


def _mnasnet(name: str) -> Backbone:
    return Backbone(name, family="mnasnet", layers=_LAYERS, build=torchvision_network(name))


mnasnet0_5 = _mnasnet("mnasnet0_5")
mnasnet0_75 = _mnasnet("mnasnet0_75")
mnasnet1_0 = _mnasnet("mnasnet1_0")
mnasnet1_3 = _mnasnet("mnasnet1_3")
