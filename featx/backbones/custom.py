"""The two small convolutional networks of F. Maia's melanoma thesis, to be trained from scratch.

3x3 convolutions that keep the size, each with a ReLU, 2x2 max pooling, a global average (``gap``), hidden layers of
512 and one output for two classes. Every readable name but ``logits`` is taken after its ReLU. They have no published
weights; initial values are Glorot uniform with zero biases. This file must never know datasets or training.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

from featx.backbones.base import Backbone, Layer

if TYPE_CHECKING:
    from torch import nn


def _network(blocks: tuple[tuple[int, ...], ...], hidden: int) -> nn.Module:
    from torch import nn

    modules: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for block, widths in enumerate(blocks, start=1):
        for number, width in enumerate(widths, start=1):
            modules[f"conv{block}_{number}"] = nn.Conv2d(channels, width, 3, padding=1)
            modules[f"relu{block}_{number}"] = nn.ReLU()
            channels = width
        modules[f"pool{block}"] = nn.MaxPool2d(2)
    modules |= {"gap": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()}
    for number in range(1, hidden + 1):
        modules |= {f"fc{number}": nn.Linear(channels, 512), f"relu_fc{number}": nn.ReLU()}
        channels = 512
    modules["logits"] = nn.Linear(channels, 1)
    return _glorot(nn.Sequential(modules))


def _glorot(net: nn.Module) -> nn.Module:
    from torch import nn

    for values in net.parameters():
        if values.ndim == 1:
            nn.init.zeros_(values)
        else:
            nn.init.xavier_uniform_(values)
    return net


def _layers(blocks: tuple[tuple[int, ...], ...], hidden: int) -> tuple[Layer, ...]:
    layers = []
    for block, widths in enumerate(blocks, start=1):
        layers += [Layer(f"conv{block}_{n}", f"relu{block}_{n}") for n in range(1, len(widths) + 1)]
        layers.append(Layer(f"pool{block}", f"pool{block}"))
    vectors = [Layer(f"fc{n}", f"relu_fc{n}", kind="vector") for n in range(1, hidden + 1)]
    return (*layers, Layer("gap", "flat", kind="vector"), *vectors, Layer("logits", "logits", kind="vector"))


def _custom(name: str, blocks: tuple[tuple[int, ...], ...], *, hidden: int) -> Backbone:
    return Backbone(
        name,
        family="custom",
        layers=_layers(blocks, hidden),
        build=partial(_network, blocks, hidden),
        penultimate=f"fc{hidden}",
        min_size=2 ** len(blocks),
        imagenet=None,
    )


maia_custom1 = _custom("maia-custom1", ((32, 32), (64, 64), (128, 128)), hidden=2)
maia_custom2 = _custom("maia-custom2", ((32,), (64,)), hidden=1)
