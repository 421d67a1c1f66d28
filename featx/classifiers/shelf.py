"""The shelf: each kind of classifier with its builder, its hyperparameters, what is searched, how rows are scaled."""

from __future__ import annotations

from featx.classifiers import builders
from featx.classifiers.argmax import argmax
from featx.classifiers.kind import Classifier
from featx.shelf import Shelf

PAPER_GRID = tuple(10.0**power for power in range(-3, 5))  # Menegola et al. (2017), released code

# A tree's splits do not depend on the scale of a column, but scikit-learn takes values nearer than 1e-7 for equal, and
# some networks' features are smaller than that: so trees see standardised columns too (not of whole numbers).
WEIGHTED = {"class_weight": "balanced"}
WEIGHT_WORDS = {"class_weight": ("balanced", "none")}
OF_BINARY = {"multiclass": "ovr", **WEIGHTED}
BINARY_WORDS = {"multiclass": ("ovr", "ovo"), **WEIGHT_WORDS}
CLASSIFIERS: Shelf[Classifier] = Shelf(
    "classifier",
    {
        "svm": Classifier(
            "svm",
            "linear SVM, squared hinge (LinearSVC's objective; the paper's hinge is svc-linear)",
            builders.svm,
            {"C": 1.0, "max_iter": 2000, **OF_BINARY},
            {"C": PAPER_GRID},
            scale="l2",
            linear=True,
            words=BINARY_WORDS,
        ),
        "svc-linear": Classifier(
            "svc-linear",
            "linear SVM, hinge, free intercept, as in Menegola et al. (2017)",
            builders.svc_linear,
            {"C": 1.0, **OF_BINARY},
            {"C": PAPER_GRID},
            scale="l2",
            linear=True,
            words=BINARY_WORDS,
            faster={"intel": builders.intel_svc_linear},
        ),
        "svm-rbf": Classifier(
            "svm-rbf",
            "SVM with a Gaussian kernel",
            builders.svm_rbf,
            {"C": 1.0, "gamma": "scale", **OF_BINARY},
            {"C": (0.1, 1.0, 10.0, 100.0, 1000.0)},
            scale="l2",
            words={"gamma": ("scale", "auto"), **BINARY_WORDS},
            faster={"intel": builders.intel_svm_rbf},
        ),
        "rf": Classifier(
            "rf",
            "random forest",
            builders.rf,
            {"n_estimators": 300, "min_samples_leaf": 1, "max_features": "sqrt", **WEIGHTED},
            words={"max_features": ("sqrt", "log2"), **WEIGHT_WORDS},
            scale="standard",
            faster={"numba": builders.binned_rf, "intel": builders.intel_rf},
            by_order=True,
        ),
        "tree": Classifier(
            "tree",
            "decision tree, its leaf size chosen inside each train half",
            builders.tree,
            {"min_samples_leaf": 1, **WEIGHTED},
            {"min_samples_leaf": (40, 20, 10, 5, 1)},
            words=WEIGHT_WORDS,
            scale="standard",
            faster={"numba": builders.binned_tree},
            at_once={"numba": builders.binned_trees},
            by_order=True,
        ),
        "logreg": Classifier(
            "logreg",
            "logistic regression",
            builders.logreg,
            {"C": 1.0, "max_iter": 2000, **WEIGHTED},
            {"C": PAPER_GRID},
            scale="l2",
            linear=True,
            words=WEIGHT_WORDS,
        ),
        "knn": Classifier(
            "knn",
            "k nearest neighbours",
            builders.knn,
            {"n_neighbors": 15},
            {"n_neighbors": (31, 15, 7, 3, 1)},
            scale="l2",
            counts_rows=("n_neighbors",),
        ),
        "argmax": Classifier(
            "argmax", "the network's own verdict, on --layer logits of a network trained here", argmax, learns=False
        ),
        "dummy": Classifier("dummy", "the classes' prior: what chance scores", builders.dummy),
    },
)
