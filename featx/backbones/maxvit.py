"""MaxViT-T (Tu et al., 2022).

``stem``, then ``stage1`` ... ``stage4``; ``penultimate`` is the vector after the pooled layer norm, linear layer and
tanh, before the last linear layer. Its attention windows tie the input to 224 pixels. This file must never know
weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, head, maps, torchvision_network

maxvit_t = Backbone(
    "maxvit_t",
    family="maxvit",
    layers=(
        *maps({"stem": "stem"} | {f"stage{number}": f"blocks.{number - 1}" for number in range(1, 5)}),
        *head("classifier.5"),
    ),
    build=torchvision_network("maxvit_t"),
    min_size=224,
    fixed_size=224,
)
