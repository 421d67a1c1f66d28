"""ShuffleNet v2 (Ma et al., 2018).

Names are the paper's; ``conv1`` and ``conv5`` are taken after batch norm and ReLU, ``penultimate`` is the average of
``conv5`` over the map. This file must never know weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, head, maps, torchvision_network

_STAGES = {"conv1": "conv1", "pool1": "maxpool", "stage2": "stage2", "stage3": "stage3", "stage4": "stage4"}
_LAYERS = (*maps(_STAGES | {"conv5": "conv5"}), *head("fc"))


def _shufflenet(name: str) -> Backbone:
    return Backbone(name, family="shufflenet", layers=_LAYERS, build=torchvision_network(name))


shufflenet_v2_x0_5 = _shufflenet("shufflenet_v2_x0_5")
shufflenet_v2_x1_0 = _shufflenet("shufflenet_v2_x1_0")
shufflenet_v2_x1_5 = _shufflenet("shufflenet_v2_x1_5")
shufflenet_v2_x2_0 = _shufflenet("shufflenet_v2_x2_0")
