"""MobileNet v2 (Sandler et al., 2018) and v3 (Howard et al., 2019).

``stem`` is the first convolution, ``block1`` ... the inverted residual blocks, ``head`` the last 1x1 convolution, each
with its activation where it has one. In v3 ``penultimate`` is the vector after the hidden classifier layer (1280 or
1024 values); ``head`` pooled gives what comes before it (960 or 576). This file must never know weights files or
datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, head, maps, torchvision_network


def _mobilenet(name: str, blocks: int, *, last: str) -> Backbone:
    features = {"stem": "features.0"} | {f"block{number}": f"features.{number}" for number in range(1, blocks + 1)}
    return Backbone(
        name,
        family="mobilenet",
        layers=(*maps(features | {"head": f"features.{blocks + 1}"}), *head(last)),
        build=torchvision_network(name),
    )


mobilenet_v2 = _mobilenet("mobilenet_v2", 17, last="classifier.1")
mobilenet_v3_large = _mobilenet("mobilenet_v3_large", 15, last="classifier.3")
mobilenet_v3_small = _mobilenet("mobilenet_v3_small", 11, last="classifier.3")
