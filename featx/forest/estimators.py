"""Forest and tree as scikit-learn estimators: fitted on binned features, asked by value.

They stand in for ``RandomForestClassifier`` and ``DecisionTreeClassifier`` with the Gini criterion. Splits are looked
for between the bins of a feature's train values instead of between all of them, which with at most 256 distinct values
is the same. Rows of uint8, pixels for instance, are bins as they are: no copy of them as floats is made, and the trees
are those of the same rows as floats. Knows no folds and no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from featx.forest.bins import Bins, binned
from featx.forest.growth import grow
from featx.forest.votes import shares, together

DEEPEST = 2**31 - 1
READ = [np.float32, np.uint8]  # rows of any other kind are read as the first
MOST = 2.0**31  # rows, each as often as it counts, that whole numbers of 32 bits count


class _Learned(NamedTuple):
    """What trees grow on: rows in bins, their class codes, how often each counts, what a count of each class weighs."""

    bins: Bins
    y: np.ndarray
    times: np.ndarray
    factor: np.ndarray


class _HistogramTrees(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What a forest and a tree share: reading the rows, and asking the trees."""

    class_weight: Any
    max_depth: int | None
    max_features: str | float | None
    min_samples_leaf: int
    random_state: Any
    n_jobs: int | None = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Grow the trees.

        Parameters
        ----------
        X : array-like of float, shape (n, d)
            Rows; read as float32, or as they are where they are uint8.
        y : array-like, shape (n,)
            Class labels.
        sample_weight : array-like of float, shape (n,), optional
            Weight of each row; 0 leaves it out, of the bins too.

        Raises
        ------
        ValueError
            As scikit-learn's estimators raise it.
        """
        self._trees = together(self._grown(self._learned(X, y, sample_weight)))
        return self

    def _learned(self, X: Any, y: Any, sample_weight: Any) -> _Learned:
        """Check what trees are to learn from, and put the rows that count into bins."""
        X, y = validate_data(self, X, y, dtype=READ, order="C")
        check_classification_targets(y)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        used = weight > 0
        if not used.any():
            raise ValueError("no row has a weight above 0")
        self.classes_, codes = np.unique(y, return_inverse=True)
        codes, weight = codes[used], weight[used]
        factor = self._class_shares(y[used], codes, weight)
        times = np.where(factor[codes] > 0, weight, 0.0)
        if not times.any():
            raise ValueError("no row has a class of a weight above 0")
        return _Learned(binned(X if used.all() else X[used]), codes.astype(np.uint32), times, factor)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean share of each class in the leaves that rows come to.

        Parameters
        ----------
        X : array-like of float, shape (n, d)
            Rows.

        Returns
        -------
        numpy.ndarray of float64, shape (n, c)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        return shares(self._trees, validate_data(self, X, dtype=READ, order="C", reset=False))

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the largest share, labels (n,), for rows (n, d)."""
        largest = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[largest])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_trees")

    def _grown(self, learned: _Learned) -> list[tuple[np.ndarray, ...]]:
        raise NotImplementedError

    def _grow(
        self, learned: _Learned, times: np.ndarray, factor: np.ndarray, *, leasts: Sequence[int], seed: int
    ) -> list[tuple[np.ndarray, ...]]:
        """Return a tree for each leaf size; these fall."""
        rows = np.flatnonzero(times).astype(np.uint32)
        deepest = DEEPEST if self.max_depth is None else _whole("max_depth", self.max_depth)
        whole = times.sum() < MOST and np.array_equal(times, np.floor(times))
        limits = (self._features_a_node(len(learned.bins.codes)), np.array(leasts, dtype=np.int64), deepest)
        found = grow(*learned.bins, learned.y, times.astype(np.int32 if whole else np.float64, copy=False), factor,
                     rows, *limits, np.uint64(seed))  # fmt: skip
        *nodes, made = found
        return [tuple(part[way, :count].copy() for part in nodes) for way, count in enumerate(made.tolist())]

    def _class_shares(self, y: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the weight of each class; those that balance go by the weight of its rows, 0 where it has none."""
        if self.class_weight == "balanced":
            held = np.bincount(codes, weights=weight, minlength=len(self.classes_))
            return np.asarray(np.divide(held.sum(), (held > 0).sum() * held, out=np.zeros_like(held), where=held > 0))
        if self.class_weight is None:
            return np.ones(len(self.classes_))
        return np.asarray(compute_class_weight(self.class_weight, classes=self.classes_, y=y))

    def _features_a_node(self, d: int) -> int:
        """Return how many of ``d`` features are drawn at a node, counted as scikit-learn counts them."""
        asked = self.max_features
        if asked is None:
            return d
        if asked in ("sqrt", "log2"):
            return max(1, int(np.sqrt(d) if asked == "sqrt" else np.log2(d)))
        if isinstance(asked, Integral) and asked >= 1:
            return min(int(asked), d)
        if isinstance(asked, Real) and 0 < asked <= 1:
            return max(1, int(asked * d))
        raise ValueError(
            f"max_features takes sqrt, log2, a share of the features up to 1.0 or a number of them; {asked!r} came"
        )


class HistogramForestClassifier(_HistogramTrees):
    """Random forest on features of at most 256 levels.

    Each tree learns from as many rows as there are, drawn with replacement; a row of a larger weight is drawn more
    often (as in scikit-learn since 1.9), so that with balanced classes each class has about an equal share of them.

    Parameters
    ----------
    n_estimators : int
        Trees.
    max_features : {"sqrt", "log2"}, float, int or None
        Features drawn at a node: by a rule, a share of them, so many, or all.
    min_samples_leaf : int
        Distinct rows that a leaf holds at least.
    max_depth : int, optional
        Levels below the root.
    bootstrap : bool
        Whether rows are drawn; else every tree learns from all of them, with their weights.
    class_weight : dict, "balanced" or None
        As scikit-learn's, but balancing goes by the rows' weights.
    n_jobs : int, optional
        Threads; one by default. The forest is the same for any number.
    random_state : int, RandomState or None
        Seed.

    Attributes
    ----------
    classes_ : numpy.ndarray, shape (c,)
        Class labels.
    """

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        max_features: str | float | None = "sqrt",
        min_samples_leaf: int = 1,
        max_depth: int | None = None,
        bootstrap: bool = True,
        class_weight: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_features = max_features
        self.min_samples_leaf = min_samples_leaf
        self.max_depth = max_depth
        self.bootstrap = bootstrap
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _grown(self, learned: _Learned) -> list[tuple[np.ndarray, ...]]:
        from joblib import Parallel, delayed

        count, least = (_whole(name, getattr(self, name)) for name in ("n_estimators", "min_samples_leaf"))
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=count)
        weight, ones = learned.times * learned.factor[learned.y], np.ones(len(learned.factor))

        def one(seed: int) -> tuple[np.ndarray, ...]:
            drawn = (_times_drawn(weight, seed), ones) if self.bootstrap else (learned.times, learned.factor)
            (tree,) = self._grow(learned, *drawn, leasts=[least], seed=seed)
            return tree

        grown: list[tuple[np.ndarray, ...]] = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(one)(seed) for seed in seeds.tolist()
        )
        return grown


class HistogramTreeClassifier(_HistogramTrees):
    """Decision tree on features of at most 256 levels.

    Parameters
    ----------
    max_features : {"sqrt", "log2"}, float, int or None
        Features drawn at a node; all by default.
    min_samples_leaf : int
        Rows that a leaf holds at least.
    max_depth : int, optional
        Levels below the root.
    class_weight : dict, "balanced" or None
        As scikit-learn's, but balancing goes by the rows' weights.
    random_state : int, RandomState or None
        Seed: of two splits that are as good, the feature drawn first has it.

    Attributes
    ----------
    classes_ : numpy.ndarray, shape (c,)
        Class labels.
    """

    def __init__(
        self,
        *,
        max_features: str | float | None = None,
        min_samples_leaf: int = 1,
        max_depth: int | None = None,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.max_features = max_features
        self.min_samples_leaf = min_samples_leaf
        self.max_depth = max_depth
        self.class_weight = class_weight
        self.random_state = random_state

    def _grown(self, learned: _Learned) -> list[tuple[np.ndarray, ...]]:
        return self._of_sizes(learned, [_whole("min_samples_leaf", self.min_samples_leaf)])

    def _of_sizes(self, learned: _Learned, leasts: Sequence[int]) -> list[tuple[np.ndarray, ...]]:
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        return self._grow(learned, learned.times, learned.factor, leasts=leasts, seed=seed)

    def fit_path(self, X: Any, y: Any, leaf_sizes: Sequence[int], sample_weight: Any = None) -> list[Self]:
        """Grow a tree for each of some leaf sizes in one go.

        Rows are put into bins once, and trees that split alike so far are counted once. Each tree is to the bit the
        one that :meth:`fit` grows with that ``min_samples_leaf``.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        leaf_sizes : sequence of int
            Values of ``min_samples_leaf``, in any order.

        Returns
        -------
        list of HistogramTreeClassifier
            Fitted, in the order of the leaf sizes.
        """
        sizes = sorted({_whole("min_samples_leaf", size) for size in leaf_sizes}, reverse=True)
        base = clone(self)
        learned = base._learned(X, y, sample_weight)
        made = {}
        for size, tree in zip(sizes, base._of_sizes(learned, sizes), strict=True):
            made[size] = copy(base).set_params(min_samples_leaf=size)
            made[size]._trees = together([tree])
        return [made[size] for size in leaf_sizes]


def _times_drawn(weight: np.ndarray, seed: int) -> np.ndarray:
    """Return how often each row is among n draws with replacement, int64 (n,)."""
    chances = np.cumsum(weight)
    at = np.random.default_rng(seed).random(len(weight)) * chances[-1]
    rows = np.minimum(np.searchsorted(chances, at, side="right"), len(weight) - 1)
    return np.bincount(rows, minlength=len(weight))


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} takes a whole number from 1; {value!r} came")
    return int(value)
