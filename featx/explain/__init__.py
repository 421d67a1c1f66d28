"""What a predictor looks at in an image, and what a network's layers make of it.

``lime`` fits a straight line to what is said of an image with parts of it hidden, ``occlusion`` moves a patch over it,
``gradcam`` asks the gradient; ``activations`` takes the maps of a layer as they are. The first two take any function
of a batch of pixels, so that they never know who made the predictor, nor what it was fitted on; ``panels`` and
``sheet`` draw. An explanation tells what a model does, not whether it is right to.
"""

from __future__ import annotations

from featx.explain.activations import Activations, Filters, activations, filters
from featx.explain.gradcam import GradCam, gradcam
from featx.explain.lime import Lime, lime
from featx.explain.occlusion import Occlusion, occlusion
from featx.explain.segments import superpixels

__all__ = [
    "Activations",
    "Filters",
    "GradCam",
    "Lime",
    "Occlusion",
    "activations",
    "filters",
    "gradcam",
    "lime",
    "occlusion",
    "superpixels",
]
