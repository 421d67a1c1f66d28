"""VGG networks of 11, 13, 16 and 19 layers (Simonyan and Zisserman, 2015), with and without batch norm.

Readable names mean activations: ``conv1_1`` ... ``conv5_4``, ``fc6`` and ``fc7`` are taken AFTER the ReLU (after batch
norm and ReLU in the ``_bn`` networks); ``fc6-pre`` and ``fc7-pre`` are the linear outputs before it. ``fc8`` is the
last output and has no ReLU. This file must never know weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, Layer, torchvision_network

_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def _features(depth: int, *, batch_norm: bool) -> list[Layer]:
    """Return conv and pool layers by counting the modules of torchvision's ``features``."""
    layers, index = [], 0
    for block, convolutions in enumerate(_CONVOLUTIONS[depth], start=1):
        for number in range(1, convolutions + 1):
            index += 3 if batch_norm else 2
            layers.append(Layer(f"conv{block}_{number}", f"features.{index - 1}"))
        layers.append(Layer(f"pool{block}", f"features.{index}"))
        index += 1
    return layers


_CLASSIFIER = (
    Layer("fc6-pre", "classifier.0", kind="vector"),
    Layer("fc6", "classifier.1", kind="vector"),
    Layer("fc7-pre", "classifier.3", kind="vector"),
    Layer("fc7", "classifier.4", kind="vector"),
    Layer("fc8", "classifier.6", kind="vector"),
)


def _vgg(depth: int, *, batch_norm: bool = False) -> Backbone:
    name = f"vgg{depth}_bn" if batch_norm else f"vgg{depth}"
    return Backbone(
        name,
        family="vgg",
        layers=(*_features(depth, batch_norm=batch_norm), *_CLASSIFIER),
        build=torchvision_network(name),
        penultimate="fc7",
        logits="fc8",
    )


vgg11 = _vgg(11)
vgg11_bn = _vgg(11, batch_norm=True)
vgg13 = _vgg(13)
vgg13_bn = _vgg(13, batch_norm=True)
vgg16 = _vgg(16)
vgg16_bn = _vgg(16, batch_norm=True)
vgg19 = _vgg(19)
vgg19_bn = _vgg(19, batch_norm=True)
