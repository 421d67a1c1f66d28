"""What a network is judged by while it learns: cross-entropy of all classes, or of each by itself.

Knows logits and class codes, nothing of where they come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from featx.errors import UnknownName

if TYPE_CHECKING:
    import torch


def outputs_for(loss: str, *, classes: int) -> int:
    """Return how many numbers a network gives for that loss: one for two classes under ``sigmoid``."""
    return 1 if loss == "sigmoid" and classes == 2 else classes


class Loss:
    """A loss by row, weighted by class.

    Parameters
    ----------
    kind : {"softmax", "sigmoid"}
        Cross-entropy, or the mean over classes of binary cross-entropy.
    weights : numpy.ndarray of float64, shape (classes,)
        What a row of each class weighs.
    device : str
        Where the logits are.
    """

    def __init__(self, kind: str, weights: np.ndarray, *, device: str) -> None:
        import torch

        if kind not in ("softmax", "sigmoid"):
            raise UnknownName("loss", kind, ("softmax", "sigmoid"))
        self._kind = kind
        self._weights = torch.tensor(weights, dtype=torch.float32, device=device)

    def __call__(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the loss of each row, shape (b,)."""
        from torch.nn import functional

        if self._kind == "softmax":
            own = functional.cross_entropy(logits, y, reduction="none")
        elif logits.shape[1] == 1:
            own = functional.binary_cross_entropy_with_logits(logits[:, 0], y.float(), reduction="none")
        else:
            targets = functional.one_hot(y, logits.shape[1]).float()
            own = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)
        return own * self._weights[y]

    def scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Return one score a class, shape (b, classes): they rank rows, and the highest is the verdict."""
        import torch

        if self._kind == "softmax":
            return logits.softmax(1)
        positive = logits.sigmoid()
        return torch.cat([1 - positive, positive], 1) if logits.shape[1] == 1 else positive

    def decided(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the class decided for, shape (b,)."""
        return self.scores(logits).argmax(1)

    def of_guess(self, shares: np.ndarray) -> float:
        """Return the loss of guessing the classes' shares for every row."""
        if self._kind == "softmax" or len(shares) == 2:
            return _entropy(shares)
        return float(np.mean([_entropy(np.array([share, 1 - share])) for share in shares]))


def _entropy(shares: np.ndarray) -> float:
    kept = shares[shares > 0]
    return float(-(kept * np.log(kept)).sum())
