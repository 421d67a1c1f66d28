"""How rows or columns are scaled, and rows expressed in fewer numbers. Columns learn from train rows alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx.classifiers.kind import Classifier

SCALES = ("l2", "standard", "none")
TOGETHER = 64  # rows made of unit length at a time


def scale_of(classifier: Classifier, scale: str | None, X: np.ndarray) -> str:
    """Return how features are scaled: as asked, or as the classifier has it.

    Standardising is left out where it could change no split: for what goes by the order of values alone, on whole
    numbers, which are never too near each other to be told apart. Pixels of a whole dataset then stay a byte each.
    """
    scale = scale or classifier.scale
    return "none" if scale == "standard" and classifier.by_order and X.dtype.kind == "u" else scale


def in_span(X: np.ndarray, X_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Express rows in an orthonormal basis of the train rows, where there are fewer rows than features.

    The weight vector of an L2-regularised linear model lies in the span of its train rows, so that fits and scores are
    the same; the work is a fraction of it.
    """
    if len(X) >= X.shape[1]:
        return X, X_test
    basis, coordinates = np.linalg.qr(X.T)
    return coordinates.T, X_test @ basis


def _unit_rows(X: np.ndarray) -> np.ndarray:
    found = np.empty(X.shape, dtype=X.dtype if X.dtype.kind == "f" else np.float64)
    for start in range(0, len(X), TOGETHER):  # so that squares stay in cache, and need no memory for all rows
        rows = X[start : start + TOGETHER]
        norm = np.linalg.norm(rows, axis=1, keepdims=True)
        np.divide(rows, np.where(norm == 0, 1.0, norm), out=found[start : start + TOGETHER])
    return found


def scaled(X: np.ndarray, X_test: np.ndarray, *, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale rows to unit length (``l2``), or columns to mean 0 and deviation 1 on ``X`` (``standard``), or not."""
    if scale == "l2":
        return _unit_rows(X), _unit_rows(X_test)
    if scale == "standard":
        mean, std = standard(X)
        return (X - mean) / std, (X_test - mean) / std
    return X, X_test


def standard(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each column; a constant column has the deviation 1."""
    mean, variance = X.mean(0), X.var(0)
    rounding = len(X) * np.finfo(np.float64).eps  # a constant column may seem to vary by this much
    constant = variance <= rounding * variance + (rounding * mean) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))
