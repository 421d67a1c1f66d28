"""Extraction: one pass over the images, into the cache, from where it was left.

What is done already is found without opening an image or importing torch. The sample table is carried as opaque cargo:
this file never knows diagnoses, groups or classes.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featx import images
from featx.backbones import BACKBONES, Backbone, Layer
from featx.backbones.weights import WeightsFacts, WeightsSource, load_network, parse_weights, remembered
from featx.cache import OK, PENDING, FeatureFile, FeatureWriter, differences, key_of, new_record
from featx.cache.places import Places
from featx.datasets import SYNTHETIC, Columns, Dataset, open_dataset
from featx.datasets.base import slug
from featx.engine import OnProgress, cores
from featx.errors import CacheError, CacheMismatch, ImageError, TooManyFailures, UsageError, WeightsUnavailable
from featx.provenance import environment

if TYPE_CHECKING:
    from featx.runtime import TorchRuntime

FAILED = 2
SYNC_SECONDS = 1.0
DEMO_IMAGES, DEMO_SIZE = 300, (300, 400)


@dataclass(frozen=True)
class Extraction:
    """What an extraction did.

    Attributes
    ----------
    dataset : Dataset
        What it read.
    files : tuple of pathlib.Path
        The feature files, one a layer.
    computed, reused : int
        Images that went through the network now, and images whose rows were there already.
    passes : int
        Forward passes of the network.
    opened : int
        Image files that were opened.
    failed : dict of str to str
        Images without features, with the reason.
    notes : tuple of str
        What the user should know.
    """

    dataset: Dataset
    files: tuple[Path, ...]
    computed: int
    reused: int
    passes: int
    opened: int
    failed: dict[str, str]
    notes: tuple[str, ...]


@dataclass
class _Work:
    """What is to be extracted, settled before any image is opened."""

    dataset: Dataset
    places: Places
    backbone: Backbone
    layers: list[Layer]
    source: WeightsSource
    facts: WeightsFacts
    transform: images.Transform
    normalise: images.Normalisation
    pool: str
    precision: str
    batch_size: int
    device: str
    network: Any = None
    notes: list[str] = field(default_factory=list)
    opened: int = 0

    def spec(self, layer: Layer) -> dict[str, Any]:
        """Return everything that changes the features of a layer."""
        return {
            "backbone": self.backbone.name,
            "code": self.backbone.code_version,
            "weights": self.facts.digest,
            "layer": layer.name,
            "pool": None if layer.kind == "vector" else self.pool,
            "transform": self.transform.describe(),
            "normalise": {**asdict(self.normalise), "mean": list(self.normalise.mean), "std": list(self.normalise.std)},
            "precision": self.precision,
            "stored": "float32",
        }

    @cached_property
    def files(self) -> list[Path]:
        """The feature file of each layer."""
        return [
            self.places.features(
                self.dataset.name,
                backbone=self.backbone.name,
                weights=self.source.label,
                layer=layer.name,
                key=key_of(self.spec(layer)),
            )
            for layer in self.layers
        ]

    @cached_property
    def paths(self) -> list[str]:
        """The image paths, one a row."""
        return [sample.path for sample in self.dataset.samples]

    @cached_property
    def table(self) -> str:
        """The sample table, unread."""
        return self.dataset.to_table()

    def full(self, row: int) -> Path:
        """Return where a row's image lies."""
        return self.dataset.root / self.paths[row]


class _Cached(NamedTuple):
    """What a feature file holds of the rows wanted: status and record of each, and whether it is whole and current."""

    status: np.ndarray
    records: np.ndarray
    current: bool
    env: dict[str, Any]


