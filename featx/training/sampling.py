"""Which train rows an epoch takes, in which order, and what each class weighs.

Balancing is done here, on train rows alone and after the split: no copy of a picture can be on two sides. Knows no
pixels and no networks.
"""

from __future__ import annotations

import numpy as np

BALANCES = ("none", "weights", "sample", "oversample")


def class_weights(y: np.ndarray, *, classes: int, balance: str) -> np.ndarray:
    """Return what a row of each class weighs in the loss while learning, its mean over the rows being 1.

    Parameters
    ----------
    y : numpy.ndarray of int64, shape (n,)
        Class codes of the train rows, each class present.
    classes : int
        How many classes there are.
    balance : {"none", "weights", "sample", "oversample"}
        Only ``weights`` weighs; the others choose rows.

    Returns
    -------
    numpy.ndarray of float64, shape (classes,)
    """
    return even_weights(y, classes=classes) if balance == "weights" else np.ones(classes)


def even_weights(y: np.ndarray, *, classes: int) -> np.ndarray:
    """Return weights under which every class weighs the same: n / (classes * rows of the class)."""
    return len(y) / (classes * np.bincount(y, minlength=classes))


def order(y: np.ndarray, *, classes: int, balance: str, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of an epoch, as places in ``y``.

    ``none`` and ``weights`` take each row once. ``sample`` draws as many rows with replacement, every class as likely.
    ``oversample`` takes each row once, and rows of the smaller classes again until all classes are as large as the
    largest, whole rounds first.
    """
    if balance == "sample":
        likely = even_weights(y, classes=classes)[y]
        return rng.choice(len(y), size=len(y), p=likely / likely.sum())
    if balance == "oversample":
        rows = [np.flatnonzero(y == code) for code in range(classes)]
        most = max(map(len, rows))
        return rng.permutation(np.concatenate([_filled(own, most, rng) for own in rows]))
    return rng.permutation(len(y))


def _filled(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    rounds, rest = divmod(most, len(rows))
    return np.concatenate([np.tile(rows, rounds), rng.choice(rows, size=rest, replace=False)])


def shares(y: np.ndarray, *, classes: int, balance: str) -> np.ndarray:
    """Return the share that each class has in the loss, its weight included: what a constant guess would learn."""
    if balance == "none":
        return np.bincount(y, minlength=classes) / len(y)
    return np.full(classes, 1 / classes)
