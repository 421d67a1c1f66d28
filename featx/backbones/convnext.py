"""ConvNeXt (Liu et al., 2022).

``stem`` is the patch embedding, ``stage1`` ... ``stage4`` the four stages; ``penultimate`` is the global average after
the last layer norm. This file must never know weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, head, maps, torchvision_network

_STAGES = {f"stage{number}": f"features.{2 * number - 1}" for number in range(1, 5)}
_LAYERS = (*maps({"stem": "features.0"} | _STAGES), *head("classifier.2"))


def _convnext(name: str) -> Backbone:
    return Backbone(name, family="convnext", layers=_LAYERS, build=torchvision_network(name))


convnext_tiny = _convnext("convnext_tiny")
convnext_small = _convnext("convnext_small")
convnext_base = _convnext("convnext_base")
convnext_large = _convnext("convnext_large")