def extract(
    data: str | os.PathLike[str] | None = None,
    *,
    backbone: str = "vgg16",
    layers: Sequence[str] = (),
    weights: str | None = None,
    precision: str = "fp32",
    pool: str = "avg",
    size: int | None = None,
    resize: str = "squash",
    interpolation: str = "bilinear",
    antialias: bool = True,
    trim: bool = False,
    normalise: str | None = None,
    batch_size: int = 16,
    device: str = "auto",
    cache: str | os.PathLike[str] | None = None,
    adapter: str | None = None,
    columns: Columns | None = None,
    name: str | None = None,
    verify_images: bool = False,
    max_failures: float = 0.05,
    on_progress: OnProgress | None = None,
) -> Extraction:
    """Extract deep features of a dataset into the cache, or find them there.

    Parameters
    ----------
    data : path-like, optional
        A folder or a table; the built-in demo dataset where none is given.
    backbone : str
        A name of the shelf (``featx info --backbone NAME`` tells its layers).
    layers : sequence of str
        Layers by readable name or dotted path, all in one forward pass; the penultimate one by default.
    weights : str, optional
        ``imagenet`` (the default), ``random``, ``random:SEED`` or a file.
    precision : {"fp32", "bf16"}
        Precision of the network; features are stored as float32.
    pool : {"avg", "max", "flatten", "gem"}
        How maps become vectors.
    size : int, optional
        Side of the image in pixels; the backbone's only size, or 224.
    resize, interpolation, antialias, trim
        As in :class:`featx.images.Transform`.
    normalise : str, optional
        A normalisation by name; what the weights expect by default.
    batch_size : int
        Images in a forward pass; short batches are padded.
    device : {"auto", "cpu", "cuda"}
        Where the network runs.
    cache : path-like, optional
        The cache's folder; ``FEATX_CACHE`` or ``features_cache`` by default.
    adapter : str, optional
        The dataset's format, where it is not to be found out.
    columns : Columns, optional
        Columns of a table.
    name : str, optional
        The dataset's folder in the cache; its own name by default.
    verify_images : bool
        Hash every image again instead of trusting size and time.
    max_failures : float
        Largest share of images that may fail, 0 to 1.
    on_progress : callable, optional
        Told (done, total) images.

    Returns
    -------
    Extraction

    Raises
    ------
    FeatxError
        Whatever is wrong, in one sentence; rows that were finished are kept.
    """
    if not 0 <= max_failures <= 1:
        raise UsageError(f"--max-failures takes a share from 0 to 1 (or 0% to 100%); {max_failures} came")
    if not 1 <= batch_size <= 4096:
        raise UsageError(f"--batch-size takes 1 to 4096 images; {batch_size} came")
    places = Places.at(cache)
    dataset = open_dataset(data, adapter=adapter, columns=columns) if data else demo_dataset(places)
    dataset = replace(dataset, name=_folder_name(name)) if name else dataset
    shelf = BACKBONES[backbone]
    work = _settle(
        dataset, places, shelf, list(layers), weights, images.Transform(_size(shelf, size), resize, interpolation,
        antialias, trim), normalise, pool=pool, precision=precision, batch_size=batch_size, device=device,
    )  # fmt: skip
    return _run(work, verify_images=verify_images, max_failures=max_failures, on_progress=on_progress)


def demo_dataset(places: Places, *, on_progress: OnProgress | None = None) -> Dataset:
    """Return the built-in demo dataset, drawn on first use."""
    from featx.datasets import demo

    if not (places.demo_data / demo.TABLE).exists():
        demo.generate(places.demo_data, images=DEMO_IMAGES, size=DEMO_SIZE, jobs=cores(), on_progress=on_progress)
    return replace(open_dataset(places.demo_data), name="demo")


def _folder_name(name: str) -> str:
    if slug(name) != name:
        raise UsageError(f"--name {name!r} is no name of a folder in the cache; take {slug(name)!r} or the like")
    return name


def _size(backbone: Backbone, size: int | None) -> int:
    size = backbone.fixed_size or 224 if size is None else size
    if backbone.fixed_size not in (None, size):
        raise UsageError(f"{backbone.name} takes images of {backbone.fixed_size} pixels only; --size {size} came")
    if size < backbone.min_size:
        raise UsageError(f"{backbone.name} takes images from {backbone.min_size} pixels on; --size {size} came")
    return size


def _settle(
    dataset: Dataset,
    places: Places,
    backbone: Backbone,
    layers: list[str],
    weights: str | None,
    transform: images.Transform,
    normalise: str | None,
    **rest: Any,
) -> _Work:
    """Resolve names and weights, without torch where the weights are remembered."""
    chosen = list({layer.name: layer for layer in map(backbone.layer, layers or ["penultimate"])}.values())
    source, facts, network, notes = _weights(backbone, weights or "imagenet", places, dataset)
    wanted = images.normalisation(normalise or facts.normalise)
    return _Work(
        dataset, places, backbone, chosen, source, facts, transform, wanted, network=network, notes=notes, **rest
    )


def _weights(
    backbone: Backbone, text: str, places: Places, dataset: Dataset
) -> tuple[WeightsSource, WeightsFacts, Any, list[str]]:
    """Return source, facts, the network if it had to be built, and notes; only the demo does without ImageNet's."""
    notes: list[str] = []
    try:
        source = parse_weights(text, backbone)
        facts, network = remembered(source, backbone, memo=places.memo), None
        if facts is None:
            network, facts = load_network(backbone, source, memo=places.memo)
    except WeightsUnavailable as error:
        if not dataset.synthetic or text != "imagenet":
            raise
        notes.append(
            f"ImageNet weights cannot be had here ({error}); the demo goes on with random weights, so that its numbers "
            "show the mechanics of featx, not the quality of deep features"
        )
        source, facts, network, _ = _weights(backbone, "random", places, dataset)
    return source, facts, network, notes


