"""SqueezeNet 1.0 and 1.1 (Iandola et al., 2016): fully convolutional, so that its penultimate layer is a map.

``conv1`` and ``conv10`` are taken after the ReLU; ``penultimate`` is ``fire9``, the input of the last convolution;
``logits`` is the vector that the whole network returns. This file must never know weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, Layer, maps, torchvision_network

_PLACES_1_0 = "conv1:1 pool1:2 fire2:3 fire3:4 fire4:5 pool4:6 fire5:7 fire6:8 fire7:9 fire8:10 pool8:11 fire9:12"
_PLACES_1_1 = "conv1:1 pool1:2 fire2:3 fire3:4 pool3:5 fire4:6 fire5:7 pool5:8 fire6:9 fire7:10 fire8:11 fire9:12"


def _squeezenet(name: str, places: str) -> Backbone:
    """``places`` says which entry of torchvision's ``features`` each readable name is."""
    features = {layer: f"features.{index}" for layer, index in (place.split(":") for place in places.split())}
    return Backbone(
        name,
        family="squeezenet",
        layers=(*maps(features), Layer("conv10", "classifier.2"), Layer("logits", "", kind="vector")),
        build=torchvision_network(name),
        penultimate="fire9",
    )


squeezenet1_0 = _squeezenet("squeezenet1_0", _PLACES_1_0)
squeezenet1_1 = _squeezenet("squeezenet1_1", _PLACES_1_1)
