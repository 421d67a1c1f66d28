"""What every script here is given: rows, designs and splits from a folder, and a place to tell its figures.

Each script stands for what a user would write with scikit-learn instead of featx, on all cores, and says so one JSON
line at a time. Nothing here knows featx.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import normalize


class Design(NamedTuple):
    """A design's rows with their class codes, and its splits: train rows, test rows and, where drawn, inner draws."""

    y: np.ndarray
    train: list[np.ndarray]
    test: list[np.ndarray]
    held: list[list[np.ndarray]]


def arguments(**more: Any) -> argparse.Namespace:
    """Read the command line: the folder, and whatever a script takes beside it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--designs", nargs="*")
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


def load(given: argparse.Namespace, *, unit_rows: bool) -> tuple[np.ndarray, dict[str, Design]]:
    """Return the rows (of unit length where wanted) and the designs; class codes are -1 where a design drops a row."""
    X = np.load(given.folder / "X.npy")
    if unit_rows:
        X = normalize(X)
    designs = {}
    with np.load(given.folder / "designs.npz") as held:
        for name in given.designs or held["names"].tolist():
            splits = range(min(given.splits, int(held["splits"])))
            train = [held[f"{name} train {at}"] for at in splits]
            test = [held[f"{name} test {at}"] for at in splits]
            inner = [list(held[f"{name} held {at}"]) for at in splits]
            designs[name] = Design(held[f"{name} y"], train, test, inner)
    return X, designs


def hand_till(y: np.ndarray, margins: np.ndarray) -> float:
    """Return the AUC, or with more classes Hand and Till's mean over pairs, of margins that need not sum to one."""
    if margins.ndim == 1:
        return float(roc_auc_score(y, margins))
    told = []
    for i, j in combinations(range(margins.shape[1]), 2):
        rows = (y == i) | (y == j)
        told += [roc_auc_score(y[rows] == i, margins[rows, i]), roc_auc_score(y[rows] == j, margins[rows, j])]
    return float(np.mean(told))


def scorer(estimator: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Score a fitted estimator by its margins, or its probabilities where it has no margins."""
    if hasattr(estimator, "decision_function"):
        return hand_till(y, estimator.decision_function(X))
    told = estimator.predict_proba(X)
    return hand_till(y, told[:, 1] if told.shape[1] == 2 else told)


def warm(jobs: int) -> None:
    """Start the worker processes and their imports, so that a sample is not charged for what is paid once."""
    Parallel(n_jobs=jobs)(delayed(hand_till)(np.array([0, 1]), np.array([0.0, 1.0])) for _ in range(16))


def tell(**facts: Any) -> None:
    """Print facts as one line."""
    print(json.dumps(facts), flush=True)