def _run(work: _Work, *, verify_images: bool, max_failures: float, on_progress: OnProgress | None) -> Extraction:
    cached = [_look(path, work) for path in work.files]
    lacking, stale = _missing(work, cached, verify_images=verify_images)
    todo = np.flatnonzero(lacking.any(0)).tolist()
    runtime = _runtime(work) if todo else None
    if todo or stale or not all(held and held.current for held in cached):
        with ExitStack() as stack:
            writers = [stack.enter_context(writer) for writer in _writers(work, cached, runtime)]
            _restamp(writers, stale, lacking)
            if runtime is not None:
                limit = _Limit(len(work.paths), max_failures, failed=_failed_earlier(cached, lacking))
                targets = _Targets(work.layers, writers, lacking)
                _fill(work, runtime, targets, todo, limit=limit, on_progress=on_progress)
            for writer in writers:
                writer.finish()
    work.places.remember_last(work.files)
    failed = _failures(work)
    _Limit(len(work.paths), max_failures, failed=len(failed)).check(failed)
    passes = runtime.passes if runtime else 0
    reused = len(work.paths) - len(todo)
    return Extraction(
        work.dataset, tuple(work.files), len(todo), reused, passes, work.opened, failed, tuple(work.notes)
    )


def _look(path: Path, work: _Work) -> _Cached | None:
    """Return what a feature file holds of the rows wanted, or None where there is no file yet."""
    if not path.exists():
        _tell_others(path, work)
        return None
    with FeatureFile.open(path) as file:
        file.expect(work.spec(work.layers[work.files.index(path)]))
        _refuse_other_data(file, work)
        status, records = file.status(), file.records()
        current = file.complete and file.paths == work.paths and file.table == work.table
        if file.paths != work.paths:
            place = {name: row for row, name in enumerate(file.paths)}
            at = np.array([place.get(name, -1) for name in work.paths])
            status = np.where(at >= 0, status[at], PENDING)
            records = records[at]
        return _Cached(status, records, current, file.env)


def _refuse_other_data(file: FeatureFile, work: _Work) -> None:
    """Refuse a file under this dataset's name that holds the images of another folder."""
    root = str(work.dataset.root.resolve())
    lost = set(file.paths) - set(work.paths)
    if file.env.get("root") != root and lost:
        raise CacheMismatch(
            f"{file.path} holds features of other data, {file.env.get('root')} ({len(lost)} of its {file.n} images are "
            f"not in {root}); give these data a name of their own with --name, or take another --cache"
        )


def _tell_others(path: Path, work: _Work) -> None:
    """Note in what the features asked for differ from those that are cached for the same backbone and layer."""
    layer = work.layers[work.files.index(path)]
    for other in work.places.feature_files(work.dataset.name):
        if other.name.startswith(f"{work.backbone.name}@") and f"--{layer.name}--" in other.name:
            # a damaged neighbour is no reason not to extract
            with suppress(CacheError), FeatureFile.open(other) as file:
                work.notes.append(
                    f"new features, not those of {other.name}: {differences(file.spec, work.spec(layer))}"
                )


def _missing(
    work: _Work, cached: Sequence[_Cached | None], *, verify_images: bool
) -> tuple[np.ndarray, dict[int, images.Source]]:
    """Return which file lacks which row, and the rows whose image has another time but the very same bytes.

    Returns
    -------
    lacking : numpy.ndarray of bool, shape (files, rows)
        Rows to compute.
    stale : dict of int to Source
        Rows that need but a new time.
    """
    blank = np.full(len(work.paths), PENDING)
    lacking = np.stack([held.status if held else blank for held in cached]) == PENDING
    stale = {}
    for row in np.flatnonzero(~lacking.all(0)).tolist():
        # of a pending row, the record means nothing
        records = [held.records[row] for held, lacks in zip(cached, lacking[:, row], strict=True) if held and not lacks]
        now = images.stat_of(work.full(row))
        stamps = {(int(record["size"]), int(record["mtime_ns"])) for record in records}
        if not verify_images and stamps == {now or (0, 0)} and not _readable_now(work, row, records):
            continue
        source = _same_bytes(work, row, records)
        if source is None:
            lacking[:, row] = True
        elif stamps != {tuple(source.stat)}:
            stale[row] = source
    return lacking, stale


