"""Where the weights of a network come from, what they are called, and the digest by which they are known.

A digest is remembered beside the file's size and time, so that a later run knows its weights without torch. This file
must never know images, layers or features.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx import atomic, provenance
from featx.backbones import weights_file
from featx.backbones.base import Backbone
from featx.backbones.download import imagenet_file
from featx.backbones.trained import history_of
from featx.errors import UsageError, WeightsError, WeightsUnavailable

if TYPE_CHECKING:
    from torch import nn

_MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class WeightsSource:
    """What a user asked for.

    Attributes
    ----------
    kind : str
        ``"imagenet"``, ``"random"``, ``"file"`` or ``"none"``.
    label : str
        The short name that stands in file names: ``imagenet``, ``random0``, the file's stem as a slug, ``none``, the
        history of weights trained here (``imagenet+isic2018``).
    path : pathlib.Path or None
        The file, absolute.
    seed : int or None
        The seed of random weights.
    """

    kind: str
    label: str
    path: Path | None = None
    seed: int | None = None


@dataclass(frozen=True)
class WeightsFacts:
    """What is known of weights.

    Attributes
    ----------
    digest : str
        sha256 over names, dtypes, shapes and bytes of the tensors as the network holds them (64 hex digits), so that
        files of the same values agree whatever their format; batch counters, which change no feature, are left out.
    normalise : str or dict
        What the weights expect of the pixels: a name, or ``{"name": "mean-only", "mean": [r, g, b]}``.
    file : str or None
        The file that they were read from.
    note : str
        Where they come from, and what was done on reading.
    """

    digest: str
    normalise: str | dict[str, Any]
    file: str | None
    note: str


def parse_weights(text: str, backbone: Backbone) -> WeightsSource:
    """Read ``imagenet``, ``random``, ``random:SEED`` or the path of a file; a weightless backbone takes anything.

    Raises
    ------
    UsageError
        Where the text is a word that means nothing, or a seed that is none.
    WeightsError
        Where the path is no file, or one that cannot be read for this backbone.
    WeightsUnavailable
        Where nobody publishes ImageNet weights of this backbone.

    Examples
    --------
    >>> from featx.backbones import BACKBONES
    >>> parse_weights("random:7", BACKBONES["vgg16"])
    WeightsSource(kind='random', label='random7', path=None, seed=7)
    """
    if backbone.weightless:
        return WeightsSource("none", "none")
    if text == "imagenet":
        return _imagenet_source(backbone)
    if text == "random" or text.startswith("random:"):
        seed = _seed(text.partition(":")[2] if ":" in text else "0")
        return WeightsSource("random", f"random{seed}", seed=seed)
    return _file_source(text, backbone)


def _imagenet_source(backbone: Backbone) -> WeightsSource:
    if backbone.imagenet is None:
        hint = " (the MatConvNet file imagenet-vgg-m.mat)" if backbone.read_mat else ""
        raise WeightsUnavailable(
            f"torchvision publishes no ImageNet-1K weights of {backbone.name}; give --weights FILE{hint}, "
            "or take --weights random"
        )
    return WeightsSource("imagenet", "imagenet")


def _seed(digits: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", digits) or int(digits) > _MAX_SEED:
        raise UsageError(
            f"random:{digits} has no usable seed; write random:SEED with a whole number from 0 to {_MAX_SEED}"
        )
    return int(digits)


def _file_source(text: str, backbone: Backbone) -> WeightsSource:
    path = Path(text).expanduser()
    endings = weights_file.suffixes(backbone)
    if not path.exists() and not path.suffix and path.name == text:
        raise UsageError(
            f"weights {text!r} are unknown; write imagenet, random, random:SEED or a {', '.join(endings)} file"
        )
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file; give a {', '.join(endings)} file, imagenet or random")
    if path.suffix.lower() not in endings:
        raise WeightsError(f"{path}: weights of {backbone.name} are read from {', '.join(endings)} files")
    return WeightsSource("file", history_of(path) or _slug(path.stem), path=path.resolve())


def _slug(stem: str) -> str:
    """Return a stem fit for a file name in which ``--`` separates the parts; it never passes for a word of our own."""
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", stem)[:60].strip("-.") or "unnamed"
    return f"file-{slug}" if re.fullmatch(r"imagenet|random\d*|none|unnamed", slug) else slug


def remembered(source: WeightsSource, backbone: Backbone, *, memo: Path) -> WeightsFacts | None:
    """Return what an earlier run learned of weights, without torch; None where nothing holds any more.

    Weights of a file (ImageNet's too) are remembered by its path, size and modification time; random ones by seed and
    the versions of the libraries that draw them.

    Parameters
    ----------
    source : WeightsSource
        What was asked for.
    backbone : Backbone
        The network that they are for.
    memo : pathlib.Path
        The JSON file of memories; it may be missing or damaged.
    """
    if source.kind == "none":
        return _no_weights(backbone)
    entry = _read_memo(memo).get(_memo_key(source, backbone))
    try:
        facts, stamp = WeightsFacts(**entry["facts"]), entry["stamp"]
    except (TypeError, KeyError):
        return None
    unchanged = stamp == _stamp(facts.file) and (facts.file is None or stamp is not None)
    return facts if unchanged else None


def load_network(backbone: Backbone, source: WeightsSource, *, memo: Path) -> tuple[nn.Module, WeightsFacts]:
    """Build a network with its weights, in float32, in evaluation mode and without gradients, on the CPU.

    Parameters
    ----------
    backbone : Backbone
        The network.
    source : WeightsSource
        Its weights.
    memo : pathlib.Path
        The JSON file in which their digest is remembered for :func:`remembered`.

    Returns
    -------
    net : torch.nn.Module
        The network.
    facts : WeightsFacts
        What is known of its weights.

    Raises
    ------
    WeightsError
        Where a file does not fit, is damaged or cannot be trusted.
    WeightsUnavailable
        Where ImageNet weights cannot be had on this machine.
    """
    if source.kind == "none":
        return _at_rest(backbone.build()), _no_weights(backbone)
    path = imagenet_file(backbone) if source.kind == "imagenet" else source.path
    stamp = _stamp(path)
    net, facts = _random(backbone, int(source.seed or 0)) if path is None else _from_file(backbone, path, source)
    if stamp == _stamp(path):
        _remember(facts, stamp, key=_memo_key(source, backbone), memo=memo)
    return net, facts


def _at_rest(net: nn.Module) -> nn.Module:
    return net.float().eval().requires_grad_(False)


def _random(backbone: Backbone, seed: int) -> tuple[nn.Module, WeightsFacts]:
    import torch

    # Only the CPU's generator draws here; torch.manual_seed would disturb those of accelerators too.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = _at_rest(backbone.build())
    return net, WeightsFacts(digest_of(net), backbone.normalise, None, f"random initial weights, seed {seed}")


def _from_file(backbone: Backbone, path: Path, source: WeightsSource) -> tuple[nn.Module, WeightsFacts]:
    content = weights_file.read(path, backbone=backbone)
    with _undrawn():
        net = _at_rest(backbone.build())
    weights_file.fill(net, content, path=path, backbone=backbone)
    origin = f"torchvision {backbone.imagenet}" if source.kind == "imagenet" else f"file {path.name}"
    note = "; ".join(filter(None, (origin, content.note)))
    return net, WeightsFacts(digest_of(net), content.normalise, str(path), note)


@contextlib.contextmanager
def _undrawn() -> Iterator[None]:
    """Build networks without drawing initial values, which a file overwrites anyway: three times as fast for VGG16."""
    from torch.overrides import TorchFunctionMode

    class Undrawn(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.__name__ in {"uniform_", "normal_", "trunc_normal_"}:
                return args[0] if args else kwargs["tensor"]
            return func(*args, **(kwargs or {}))

    with Undrawn():
        yield


def digest_of(net: nn.Module) -> str:
    """Return the digest by which a network's weights are known (see :class:`WeightsFacts`); it lies on the CPU."""
    state = net.state_dict().items()
    return provenance.digest_arrays((key, t.numpy()) for key, t in state if not key.endswith("num_batches_tracked"))


def _no_weights(backbone: Backbone) -> WeightsFacts:
    return WeightsFacts(provenance.digest_arrays([]), backbone.normalise, None, "no weights")


def _memo_key(source: WeightsSource, backbone: Backbone) -> str:
    """Return what weights are remembered under; whatever can change them without changing a file stands in it."""
    which: dict[str, list[Any]] = {
        "file": [str(source.path)],
        "imagenet": [backbone.imagenet, provenance.version("torchvision")],
        "random": [source.seed, provenance.version("torch"), provenance.version("torchvision")],
    }
    return provenance.canonical_json([backbone.name, backbone.code_version, source.kind, *which[source.kind]])


def _stamp(path: str | Path | None) -> list[int] | None:
    """Return size and modification time [bytes, ns] of a file, None where there is none."""
    if path is None:
        return None
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _read_memo(memo: Path) -> Any:
    try:
        content = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(facts: WeightsFacts, stamp: list[int] | None, *, key: str, memo: Path) -> None:
    """Add to the memo; a place that cannot be written costs the next run a second look, nothing more."""
    entries = {**_read_memo(memo), key: {"stamp": stamp, "facts": asdict(facts)}}
    with contextlib.suppress(OSError):
        atomic.write_text(memo, json.dumps(entries, indent=1, sort_keys=True) + "\n")
