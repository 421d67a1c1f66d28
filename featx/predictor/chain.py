"""A fitted chain: features in; scores, probabilities and classes out.

Everything of it is an array or a plain value, so that it can be written down and checked. Never knows files or images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.calibration import logistic
from featx.predictor import far, scorers


@dataclass(frozen=True)
class Chain:
    """What is done to a row of features.

    Attributes
    ----------
    kind : str
        The classifier: one of ``scorers.KINDS``.
    scale : {"l2", "standard", "none"}
        How rows are scaled.
    settings : mapping
        What the kind needs beside arrays.
    classes : tuple of str
        Names; for two the second is the positive one.
    width : int
        Length of a row.
    threshold : float or None
        Score of the positive class from which on a row is called so; None: the class of the highest score.
    fitted, scaler, known : mapping of str to numpy.ndarray
        The classifier's arrays; mean and deviation of columns; what tells far rows.
    platt : numpy.ndarray of float64, shape (p, 2), or None
        Slope and intercept of Platt's maps: one for two classes, else one a class. None where nothing was held back.
    """

    kind: str
    scale: str
    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    width: int
    threshold: float | None
    fitted: Mapping[str, np.ndarray]
    scaler: Mapping[str, np.ndarray]
    known: Mapping[str, np.ndarray]
    platt: np.ndarray | None

    def scaled(self, X: np.ndarray) -> np.ndarray:
        """Return rows as the classifier saw them, float64 (n, d)."""
        X = np.asarray(X, dtype=np.float64)
        if self.scale == "l2":
            norm = np.linalg.norm(X, axis=1, keepdims=True)
            return np.asarray(X / np.where(norm == 0, 1.0, norm))
        return (X - self.scaler["mean"]) / self.scaler["std"] if self.scale == "standard" else X

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Return one score a class, float64 (n, c), of rows of features (n, d)."""
        X, c = self.scaled(X), len(self.classes)
        return scorers.scores(self.kind, X, arrays=self.fitted, settings=self.settings, classes=c)

    def probabilities(self, scores: np.ndarray) -> np.ndarray | None:
        """Return calibrated probabilities, float64 (n, c), of scores; None where there is no map."""
        if self.platt is None:
            return None
        own = scores[:, 1:] if len(self.classes) == 2 else scores
        told = logistic(self.platt[:, 1] + own * self.platt[:, 0])
        if len(self.classes) == 2:
            return np.concatenate([1 - told, told], axis=1)
        total = told.sum(1, keepdims=True)  # a sum of nothing says nothing: then all classes are alike
        return np.where(total > 0, told / np.where(total > 0, total, 1.0), 1 / len(self.classes))

    def codes(self, scores: np.ndarray) -> np.ndarray:
        """Return the code of the predicted class, int64 (n,), of scores."""
        if self.threshold is None:
            return np.asarray(scores.argmax(1))
        return np.asarray(scores[:, 1] >= self.threshold).astype(np.int64)

    def share_as_far(self, X: np.ndarray) -> np.ndarray:
        """Return the share of training rows that lie as far from the others as each row does, float64 (n,)."""
        return far.share_as_far(self.scaled(X), self.known)