def _readable_now(work: _Work, row: int, records: Sequence[np.ndarray]) -> bool:
    """Return whether an image may be read that could not be: a change of rights changes neither size nor time."""
    return any(bytes(record["reason"]).startswith(b"unreadable") for record in records) and os.access(
        work.full(row), os.R_OK
    )


def _same_bytes(work: _Work, row: int, records: Sequence[np.ndarray]) -> images.Source | None:
    """Return the image as it is now where its bytes are those that the row was computed from."""
    work.opened += 1
    try:
        source = images.read(work.full(row))
    except ImageError:
        return None
    digests = {bytes(record["sha256"]).hex() for record in records}
    return source._replace(data=b"") if digests == {source.sha256} else None


def _failed_earlier(cached: Sequence[_Cached | None], lacking: np.ndarray) -> int:
    """Return how many images failed in an earlier run and are not tried again."""
    failed = [np.isin(held.status, (PENDING, OK), invert=True) for held in cached if held]
    return int((np.any(failed, axis=0) & ~lacking.any(0)).sum()) if failed else 0


def _runtime(work: _Work) -> TorchRuntime:
    from featx.runtime import TorchRuntime

    if work.network is None:
        work.network, facts = load_network(work.backbone, work.source, memo=work.places.memo)
        if facts.digest != work.facts.digest:
            raise CacheMismatch(f"the weights {work.source.label} changed while they were read; run this again")
    return TorchRuntime(
        work.network,
        layers=work.layers,
        size=work.transform.size,
        normalise=work.normalise,
        pool=work.pool,
        batch_size=work.batch_size,
        precision=work.precision,
        device=work.device,
    )


def _writers(work: _Work, cached: Sequence[_Cached | None], runtime: TorchRuntime | None) -> Iterator[FeatureWriter]:
    for layer, path, held in zip(work.layers, work.files, cached, strict=True):
        dim = runtime.dims[layer.name] if runtime else _dim(path)
        yield FeatureWriter.open_or_create(
            path,
            spec=work.spec(layer),
            paths=work.paths,
            table=work.table,
            dim=dim,
            env=_environment(work, runtime, held),
        )


def _dim(path: Path) -> int:
    with FeatureFile.open(path) as file:
        return file.dim


def _environment(work: _Work, runtime: TorchRuntime | None, held: _Cached | None) -> dict[str, Any]:
    """Describe what computes; what computed rows that are kept is handed on."""
    if runtime is None and held is not None:
        return {**held.env, "root": str(work.dataset.root.resolve())}
    return environment(
        {
            "dataset": work.dataset.title,
            **({"note": SYNTHETIC} if work.dataset.synthetic else {}),
            "root": str(work.dataset.root.resolve()),
            "weights": work.source.label,
            "weights_file": work.facts.file,
            "weights_note": work.facts.note,
            "runtime": "torch",
            "device": runtime.device if runtime else None,
            "batch_size": work.batch_size,
            "earlier": [*held.env.get("earlier", []), {k: v for k, v in held.env.items() if k != "earlier"}]
            if held
            else [],
        }
    )


def _restamp(writers: Sequence[FeatureWriter], stale: dict[int, images.Source], lacking: np.ndarray) -> None:
    """Give rows whose image has the same bytes its new time, without a forward pass."""
    for writer, lacks in zip(writers, lacking, strict=True):
        # a row that is lacking may be torn or damaged: hashing it again would pass it for sound
        rows = np.array([row for row in sorted(stale) if not lacks[row]], dtype=np.intp)
        if not rows.size:
            continue
        features, records = writer.load(verify=False)[rows], writer.records()[rows].copy()
        records["size"] = [stale[row].stat.size for row in rows.tolist()]
        records["mtime_ns"] = [stale[row].stat.mtime_ns for row in rows.tolist()]
        writer.write(rows, features, records)
        writer.sync()


@dataclass
class _Limit:
    """How many images may fail."""

    total: int
    share: float
    failed: int = 0

    def check(self, reasons: dict[str, str]) -> None:
        """Raise TooManyFailures beyond the limit."""
        if self.failed > self.share * self.total:
            common = Counter(reason.partition(":")[0] for reason in reasons.values()).most_common(3)
            example = next(iter(reasons.items()), ("", ""))
            raise TooManyFailures(
                f"{self.failed} of {self.total} images failed, more than the {self.share:.0%} allowed "
                f"({', '.join(f'{count} {reason}' for reason, count in common)}; for instance {example[0]}: "
                f"{example[1]}); look at them, or allow more with --max-failures"
            )


