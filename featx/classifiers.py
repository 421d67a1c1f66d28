"""The shelf of classifiers: how each is made, what is searched, and how one is fitted on a train side.

Hyperparameters are chosen inside the rows that a fit is given, over grouped inner parts; whatever learns (scaler,
projection, C) learns from those rows alone. This file knows no images and no files.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from featx.errors import SplitError, UsageError, suggestion
from featx.folds import Inner, inner_splits
from featx.metrics import ranking_score
from featx.provenance import version
from featx.shelf import Shelf

SCALES = ("l2", "standard", "none")
INNER_PARTS = 3
# the module of each, the extra that brings it, and what it is called there
ACCELERATORS = {"numba": ("numba", "fast", "numba"), "intel": ("sklearnex", "intel", "scikit-learn-intelex")}
PLAIN = "none"
SMALLEST, LARGEST = 1e-9, 1e6  # what a hyperparameter may be set to; solvers do not end far beyond
PAPER_GRID = tuple(10.0**power for power in range(-3, 5))  # Menegola et al. (2017), released code


@dataclass(frozen=True)
class Classifier:
    """A kind of classifier.

    Parameters
    ----------
    name, help : str
        Its name on the shelf, and a line on what it is.
    build : callable
        Makes the scikit-learn estimator from its hyperparameters and ``seed``.
    defaults : mapping
        Hyperparameters that a user may set, with their values where nothing is chosen.
    grid : mapping of str to tuple
        What is searched inside each train side; the simplest first.
    scale : {"l2", "standard", "none"}
        How rows or columns are scaled by default.
    linear : bool
        Whether a rotation of the features leaves it unchanged, so that it may be fitted in the span of its rows.
    counts_rows : tuple of str
        Hyperparameters that cannot be more than there are train rows.
    words : mapping of str to tuple of str
        The words that a hyperparameter takes, beside numbers.
    faster : mapping of str to callable
        What builds it instead, by accelerator.
    accelerator : str
        What builds it: ``none``, or an accelerator.
    learns : bool
        Whether it learns from train rows at all, so that holding some of them back says something.
    by_order : bool
        Whether it goes by the order of the values of a feature alone, so that whole numbers need no scaling.
    """

    name: str
    help: str
    build: Callable[..., Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    scale: str = "none"
    linear: bool = False
    counts_rows: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    faster: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    accelerator: str = PLAIN
    learns: bool = True
    by_order: bool = False


class Verdict(NamedTuple):
    """What a fitted classifier says of test rows.

    Attributes
    ----------
    scores : numpy.ndarray of float64, shape (n, c)
        One score a class; the predicted class is the highest.
    chosen : dict
        The hyperparameters that were fitted.
    at_edge : bool
        Whether one was chosen at the last value of its grid (the simplest end is no limit of the search).
    converged : bool
        False where a solver stopped at its limit of iterations.
    inner : numpy.ndarray of float64, shape (n, c), optional
        Scores of the train rows by fits of the same hyperparameters that did not see them: the mean over the inner
        splits that held a row back, NaN where none did. None where nothing was held back.
    inner_score : float or None
        Mean inner AUC of what was chosen.
    inner_scheme : str
        How the inner splits were drawn; empty where there were none.
    """

    scores: np.ndarray
    chosen: dict[str, Any]
    at_edge: bool
    converged: bool
    inner: np.ndarray | None = None
    inner_score: float | None = None
    inner_scheme: str = ""


def judge(
    classifier: Classifier,
    X: np.ndarray,
    *,
    y: np.ndarray,
    groups: Sequence[str],
    X_test: np.ndarray,
    params: Mapping[str, Any] | None = None,
    scale: str | None = None,
    seed: int = 0,
    inner: str = "kfold",
    hold_back: bool = False,
) -> Verdict:
    """Choose hyperparameters inside the train rows, fit on all of them, and score the test rows.

    Parameters
    ----------
    classifier : Classifier
        What is fitted.
    X : numpy.ndarray of float, shape (n, d)
        Train rows.
    y : numpy.ndarray of int64, shape (n,)
        Their class codes, 0 to c - 1, each present.
    groups : sequence of str, length n
        What inner parts may not divide.
    X_test : numpy.ndarray of float, shape (m, d)
        Test rows; nothing is learned from them.
    params : mapping, optional
        Hyperparameters that are fixed; what is fixed is not searched.
    scale : {"l2", "standard", "none"}, optional
        The classifier's own by default; see :func:`scale_of`.
    seed : int
        Seed of the inner parts and of the estimator.
    inner : {"kfold", "shuffle10"}
        The inner splits.
    hold_back : bool
        Whether to score the train rows by inner fits too where nothing has to be chosen, if there are groups enough.

    Raises
    ------
    SplitError
        Where a search is due but a class has too few groups for inner parts.
    """
    params = dict(params or {})
    scale = scale_of(classifier, scale, X)
    if classifier.linear or scale != "none":
        X, X_test = X.astype(np.float64), X_test.astype(np.float64)
    if scale != "standard":  # what a row does to itself needs no fit: once is enough
        X, X_test = scaled(X, X_test, scale=scale)
        scale = "none"
        X, X_test = _in_span(X, X_test) if classifier.linear else (X, X_test)
    choice = _choose(classifier, X, y, groups, params=params, scale=scale, seed=seed, inner=inner,
                     hold_back=hold_back)  # fmt: skip
    scores, converged = _fit_and_score(classifier, X, y, X_test, params=choice.params, scale=scale, seed=seed)
    return Verdict(scores, choice.params, choice.at_edge, converged, choice.inner, choice.score, choice.scheme)


def scale_of(classifier: Classifier, scale: str | None, X: np.ndarray) -> str:
    """Return how features are scaled: as asked, or as the classifier has it.

    Standardising is left out where it could change no split: for what goes by the order of values alone, on whole
    numbers, which are never too near each other to be told apart. Pixels of a whole dataset then stay a byte each.
    """
    scale = scale or classifier.scale
    return "none" if scale == "standard" and classifier.by_order and X.dtype.kind == "u" else scale


def accelerated(classifiers: Sequence[Classifier], accelerate: str) -> list[Classifier]:
    """Return classifiers as an accelerator builds them; those that it does not know stay as they are.

    Parameters
    ----------
    classifiers : sequence of Classifier
        What is fitted.
    accelerate : {"none", "numba", "intel"}
        The accelerator.

    Raises
    ------
    UsageError
        For any other word, or where the accelerator is not installed.
    """
    if accelerate == PLAIN:
        return list(classifiers)
    if accelerate not in ACCELERATORS:
        raise UsageError(f"--accelerate takes {', '.join([PLAIN, *ACCELERATORS])}; {accelerate!r} came")
    module, extra, _ = ACCELERATORS[accelerate]
    if find_spec(module) is None:
        raise UsageError(f"--accelerate {accelerate} wants what is not installed here: pip install 'featx[{extra}]'")
    if accelerate == "numba":
        _refuse_nowhere_to_keep()
    return [_accelerated(classifier, accelerate) for classifier in classifiers]


def built_by(classifier: Classifier) -> str:
    """Return what builds a classifier, as records tell it: ``none``, or for instance ``numba 0.60.0``."""
    if classifier.accelerator == PLAIN:
        return PLAIN
    package = ACCELERATORS[classifier.accelerator][2]
    return f"{package} {version(package)}"


def _refuse_nowhere_to_keep() -> None:
    """Raise UsageError where numba finds no folder for what it compiles: it would do so again at every start."""
    try:
        import featx.forest  # noqa: F401
    except RuntimeError as error:
        raise UsageError(
            f"--accelerate numba has nowhere to keep what it compiles; set NUMBA_CACHE_DIR to a folder ({error})"
        ) from error


def _accelerated(classifier: Classifier, accelerate: str) -> Classifier:
    if accelerate not in classifier.faster:
        return classifier
    # bins go by the order of values alone, so that they need no scaling
    scale = "none" if accelerate == "numba" else classifier.scale
    return replace(classifier, build=classifier.faster[accelerate], scale=scale, accelerator=accelerate)


def fixed_params(texts: Sequence[str], classifiers: Sequence[Classifier]) -> dict[str, dict[str, Any]]:
    """Read ``--param`` texts: ``C=1`` for every classifier that has it, ``svm:C=1`` for one.

    Returns
    -------
    dict of str to dict
        Fixed hyperparameters by classifier name.

    Raises
    ------
    UsageError
        A text without ``=``, or a name that none of the classifiers has.
    """
    fixed: dict[str, dict[str, Any]] = {classifier.name: {} for classifier in classifiers}
    for text in texts:
        left, equals, value = text.partition("=")
        who, colon, name = left.rpartition(":")
        owners = [c for c in classifiers if name in c.defaults and (not colon or c.name == who)]
        if not equals or not owners:
            known = [n if not colon else f"{who}:{n}" for c in classifiers for n in c.defaults]
            raise UsageError(
                f"--param {text!r}: expected NAME=VALUE or CLASSIFIER:NAME=VALUE; {suggestion(left, known)}"
            )
        for owner in owners:
            fixed[owner.name][name] = _value(value, owner, name)
    return fixed


def _value(text: str, classifier: Classifier, name: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    usual = classifier.grid.get(name, (classifier.defaults[name],))[0]
    words = classifier.words.get(name, ())
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool) and name not in _OF_BINARY
    if value not in words and not (numeric and SMALLEST <= value <= LARGEST):
        numbers = [] if name in _OF_BINARY else ["a positive number"]
        told = " or ".join([*numbers, *filter(None, [", ".join(words)])])
        limits = "" if name in _OF_BINARY else f", from {SMALLEST:g} to {LARGEST:g}"
        raise UsageError(f"--param {name}={text}: {classifier.name} takes {told} here{limits}")
    if isinstance(usual, int) and value != int(value):
        raise UsageError(f"--param {name}={text}: {classifier.name} takes a whole number here")
    return type(usual)(value) if numeric and isinstance(usual, (int, float)) else value


def _in_span(X: np.ndarray, X_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Express rows in an orthonormal basis of the train rows, where there are fewer rows than features.

    The weight vector of an L2-regularised linear model lies in the span of its train rows, so that fits and scores are
    the same; the work is a fraction of it.
    """
    if len(X) >= X.shape[1]:
        return X, X_test
    basis, coordinates = np.linalg.qr(X.T)
    return coordinates.T, X_test @ basis


