"""EfficientNet (Tan and Le, 2019) and EfficientNet v2 (Tan and Le, 2021).

``stem``, then ``stage1`` ... (seven, in v2-S six), then ``head``, the last 1x1 convolution with its activation;
``penultimate`` is the global average of it. This file must never know weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, head, maps, torchvision_network


def _efficientnet(name: str, *, stages: int = 7, min_size: int = 32, normalise: str = "imagenet") -> Backbone:
    features = {"stem": "features.0"} | {f"stage{number}": f"features.{number}" for number in range(1, stages + 1)}
    return Backbone(
        name,
        family="efficientnet",
        layers=(*maps(features | {"head": f"features.{stages + 1}"}), *head("classifier.1")),
        build=torchvision_network(name),
        normalise=normalise,
        min_size=min_size,
    )


efficientnet_b0 = _efficientnet("efficientnet_b0")
efficientnet_b1 = _efficientnet("efficientnet_b1")
efficientnet_b2 = _efficientnet("efficientnet_b2")
efficientnet_b3 = _efficientnet("efficientnet_b3")
efficientnet_b4 = _efficientnet("efficientnet_b4")
efficientnet_b5 = _efficientnet("efficientnet_b5")
efficientnet_b6 = _efficientnet("efficientnet_b6")
efficientnet_b7 = _efficientnet("efficientnet_b7")
efficientnet_v2_s = _efficientnet("efficientnet_v2_s", stages=6, min_size=33)
efficientnet_v2_m = _efficientnet("efficientnet_v2_m", min_size=33)
efficientnet_v2_l = _efficientnet("efficientnet_v2_l", min_size=33, normalise="-1..1")
