"""VGG-M (Chatfield et al., "Return of the Devil in the Details", 2014), and its MatConvNet weights file.

``conv1`` ... ``conv5``, ``fc6`` and ``fc7`` are taken after the ReLU (``conv1`` and ``conv2`` before the local response
normalisation), ``fc6-pre`` and ``fc7-pre`` before it. Where released codes differ, the network is the one that the
published weights were trained with: ``pool2`` is 3x3 with stride 2 and one pixel of padding at the end, which is
``ceil_mode``. This file must never know datasets or where a file comes from.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.base import Backbone, maps
from featx.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn

_LEARNED = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
# VGG-S has weights of the very same shapes; only strides tell the two apart.
_STRIDES = {"conv": [2, 2, 1, 1, 1, 1, 1, 1], "pool": [2, 2, 2]}
_RESPONSE_NORM = [5, 2, 1e-4, 0.75]


def network(*, width: float = 1.0, classes: int = 1000) -> nn.Module:
    """Build VGG-M for input [B, 3, 224, 224] with RGB in 0..255 minus the mean.

    Parameters
    ----------
    width : float
        Factor on the number of channels and hidden units; 1 is the published network.
    classes : int
        Number of outputs.
    """
    from torch import nn

    small, middle, large, hidden = (max(1, round(width * full)) for full in (96, 256, 512, 4096))
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    modules |= {"conv1": nn.Conv2d(3, small, 7, stride=2), "relu1": nn.ReLU(), "norm1": _response_norm()}
    modules |= {"pool1": nn.MaxPool2d(3, stride=2)}
    modules |= {"conv2": nn.Conv2d(small, middle, 5, stride=2, padding=1), "relu2": nn.ReLU()}
    modules |= {"norm2": _response_norm(), "pool2": nn.MaxPool2d(3, stride=2, ceil_mode=True)}
    modules |= {"conv3": nn.Conv2d(middle, large, 3, padding=1), "relu3": nn.ReLU()}
    modules |= {"conv4": nn.Conv2d(large, large, 3, padding=1), "relu4": nn.ReLU()}
    modules |= {"conv5": nn.Conv2d(large, large, 3, padding=1), "relu5": nn.ReLU()}
    modules |= {"pool5": nn.MaxPool2d(3, stride=2), "flat": nn.Flatten()}
    modules |= {"fc6": nn.Linear(large * 36, hidden), "relu6": nn.ReLU(), "dropout6": nn.Dropout()}
    modules |= {"fc7": nn.Linear(hidden, hidden), "relu7": nn.ReLU(), "dropout7": nn.Dropout()}
    modules["fc8"] = nn.Linear(hidden, classes)
    return nn.Sequential(modules)


def _response_norm() -> nn.Module:
    """MatConvNet multiplies the sum of squares by alpha, torch by alpha / size."""
    from torch import nn

    size, offset, alpha, beta = _RESPONSE_NORM
    return nn.LocalResponseNorm(int(size), alpha=alpha * size, beta=beta, k=offset)


def read_mat(path: Path) -> tuple[Mapping[str, np.ndarray], dict[str, Any]]:
    """Read MatConvNet's ``imagenet-vgg-m.mat``, in its older or its newer layout.

    Older files keep ``filters`` and ``biases`` in each layer and ``normalization`` beside them; newer ones keep a cell
    ``weights`` and ``meta.normalization``. Filters [H, W, in, out] become torch's [out, in, H, W]; the fully connected
    ones are flattened in the order channel, row, column.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
        Weights and biases by their torch keys, as stored (float32 in the published file).
    normalise : dict
        ``{"name": "mean-only", "mean": [r, g, b]}`` in 0..255. The file's mean image [H, W, 3] is reduced to its mean
        for each channel, so that any crop and size sees the same shift.

    Raises
    ------
    WeightsError
        Where the file cannot be read, or is another network.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:
        raise WeightsError(f"{path}: not a readable MATLAB file (version 7 or older is expected): {error}") from error
    try:
        stored = content if "layers" in content else _fields(content["net"])
        layers = [_fields(cell) for cell in stored["layers"].ravel()]
        _refuse_other_networks(path, layers)
        return _arrays(layers), {"name": "mean-only", "mean": _mean(stored)}
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: not laid out as MatConvNet's imagenet-vgg-m.mat ({error!r})") from error


def _fields(struct: np.ndarray) -> dict[str, Any]:
    """Return the fields of a 1x1 MATLAB struct."""
    return {name: struct[name].ravel()[0] for name in struct.dtype.names or ()}


def _of_type(layers: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [layer for layer in layers if layer["type"].item() == kind]


def _refuse_other_networks(path: Path, layers: list[dict[str, Any]]) -> None:
    for kind, expected in _STRIDES.items():
        found = [int(np.ravel(layer.get("stride", 1))[0]) for layer in _of_type(layers, kind)]
        if found != expected:
            raise WeightsError(
                f"{path}: not VGG-M: its {kind} layers have strides {found} where {expected} are expected; "
                "give imagenet-vgg-m.mat"
            )
    for layer in [*_of_type(layers, "normalize"), *_of_type(layers, "lrn")]:
        param = np.ravel(layer["param"])
        if not np.allclose(param, _RESPONSE_NORM, rtol=1e-3):
            raise WeightsError(f"{path}: not VGG-M: response normalisation {param.tolist()}, not {_RESPONSE_NORM}")


def _arrays(layers: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    arrays = {}
    for name, layer in zip(_LEARNED, _of_type(layers, "conv"), strict=True):
        filters, biases = layer["weights"].ravel() if "weights" in layer else (layer["filters"], layer["biases"])
        # MATLAB drops trailing dimensions of length one.
        filters = filters.reshape(filters.shape + (1,) * (4 - filters.ndim)).transpose(3, 2, 0, 1)
        arrays[f"{name}.weight"] = filters.reshape(len(filters), -1) if name.startswith("fc") else filters
        arrays[f"{name}.bias"] = biases.ravel()
    return arrays


def _mean(stored: Mapping[str, Any]) -> list[float]:
    around = stored if "normalization" in stored else _fields(stored["meta"])
    image = np.asarray(_fields(around["normalization"])["averageImage"], dtype=np.float64)
    mean = image.mean(axis=(0, 1)) if image.ndim == 3 else image.ravel()
    if mean.shape != (3,) or not np.isfinite(mean).all():
        raise ValueError(f"averageImage of shape {image.shape} gives no finite mean of three channels")
    return mean.tolist()


vggm = Backbone(
    "vggm",
    family="vggm",
    layers=(
        *maps({"conv1": "relu1", "norm1": "norm1", "pool1": "pool1", "conv2": "relu2", "norm2": "norm2"}),
        *maps({"pool2": "pool2", "conv3": "relu3", "conv4": "relu4", "conv5": "relu5", "pool5": "pool5"}),
        *maps({"fc6-pre": "fc6", "fc6": "relu6", "fc7-pre": "fc7", "fc7": "relu7", "fc8": "fc8"}, kind="vector"),
    ),
    build=network,
    penultimate="fc7",
    logits="fc8",
    normalise="mean-only",
    min_size=224,
    fixed_size=224,
    imagenet=None,
    read_mat=read_mat,
)