def _unit_rows(X: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(norm == 0, 1.0, norm)


def scaled(X: np.ndarray, X_test: np.ndarray, *, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale rows to unit length (``l2``), or columns to mean 0 and deviation 1 on ``X`` (``standard``), or not."""
    if scale == "l2":
        return _unit_rows(X), _unit_rows(X_test)
    if scale == "standard":
        mean, std = standard(X)
        return (X - mean) / std, (X_test - mean) / std
    return X, X_test


def standard(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each column; a constant column has the deviation 1."""
    mean, variance = X.mean(0), X.var(0)
    rounding = len(X) * np.finfo(np.float64).eps  # a constant column may seem to vary by this much
    constant = variance <= rounding * variance + (rounding * mean) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))


class _Choice(NamedTuple):
    params: dict[str, Any]
    at_edge: bool
    inner: np.ndarray | None
    score: float | None
    scheme: str


def _choose(
    classifier: Classifier,
    X: np.ndarray,
    y: np.ndarray,
    groups: Sequence[str],
    *,
    params: dict[str, Any],
    scale: str,
    seed: int,
    inner: str,
    hold_back: bool,
) -> _Choice:
    """Return the hyperparameters with the best mean inner AUC, ties to the simplest, and what the inner splits say."""
    grid = [(name, values) for name, values in classifier.grid.items() if name not in params]
    base = {**classifier.defaults, **params}
    _refuse_more_than_rows(classifier, params, rows=len(X))
    if len(grid) > 1:
        raise UsageError(f"{classifier.name} searches more than one hyperparameter at once")
    splits = None
    if grid or (hold_back and classifier.learns):
        splits = inner_splits_if(y, groups, needed=bool(grid), scheme=inner, seed=seed)
    if splits is None:
        return _Choice(base, False, None, None, "")
    candidates = [base]
    if grid:
        ((name, values),) = grid
        fewest = len(y) - max(int(held.sum()) for held in splits.held)
        usable = [value for value in values if name not in classifier.counts_rows or value <= fewest]
        candidates = [{**base, name: value} for value in usable]
    told = [_inner(classifier, X, y, splits, params=one, scale=scale, seed=seed) for one in candidates]
    best = int(np.argmax(np.round([score for _, score in told], 9)))
    return _Choice(candidates[best], bool(grid) and best == len(candidates) - 1, *told[best], splits.scheme)


