"""Residual networks: ResNet (He et al., 2016), ResNeXt (Xie et al., 2017), Wide ResNet (Zagoruyko and Komodakis, 2016).

``conv1`` is taken after batch norm and ReLU; ``layer1`` ... ``layer4`` are the stages that the paper calls conv2_x ...
conv5_x, after their last ReLU; ``penultimate`` is their global average. This file must never know weights files or
datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, head, maps, torchvision_network

_STAGES = maps({"conv1": "relu", "pool1": "maxpool"} | {f"layer{number}": f"layer{number}" for number in range(1, 5)})


def _resnet(name: str) -> Backbone:
    return Backbone(name, family="resnet", layers=(*_STAGES, *head("fc")), build=torchvision_network(name))


resnet18 = _resnet("resnet18")
resnet34 = _resnet("resnet34")
resnet50 = _resnet("resnet50")
resnet101 = _resnet("resnet101")
resnet152 = _resnet("resnet152")
resnext50_32x4d = _resnet("resnext50_32x4d")
resnext101_32x8d = _resnet("resnext101_32x8d")
resnext101_64x4d = _resnet("resnext101_64x4d")
wide_resnet50_2 = _resnet("wide_resnet50_2")
wide_resnet101_2 = _resnet("wide_resnet101_2")
