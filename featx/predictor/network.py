"""From image files to features, by the very network that a model was fitted on: its weights are known by their digest.

Other weights, another version of the network or other rules of decoding are refused. Images are read and put through
the network in a process of its own, as extraction does it. Never knows classes or classifiers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from featx import atomic, images
from featx.backbones import BACKBONES, Backbone
from featx.backbones.trained import ENTRY
from featx.backbones.weights import WeightsFacts, WeightsSource, load_network, parse_weights, remembered
from featx.cache import OK
from featx.cache.places import Places
from featx.engine import OnProgress
from featx.errors import ComputeError, FeatxError, ModelError, WeightsUnavailable
from featx.extraction import bench
from featx.extraction.crew import Child, Crew, Here
from featx.extraction.filling import batches_of
from featx.extraction.job import Item, Job
from featx.extraction.settling import BATCH
from featx.predictor.file import network_of
from featx.runtime import choose
from featx.seen import backbone_for

if TYPE_CHECKING:
    from torch import nn


class Read(NamedTuple):
    """What became of image files.

    Attributes
    ----------
    X : numpy.ndarray of float32, shape (n, d)
        Features; NaN where an image failed.
    digests : list of str
        sha256 of each file, empty where it could not be read.
    failed : dict of int to str
        Reasons, by place.
    """

    X: np.ndarray
    digests: list[str]
    failed: dict[int, str]


class Network:
    """A network that is ready for image files.

    Parameters
    ----------
    spec : mapping
        What makes the features: as a feature file's spec, checked.
    label, record : str
        What its weights are called, and what a weights file that was trained here says of itself.
    places : Places
        The cache: weights are looked for there by their digest, and converted networks kept.
    weights : str, optional
        Weights as a user names them.
    inside : pathlib.Path, optional
        A model file that holds the weights.
    batch_size, device, runtime
        As of :func:`featx.extraction.extract`.
    isolate : bool
        Whether a process of its own decodes and infers.

    Raises
    ------
    ModelError
        Where the weights given are others, or the network or decoding is another than it was.
    WeightsUnavailable
        Where the weights are not to be found.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        label: str,
        record: str | None = None,
        places: Places,
        weights: str | None = None,
        inside: Path | None = None,
        batch_size: int | None = None,
        device: str = "auto",
        runtime: str = "auto",
        isolate: bool = True,
    ) -> None:
        self._crew: Crew = Child() if isolate else Here()
        self._places = places
        self._width: int | None = None
        transform = _transform(spec)
        weights = str(_unpacked(inside, spec, label, record, places)) if inside and not weights else weights
        backbone, source = self._found(spec, label, weights)
        if backbone.code_version != spec["code"]:
            raise ModelError(
                f"the model was fitted on {spec['backbone']} of version {str(spec['code'])[:60]}, and this featx "
                f"builds version {backbone.code_version}: its features may differ; fit the model again"
            )
        choice = choose(runtime, device=device)
        self._layer = backbone.layer(spec["layer"])
        normalise: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in spec["normalise"].items()
        }
        self._job = Job(
            root=Path(),
            backbone=backbone,
            source=source,
            weights=spec["weights"],
            layers=(self._layer,),
            transform=transform,
            normalise=images.Normalisation(**normalise),
            pool=spec["pool"] or "avg",
            precision=spec["precision"],
            batch_size=batch_size or BATCH[choice.device],
            runtime=choice.runtime,
            device=choice.device,
            strict=runtime == "openvino",
            memo=places.memo,
            graphs=places.root / "runtime",
        )

    def __enter__(self) -> Self:
        self._crew.__enter__()
        return self

    def __exit__(self, *about: object) -> None:
        self._width = None
        self._crew.__exit__(*about)

    def read(self, paths: Sequence[str | Path], *, on_progress: OnProgress | None = None) -> Read:
        """Return the features of image files, in their order.

        Parameters
        ----------
        paths : sequence of path-like, length n
            The files.
        on_progress : callable, optional
            Told (done, total) images.
        """
        X, digests = np.full((len(paths), self._ready()), np.nan, dtype=np.float32), [""] * len(paths)
        failed: dict[int, str] = {}
        full = [str(Path(path).absolute()) for path in paths]
        batches = [
            [Item(row, full[row]) for row in rows] for rows in batches_of(range(len(paths)), size=self._job.batch_size)
        ]
        done = 0
        for part in self._crew.work(batches):
            if found := part.features.get(self._layer.name) is not None:
                X[part.rows] = part.features[self._layer.name]
            for row, record in zip(part.rows.tolist(), part.records, strict=True):
                raw = bytes(record["sha256"])
                digests[row] = raw.hex() if any(raw) else ""
                if record["status"] != OK or not found:
                    failed[row] = record["reason"].item().decode(errors="replace")
            done += len(part.rows)
            if on_progress is not None:
                on_progress(done, len(paths))
        return Read(X, digests, failed)

    @property
    def job(self) -> Job:
        """What it computes."""
        return self._job

    def pixels(self, path: str | Path) -> np.ndarray:
        """Return an image as the network takes it, uint8 (size, size, 3).

        It is decoded in this process: :meth:`read` it first, where it may be an image that kills a decoder.

        Raises
        ------
        ImageError
            Where it cannot be used.
        """
        return self._job.transform(images.read(path).data)

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Return the features of pixels, float32 (n, d), of uint8 (n, size, size, 3) as :meth:`pixels` gives them."""
        X = np.empty((len(pixels), self._ready()), dtype=np.float32)
        items = [Item(row, "", one) for row, one in enumerate(pixels)]
        size = self._job.batch_size
        for part in self._crew.work([items[at : at + size] for at in range(0, len(items), size)]):
            if self._layer.name not in part.features:
                raise ComputeError("the process that runs the network died; out of memory? take a smaller --batch-size")
            X[part.rows] = part.features[self._layer.name]
        return X

    def _ready(self) -> int:
        """Make the network ready, once, and return the length of its features."""
        if self._width is None:
            self._width = self._crew.open(self._job).dims[self._layer.name]
        return self._width

    def torch(self) -> nn.Module:
        """Return the network itself, float32, on the processor, in evaluation mode."""
        return bench.network(self._job)

    def _found(self, spec: Mapping[str, Any], label: str, weights: str | None) -> tuple[Backbone, WeightsSource]:
        """Return the backbone with weights of the digest wanted: those given, else the first found."""
        if weights is not None:
            backbone, source, facts = self._learned(spec, weights)
            if facts.digest != spec["weights"]:
                raise ModelError(
                    f"--weights {weights} are other weights (sha256 {facts.digest[:16]}...) than the model was fitted "
                    f"on ({label}, {spec['weights'][:16]}...); give those"
                )
            return backbone, source
        for text in _candidates(spec, label, self._places):
            try:
                backbone, source, facts = self._learned(spec, text)
            except FeatxError:  # a candidate that cannot be had is none; if no other is, the user is told below
                continue
            if facts.digest == spec["weights"]:
                return backbone, source
        raise WeightsUnavailable(
            f"the weights that the model was fitted on ({spec['backbone']}@{label}, sha256 {spec['weights'][:16]}...) "
            f"are not in {self._places.root}; give them by --weights, or save the model with --embed-weights"
        )

    def _learned(self, spec: Mapping[str, Any], text: str) -> tuple[Backbone, WeightsSource, WeightsFacts]:
        backbone = backbone_for(spec["backbone"], text, self._places)
        source = parse_weights(text, backbone)
        facts = remembered(source, backbone, memo=self._places.memo)
        return backbone, source, facts or self._crew.learn(backbone, source, memo=self._places.memo)


def _transform(spec: Mapping[str, Any]) -> images.Transform:
    told = dict(spec["transform"])
    decode = told.pop("decode")
    found = images.Transform(**told)
    if (rules := found.describe()["decode"]) != decode:
        raise ModelError(
            f"the model was fitted on images decoded by {decode[:60]!r}, and this featx decodes by {rules!r}: pixels "
            "may differ; fit the model again"
        )
    return found


def _candidates(spec: Mapping[str, Any], label: str, places: Places) -> list[str]:
    """Return weights that may be those of a digest: by their name, and files that are remembered or kept by it."""
    if BACKBONES[spec["backbone"]].weightless or label == "imagenet":
        named = ["imagenet"]
    else:
        named = [f"random:{label.removeprefix('random')}"] if label.removeprefix("random").isdecimal() else []
    try:
        memo = json.loads(places.memo.read_text(encoding="utf-8")).values()
        files = [one["facts"]["file"] for one in memo if one["facts"]["digest"] == spec["weights"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        files = []
    return [*(str(file) for file in files if file and Path(str(file)).is_file()), *named]


def _unpacked(inside: Path, spec: Mapping[str, Any], label: str, record: str | None, places: Places) -> Path:
    """Write the weights inside a model to a file of their own, once; whoever loads it compares their digest."""
    from safetensors.numpy import save

    name = "".join(letter if letter.isalnum() or letter in "._+~-" else "-" for letter in label)[:80]
    digest = "".join(letter for letter in spec["weights"][:16] if letter in "0123456789abcdef")
    path = places.weights / "models" / f"{spec['backbone']}@{name}--{digest}.safetensors"
    if not path.exists():
        atomic.write_bytes(path, save(network_of(inside), {ENTRY: record} if record else None))
    return path


def tensors_of(spec: Mapping[str, Any], *, label: str, places: Places) -> dict[str, np.ndarray]:
    """Return the tensors of a network, to be put inside a model.

    Raises
    ------
    WeightsUnavailable
        Where the weights are not to be found.
    """
    network = Network(spec, label=label, places=places, isolate=False)
    with network:
        net, _ = load_network(network._job.backbone, network._job.source, memo=places.memo)
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def spec_of(
    backbone: Backbone, facts: WeightsFacts, *, layer: str, pool: str, transform: images.Transform, precision: str
) -> dict[str, Any]:
    """Return the spec of features that no file holds yet, as :class:`Network` takes it."""
    found, normalise = backbone.layer(layer), images.normalisation(facts.normalise)
    return {
        "backbone": backbone.name,
        "code": backbone.code_version,
        "weights": facts.digest,
        "layer": found.name,
        "pool": None if found.kind == "vector" else pool,
        "transform": transform.describe(),
        "normalise": {**asdict(normalise), "mean": list(normalise.mean), "std": list(normalise.std)},
        "precision": precision,
        "stored": backbone.stored_under(normalise.name),
    }