def inner_splits_if(y: np.ndarray, groups: Sequence[str], *, needed: bool, scheme: str, seed: int) -> Inner | None:
    """Return the inner splits; None where a class has too few groups and nothing has to be chosen.

    Raises
    ------
    SplitError
        Where a class has too few groups, and they are needed.
    """
    try:
        return inner_splits(y, groups, scheme=scheme, k=INNER_PARTS, seed=seed)
    except SplitError:
        if needed:
            raise
        return None


def _inner(
    classifier: Classifier,
    X: np.ndarray,
    y: np.ndarray,
    splits: Inner,
    *,
    params: dict[str, Any],
    scale: str,
    seed: int,
) -> tuple[np.ndarray, float]:
    """Return the scores of the rows by fits that did not see them, and the mean inner AUC."""
    each = [
        _fit_and_score(classifier, X[~held], y[~held], X[held], params=params, scale=scale, seed=seed)[0]
        for held in splits.held
    ]
    score = float(np.mean([ranking_score(y[held], scores) for held, scores in zip(splits.held, each, strict=True)]))
    return out_of_fold(splits, each), score


def out_of_fold(splits: Inner, scores: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean score of each row over the inner splits that held it back, float64 (n, c); NaN where none did."""
    total = np.zeros((len(splits.held[0]), scores[0].shape[1]))
    count = np.zeros(len(total))
    for held, own in zip(splits.held, scores, strict=True):
        total[held] += own
        count[held] += 1
    with np.errstate(invalid="ignore"):
        return total / count[:, None]


def _refuse_more_than_rows(classifier: Classifier, params: Mapping[str, Any], *, rows: int) -> None:
    for name in classifier.counts_rows:
        if params.get(name, 0) > rows:
            raise UsageError(f"--param {name}={params[name]}: a train side has {rows} rows only; take fewer")


def _fit_and_score(
    classifier: Classifier,
    X: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray,
    *,
    params: dict[str, Any],
    scale: str,
    seed: int,
) -> tuple[np.ndarray, bool]:
    X, X_test = scaled(X, X_test, scale=scale)
    try:
        estimator = classifier.build(seed=seed, **params).fit(X, y)
    except ValueError as error:
        told = " ".join(str(error).split())
        raise UsageError(f"{classifier.name} cannot be fitted with {params}: {told}") from error
    return _scores(estimator, X_test), _converged(estimator)


def _scores(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Return one score a class, shape (n, c): margins, or probabilities where there are no margins to rank by.

    Margins of a multinomial model rank rows only beside those of the other classes, so that its probabilities count.
    """
    margin = np.asarray(estimator.decision_function(X)) if hasattr(estimator, "decision_function") else None
    if margin is not None and margin.ndim == 1:
        return np.column_stack([-margin, margin]).astype(np.float64)
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X), dtype=np.float64)
    return np.asarray(margin, dtype=np.float64)


