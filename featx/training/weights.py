"""Weights that were trained here: where a network begins, and the file that it ends as, with all that it has seen.

The name of a file is its history and a part of the digest of everything that it was trained from, so that the same
training is found and not done again. Knows no epochs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx import atomic
from featx.backbones import Backbone
from featx.backbones.trained import ENTRY, Structure, backbone_as, head_path, read_record
from featx.backbones.weights import WeightsFacts, WeightsSource, digest_of, load_network, parse_weights
from featx.cache.places import Places
from featx.errors import WeightsError
from featx.provenance import environment

if TYPE_CHECKING:
    from torch import nn

FORMAT = "featx-weights"
COUNTER = "num_batches_tracked"
_BODY = "body."


@dataclass(frozen=True)
class Start:
    """Where a training begins.

    Attributes
    ----------
    backbone : Backbone
        The network that the weights belong to, with their own head where they were trained here.
    source : WeightsSource
        Where the weights come from.
    facts : WeightsFacts
        What is known of them.
    tensors : dict of str to torch.Tensor
        By key, as the backbone of the shelf calls them, without what is the head of an earlier training.
    seen : dict
        Images and groups that they have seen, as plain values; empty where they were not trained here.
    """

    backbone: Backbone
    source: WeightsSource
    facts: WeightsFacts
    tensors: dict[str, Any]
    seen: dict[str, Any]


def begin(backbone: Backbone, weights: str, places: Places) -> Start:
    """Load the weights that a training begins with.

    Parameters
    ----------
    backbone : Backbone
        As :func:`featx.seen.backbone_for` returns it for these weights.
    weights : str
        As a user names them.
    places : Places
        The cache.
    """
    source = parse_weights(weights, backbone)
    network, facts = load_network(backbone, source, memo=places.memo)
    record = read_record(source.path) if source.path is not None else None
    head = backbone.layer("logits").module
    tensors = {
        key.removeprefix(_BODY): values
        for key, values in network.state_dict().items()
        if not key.endswith(COUNTER) and (record is None or not key.startswith(f"{head}."))
    }
    return Start(backbone, source, facts, tensors, record["seen"] if record else {"images": [], "groups": {}})


def network_from(start: Start, shelf: Backbone, structure: Structure, *, seed: int) -> nn.Module:
    """Build a network with a fresh head, drawn from a seed, on the weights that it starts from.

    Raises
    ------
    WeightsError
        Where those end before the layer that the head stands on.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = backbone_as(shelf, structure).build()
    head = f"{head_path(shelf, structure)}."
    own = {key: values for key, values in network.state_dict().items() if not key.startswith(head)}
    wanted = {key: key.removeprefix(_BODY) for key in own if not key.endswith(COUNTER)}
    if missing := [key for key in wanted.values() if key not in start.tensors]:
        raise WeightsError(
            f"the weights {start.source.label} end before {missing[0]}; they were cut: give --cut with the same "
            "layer or an earlier one"
        )
    with torch.no_grad():
        for key, name in wanted.items():
            own[key].copy_(start.tensors[name])
    return network.float()


def path_for(places: Places, *, backbone: str, history: str, key: str) -> Path:
    """Return where the weights of a training lie."""
    return places.weights / f"{backbone}@{history}--{key[:8]}.safetensors"


def finished(path: Path, key: str) -> dict[str, Any] | None:
    """Return the record of a training that was finished before; None where there is none of that key."""
    record = read_record(path)
    return record if record is not None and record.get("key") == key else None


def save(network: nn.Module, path: Path, *, structure: Structure, record: Mapping[str, Any]) -> dict[str, Any]:
    """Write weights with their record; return the record.

    Parameters
    ----------
    network : torch.nn.Module
        In float32, on any device.
    path : pathlib.Path
        Where; the file appears whole or not at all.
    structure : Structure
        How it is built.
    record : mapping
        What it was trained from, and what it has seen, as plain values.
    """
    from safetensors.torch import save as to_bytes

    network = network.cpu()
    about = {
        "format": FORMAT,
        "version": 1,
        "structure": asdict(structure),
        "tensors": digest_of(network),
        **record,
        "environment": environment(),
    }
    state = {key: values.contiguous().clone() for key, values in network.state_dict().items()}
    atomic.write_bytes(path, to_bytes(state, metadata={ENTRY: json.dumps(about, allow_nan=False)}))
    return json.loads(json.dumps(about))
