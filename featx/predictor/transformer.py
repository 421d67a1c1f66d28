"""Features as a scikit-learn transformer: image files or arrays in, a feature matrix out, fit to stand in a pipeline.

It learns nothing: what it gives is settled by its parameters. Never knows classes or classifiers.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from featx.backbones.weights import parse_weights, remembered
from featx.cache.places import Places
from featx.errors import DataError, ImageError, UsageError
from featx.extraction.crew import Child, Crew, Here
from featx.extraction.request import size_for
from featx.images import Transform
from featx.predictor.network import Network, spec_of
from featx.runtime import POOLS, PRECISIONS
from featx.runtime.base import refuse_unknown
from featx.seen import backbone_for


class FeatureExtractor(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Deep features of images, as a transformer for scikit-learn.

    Parameters
    ----------
    backbone, layer, weights
        The network, one of its layers, and ``imagenet``, ``random``, ``random:SEED`` or a weights file.
    pool : {"avg", "max", "flatten", "gem"}
        How a convolutional map becomes a vector.
    precision : {"fp32", "bf16"}
        Precision of the network.
    size : int, optional
        Side of the image in pixels; the backbone's only size, or 224.
    resize, interpolation, antialias, trim
        As of :class:`featx.images.Transform`.
    batch_size, device, runtime
        As of :func:`featx.extract`.
    cache : path-like, optional
        Where weights are remembered and converted networks kept; no features are.
    isolate : bool
        Whether a process of its own decodes and infers.

    Attributes
    ----------
    spec_ : dict
        Everything that settles the features, the digest of the weights among it.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from featx import FeatureExtractor
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(12) % 2
    >>> pictures = [rng.integers(0, 100, (20, 20, 3)).astype(np.uint8) + np.uint8(100 * code) for code in y]
    >>> eyes = FeatureExtractor("maia-custom2", weights="random", size=16, cache=tempfile.mkdtemp(), isolate=False)
    >>> make_pipeline(eyes, LinearSVC()).fit(pictures, y).predict(pictures).tolist()
    [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
    """

    def __init__(
        self,
        backbone: str = "vgg16",
        *,
        layer: str = "penultimate",
        weights: str = "imagenet",
        pool: str = "avg",
        precision: str = "fp32",
        size: int | None = None,
        resize: str = "squash",
        interpolation: str = "bilinear",
        antialias: bool = True,
        trim: bool = False,
        batch_size: int | None = None,
        device: str = "auto",
        runtime: str = "auto",
        cache: str | os.PathLike[str] | None = None,
        isolate: bool = True,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.weights = weights
        self.pool = pool
        self.precision = precision
        self.size = size
        self.resize = resize
        self.interpolation = interpolation
        self.antialias = antialias
        self.trim = trim
        self.batch_size = batch_size
        self.device = device
        self.runtime = runtime
        self.cache = cache
        self.isolate = isolate

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Settle which network and weights it is; nothing is learned from images.

        Parameters
        ----------
        X, y
            Looked at by nobody.

        Raises
        ------
        FeatxError
            Where network, layer or weights are not to be had.
        """
        refuse_unknown("precision", self.precision, PRECISIONS)
        refuse_unknown("pool", self.pool, POOLS)
        places = Places.at(self.cache)
        shelf = backbone_for(self.backbone, self.weights, places)
        source = parse_weights(self.weights, shelf)
        facts = remembered(source, shelf, memo=places.memo)
        if facts is None:
            crew: Crew = Child() if self.isolate else Here()
            with crew:
                facts = crew.learn(shelf, source, memo=places.memo)
        transform = Transform(size_for(shelf, self.size), self.resize, self.interpolation, self.antialias, self.trim)
        about = {"layer": self.layer, "pool": self.pool, "precision": self.precision}
        self.spec_ = spec_of(shelf, facts, transform=transform, **about)
        self._label = source.label
        return self

    def transform(self, X: Iterable[Any]) -> np.ndarray:
        """Return features.

        Parameters
        ----------
        X : iterable of path-like or array, length n
            Image files, or pixels: uint8 of shape (height, width) or (height, width, 3), RGB.

        Returns
        -------
        numpy.ndarray of float32, shape (n, d)

        Raises
        ------
        ImageError
            Where an image cannot be used: a matrix has no place for it.
        """
        if not hasattr(self, "spec_"):
            self.fit()
        with tempfile.TemporaryDirectory() as folder:
            paths = [_file(one, Path(folder) / f"{at}.png") for at, one in enumerate(X)]
            if not paths:
                raise DataError("no image came; a feature matrix takes at least one")
            network = Network(
                self.spec_,
                label=self._label,
                places=Places.at(self.cache),
                weights=self.weights,
                batch_size=self.batch_size,
                device=self.device,
                runtime=self.runtime,
                isolate=self.isolate,
            )
            with network:
                read = network.read(paths)
        for at, reason in read.failed.items():
            raise ImageError(reason.partition(":")[0], f"image {at} ({paths[at]}): {reason}")
        return read.X

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "spec_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        return tags


def _file(one: Any, path: Path) -> str:
    """Return where an image lies; pixels are written first, without loss, so that they go the way of any file."""
    from PIL import Image

    if isinstance(one, (str, os.PathLike)):
        return os.fspath(one)
    pixels = np.asarray(one)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise UsageError(
            f"an image is a path, or uint8 pixels of shape (height, width, 3); {pixels.dtype} {pixels.shape} came"
        )
    Image.fromarray(pixels).save(path, compress_level=1)
    return str(path)
