"""AlexNet in torchvision's one-column form (Krizhevsky, 2014).

``conv1`` ... ``conv5``, ``fc6`` and ``fc7`` are taken after the ReLU, ``fc6-pre`` and ``fc7-pre`` before it. This file
must never know weights files or datasets.
"""

from __future__ import annotations

from featx.backbones.base import Backbone, maps, torchvision_network

alexnet = Backbone(
    "alexnet",
    family="alexnet",
    layers=(
        *maps({"conv1": "features.1", "pool1": "features.2", "conv2": "features.4", "pool2": "features.5"}),
        *maps({"conv3": "features.7", "conv4": "features.9", "conv5": "features.11", "pool5": "features.12"}),
        *maps({"fc6-pre": "classifier.1", "fc6": "classifier.2", "fc7-pre": "classifier.4"}, kind="vector"),
        *maps({"fc7": "classifier.5", "fc8": "classifier.6"}, kind="vector"),
    ),
    build=torchvision_network("alexnet"),
    penultimate="fc7",
    logits="fc8",
    min_size=63,
)
