"""What makes each estimator from its hyperparameters; scikit-learn is imported when one is made. Fits nothing."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def _of_binary(binary: Any, multiclass: str) -> Any:
    """Fit one problem a class, as the paper's code does, or one a pair, each balanced by itself."""
    from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier

    return {"ovr": OneVsRestClassifier, "ovo": OneVsOneClassifier}[multiclass](binary)


def _weights(class_weight: str) -> str | None:
    return None if class_weight == "none" else class_weight


def svm(*, seed: int, C: float, max_iter: int, multiclass: str, class_weight: str) -> Any:
    """Return LinearSVC, one a class or one a pair."""
    from sklearn.svm import LinearSVC

    return _of_binary(
        LinearSVC(C=C, dual=False, class_weight=_weights(class_weight), max_iter=max_iter, random_state=seed),
        multiclass,
    )


def svc_linear(*, seed: int, C: float, multiclass: str, class_weight: str) -> Any:
    """Return libsvm's SVC with a linear kernel, one a class or one a pair."""
    from sklearn.svm import SVC

    return _of_binary(
        SVC(C=C, kernel="linear", class_weight=_weights(class_weight), cache_size=500, random_state=seed), multiclass
    )


def svm_rbf(*, seed: int, C: float, gamma: float | str, multiclass: str, class_weight: str) -> Any:
    """Return libsvm's SVC with a Gaussian kernel, one a class or one a pair."""
    from sklearn.svm import SVC

    return _of_binary(
        SVC(C=C, gamma=gamma, class_weight=_weights(class_weight), cache_size=500, random_state=seed), multiclass
    )


def intel_svc_linear(*, seed: int, C: float, multiclass: str, class_weight: str) -> Any:
    """Return scikit-learn-intelex's SVC with a linear kernel."""
    from sklearnex.svm import SVC

    _quieten_intel()
    return _of_binary(SVC(C=C, kernel="linear", class_weight=_weights(class_weight), random_state=seed), multiclass)


def intel_svm_rbf(*, seed: int, C: float, gamma: float | str, multiclass: str, class_weight: str) -> Any:
    """Return scikit-learn-intelex's SVC with a Gaussian kernel."""
    from sklearnex.svm import SVC

    _quieten_intel()
    return _of_binary(SVC(C=C, gamma=gamma, class_weight=_weights(class_weight), random_state=seed), multiclass)


def _quieten_intel() -> None:
    """Silence oneDAL's word that it takes all cores where a thread calls it: the option's help says so."""
    warnings.filterwarnings("ignore", message="'Threading' parallel backend", category=UserWarning)


def rf(*, seed: int, n_estimators: int, min_samples_leaf: int, max_features: str | float, class_weight: str) -> Any:
    """Return scikit-learn's random forest."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=n_estimators,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        class_weight=_weights(class_weight),
        random_state=seed,
    )


def binned_rf(*, seed: int, class_weight: str, **params: Any) -> Any:
    """Return a forest of compiled trees on bins."""
    from featx.forest import HistogramForestClassifier

    return HistogramForestClassifier(class_weight=_weights(class_weight), random_state=seed, **params)


def intel_rf(*, seed: int, class_weight: str, **params: Any) -> Any:
    """Return scikit-learn-intelex's random forest."""
    from sklearnex.ensemble import RandomForestClassifier

    _quieten_intel()
    return RandomForestClassifier(class_weight=_weights(class_weight), random_state=seed, **params)


def tree(*, seed: int, min_samples_leaf: int, class_weight: str) -> Any:
    """Return scikit-learn's decision tree."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(
        min_samples_leaf=min_samples_leaf, class_weight=_weights(class_weight), random_state=seed
    )


def binned_tree(*, seed: int, min_samples_leaf: int, class_weight: str) -> Any:
    """Return a compiled tree on bins."""
    from featx.forest import HistogramTreeClassifier

    return HistogramTreeClassifier(
        min_samples_leaf=min_samples_leaf, class_weight=_weights(class_weight), random_state=seed
    )


def binned_trees(X: np.ndarray, y: np.ndarray, *, candidates: Sequence[Mapping[str, Any]], seed: int) -> list[Any]:
    """Return fitted compiled trees that differ in their leaf size alone, grown in one go."""
    sizes = [candidate["min_samples_leaf"] for candidate in candidates]
    grown: list[Any] = binned_tree(seed=seed, **candidates[0]).fit_path(X, y, sizes)
    return grown


def logreg(*, seed: int, C: float, max_iter: int, class_weight: str) -> Any:
    """Return logistic regression."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, class_weight=_weights(class_weight), max_iter=max_iter, random_state=seed)


def knn(*, seed: int, n_neighbors: int) -> Any:
    """Return the nearest neighbours' vote."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=n_neighbors)


def dummy(*, seed: int) -> Any:
    """Return the vote of the classes' shares."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior", random_state=seed)
