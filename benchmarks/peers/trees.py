"""A forest of 500 on all cores, and a tree, on standardised columns: one fit each, scored.

python trees.py FOLDER [--splits 1] [--jobs -1] [--designs NAME ...]
"""

from __future__ import annotations

import time

from given import arguments, load, scorer, tell
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier


def main() -> None:
    given = arguments(trees=500, leaf=5, seed=0)
    X, designs = load(given, unit_rows=False)
    forest = RandomForestClassifier(given.trees, class_weight="balanced", n_jobs=given.jobs, random_state=given.seed)
    tree = DecisionTreeClassifier(min_samples_leaf=given.leaf, class_weight="balanced", random_state=given.seed)
    tell(ready=True)
    for name, design in designs.items():
        splits = list(zip(design.train, design.test, strict=True))

        def scored(machine, train, test, y=design.y):
            chain = make_pipeline(StandardScaler(), clone(machine)).fit(X[train], y[train])
            return scorer(chain, X[test], y[test])

        start = time.perf_counter()
        auc = [scored(forest, train, test) for train, test in splits]
        tell(machine="rf", design=name, seconds=time.perf_counter() - start, auc=auc)
        start = time.perf_counter()
        auc = Parallel(n_jobs=given.jobs, prefer="threads")(delayed(scored)(tree, a, b) for a, b in splits)
        tell(machine="tree", design=name, seconds=time.perf_counter() - start, auc=auc)


if __name__ == "__main__":
    main()
