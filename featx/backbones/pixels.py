"""The resized image itself as features: D = side x side x 3 values from 0 to 255, in the order row, column, channel.

It has no weights. Pixels are whole numbers and stay so: the 150,528 of an image are kept in as many bytes. This file
must never know how images are read.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from featx.backbones.base import Backbone, Layer

if TYPE_CHECKING:
    from torch import nn


def _network() -> nn.Module:
    from torch import nn
    from torchvision.ops import Permute

    return nn.Sequential(OrderedDict(channels_last=Permute([0, 2, 3, 1]), pixels=nn.Flatten()))


pixels = Backbone(
    "pixels",
    family="pixels",
    layers=(Layer("pixels", "pixels", kind="vector"),),
    build=_network,
    penultimate="pixels",
    logits=None,
    normalise="0..255",
    min_size=1,
    imagenet=None,
    weightless=True,
    stored="uint8",
)
