"""A torch network as an OpenVINO graph on disk: made once, checked against torch, hashed, and read back without torch.

The graph takes ``uint8`` images as they lie in memory, normalises, taps and pools. It does not hang on the precision
or the processor, which matter when it is compiled: that takes under a second. This file must never know images on
disk, what holds features, or where weights are from.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featx.errors import ConversionError
from featx.images import Normalisation
from featx.provenance import digest_json, versions
from featx.runtime.base import Tap
from featx.runtime.torch_runtime import TorchRuntime

if TYPE_CHECKING:
    from torch import nn

RULES = 1  # raised whenever a change here changes a graph
TOLERANCE = 1e-3  # of the largest feature of a layer; in practice it is a few 1e-6
KEPT = 6  # graphs; each holds all the weights
LIBRARIES = ("openvino", "torch", "torchvision")


@dataclass(frozen=True)
class Plan:
    """What a network is, and what is wanted of it: all that a graph hangs on.

    Attributes
    ----------
    weights : str
        Digest of the weights.
    code : str
        Name and version of the network's code.
    layers : sequence of Tap
        Where features are taken.
    size, normalise, pool, batch_size
        As in :class:`featx.runtime.TorchRuntime`.
    """

    weights: str
    code: str
    layers: Sequence[Tap]
    size: int
    normalise: Normalisation
    pool: str = "avg"
    batch_size: int = 16

    def key(self) -> str:
        """Return the digest under which the graph is kept."""
        layers = [[layer.name, layer.module, layer.take, layer.kind] for layer in self.layers]
        about = {**{k: v for k, v in vars(self).items() if k != "layers"}, "normalise": asdict(self.normalise)}
        return digest_json([RULES, versions(LIBRARIES), about, layers])


class Graph(NamedTuple):
    """A converted network: its file, and the length of each layer's features."""

    file: Path
    dims: dict[str, int]


def converted(network: Callable[[], nn.Module], *, plan: Plan, folder: Path) -> Graph:
    """Return the graph of a network, converted now where there is none yet or what there is was damaged.

    Raises
    ------
    ConversionError
        Where OpenVINO cannot take the network, or the graph gives other features than torch.
    """
    home = folder / plan.key()[:16]
    graph = _read(home)
    if graph is None:
        _convert(network(), plan, home)
        _forget_old(folder)
        graph = _read(home)
    if graph is None:
        raise ConversionError(f"{home} cannot be read back after it was written; look at the disk")
    return graph


def is_converted(plan: Plan, folder: Path) -> bool:
    """Return whether a network was converted before; whether that is sound is seen when it is read."""
    return (folder / plan.key()[:16] / "about.json").is_file()


def _read(home: Path) -> Graph | None:
    """Return a kept graph whose bytes are those that were written; a damaged one would give other features."""
    try:
        about = json.loads((home / "about.json").read_text(encoding="utf-8"))
        digest = about.pop("digest")
        sound = digest == digest_json(about) and about["hashes"] == _hashes(home)
        os.utime(home / "about.json")  # used now: the last to be forgotten
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Graph(home / "graph.xml", dict(about["dims"])) if sound else None


def _hashes(home: Path) -> dict[str, str]:
    import mmap

    import xxhash

    hashes = {}
    for name in ("graph.xml", "graph.bin"):
        state = xxhash.xxh3_128()
        with open(home / name, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            state.update(content)
        hashes[name] = state.hexdigest()
    return hashes


def _convert(network: nn.Module, plan: Plan, home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".new-") as temporary:
        new = Path(temporary) / "graph"
        new.mkdir()
        dims = _write(network, plan, new)
        about = {"dims": [list(pair) for pair in dims.items()], "hashes": _hashes(new), "plan": _told(plan)}
        whole = {**about, "digest": digest_json(about)}
        (new / "about.json").write_text(json.dumps(whole, indent=1), encoding="utf-8")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(home)
        with contextlib.suppress(OSError):  # another process was first, with the same graph
            os.replace(new, home)


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "versions": versions(LIBRARIES),
        "weights": plan.weights,
        "code": plan.code,
        "layers": [layer.name for layer in plan.layers],
        "size": plan.size,
        "normalise": plan.normalise.name,
        "pool": plan.pool,
        "batch_size": plan.batch_size,
    }


def _write(network: nn.Module, plan: Plan, home: Path) -> dict[str, int]:
    """Write a graph that gives what torch gives, and return the length of each layer's features."""
    import openvino
    import torch

    about: dict[str, Any] = {"size": plan.size, "normalise": plan.normalise, "pool": plan.pool, "device": "cpu"}
    torch_runtime = TorchRuntime(network, layers=plan.layers, batch_size=plan.batch_size, **about)
    noise = np.random.default_rng(0).integers(0, 256, torch_runtime.stream().pixels.shape, dtype=np.uint8)
    expected = torch_runtime(noise)
    torch_runtime.untap()
    network.to(memory_format=torch.contiguous_format)
    try:
        model = _traced(network, plan)
        openvino.save_model(model, home / "graph.xml", compress_to_fp16=False)
        found = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(noise)
    except Exception as error:  # tracing runs the network's own code, and the front end has errors of its own
        told = " ".join(str(error).split())[-160:]
        raise ConversionError(f"OpenVINO cannot take this network ({type(error).__name__}: {told})") from error
    for at, (name, features) in enumerate(expected.items()):
        off = float(np.abs(found[at] - features).max() / max(float(np.abs(features).max()), 1e-30))
        if not off <= TOLERANCE:
            raise ConversionError(f"layer {name!r} differs by {off:.1e} between OpenVINO and torch")
    return torch_runtime.dims


def _traced(network: nn.Module, plan: Plan) -> Any:
    """Return OpenVINO's model of a network as traced on a full batch: some networks fix the batch size in the trace.

    The converter proper, ``openvino.convert_model``, reports its use over the network; the front end that it calls
    does not.
    """
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    from featx.runtime.tapped import Tapped

    shape = (plan.batch_size, plan.size, plan.size, 3)
    tapped = Tapped(network, layers=plan.layers, normalise=plan.normalise, pool=plan.pool).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tracing is old, and that sizes become constants, which they are here
        traced = torch.jit.trace(tapped, torch.zeros(shape, dtype=torch.uint8), check_trace=False)
        decoder = TorchScriptPythonDecoder(traced)
        front = FrontEndManager().load_by_framework("pytorch")
        model = front.convert(front.load(decoder))
    tapped.untap()
    model.reshape(list(shape))
    return model


def _forget_old(folder: Path) -> None:
    """Remove the graphs that were not used for longest; each is made again when it is wanted."""
    about = sorted(folder.glob("*/about.json"), key=lambda path: path.stat().st_mtime)
    for path in about[:-KEPT]:
        shutil.rmtree(path.parent, ignore_errors=True)
