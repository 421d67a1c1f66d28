"""A backbone as it was trained here: cut or whole, with a head of its own, and what its weights file says of itself.

The file is a ``.safetensors`` whose metadata tell how to build the network, so that it loads as strictly as any other.
This file must never know images or the cache, nor how training went.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones import order
from featx.backbones.base import Backbone, Layer, find_module
from featx.backbones.heads import Head, build_head
from featx.errors import UsageError, WeightsError
from featx.provenance import digest_json
from featx.runtime import pooled

if TYPE_CHECKING:
    from torch import nn

ENTRY = "featx"  # of the metadata
RULES = 1  # raised whenever the same structure builds another network
_NAME = re.compile(r"[^@]+@(?P<history>.+\+.+)--[0-9a-f]{8}")
_PROBE = 2  # images in the pass that tells a shape: batch norm of one is none


@dataclass(frozen=True)
class Structure:
    """How a trained network is built.

    Attributes
    ----------
    backbone : str
        The network that it began as, by its name on the shelf.
    code : int
        That backbone's ``code_version``.
    cut : str or None
        The layer that the head stands on; None where it takes the place of the network's own last layer.
    head : Head
        The head.
    dim, outputs : int
        Length of the vector that comes into the head, and of the one that goes out.
    kind : str
        What comes into the head, as a layer's ``kind``.
    size : int or None
        The only side of images that it takes; None where any side serves.
    normalise : str or dict
        What its weights expect of the pixels.
    """

    backbone: str
    code: int | str
    cut: str | None
    head: Head
    dim: int
    outputs: int
    kind: str
    size: int | None
    normalise: Any

    @property
    def hidden(self) -> int:
        """Hidden layers of the head."""
        return len(self.head.widths)


def structure_for(
    backbone: Backbone, head: Head, *, cut: str | None, outputs: int, size: int, normalise: Any
) -> Structure:
    """Settle how a network with another head is built.

    Parameters
    ----------
    backbone : Backbone
        The network, as on the shelf.
    head : Head
        Its new head. One on a map takes the last map where no cut is given.
    cut : str, optional
        The layer that the head stands on.
    outputs : int
        Numbers that come out.
    size : int
        Side of the images in pixels.
    normalise : str or dict
        What the weights expect of the pixels.

    Raises
    ------
    UsageError
        Where a backbone has nothing to learn, or no layer that a head could stand on.
    """
    import torch

    if backbone.weightless:
        raise UsageError(f"{backbone.name} has no weights, so that nothing can be learned; take another --backbone")
    with torch.device("meta"):
        network = backbone.build()
    if cut is None and (head.on_map or not _replaceable(backbone, network)):
        cut = _last_map(backbone)
    if cut is None:
        layer = backbone.layer("logits")
        dim, kind = int(find_module(network, layer).in_features), "vector"  # type: ignore[arg-type]
    else:
        layer = backbone.layer(cut)
        if layer.take == "input":
            raise UsageError(f"--cut {cut}: a network can be cut after a layer, not before one; leave --cut out")
        dim, kind = _dim(network, layer, head, size=size), layer.kind
        cut = layer.name
    flat = kind != "vector" and head.pool == "flatten"
    only = size if flat else backbone.fixed_size
    return Structure(backbone.name, backbone.code_version, cut, head, dim, outputs, kind, only, normalise)


def _replaceable(backbone: Backbone, network: nn.Module) -> bool:
    """Return whether the last layer is a linear one, which another can take the place of."""
    from torch import nn

    return backbone.logits is not None and isinstance(find_module(network, backbone.layer("logits")), nn.Linear)


def _last_map(backbone: Backbone) -> str:
    if backbone.layer("penultimate").kind != "vector":
        return backbone.penultimate
    maps = [layer.name for layer in backbone.layers if layer.kind != "vector"]
    if not maps:
        raise UsageError(f"{backbone.name} has no map that a head could stand on; give --head linear or --cut LAYER")
    return maps[-1]


def _dim(network: nn.Module, layer: Layer, head: Head, *, size: int) -> int:
    import torch

    handle = order.stop_at(find_module(network, layer))
    try:
        network.eval()(torch.zeros(_PROBE, 3, size, size, device="meta"))
    except order.Reached as reached:
        return pooled(reached.value, kind=layer.kind, pool=head.pool).shape[1]
    except (RuntimeError, ValueError, AssertionError) as error:
        told = " ".join(str(error).split())[:200]
        raise UsageError(f"this backbone cannot be run on images of {size} x {size} pixels ({told})") from error
    finally:
        handle.remove()
    raise UsageError(f"layer {layer.name!r} is not reached in a forward pass; cut at another")


def backbone_as(backbone: Backbone, structure: Structure) -> Backbone:
    """Return a backbone of that structure: its layers up to the head, ``hidden1`` ... of the head, and ``logits``."""
    place = head_path(backbone, structure)
    kept = _kept(backbone, structure)
    hidden = [
        Layer(f"hidden{n}", f"{place}.{'bn' if structure.head.normed[n - 1] else 'relu'}{n}", kind="vector")
        for n in range(1, structure.hidden + 1)
    ]
    before = Layer("penultimate", f"{place}.logits", "input", "vector")
    own = backbone.penultimate if structure.cut is None else before.name
    return replace(
        backbone,
        layers=(*kept, *([] if own in {layer.name for layer in kept} else [before]), *hidden,
                Layer("logits", place, kind="vector")),
        build=partial(_build, backbone, structure),
        penultimate=f"hidden{structure.hidden}" if hidden else own,
        logits="logits",
        normalise=structure.normalise,
        fixed_size=structure.size,
        ignored=(),
        rename=None,
        read_mat=None,
        code_version=f"{structure.code}, trained here, {digest_json([RULES, asdict(structure)])[:12]}",
    )  # fmt: skip


def head_path(backbone: Backbone, structure: Structure) -> str:
    """Return the dotted path of the head in the built network."""
    return backbone.layer("logits").module if structure.cut is None else "head"


def _kept(backbone: Backbone, structure: Structure) -> list[Layer]:
    """Return the readable layers that are still there."""
    if structure.cut is None:
        last = backbone.layer("logits").name
        return [layer for layer in backbone.layers if layer.name != last]
    cut = backbone.layer(structure.cut)
    names = [layer.name for layer in backbone.layers]
    known = backbone.layers[: names.index(cut.name) + 1] if cut.name in names else (cut,)
    return [replace(layer, module=f"body.{layer.module}") for layer in known]


def _build(backbone: Backbone, structure: Structure) -> nn.Module:
    network = backbone.build()
    head = build_head(structure.head, dim=structure.dim, outputs=structure.outputs, kind=structure.kind)
    if structure.cut is None:
        network.set_submodule(backbone.layer("logits").module, head)
        return network
    return _partial(network, backbone.layer(structure.cut), head, side=order.side_for(backbone))


def _partial(network: nn.Module, cut: Layer, head: nn.Module, *, side: int) -> nn.Module:
    """Return a network that ends at a layer, without the modules behind it, and a head on what it gives there."""
    from torch import nn

    for path in order.unused(network, cut, side=side):
        network.set_submodule(path, nn.Identity())

    class Partial(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = network, head
            order.stop_at(find_module(network, cut))

        def forward(self, images: Any) -> Any:
            try:
                self.body(images)
            except order.Reached as reached:
                return self.head(reached.value)
            raise RuntimeError("the layer that the network is cut at was not reached")

    return Partial().train(network.training)


# ---- the weights file


def history_of(path: Path) -> str | None:
    """Return the history in the name of a weights file made here (``imagenet+isic2018``), None for any other name."""
    found = _NAME.fullmatch(path.stem) if path.suffix == ".safetensors" else None
    return found["history"] if found else None


def is_trained(spec: Mapping[str, Any]) -> bool:
    """Return whether features of that spec come from weights that were trained here."""
    return isinstance(spec.get("code"), str)


def read_record(path: Path) -> dict[str, Any] | None:
    """Return what a weights file says of itself; None where it was not trained here.

    Raises
    ------
    WeightsError
        Where it says something that cannot be read.
    """
    from safetensors import safe_open

    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(ENTRY)
    except Exception:
        return None  # whoever loads it will say what is wrong with it
    if text is None:
        return None
    try:
        record: dict[str, Any] = json.loads(text)
        _structure(record)
        return record
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: what this weights file says of itself cannot be read ({error})") from error


def _structure(record: Mapping[str, Any]) -> Structure:
    told = dict(record["structure"])
    head: dict[str, Any] = told.pop("head")
    head |= {name: tuple(head[name]) for name in ("widths", "normed")}
    return Structure(head=Head(**head), **told)


def as_trained(backbone: Backbone, record: Mapping[str, Any] | None, *, path: Path) -> Backbone:
    """Return the backbone that a weights file belongs to, as its record tells; unchanged where there is none.

    Raises
    ------
    WeightsError
        Where the weights belong to another backbone, or to another version of it.
    """
    if record is None:
        return backbone
    structure = _structure(record)
    if (structure.backbone, structure.code) != (backbone.name, backbone.code_version):
        same = structure.backbone == backbone.name
        what = f"an earlier version of {backbone.name}" if same else structure.backbone
        todo = "train again" if same else f"give --backbone {structure.backbone}"
        raise WeightsError(f"{path} was trained as {what}, not {backbone.name} as it is now; {todo}")
    return backbone_as(backbone, structure)
