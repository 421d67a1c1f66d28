"""Vision transformers (Dosovitskiy et al., 2021).

``patches`` is the map of embedded patches, ``block1`` ... the tokens after each encoder block, ``norm`` the tokens
after the last layer norm; ``penultimate`` is the class token of ``norm``. The position embedding ties the input to
224 pixels. ``vit_h_14`` has no weights that were trained on ImageNet-1K alone. This file must never know weights
files or datasets; it only says how keys were spelled in older ones.
"""

from __future__ import annotations

import re
from dataclasses import replace

from featx.backbones.base import Backbone, Layer, head, maps, torchvision_network


def _modern_key(key: str) -> str:
    """``mlp.linear_1.weight`` and ``mlp.linear_2.weight`` of older files are ``mlp.0.weight`` and ``mlp.3.weight``."""
    return re.sub(r"\.mlp\.linear_([12])\.", lambda found: f".mlp.{3 * int(found[1]) - 3}.", key)


def _vit(name: str, *, blocks: int) -> Backbone:
    encoder = {f"block{number + 1}": f"encoder.layers.encoder_layer_{number}" for number in range(blocks)}
    tokens = maps(encoder | {"norm": "encoder.ln"}, kind="tokens")
    return Backbone(
        name,
        family="vit",
        layers=(Layer("patches", "conv_proj"), *tokens, *head("heads.head")),
        build=torchvision_network(name),
        min_size=224,
        fixed_size=224,
        rename=_modern_key,
    )


vit_b_16 = _vit("vit_b_16", blocks=12)
vit_b_32 = _vit("vit_b_32", blocks=12)
vit_l_16 = _vit("vit_l_16", blocks=24)
vit_l_32 = _vit("vit_l_32", blocks=24)
vit_h_14 = replace(_vit("vit_h_14", blocks=32), imagenet=None)
