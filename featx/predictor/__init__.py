"""A fitted, saved whole chain: from image files to classes, on any machine, from one file in which nothing can run.

``refit`` fits on all rows and takes the fit apart into arrays, ``saving`` puts the chain together, ``file`` writes and
reads it with ``header`` and ``arrays`` as its guards, ``scorers`` and ``chain`` score, ``far`` tells of images unlike
those that it learned from, ``network`` makes features. This package never knows folds or test rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from featx.cache.places import Places
from featx.engine import OnProgress
from featx.errors import ModelError
from featx.predictor import file
from featx.predictor.chain import Chain
from featx.predictor.far import FAR
from featx.predictor.file import Model
from featx.predictor.network import Network, Read
from featx.predictor.prediction import Prediction, far_told

if TYPE_CHECKING:
    from featx.predictor.explaining import Explained

__all__ = ["Prediction", "Predictor"]

OF_NETWORK = ("weights", "cache", "batch_size", "device", "runtime", "isolate")  # what ``Predictor.network`` takes


class Predictor:
    """A model that was saved by ``featx fit --save``.

    Parameters
    ----------
    model : featx.predictor.file.Model
        What the file holds.
    scorer : callable, optional
        Scores rows of features instead of the model's own arrays.

    Examples
    --------
    >>> import tempfile, featx
    >>> from pathlib import Path
    >>> from featx.datasets import demo
    >>> folder = Path(tempfile.mkdtemp())
    >>> data = demo.generate(folder / "data", images=60, size=(32, 32))
    >>> about = {"backbone": "maia-custom2", "weights": "random", "size": 16, "precision": "fp32", "isolate": False}
    >>> found = featx.extract(data, cache=folder / "cache", **about)
    >>> run = featx.compare(found.files, classifiers=["svm"], folds="kfold:2", cache=folder / "cache")
    >>> from featx.predictor.saving import save_evaluated
    >>> saved = save_evaluated(folder / "model.featx", run.run, run.questions, cache=folder / "cache")
    >>> predictor = featx.Predictor.load(folder / "model.featx")
    >>> predictor.classes
    ('benign', 'melanoma')
    >>> images = sorted(data.rglob("*.jpg"))[:3]
    >>> for one in predictor.predict(images, cache=folder / "cache", isolate=False):
    ...     print(Path(one.name).name, one.seen, sorted(one.probabilities))
    ISIC_0024306.jpg False ['benign', 'melanoma']
    ISIC_0024307.jpg True ['benign', 'melanoma']
    ISIC_0024308.jpg False ['benign', 'melanoma']

    What the answers hang on, by covering patch after patch:

    >>> found = predictor.explain(images, method="occlusion", patch=4, cache=folder / "cache", isolate=False)
    >>> [one.target == one.prediction.predicted for one in found], found[0].found.heat.shape
    ([True, True, True], (16, 16))
    """

    def __init__(self, model: Model, *, scorer: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        self.path, self.header, self.digest = model.path, model.header, model.digest
        self.chain = chain_of(model)
        self._scorer = scorer or self.chain.scores
        self._seen = {row.tobytes().hex() for row in model.arrays["seen"]}

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, unsafe_sha256: str | None = None) -> Self:
        """Read a model; every array is checked before it is used, and nothing in the file can run.

        Parameters
        ----------
        path : path-like
            The file.
        unsafe_sha256 : str, optional
            Of a pickle that ``featx export --format joblib`` wrote: its sha256, by which you say that you trust it.
            A pickle runs whatever code it holds.

        Raises
        ------
        ModelError
            Where the file is no model, or holds what a model cannot hold.
        """
        if unsafe_sha256 is None:
            return cls(file.read(path))
        from featx.predictor.export import read_pickle

        model, scorer = read_pickle(Path(path), unsafe_sha256)
        return cls(model, scorer=scorer)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; of two, the second is the positive one."""
        return self.chain.classes

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Return one score a class, float64 (n, c), of rows of features (n, d).

        Raises
        ------
        ModelError
            Where the rows have another length than those that the model was fitted on.
        """
        X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.chain.width:
            raise ModelError(f"features of shape {X.shape} came; the model was fitted on rows of {self.chain.width}")
        return np.asarray(self._scorer(X))

    def network(self, *, weights: str | None = None, cache: str | os.PathLike[str] | None = None,
                batch_size: int | None = None, device: str = "auto", runtime: str = "auto",
                isolate: bool = True) -> Network:  # fmt: skip
        """Return the network of the model, to be entered by ``with`` and used for many calls of :meth:`predict`.

        Parameters
        ----------
        weights : str, optional
            A weights file, where the cache does not hold them; other weights than the model's are refused.
        cache : path-like, optional
            The cache's folder.
        batch_size, device, runtime, isolate
            As of :func:`featx.extract`.
        """
        about = self.header["network"]
        return Network(
            {**self.header["spec"], "pool": self.header["spec"]["pool"] or None},
            label=about["label"],
            record=about["record"],
            places=Places.at(cache),
            weights=weights,
            inside=self.path if about["embedded"] else None,
            batch_size=batch_size,
            device=device,
            runtime=runtime,
            isolate=isolate,
        )

    def predict(
        self,
        images: Sequence[str | os.PathLike[str]],
        *,
        units: Sequence[str] | None = None,
        network: Network | None = None,
        on_progress: OnProgress | None = None,
        **about: Any,
    ) -> list[Prediction]:
        """Say of image files which class they are.

        Parameters
        ----------
        images : sequence of path-like, length n
            The files.
        units : sequence of str, length n, optional
            What each image is of; then one prediction a unit.
        network : Network, optional
            One that :meth:`network` returned and that was entered; by default one is made ready for this call.
        on_progress : callable, optional
            Told (done, total) images.
        about
            As of :meth:`network`.

        Returns
        -------
        list of Prediction
            In the order of the images, or of the units' first images.

        Raises
        ------
        ModelError
            Where the weights are others than those that the model was fitted on.
        """
        paths = [os.fspath(path) for path in images]
        if network is not None:
            read = network.read(paths, on_progress=on_progress)
        else:
            with self.network(**about) as own:
                read = own.read(paths, on_progress=on_progress)
        return self.of_features(read, names=paths, units=units)

    def explain(
        self,
        images: Sequence[str | os.PathLike[str]],
        *,
        method: str = "lime",
        target: str | None = None,
        of: str = "score",
        network: Network | None = None,
        on_progress: OnProgress | None = None,
        **about: Any,
    ) -> list[Explained]:
        """Say what the answer hangs on in images, as ``featx explain`` does.

        Parameters
        ----------
        images : sequence of path-like
            The files.
        method : {"lime", "occlusion", "gradcam"}
            How it is found out. LIME's superpixels want scikit-image (``pip install 'featx[explain]'``).
        target : str, optional
            The class to explain; the one predicted of each image.
        of : {"score", "probability"}
            What of the class is explained.
        network, on_progress
            As of :meth:`predict`.
        about
            As of :meth:`network`; and as of :func:`featx.explain.lime` (``count``, ``top``, ``samples``, ``hide``,
            ``width``, ``seed``) or :func:`featx.explain.occlusion` (``patch``, ``stride``), or ``layer`` for Grad-CAM.

        Returns
        -------
        list of Explained
            One an image, in their order; where an image could not be used, ``found`` is None.

        Raises
        ------
        UsageError
            Where the method, the class or a setting does not fit the model.
        ModelError
            Where the weights are others than those that the model was fitted on.
        """
        from featx.predictor.explaining import explain

        own = {name: about.pop(name) for name in OF_NETWORK if name in about}
        how: dict[str, Any] = {"method": method, "target": target, "of": of, "on_progress": on_progress, **about}
        paths = [os.fspath(path) for path in images]
        if network is not None:
            return list(explain(self, paths, network=network, **how))
        with self.network(**own) as entered:
            return list(explain(self, paths, network=entered, **how))

    def of_features(self, read: Read, *, names: Sequence[str], units: Sequence[str] | None = None) -> list[Prediction]:
        """Return predictions of images whose features are there."""
        good = np.flatnonzero(np.isfinite(read.X).all(1))
        scores = np.full((len(names), len(self.classes)), np.nan)
        shares = np.full(len(names), np.nan)
        scores[good] = self.scores(read.X[good])
        shares[good] = self.chain.share_as_far(read.X[good])
        members: dict[str, list[int]] = {}
        for at, name in enumerate(range(len(names)) if units is None else units):
            members.setdefault(str(name), []).append(at)
        return [
            self._one(names[rows[0]] if units is None else name, rows, scores, shares, read)
            for name, rows in members.items()
        ]

    def _one(self, name: str, rows: list[int], scores: np.ndarray, shares: np.ndarray, read: Read) -> Prediction:
        used = [row for row in rows if not np.isnan(scores[row]).any()]
        seen = any(read.digests[row] in self._seen for row in rows)
        reasons = [read.failed.get(row, "features that are not finite") for row in rows if row not in used]
        if not used:
            return Prediction(name, 0, None, None, None, seen, None, f"no features: {'; '.join(reasons)}"[:300])
        mean = scores[used].mean(0, keepdims=True) if len(used) > 1 else scores[used]
        told = self.chain.probabilities(mean)
        share = float(shares[used].min())
        notes = [far_told(share)] if share < FAR else []
        notes += [f"{len(reasons)} of {len(rows)} images without features: {reasons[0]}"[:300]] if reasons else []
        return Prediction(
            name,
            len(used),
            self.classes[int(self.chain.codes(mean)[0])],
            self._by_class(mean),
            None if told is None else self._by_class(told),
            seen,
            share,
            "; ".join(notes),
        )

    def _by_class(self, values: np.ndarray) -> dict[str, float]:
        return dict(zip(self.classes, values[0].tolist(), strict=True))


def chain_of(model: Model) -> Chain:
    """Return the chain that a model file holds."""
    header = model.header
    return Chain(
        header["kind"],
        header["scale"],
        header["settings"],
        tuple(header["classes"]),
        header["width"],
        header["threshold"]["value"],
        _named(model.arrays, "fitted."),
        _named(model.arrays, "scaler."),
        _named(model.arrays, "known."),
        model.arrays.get("platt"),
    )


def _named(arrays: Mapping[str, np.ndarray], start: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
