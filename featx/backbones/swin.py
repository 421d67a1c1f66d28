"""Swin transformers (Liu et al., 2021) and their second version (Liu et al., 2022).

``patches`` is the patch embedding, ``stage1`` ... ``stage4`` the stages, ``norm`` the last layer norm, all of them
maps with the channels last [B, H, W, C]; ``penultimate`` is the global average of ``norm``. This file must never know
weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, head, maps, torchvision_network

_STAGES = {f"stage{number}": f"features.{2 * number - 1}" for number in range(1, 5)}
_LAYERS = (*maps({"patches": "features.0"} | _STAGES | {"norm": "norm"}, kind="map-last"), *head("head"))


def _swin(name: str) -> Backbone:
    return Backbone(name, family="swin", layers=_LAYERS, build=torchvision_network(name))


swin_t = _swin("swin_t")
swin_s = _swin("swin_s")
swin_b = _swin("swin_b")
swin_v2_t = _swin("swin_v2_t")
swin_v2_s = _swin("swin_v2_s")
swin_v2_b = _swin("swin_v2_b")
