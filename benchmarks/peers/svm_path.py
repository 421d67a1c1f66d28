"""One fit for each C, design and split, several at a time: LinearSVC at its defaults, or SVC with a Gaussian kernel,
scikit-learn's own or scikit-learn-intelex's.

A line a C, in rising order, so that who runs it can stop it where fits no longer end.

    python svm_path.py FOLDER [--machine linear|rbf|intel] [--Cs 1e-4,1] [--splits 2] [--jobs -1] [--designs NAME ...]
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from given import arguments, load, scorer, tell, warm
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC, LinearSVC


def intel_rbf(C: float) -> SVC:
    from sklearnex import svm

    return svm.SVC(C=C, kernel="rbf", class_weight="balanced")


MACHINES = {
    "linear": lambda C: LinearSVC(C=C, class_weight="balanced", random_state=0),
    "rbf": lambda C: SVC(C=C, kernel="rbf", class_weight="balanced"),
    "intel": intel_rbf,
}


def fitted(kind: str, C: float, X: np.ndarray, *, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> tuple:
    """Return the AUC of the test rows, and how many of the fits told that they had not converged."""
    machine = MACHINES[kind](C)
    machine = OneVsRestClassifier(machine) if y.max() > 1 else machine
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        machine.fit(X[train], y[train])
    return scorer(machine, X[test], y[test]), sum(issubclass(one.category, ConvergenceWarning) for one in told)


def main() -> None:
    given = arguments(machine="linear", Cs="1")
    X, designs = load(given, unit_rows=True)
    warm(given.jobs)
    tell(ready=True)
    for C in map(float, given.Cs.split(",")):
        for name, design in designs.items():
            start = time.perf_counter()
            calls = [{"y": design.y, "train": a, "test": b} for a, b in zip(design.train, design.test, strict=True)]
            found = Parallel(n_jobs=given.jobs)(delayed(fitted)(given.machine, C, X, **call) for call in calls)
            binary = len(calls) * (1 if design.y.max() == 1 else int(design.y.max()) + 1)
            tell(
                C=C,
                design=name,
                seconds=time.perf_counter() - start,
                binary=binary,
                auc=[auc for auc, _ in found],
                warnings=sum(count for _, count in found),
            )


if __name__ == "__main__":
    main()
