"""The whole comparison as a user would write it: read the features, three designs, splits, svm, rf and tree.

Each search has three grouped inner parts. A line for each search and design, so that who runs it can stop it. The
splits come from a saved plan, so that figures can be set side by side.

    python whole.py FEATURES.h5 LABELS.csv PLAN.json [--splits 1] [--jobs -1]
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from given import scorer, tell, warm
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

BENIGN = ("nv", "bkl", "df", "vasc")
DESIGNS = {
    "malignant-vs-benign": {**dict.fromkeys(BENIGN, 0), "mel": 1, "bcc": 1},
    "mel-vs-benign": {**dict.fromkeys(BENIGN, 0), "mel": 1},
    "bcc-vs-mel-vs-benign": {"bcc": 0, "mel": 1, **dict.fromkeys(BENIGN, 2)},
}
GRID = [10.0**power for power in range(-3, 5)]


def searches(jobs: int) -> dict:
    """Return the three classifiers by name, those with a search as one; what may not end in time comes last."""
    linear = OneVsRestClassifier(LinearSVC(class_weight="balanced", random_state=0))
    tree = DecisionTreeClassifier(class_weight="balanced", random_state=0)
    inner = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    how = {"cv": inner, "scoring": scorer, "n_jobs": jobs}
    forest = RandomForestClassifier(300, class_weight="balanced", n_jobs=jobs, random_state=0)
    leaves = {"decisiontreeclassifier__min_samples_leaf": [40, 20, 10, 5, 1]}
    return {
        "tree": GridSearchCV(make_pipeline(StandardScaler(), tree), leaves, **how),
        "rf": make_pipeline(StandardScaler(), forest),
        "svm": GridSearchCV(make_pipeline(Normalizer(), linear), {"onevsrestclassifier__estimator__C": GRID}, **how),
    }


def main() -> None:
    begun = time.perf_counter()
    parser = argparse.ArgumentParser()
    for name in ("features", "labels", "plan"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=-1)
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with h5py.File(given.features) as file:
        X = file["features"][:]
    labels, plan = pd.read_csv(given.labels), json.loads(given.plan.read_text())
    place = {name: row for row, name in enumerate(labels["id"])}
    groups = labels["group"].to_numpy()
    warm(given.jobs)
    tell(ready=True, seconds=time.perf_counter() - begun)
    for name, search in searches(given.jobs).items():
        for at, split in enumerate(plan["splits"][: given.splits]):
            for design, codes in DESIGNS.items():
                y = labels["diagnosis"].map(codes).fillna(-1).to_numpy(dtype=int)
                sides = [np.array([place[row] for row in split[side]]) for side in ("train", "test")]
                train, test = (side[y[side] >= 0] for side in sides)
                start = time.perf_counter()
                known = {"groups": groups[train]} if isinstance(search, GridSearchCV) else {}
                search.fit(X[train], y[train], **known)
                auc = scorer(getattr(search, "best_estimator_", search), X[test], y[test])
                tell(design=design, split=at, machine=name, seconds=time.perf_counter() - start, auc=auc)


if __name__ == "__main__":
    main()
