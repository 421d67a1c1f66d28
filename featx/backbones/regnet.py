"""RegNet X and Y (Radosavovic et al., 2020).

``stem``, then ``stage1`` ... ``stage4`` after their last ReLU; ``penultimate`` is the global average.
``regnet_y_128gf`` has no weights that were trained on ImageNet-1K alone: the published ones start from other, larger
image collections. This file must never know weights files or datasets.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from featx.backbones.base import Backbone, head, maps

if TYPE_CHECKING:
    from torch import nn

_STAGES = {f"stage{number}": f"trunk_output.block{number}" for number in range(1, 5)}
_LAYERS = (*maps({"stem": "stem"} | _STAGES), *head("fc"))


def _regnet(name: str) -> Backbone:
    return Backbone(name, family="regnet", layers=_LAYERS, build=partial(_build, name))


def _build(name: str) -> nn.Module:
    """Build a network whose widths torchvision computes with tensors: those are real, also where weights are not."""
    import torch
    from torchvision.models import regnet

    widths = regnet.BlockParams.from_init_params

    def real(*given: Any, **named: Any) -> Any:
        with torch.device("cpu"):
            return widths(*given, **named)

    regnet.BlockParams.from_init_params = real
    try:
        return getattr(regnet, name)(weights=None)
    finally:
        regnet.BlockParams.from_init_params = widths


regnet_x_400mf = _regnet("regnet_x_400mf")
regnet_x_800mf = _regnet("regnet_x_800mf")
regnet_x_1_6gf = _regnet("regnet_x_1_6gf")
regnet_x_3_2gf = _regnet("regnet_x_3_2gf")
regnet_x_8gf = _regnet("regnet_x_8gf")
regnet_x_16gf = _regnet("regnet_x_16gf")
regnet_x_32gf = _regnet("regnet_x_32gf")
regnet_y_400mf = _regnet("regnet_y_400mf")
regnet_y_800mf = _regnet("regnet_y_800mf")
regnet_y_1_6gf = _regnet("regnet_y_1_6gf")
regnet_y_3_2gf = _regnet("regnet_y_3_2gf")
regnet_y_8gf = _regnet("regnet_y_8gf")
regnet_y_16gf = _regnet("regnet_y_16gf")
regnet_y_32gf = _regnet("regnet_y_32gf")
regnet_y_128gf = replace(_regnet("regnet_y_128gf"), imagenet=None)
