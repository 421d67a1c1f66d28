"""The paper's protocol by GridSearchCV: SVC(kernel="linear"), 8 C, ten inner draws of a tenth, refitted, scored.

python grid_search_svc.py FOLDER [--splits 1] [--jobs -1]
"""

from __future__ import annotations

import time

from given import arguments, load, scorer, tell, warm
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC

GRID = [10.0**power for power in range(-3, 5)]


def main() -> None:
    given = arguments()
    X, designs = load(given, unit_rows=True)
    warm(given.jobs)
    tell(ready=True)
    for name, design in designs.items():
        for at, (train, test, held) in enumerate(zip(design.train, design.test, design.held, strict=True)):
            start = time.perf_counter()
            machine, grid = SVC(kernel="linear", class_weight="balanced"), {"C": GRID}
            if design.y.max() > 1:
                machine, grid = OneVsRestClassifier(machine), {"estimator__C": GRID}
            inner = [((~one).nonzero()[0], one.nonzero()[0]) for one in held]
            search = GridSearchCV(machine, grid, cv=inner, scoring=scorer, n_jobs=given.jobs)
            search.fit(X[train], design.y[train])
            auc = scorer(search.best_estimator_, X[test], design.y[test])
            C = next(iter(search.best_params_.values()))
            fits = (len(GRID) * len(inner) + 1) * (1 if design.y.max() == 1 else 3)  # binary ones
            tell(design=name, split=at, seconds=time.perf_counter() - start, fits=fits, auc=auc, C=C)


if __name__ == "__main__":
    main()
