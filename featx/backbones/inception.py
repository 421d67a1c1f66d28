"""GoogLeNet (Szegedy et al., 2015) and Inception v3 (Szegedy et al., 2016).

Both are built without auxiliary heads and without torchvision's rescaling inside the network: their ImageNet weights
expect pixels in -1..1, and that is said by ``normalise``. Readable names are the literature's: GoogLeNet's ``conv2``
is the paper's 3x3 convolution (torchvision's module ``conv3``), after its 1x1 reduction ``conv2-reduce``. This file
must never know weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, head, maps, torchvision_network

_AS_BUILT = {"aux_logits": False, "transform_input": False, "init_weights": True}
_MIXED = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
_GOOGLENET = maps(
    {"conv1": "conv1", "pool1": "maxpool1", "conv2-reduce": "conv2", "conv2": "conv3", "pool2": "maxpool2"}
    | {f"inception3{letter}": f"inception3{letter}" for letter in "ab"}
    | {"pool3": "maxpool3"}
    | {f"inception4{letter}": f"inception4{letter}" for letter in "abcde"}
    | {"pool4": "maxpool4"}
    | {f"inception5{letter}": f"inception5{letter}" for letter in "ab"}
)
_INCEPTION_V3 = maps(
    {name: name for name in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")}
    | {"MaxPool_3a_3x3": "maxpool1", "Conv2d_3b_1x1": "Conv2d_3b_1x1", "Conv2d_4a_3x3": "Conv2d_4a_3x3"}
    | {"MaxPool_5a_3x3": "maxpool2"}
    | {f"Mixed_{place}": f"Mixed_{place}" for place in _MIXED}
)

googlenet = Backbone(
    "googlenet",
    family="inception",
    layers=(*_GOOGLENET, *head("fc")),
    build=torchvision_network("googlenet", **_AS_BUILT),
    normalise="-1..1",
    ignored=("aux1.", "aux2."),
)
inception_v3 = Backbone(
    "inception_v3",
    family="inception",
    layers=(*_INCEPTION_V3, *head("fc")),
    build=torchvision_network("inception_v3", **_AS_BUILT),
    normalise="-1..1",
    min_size=75,
    ignored=("AuxLogits.",),
)