class _Loaded(NamedTuple):
    """An image on its way: its pixels, or why there are none."""

    row: int
    record: np.ndarray
    pixels: np.ndarray | None


def _load(work: _Work, row: int) -> _Loaded:
    stat = images.stat_of(work.full(row)) or images.Stat(0, 0)
    sha256 = bytes(32).hex()
    try:
        source = images.read(work.full(row))
        stat, sha256 = source.stat, source.sha256
        return _Loaded(row, _record(OK, stat, sha256), work.transform(source.data))
    except ImageError as error:
        return _Loaded(row, _record(FAILED, stat, sha256, reason=str(error)), None)


def _record(status: int, stat: images.Stat, sha256: str, *, reason: str = "") -> np.ndarray:
    return new_record(status=status, size=stat.size, mtime_ns=stat.mtime_ns, sha256=sha256, reason=reason)


def _ahead(load: Callable[[int], _Loaded], rows: Sequence[int], *, window: int) -> Iterator[_Loaded]:
    """Load images on all cores, at most ``window`` ahead, so that memory does not grow with their number."""
    pool = ThreadPoolExecutor(cores())
    try:
        waiting = deque(pool.submit(load, row) for row in rows[:window])
        for row in rows[window:]:
            yield waiting.popleft().result()
            waiting.append(pool.submit(load, row))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Targets(NamedTuple):
    """The feature files being written, one a layer, and which rows each lacks."""

    layers: Sequence[Layer]
    writers: Sequence[FeatureWriter]
    lacking: np.ndarray

    def put(self, batch: Sequence[_Loaded], features: dict[str, np.ndarray] | None) -> None:
        """Write images into the files that lack them; without features, as failures."""
        rows = np.array([loaded.row for loaded in batch])
        records = np.stack([loaded.record for loaded in batch])
        for layer, writer, lacking in zip(self.layers, self.writers, self.lacking, strict=True):
            if (at := lacking[rows]).any():
                blank = np.full((len(rows), writer.dim), np.nan, np.float32)
                writer.write(rows[at], (features[layer.name] if features else blank)[at], records[at])

    def sync(self) -> None:
        """Return once everything written is on the disk."""
        for writer in self.writers:
            writer.sync()


def _fill(
    work: _Work,
    runtime: TorchRuntime,
    targets: _Targets,
    todo: Sequence[int],
    *,
    limit: _Limit,
    on_progress: OnProgress | None,
) -> None:
    """Load, infer and store every row to do; what was synced stays whatever happens."""
    batches = _batches(todo, size=work.batch_size)
    ends = {rows[-1] for rows in batches}
    batch: list[_Loaded] = []
    reasons: dict[str, str] = {}
    synced = monotonic()
    try:
        rows = [row for rows in batches for row in rows]
        for done, loaded in enumerate(_ahead(lambda row: _load(work, row), rows, window=3 * work.batch_size), 1):
            work.opened += 1
            if loaded.pixels is None:
                targets.put([loaded], None)
                limit.failed += 1
                reasons[work.paths[loaded.row]] = bytes(loaded.record["reason"]).decode(errors="replace")
                limit.check(reasons)
            else:
                batch.append(loaded)
            if loaded.row in ends and batch:
                targets.put(batch, _infer(runtime, batch))
                batch.clear()
            if monotonic() - synced > SYNC_SECONDS:
                targets.sync()
                synced = monotonic()
            if on_progress is not None:
                on_progress(done, len(todo))
    finally:
        targets.sync()


def _batches(todo: Sequence[int], *, size: int) -> list[list[int]]:
    """Divide rows into batches in which each has a place of its own, ``row % size``.

    What adds up a row may hang on its place in the batch, in the last bits. So an image has the same place in a run
    that goes on after an interruption, or beside images that failed, and its features are the same to the bit.
    """
    places: list[list[int]] = [[] for _ in range(size)]
    for row in todo:
        places[row % size].append(row)
    return [[row for row in rows if row is not None] for rows in zip_longest(*places)]


def _infer(runtime: TorchRuntime, batch: Sequence[_Loaded]) -> dict[str, np.ndarray]:
    places = [loaded.row % runtime.batch_size for loaded in batch]
    return runtime(np.stack([loaded.pixels for loaded in batch]), places=places)  # type: ignore[misc]


def _failures(work: _Work) -> dict[str, str]:
    with FeatureFile.open(work.files[0]) as file:
        records = file.records()
        return {
            work.paths[row]: bytes(records["reason"][row]).decode(errors="replace")
            for row in np.flatnonzero(records["status"] != OK).tolist()
        }
