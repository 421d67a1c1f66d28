"""Reads a weights file and fills a network with it: strictly, or not at all.

A file is untrusted: only plain tensors are accepted, keys and shapes are compared with the network before anything is
copied, and every value must be finite. This file must never know where weights come from, nor run code that it reads.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones.base import Backbone
from featx.errors import WeightsError

if TYPE_CHECKING:
    import torch
    from torch import nn

_WRAPPERS = ("state_dict", "model")
_PREFIX = "module."
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Content:
    """What a weights file holds: tensors by key, the normalisation that they expect, and what was done to get there."""

    tensors: dict[str, torch.Tensor]
    normalise: str | dict[str, Any]
    note: str


def suffixes(backbone: Backbone) -> tuple[str, ...]:
    """Return the endings of weights files that can be read for a backbone."""
    return (".pth", ".pt", ".safetensors", ".mat") if backbone.read_mat else (".pth", ".pt", ".safetensors")


def read(path: Path, *, backbone: Backbone) -> Content:
    """Read the tensors of a ``.pth``, ``.pt``, ``.safetensors`` or (for VGG-M) ``.mat`` file.

    A wrapper (``state_dict`` or ``model``) and the prefix ``module.`` are taken off, keys of parts that the backbone
    does not build are dropped, and keys of older spellings renamed; the note says so.

    Raises
    ------
    WeightsError
        Where the file cannot be read, or holds anything but plain tensors by name.
    """
    if path.suffix.lower() == ".mat":
        return _read_mat(path, backbone)
    loaded = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_torch(path)
    tensors, notes = _unwrapped(loaded)
    _refuse_other_than_tensors(path, tensors)
    if all(key.startswith(_PREFIX) for key in tensors):
        tensors = {key.removeprefix(_PREFIX): tensor for key, tensor in tensors.items()}
        notes.append(f"prefix {_PREFIX!r} taken off")
    tensors, dropped = _as_built(tensors, backbone)
    if dropped:
        notes.append(f"{dropped} tensors of auxiliary heads dropped")
    if narrow := sorted({str(tensor.dtype) for tensor in tensors.values()} & {"torch.float16", "torch.bfloat16"}):
        notes.append(f"{' and '.join(narrow)} widened to float32")
    return Content(tensors, backbone.normalise, "; ".join(notes))


def _read_mat(path: Path, backbone: Backbone) -> Content:
    import numpy as np
    import torch

    if backbone.read_mat is None:
        raise WeightsError(f"{path}: a .mat file is read for vggm only; give {backbone.name} {_or(suffixes(backbone))}")
    arrays, normalise = backbone.read_mat(path)
    tensors = {key: torch.from_numpy(np.array(array, dtype=np.float32)) for key, array in arrays.items()}
    return Content(tensors, normalise, "MatConvNet file; its mean image reduced to one mean a channel")


def _read_torch(path: Path) -> Any:
    import torch

    try:
        # What torch would warn of (sparse tensors, old storages) is refused or harmless here.
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: holds more than plain tensors, or is damaged, and nothing else is ever loaded; "
            "save the state dict alone, best as .safetensors"
        ) from error
    except Exception as error:
        raise _unreadable(path, error) from error


def _read_safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> WeightsError:
    reason = str(error).strip().splitlines()
    return WeightsError(
        f"{path}: cannot be read as weights ({reason[0][:200] if reason else type(error).__name__}); "
        "the file may be cut short: fetch it again"
    )


def _unwrapped(loaded: Any) -> tuple[Any, list[str]]:
    for name in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            return dict(loaded[name]), [f"taken from the entry {name!r} of the file"]
    return loaded, []


def _refuse_other_than_tensors(path: Path, tensors: Any) -> None:
    import torch

    if not isinstance(tensors, Mapping) or not tensors:
        raise WeightsError(f"{path}: a table of tensors by name is expected, not {_kind_of(tensors)}")
    for key, value in tensors.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(f"{path}: entry {key!r} is {_kind_of(value)}, not a tensor; save the state dict alone")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise WeightsError(f"{path}: {key} is not a plain dense tensor; save it as float32, float16 or bfloat16")


def _kind_of(value: Any) -> str:
    return "an empty table" if isinstance(value, Mapping) and not value else f"a {type(value).__name__}"


def _as_built(tensors: Mapping[str, torch.Tensor], backbone: Backbone) -> tuple[dict[str, torch.Tensor], int]:
    """Drop what the backbone declares as not built, rename older keys; return how many were dropped."""
    rename: Callable[[str], str] = backbone.rename or str
    kept = {rename(key): tensor for key, tensor in tensors.items() if not key.startswith(backbone.ignored)}
    return kept, sum(key.startswith(backbone.ignored) for key in tensors)


def fill(net: nn.Module, content: Content, *, path: Path, backbone: Backbone) -> None:
    """Copy tensors into a network, as float32, after every key, shape and kind was compared with it.

    Counters of batches (``num_batches_tracked``), which change no feature, may be absent.

    Raises
    ------
    WeightsError
        Where a key is missing, unexpected, of another shape or kind, or where a value is not finite.
    """
    import torch

    own = net.state_dict()
    differences = _differences(content.tensors, own)
    if differences:
        raise WeightsError(
            f"{path}: does not fit {backbone.name}: {'; '.join(differences)}; "
            "name the backbone that it belongs to by --backbone, or give other weights"
        )
    with torch.no_grad():
        for key, target in own.items():
            if key in content.tensors:
                target.copy_(content.tensors[key])
    _refuse_not_finite(own, path)


def _differences(tensors: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> list[str]:
    missing = [key for key in own if key not in tensors and not key.endswith(_COUNTER)]
    unexpected = [key for key in tensors if key not in own]
    shared = [(key, tensor, own[key]) for key, tensor in tensors.items() if key in own]
    shapes = [
        f"{key} {tuple(tensor.shape)} where {tuple(target.shape)} is expected"
        for key, tensor, target in shared
        if tensor.shape != target.shape
    ]
    kinds = [
        f"{key} {tensor.dtype}"
        for key, tensor, target in shared
        if tensor.is_floating_point() != target.is_floating_point()
    ]
    found = {"missing": missing, "unexpected": unexpected, "other shape": shapes, "other kind": kinds}
    return [f"{len(items)} {what} ({_first(items)})" for what, items in found.items() if items]


def _first(items: list[str], *, count: int = 3) -> str:
    return ", ".join(items[:count]) + (", ..." if len(items) > count else "")


def _or(items: Iterable[str]) -> str:
    *most, last = items
    return f"{', '.join(most)} or {last}"


def _refuse_not_finite(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    import torch

    for key, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: {key} holds values that are not finite in float32; fetch the file again")
