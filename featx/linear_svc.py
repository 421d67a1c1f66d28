"""The linear SVM as a scikit-learn estimator: a drop-in for ``LinearSVC`` with the squared hinge.

The same objective (liblinear's, intercept regularised), solved by :mod:`featx.linear_svm` on one matrix of products.
Knows no folds and no files.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, validate_data

from featx.linear_svm import TOLERANCE, Products, solve


class LinearSVM(LinearClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Linear support vector machine with the squared hinge; more than two classes are one against the rest.

    Parameters
    ----------
    C : float
        Weight of the loss beside the norm of the weights.
    class_weight : dict, "balanced" or None
        As scikit-learn's.
    tol : float
        Relative duality gap.
    device : str or None
        Device of torch's (``cpu``, ``cuda``) on which matrices are multiplied and factored; numpy's without one.

    Attributes
    ----------
    classes_ : numpy.ndarray, shape (c,)
        Class labels.
    coef_ : numpy.ndarray of float64, shape (1 or c, d)
        Weights.
    intercept_ : numpy.ndarray of float64, shape (1 or c,)
        Intercepts.
    gap_ : numpy.ndarray of float64, shape (1 or c,)
        Relative duality gap of each binary problem.
    """

    def __init__(
        self, C: float = 1.0, *, class_weight: Any = None, tol: float = TOLERANCE, device: str | None = None
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.tol = tol
        self.device = device

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearSVM:
        """Fit the weights.

        Parameters
        ----------
        X : array-like of float, shape (n, d)
            Rows.
        y : array-like, shape (n,)
            Class labels, at least two.
        sample_weight : array-like of float, shape (n,), optional
            Weight of each row; 0 leaves it out.

        Raises
        ------
        ValueError
            As scikit-learn's estimators raise it.
        UsageError
            Where torch finds no such device.
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32], order="C")
        check_classification_targets(y)
        if not self.C > 0:
            raise ValueError(f"C must be positive; {self.C!r} came")
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(np.unique(codes[weight > 0])) < 2:
            raise ValueError("a classifier needs rows of two classes; the data have one class")
        positives = [1] if len(self.classes_) == 2 else list(range(len(self.classes_)))
        Y = np.column_stack([np.where(codes == code, 1.0, -1.0) for code in positives])
        share = compute_class_weight(self.class_weight, classes=self.classes_, y=y, sample_weight=weight)
        weights = np.repeat((weight * share[codes])[:, None], len(positives), axis=1)
        products = Products(X, extra=1.0, device=self.device)
        found = solve(products, Y, weights=weights, Cs=[self.C], tolerance=self.tol)
        self.coef_ = found.coef[0].T @ X.astype(np.float64)
        self.intercept_ = found.intercept[0]
        self.gap_ = found.gap[0]
        if not found.converged.all():
            warnings.warn(f"the relative duality gap is {self.gap_.max():.1e}", ConvergenceWarning, stacklevel=2)
        return self
