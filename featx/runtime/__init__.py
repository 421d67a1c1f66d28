"""What executes a network: a batch of ``uint8`` images in, the features of several layers out, in one forward pass.

Batches are static: a short one is padded to the full size, so that on one machine the features of an image at its
place in the batch do not depend on what else is in it. ``torch_runtime`` runs anything anywhere, ``openvino_runtime``
is several times as fast on processors; ``choice`` says which, ``precision`` whether bfloat16 does. This package knows
nothing of images on disk, of the cache, or of how a network got its weights.
"""

from __future__ import annotations

from featx.runtime.base import DEVICES, PRECISIONS, RUNTIMES, Runtime, Stream, Tap
from featx.runtime.choice import Choice, choose
from featx.runtime.openvino_runtime import OpenVINORuntime
from featx.runtime.pooling import GEM_POWER, POOLS, pooled
from featx.runtime.precision import Agreement, agreement, bf16_is_fast
from featx.runtime.taps import layer_shapes
from featx.runtime.torch_runtime import TorchRuntime, pick_device

__all__ = [
    "DEVICES",
    "GEM_POWER",
    "POOLS",
    "PRECISIONS",
    "RUNTIMES",
    "Agreement",
    "Choice",
    "OpenVINORuntime",
    "Runtime",
    "Stream",
    "Tap",
    "TorchRuntime",
    "agreement",
    "bf16_is_fast",
    "choose",
    "layer_shapes",
    "pick_device",
    "pooled",
]