def _converged(estimator: Any) -> bool:
    parts = getattr(estimator, "estimators_", None) or [estimator]
    limits = [(getattr(part, "n_iter_", None), getattr(part, "max_iter", -1)) for part in parts]
    return not any(done is not None and limit > 0 and np.max(done) >= limit for done, limit in limits)


def _of_binary(binary: Any, multiclass: str) -> Any:
    """Fit one problem a class, as the paper's code does, or one a pair, each balanced by itself."""
    from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier

    return {"ovr": OneVsRestClassifier, "ovo": OneVsOneClassifier}[multiclass](binary)


def _weights(class_weight: str) -> str | None:
    return None if class_weight == "none" else class_weight


def _svm(*, seed: int, C: float, max_iter: int, multiclass: str, class_weight: str) -> Any:
    from sklearn.svm import LinearSVC

    return _of_binary(
        LinearSVC(C=C, dual=False, class_weight=_weights(class_weight), max_iter=max_iter, random_state=seed),
        multiclass,
    )


def _svc_linear(*, seed: int, C: float, multiclass: str, class_weight: str) -> Any:
    from sklearn.svm import SVC

    return _of_binary(
        SVC(C=C, kernel="linear", class_weight=_weights(class_weight), cache_size=500, random_state=seed), multiclass
    )


