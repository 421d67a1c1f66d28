"""All metrics of many problems by a loop over sklearn.metrics.

python metrics_loop.py FOLDER        (with scores.npz: y and scores of each problem)
"""

from __future__ import annotations

import time

import numpy as np
from given import arguments, hand_till, tell
from sklearn import metrics


def told(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return every metric of one problem, named as featx names them."""
    predicted, codes = scores.argmax(1), range(scores.shape[1])
    onehot = (y[:, None] == codes).astype(int)
    if len(codes) == 2:
        found = {
            "auc": metrics.roc_auc_score(y, scores[:, 1]),
            "average_precision": metrics.average_precision_score(y, scores[:, 1]),
            "sensitivity": metrics.recall_score(y, predicted),
            "specificity": metrics.recall_score(y, predicted, pos_label=0),
        }
    else:
        found = {
            "auc_ovo": hand_till(y, scores),
            "auc_ovr": metrics.roc_auc_score(onehot, scores, average="macro"),
            "average_precision": metrics.average_precision_score(onehot, scores, average="macro"),
        }
    found["accuracy"] = metrics.accuracy_score(y, predicted)
    found["balanced_accuracy"] = metrics.balanced_accuracy_score(y, predicted)
    for average in ("micro", "macro", "weighted"):
        found[f"f1_{average}"] = metrics.f1_score(y, predicted, average=average)
    each = metrics.precision_recall_fscore_support(y, predicted, labels=list(codes), zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), each, strict=False):
        found |= {f"{name}_{code}": value for code, value in zip(codes, values, strict=True)}
    return {name: float(value) for name, value in found.items()}


def main() -> None:
    given = arguments()
    with np.load(given.folder / "scores.npz") as held:
        problems = [(held[f"y {at}"], held[f"scores {at}"]) for at in range(int(held["count"]))]
    told(*problems[0])
    tell(ready=True)
    start = time.perf_counter()
    found = [told(y, scores) for y, scores in problems]
    tell(seconds=time.perf_counter() - start, found=found)


if __name__ == "__main__":
    main()
