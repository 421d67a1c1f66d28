"""How a class's score changes with the features, where a classifier is a straight line in them.

Linear machines, logistic regression and a network's own outputs are; forests, neighbours and Gaussian kernels are not.
Knows arrays only.
"""

from __future__ import annotations

import numpy as np

from featx.errors import UsageError
from featx.predictor.chain import Chain

LINEAR = ("svm", "svc-linear", "logreg", "argmax")


def gradient(chain: Chain, row: np.ndarray, *, code: int) -> np.ndarray:
    """Return the derivative of a class's score by each feature, float64 (d,).

    Where scores of three classes or more are shares (logistic regression, a network's outputs), it is that of the
    class's own output before they are made shares of, as in Selvaraju et al. (2017).

    Parameters
    ----------
    chain : Chain
        What scores.
    row : numpy.ndarray of float, shape (d,)
        Features, before scaling.
    code : int
        The class.

    Raises
    ------
    UsageError
        Where the classifier is no straight line.
    """
    slope = _slope(chain, code)
    if chain.scale == "standard":
        return np.asarray(slope / chain.scaler["std"])
    if chain.scale == "none":
        return slope
    row = np.asarray(row, dtype=np.float64)
    norm = float(np.linalg.norm(row)) or 1.0
    unit = row / norm
    return np.asarray((slope - unit * (unit @ slope)) / norm)


def _slope(chain: Chain, code: int) -> np.ndarray:
    """Return the derivative by the scaled features."""
    two = len(chain.classes) == 2
    if chain.kind not in LINEAR or (not two and chain.settings.get("multiclass") == "ovo"):
        pairs = " of pairs that vote" if chain.kind in LINEAR else ""
        raise UsageError(
            f"gradcam follows a score's gradient, and {chain.kind}{pairs} has none; take --method lime or occlusion"
        )
    if chain.kind == "argmax":
        rows = np.eye(chain.width)
        rows = rows[1:] - rows[:1] if two and chain.width == 2 else rows
    else:
        rows = np.asarray(chain.fitted["coef"], dtype=np.float64)
    return np.asarray(rows[0] * (1 if code else -1) if two else rows[code])
