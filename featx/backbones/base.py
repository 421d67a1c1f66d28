"""What a backbone is: a named network whose layers have readable names.

Names resolve without torch; only :attr:`Backbone.build` and :func:`find_module` touch a network. This file must
never know a dataset, the cache, or how weights are read.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

KINDS = ("vector", "map", "map-last", "tokens", "auto")
NORMALISATIONS = ("imagenet", "mean-only", "caffe", "-1..1", "unit", "0..255")
_DOTTED_PATH = re.compile(r"\w+(\.\w+)+")


@dataclass(frozen=True)
class Layer:
    """A place in a network where features are taken.

    Whoever takes an output copies it at once: many networks overwrite it in place with the next activation.

    Attributes
    ----------
    name : str
        The readable name (``fc7``).
    module : str
        Dotted path of the torch module (``classifier.4``); the empty path is the network itself.
    take : str
        ``"output"`` or ``"input"`` of that module.
    kind : str
        ``"vector"`` [B, D], ``"map"`` [B, C, H, W], ``"map-last"`` [B, H, W, C], ``"tokens"`` [B, 1 + N, D] (the
        class token first, then the patches row by row), or ``"auto"`` for a dotted path that nothing is known of.
    """

    name: str
    module: str
    take: str = "output"
    kind: str = "map"


@dataclass(frozen=True)
class Backbone:
    """A network by name, without its weights.

    Attributes
    ----------
    name, family : str
        Its name on the shelf, and the file that it comes from.
    layers : tuple of Layer
        The readable layers, in forward order.
    build : callable
        Makes the ``nn.Module`` with random initial weights, for input [B, 3, H, W]; imports torch itself.
    penultimate : str
        The readable name that ``penultimate`` means, which is the default layer.
    logits : str or None
        The readable name that ``logits`` means; None where a backbone has no output of its own.
    normalise : str
        What its weights expect of the pixels: one of ``NORMALISATIONS``.
    min_size : int
        Least side of the input in pixels.
    fixed_size : int or None
        The only side that it takes, where it takes but one.
    imagenet : str or None
        The member of torchvision's weights enumeration that holds its ImageNet weights; None where there is none.
    weightless : bool
        True where there is nothing to load.
    ignored : tuple of str
        Prefixes of keys in weights files that belong to parts which are not built (auxiliary heads).
    rename : callable or None
        Takes an older key of a weights file to the present one.
    read_mat : callable or None
        Reads a MatConvNet file: path -> (arrays by key, normalisation).
    stored : str
        How its features are kept under its own normalisation: ``float32``, or ``uint8`` where they are whole numbers
        from 0 to 255. Under another normalisation they are no such numbers, and kept as ``float32``.
    code_version : int or str
        Raised whenever a change here changes features; a text for a network that was trained here, which has a head of
        its own.
    """

    name: str
    family: str
    layers: tuple[Layer, ...]
    build: Callable[[], nn.Module]
    penultimate: str = "penultimate"
    logits: str | None = "logits"
    normalise: str = "imagenet"
    min_size: int = 32
    fixed_size: int | None = None
    imagenet: str | None = "IMAGENET1K_V1"
    weightless: bool = False
    ignored: tuple[str, ...] = ()
    rename: Callable[[str], str] | None = None
    read_mat: Callable[[Path], tuple[Mapping[str, np.ndarray], dict[str, Any]]] | None = None
    stored: str = "float32"
    code_version: int | str = 1
    _by_name: dict[str, Layer] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {layer.name: layer for layer in self.layers})

    def stored_under(self, normalisation: str) -> str:
        """Return how features are kept that come of pixels normalised so (by name): ``float32`` or ``uint8``."""
        return self.stored if normalisation == self.normalise else "float32"

    def layer(self, name: str) -> Layer:
        """Return a layer by its readable name, by the alias ``penultimate`` or ``logits``, or by a dotted path.

        Raises
        ------
        UnknownName
            Where the name is neither; it suggests the nearest readable one.

        Examples
        --------
        >>> from featx.backbones import BACKBONES
        >>> BACKBONES["vgg16"].layer("penultimate")
        Layer(name='fc7', module='classifier.4', take='output', kind='vector')
        >>> BACKBONES["resnet18"].layer("layer1.0.conv2").kind
        'auto'
        """
        meant = {"penultimate": self.penultimate, "logits": self.logits}.get(name) or name
        if meant in self._by_name:
            return self._by_name[meant]
        if _DOTTED_PATH.fullmatch(name):
            return Layer(name, name, "output", "auto")
        raise UnknownName(f"layer of {self.name}", name, {"penultimate", *self._by_name})


def find_module(net: nn.Module, layer: Layer) -> nn.Module:
    """Return the module of a layer in a built network.

    Raises
    ------
    UnknownName
        Where the network has no module at that dotted path; it suggests the nearest.
    """
    modules = dict(net.named_modules())
    if layer.module not in modules:
        raise UnknownName("module", layer.module, filter(None, modules))
    return modules[layer.module]


def torchvision_network(name: str, **options: Any) -> Callable[[], nn.Module]:
    """Return what builds torchvision's model of that name, without weights."""
    return partial(_build_torchvision, name, options)


def _build_torchvision(name: str, options: Mapping[str, Any]) -> nn.Module:
    return getattr(importlib.import_module("torchvision.models"), name)(weights=None, **options)


def head(module: str) -> tuple[Layer, Layer]:
    """Return the layers around a last linear module: ``penultimate``, its input, and ``logits``, its output."""
    return Layer("penultimate", module, "input", "vector"), Layer("logits", module, kind="vector")


def maps(names: Mapping[str, str], *, kind: str = "map") -> tuple[Layer, ...]:
    """Return layers of one kind from a table of readable name -> module."""
    return tuple(Layer(name, module, kind=kind) for name, module in names.items())
