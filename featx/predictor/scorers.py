"""What a fitted classifier says of rows, from plain arrays: numpy alone, a closed list of kinds, no code in any file.

Every kind agrees with the estimator that it was taken from. Knows arrays; never files, images or how anything was
fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from featx.families import by_class

Arrays = Mapping[str, np.ndarray]
Scorer = Callable[[Arrays, Mapping[str, Any], np.ndarray, int], np.ndarray]
TOGETHER = 256  # rows that are held beside support vectors, neighbours or trees at once


def scores(kind: str, X: np.ndarray, *, arrays: Arrays, settings: Mapping[str, Any], classes: int) -> np.ndarray:
    """Return one score a class of scaled rows, as the classifier's own estimator gives them.

    Parameters
    ----------
    kind : str
        One of ``KINDS``.
    X : numpy.ndarray of float, shape (n, d)
        Rows, scaled as the classifier saw them.
    arrays : mapping of str to numpy.ndarray
        What was fitted.
    settings : mapping
        What the kind needs beside arrays.
    classes : int
        How many.

    Returns
    -------
    numpy.ndarray of float64, shape (n, classes)
    """
    scorer = KINDS[kind]
    parts = [scorer(arrays, settings, X[at : at + TOGETHER], classes) for at in range(0, len(X), TOGETHER)]
    return np.concatenate(parts) if parts else np.empty((0, classes))


def _margins(arrays: Arrays, settings: Mapping[str, Any], X: np.ndarray, classes: int) -> np.ndarray:
    return by_class(X @ arrays["coef"].T + arrays["intercept"], classes, settings)


def _logistic(arrays: Arrays, settings: Mapping[str, Any], X: np.ndarray, classes: int) -> np.ndarray:
    """Return the margin of two classes, or the probabilities of more, which alone rank rows there."""
    margins = X @ arrays["coef"].T + arrays["intercept"]
    if classes == 2:
        return np.concatenate([-margins, margins], axis=1)
    return _softmax(margins)


def _softmax(margins: np.ndarray) -> np.ndarray:
    shares = np.exp(margins - margins.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def _gaussian(arrays: Arrays, settings: Mapping[str, Any], X: np.ndarray, classes: int) -> np.ndarray:
    far = distances(X, arrays["vectors"])
    margins = [
        np.exp(-gamma * far) @ coef for gamma, coef in zip(arrays["gamma"].tolist(), arrays["coef"].T, strict=True)
    ]
    return by_class(np.column_stack(margins) + arrays["intercept"], classes, settings)


def distances(X: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the squared distance of each row to each other one, float64 (n, m)."""
    squares = [np.einsum("ij,ij->i", rows, rows) for rows in (X, others)]
    return np.maximum(0.0, squares[0][:, None] + squares[1] - 2 * (X @ others.T))


def _forest(arrays: Arrays, settings: Mapping[str, Any], X: np.ndarray, classes: int) -> np.ndarray:
    """Let every row walk every tree at once; a child comes after its parent, so that every walk ends."""
    with np.errstate(over="ignore"):  # what is beyond float32 goes the way of the largest
        X = X.astype(np.float32)  # as scikit-learn's trees read rows
    node = np.broadcast_to(arrays["roots"], (len(X), len(arrays["roots"]))).copy()
    rows = np.arange(len(X))[:, None]
    while (inner := arrays["left"][node] >= 0).any():
        asked = np.where(inner, arrays["feature"][node], 0)
        left = X[rows, asked] <= arrays["threshold"][node]
        node = np.where(inner, np.where(left, arrays["left"][node], arrays["right"][node]), node)
    total = np.zeros((len(X), classes))
    for tree in node.T:  # one after the other, as estimators add them up
        total += arrays["share"][tree]
    return total / len(arrays["roots"])


def _neighbours(arrays: Arrays, settings: Mapping[str, Any], X: np.ndarray, classes: int) -> np.ndarray:
    """Return shares among the nearest; of rows that are as far, those that come first."""
    near = np.argsort(distances(X, arrays["rows"]), axis=1, kind="stable")[:, : settings["n_neighbors"]]
    votes = arrays["codes"][near]
    return np.stack([(votes == code).mean(1) for code in range(classes)], axis=1)


def _prior(arrays: Arrays, settings: Mapping[str, Any], X: np.ndarray, classes: int) -> np.ndarray:
    return np.tile(arrays["prior"], (len(X), 1))


def _outputs(arrays: Arrays, settings: Mapping[str, Any], X: np.ndarray, classes: int) -> np.ndarray:
    """Return a network's own outputs: by how much the second is above the first, or the log of each one's share."""
    if classes == 2:
        margin = X[:, -1] - (X[:, 0] if X.shape[1] == 2 else 0.0)
        return np.column_stack([-margin, margin])
    shifted = X - X.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


KINDS: dict[str, Scorer] = {
    "svm": _margins,
    "svc-linear": _margins,
    "svm-rbf": _gaussian,
    "rf": _forest,
    "tree": _forest,
    "logreg": _logistic,
    "knn": _neighbours,
    "dummy": _prior,
    "argmax": _outputs,
}