def _svm_rbf(*, seed: int, C: float, gamma: float | str, multiclass: str, class_weight: str) -> Any:
    from sklearn.svm import SVC

    return _of_binary(
        SVC(C=C, gamma=gamma, class_weight=_weights(class_weight), cache_size=500, random_state=seed), multiclass
    )


def _intel_svc_linear(*, seed: int, C: float, multiclass: str, class_weight: str) -> Any:
    from sklearnex.svm import SVC

    _quieten_intel()
    return _of_binary(SVC(C=C, kernel="linear", class_weight=_weights(class_weight), random_state=seed), multiclass)


def _intel_svm_rbf(*, seed: int, C: float, gamma: float | str, multiclass: str, class_weight: str) -> Any:
    from sklearnex.svm import SVC

    _quieten_intel()
    return _of_binary(SVC(C=C, gamma=gamma, class_weight=_weights(class_weight), random_state=seed), multiclass)


def _quieten_intel() -> None:
    """Silence oneDAL's word that it takes all cores where a thread calls it: the option's help says so."""
    warnings.filterwarnings("ignore", message="'Threading' parallel backend", category=UserWarning)


def _rf(*, seed: int, n_estimators: int, min_samples_leaf: int, max_features: str | float, class_weight: str) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=n_estimators,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        class_weight=_weights(class_weight),
        random_state=seed,
    )


def _binned_rf(*, seed: int, class_weight: str, **params: Any) -> Any:
    from featx.forest import HistogramForestClassifier

    return HistogramForestClassifier(class_weight=_weights(class_weight), random_state=seed, **params)


def _intel_rf(*, seed: int, class_weight: str, **params: Any) -> Any:
    from sklearnex.ensemble import RandomForestClassifier

    _quieten_intel()
    return RandomForestClassifier(class_weight=_weights(class_weight), random_state=seed, **params)


def _tree(*, seed: int, min_samples_leaf: int, class_weight: str) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(
        min_samples_leaf=min_samples_leaf, class_weight=_weights(class_weight), random_state=seed
    )


def _binned_tree(*, seed: int, min_samples_leaf: int, class_weight: str) -> Any:
    from featx.forest import HistogramTreeClassifier

    return HistogramTreeClassifier(
        min_samples_leaf=min_samples_leaf, class_weight=_weights(class_weight), random_state=seed
    )


def _logreg(*, seed: int, C: float, max_iter: int, class_weight: str) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, class_weight=_weights(class_weight), max_iter=max_iter, random_state=seed)


def _knn(*, seed: int, n_neighbors: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=n_neighbors)


