"""The verdict of a network on its own outputs, with the face of an estimator. Learns nothing."""

from __future__ import annotations

import numpy as np


class Argmax:
    """The verdict of a network on its own outputs: nothing is fitted."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> Argmax:
        """Return itself; ValueError where there is not an output a class."""
        classes = len(np.unique(y))
        if X.shape[1] != classes and (X.shape[1], classes) != (1, 2):
            raise ValueError(f"{X.shape[1]} outputs for {classes} classes: it takes the logits of a network that was "
                             "trained for them")  # fmt: skip
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return by how much the second class is above the first, (n,), or the log of each class's share, (n, c)."""
        if X.shape[1] <= 2:
            return X[:, -1].astype(np.float64) - (X[:, 0] if X.shape[1] == 2 else 0.0)
        shifted = X.astype(np.float64) - X.max(1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def argmax(*, seed: int) -> Argmax:
    """Return the network's own verdict."""
    return Argmax()
