"""What a model looks at in images: each is predicted first, and then explained by the very network and classifier.

The methods themselves are those of ``featx.explain``, which know no model. Never knows folds or test rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featx.backbones import Backbone, Layer
from featx.engine import OnProgress
from featx.errors import UnknownName, UsageError
from featx.explain import GradCam, Lime, Occlusion, gradcam, lime, occlusion
from featx.explain.gradcam import MAPS
from featx.explain.segments import Predict
from featx.predictor.gradient import gradient
from featx.predictor.network import Network

if TYPE_CHECKING:
    from featx.predictor import Prediction, Predictor

METHODS = ("lime", "occlusion", "gradcam")
EXPLAINED = ("score", "probability")
BATCHES = 4  # of the network, handed to it together
Found = Lime | Occlusion | GradCam


class Explained(NamedTuple):
    """What a model looks at in an image.

    Attributes
    ----------
    prediction : Prediction
        What it says of the image.
    target : str or None
        The class that is explained; None where the image could not be used.
    pixels : numpy.ndarray of uint8, shape (size, size, 3), or None
        The image as the network takes it.
    found : Lime, Occlusion, GradCam or None
        The explanation.
    """

    prediction: Prediction
    target: str | None
    pixels: np.ndarray | None
    found: Found | None


def explain(
    predictor: Predictor,
    images: Sequence[str | os.PathLike[str]],
    *,
    network: Network,
    method: str = "lime",
    target: str | None = None,
    of: str = "score",
    layer: str | None = None,
    on_progress: OnProgress | None = None,
    **settings: Any,
) -> Iterator[Explained]:
    """Yield what a model looks at in each image.

    Parameters
    ----------
    predictor : Predictor
        The model.
    images : sequence of path-like
        Image files.
    network : Network
        The model's, entered.
    method : {"lime", "occlusion", "gradcam"}
        How it is found out.
    target : str, optional
        The class; the one predicted of each image.
    of : {"score", "probability"}
        What is explained: the class's score, on which the prediction rests, or its calibrated probability.
    layer : str, optional
        Whose map Grad-CAM looks at; the last convolutional one before the model's features.
    on_progress : callable, optional
        Told (done, total) images.
    settings
        As of :func:`featx.explain.lime` or :func:`featx.explain.occlusion`.

    Raises
    ------
    UsageError
        Where the method, the class or what is asked for does not fit the model.
    """
    _refuse(predictor, method=method, target=target, of=of)
    _refuse_settings(method, settings)
    how = _way(predictor, network, method=method, of=of, layer=layer, settings=settings)
    for done, prediction in enumerate(predictor.predict(images, network=network), start=1):
        named = target or prediction.predicted
        if prediction.predicted is None or named is None:
            yield Explained(prediction, None, None, None)
        else:
            pixels = network.pixels(prediction.name)
            yield Explained(prediction, named, pixels, how(pixels, predictor.classes.index(named)))
        if on_progress is not None:
            on_progress(done, len(images))


def _refuse(predictor: Predictor, *, method: str, target: str | None, of: str) -> None:
    """Raise where a question makes no sense, before anything is computed."""
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    if of not in EXPLAINED:
        raise UnknownName("thing to explain", of, EXPLAINED)
    if target is not None and target not in predictor.classes:
        raise UnknownName("class", target, predictor.classes)
    if of == "probability" and predictor.chain.platt is None:
        raise UsageError("the model has no calibrated probabilities; explain its score (--of score)")
    if of == "probability" and method == "gradcam":
        raise UsageError("gradcam follows the gradient of a score; take --of score, or --method lime or occlusion")


def _refuse_settings(method: str, settings: dict[str, Any]) -> None:
    """Raise where a setting is none of the method's."""
    if method == "gradcam" and settings:
        raise UsageError(f"gradcam takes no {', '.join(sorted(settings))}")
    known = [one.name for one in signature(lime if method == "lime" else occlusion).parameters.values()
             if one.kind is one.KEYWORD_ONLY]  # fmt: skip
    for name in settings:
        if name not in known:
            raise UnknownName(f"setting of {method}", name, known)


def _way(
    predictor: Predictor, network: Network, *, method: str, of: str, layer: str | None, settings: dict[str, Any]
) -> Callable[[np.ndarray, int], Found]:
    """Return what explains pixels (size, size, 3) for a class's code."""
    if method == "gradcam":
        return _by_gradient(predictor, network, layer=layer)
    if layer is not None:
        raise UsageError(f"--layer is for gradcam; {method} looks at no layer")
    by_parts: Callable[..., Found] = lime if method == "lime" else occlusion
    about = {"at_once": BATCHES * network.job.batch_size, **settings}
    return lambda pixels, code: by_parts(pixels, values(predictor, network, code=code, of=of), **about)


def values(predictor: Predictor, network: Network, *, code: int, of: str = "score") -> Predict:
    """Return a function from pixels, uint8 (n, size, size, 3), to a class's score or probability, float64 (n,)."""

    def predict(pixels: np.ndarray) -> np.ndarray:
        scores = predictor.scores(network.features(pixels))
        told = predictor.chain.probabilities(scores) if of == "probability" else scores
        assert told is not None  # models without probabilities were refused
        return told[:, code]

    return predict


def _by_gradient(predictor: Predictor, network: Network, *, layer: str | None) -> Callable[[np.ndarray, int], GradCam]:
    job = network.job
    chain, features = predictor.chain, job.layers[0]
    gradient(chain, np.ones(chain.width), code=0)  # refused now where it is no straight line
    seen = map_before(job.backbone, features, layer=layer)
    net = network.torch()
    return lambda pixels, code: gradcam(
        pixels,
        net,
        layer=seen,
        features=features,
        gradient=partial(gradient, chain, code=code),
        normalise=job.normalise,
        pool=job.pool,
    )


def map_before(backbone: Backbone, features: Layer, *, layer: str | None = None) -> Layer:
    """Return the convolutional layer that Grad-CAM looks at: the one named, or the last before the features.

    Raises
    ------
    UsageError
        Where there is none.
    """
    if layer is not None:
        return backbone.layer(layer)
    names = [one.name for one in backbone.layers]
    before = backbone.layers[: names.index(features.name) + 1] if features.name in names else ()
    found = [one for one in before if one.kind != "vector"]
    if not found or found[-1].kind not in MAPS:  # a transformer's maps lie far before its answer
        raise UsageError(
            f"no convolutional layer of {backbone.name} is known to come before {features.name!r}; name one by "
            "--layer, or take --method lime or occlusion"
        )
    return found[-1]