class _Argmax:
    """The verdict of a network on its own outputs: nothing is fitted."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Argmax:
        classes = len(np.unique(y))
        if X.shape[1] != classes and (X.shape[1], classes) != (1, 2):
            raise ValueError(f"{X.shape[1]} outputs for {classes} classes: it takes the logits of a network that was "
                             "trained for them")  # fmt: skip
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return by how much the second class is above the first, (n,), or the log of each class's share, (n, c)."""
        if X.shape[1] <= 2:
            return X[:, -1].astype(np.float64) - (X[:, 0] if X.shape[1] == 2 else 0.0)
        shifted = X.astype(np.float64) - X.max(1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _argmax(*, seed: int) -> Any:
    return _Argmax()


def _dummy(*, seed: int) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior", random_state=seed)


# A tree's splits do not depend on the scale of a column, but scikit-learn takes values nearer than 1e-7 for equal, and
# some networks' features are smaller than that: so trees see standardised columns too (not of whole numbers).
_WEIGHTED = {"class_weight": "balanced"}
_WEIGHT_WORDS = {"class_weight": ("balanced", "none")}
_OF_BINARY = {"multiclass": "ovr", **_WEIGHTED}
_OF_BINARY_WORDS = {"multiclass": ("ovr", "ovo"), **_WEIGHT_WORDS}
CLASSIFIERS: Shelf[Classifier] = Shelf(
    "classifier",
    {
        "svm": Classifier(
            "svm",
            "linear SVM, squared hinge (LinearSVC's objective; the paper's hinge is svc-linear)",
            _svm,
            {"C": 1.0, "max_iter": 2000, **_OF_BINARY},
            {"C": PAPER_GRID},
            scale="l2",
            linear=True,
            words=_OF_BINARY_WORDS,
        ),
        "svc-linear": Classifier(
            "svc-linear",
            "linear SVM, hinge, free intercept, as in Menegola et al. (2017)",
            _svc_linear,
            {"C": 1.0, **_OF_BINARY},
            {"C": PAPER_GRID},
            scale="l2",
            linear=True,
            words=_OF_BINARY_WORDS,
            faster={"intel": _intel_svc_linear},
        ),
        "svm-rbf": Classifier(
            "svm-rbf",
            "SVM with a Gaussian kernel",
            _svm_rbf,
            {"C": 1.0, "gamma": "scale", **_OF_BINARY},
            {"C": (0.1, 1.0, 10.0, 100.0, 1000.0)},
            scale="l2",
            words={"gamma": ("scale", "auto"), **_OF_BINARY_WORDS},
            faster={"intel": _intel_svm_rbf},
        ),
        "rf": Classifier(
            "rf",
            "random forest",
            _rf,
            {"n_estimators": 300, "min_samples_leaf": 1, "max_features": "sqrt", **_WEIGHTED},
            words={"max_features": ("sqrt", "log2"), **_WEIGHT_WORDS},
            scale="standard",
            faster={"numba": _binned_rf, "intel": _intel_rf},
            by_order=True,
        ),
        "tree": Classifier(
            "tree",
            "decision tree, its leaf size chosen inside each train half",
            _tree,
            {"min_samples_leaf": 1, **_WEIGHTED},
            {"min_samples_leaf": (40, 20, 10, 5, 1)},
            words=_WEIGHT_WORDS,
            scale="standard",
            faster={"numba": _binned_tree},
            by_order=True,
        ),
        "logreg": Classifier(
            "logreg",
            "logistic regression",
            _logreg,
            {"C": 1.0, "max_iter": 2000, **_WEIGHTED},
            {"C": PAPER_GRID},
            scale="l2",
            linear=True,
            words=_WEIGHT_WORDS,
        ),
        "knn": Classifier(
            "knn",
            "k nearest neighbours",
            _knn,
            {"n_neighbors": 15},
            {"n_neighbors": (31, 15, 7, 3, 1)},
            scale="l2",
            counts_rows=("n_neighbors",),
        ),
        "argmax": Classifier(
            "argmax", "the network's own verdict, on --layer logits of a network trained here", _argmax, learns=False
        ),
        "dummy": Classifier("dummy", "the classes' prior: what chance scores", _dummy),
    },
)
