"""A saved model's classifier as scikit-learn objects, for other tools. featx itself never reads them back unasked.

The objects are made here from checked arrays, of classes that this file names. Never knows networks or images.
"""

from __future__ import annotations

import hmac
import io
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx import atomic
from featx.errors import ModelError, UsageError
from featx.predictor import file
from featx.predictor.chain import Chain
from featx.predictor.file import Model
from featx.provenance import digest_bytes

if TYPE_CHECKING:
    from featx.predictor import Predictor

FORMATS = ("joblib", "skops", "onnx")
# whose graphs onnxruntime reads; of the others the converter writes graphs of mismatched types, or none
IN_ONNX = ("svm", "svc-linear", "rf", "tree", "logreg", "knn")
ENTRIES = {"featx", "pipeline"}


def export(predictor: Predictor, path: str | os.PathLike[str], *, format: str = "skops") -> Path:
    """Write the classifier of a model as a scikit-learn pipeline: from features to classes.

    Its classes are codes, 0 to c - 1 in the order of the model's classes, and its ``predict`` goes by the classifier's
    own rule (the highest score), not by the model's threshold.

    Parameters
    ----------
    predictor : Predictor
        The model.
    path : path-like
        Where.
    format : {"joblib", "skops", "onnx"}
        ``joblib`` holds a dict of the pipeline and of the model file without the network's weights, so that
        ``featx predict --unsafe-pickle`` takes it; ``skops`` and ``onnx`` hold the pipeline.

    Raises
    ------
    UsageError
        Where the format is unknown, not installed, or cannot hold the classifier.
    """
    if format not in FORMATS:
        raise UsageError(f"--format takes {', '.join(FORMATS)}; {format!r} came")
    if format == "onnx" and (
        predictor.chain.kind not in IN_ONNX or predictor.chain.settings.get("multiclass") == "ovo"
    ):
        raise UsageError(f"--format onnx takes {', '.join(IN_ONNX)} (ovr); this is {predictor.chain.kind}: take skops")
    pipeline = pipeline_of(_for_onnx(predictor.chain) if format == "onnx" else predictor.chain)
    data = {"joblib": _joblib, "skops": _skops, "onnx": _onnx}[format](predictor, pipeline)
    return atomic.write_bytes(path, data)


def _joblib(predictor: Predictor, pipeline: Any) -> bytes:
    import joblib

    model = file.read(predictor.path)
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "model.featx"
        file.write(bare, model.header, model.arrays)
        held = {"featx": bare.read_bytes(), "pipeline": pipeline}
    stream = io.BytesIO()
    joblib.dump(held, stream)
    return stream.getvalue()


def _skops(predictor: Predictor, pipeline: Any) -> bytes:
    try:
        from skops.io import dumps
    except ImportError as error:
        raise UsageError("--format skops wants what is not installed here: pip install 'featx[export]'") from error
    return bytes(dumps(pipeline))


def _onnx(predictor: Predictor, pipeline: Any) -> bytes:
    try:
        from skl2onnx import to_onnx
    except ImportError as error:
        raise UsageError("--format onnx wants what is not installed here: pip install 'featx[export]'") from error
    try:
        option = "zipmap" if hasattr(pipeline[-1], "predict_proba") else "raw_scores"  # an array of shares, or margins
        options = {id(pipeline[-1]): {option: option == "raw_scores"}}
        with warnings.catch_warnings(action="ignore"):  # of the converter's own arithmetic and of its dependencies
            graph = to_onnx(pipeline, np.zeros((1, predictor.chain.width)), options=options)
    except Exception as error:  # a converter of its own has errors of its own
        told = " ".join(str(error).split())[:120]
        raise UsageError(f"--format onnx cannot hold this {predictor.chain.kind} ({told}); take skops") from error
    return bytes(graph.SerializeToString())


def _for_onnx(chain: Chain) -> Chain:
    """Return a lone tree as a forest of one, whose converter knows double precision."""
    return replace(chain, kind="rf") if chain.kind == "tree" else chain


def read_pickle(path: Path, sha256: str) -> tuple[Model, Callable[[np.ndarray], np.ndarray]]:
    """Return the model and the scorer of a pickle that the user trusts by its digest; loading it runs what is in it.

    Raises
    ------
    ModelError
        Where the file is another than the one that is trusted, or not what ``featx export --format joblib`` wrote.
    """
    import joblib

    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    data = path.read_bytes()  # what is loaded is what was hashed, whatever happens to the file meanwhile
    if not hmac.compare_digest(digest_bytes(data).encode(), sha256.strip().lower().encode()):
        raise ModelError(f"{path} is not the file that --sha256 names (its sha256 is {digest_bytes(data)})")
    try:
        held = joblib.load(io.BytesIO(data))
    except Exception as error:  # a trusted file may be damaged in as many ways as there are
        raise ModelError(f"{path} cannot be loaded ({type(error).__name__})") from error
    if not isinstance(held, dict) or held.keys() != ENTRIES or not isinstance(held["featx"], bytes):
        raise ModelError(f"{path} is not what `featx export --format joblib` writes; give that, or the .featx file")
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "model.featx"
        bare.write_bytes(held["featx"])
        model = file.read(bare)._replace(path=path)
    return model, lambda X: scores_of(held["pipeline"], X)


def scores_of(pipeline: Any, X: np.ndarray) -> np.ndarray:
    """Return one score a class, as featx ranks by: margins of two classes and of SVMs, else probabilities."""
    X = np.asarray(X, dtype=np.float64)
    margin = np.asarray(pipeline.decision_function(X)) if hasattr(pipeline, "decision_function") else None
    if margin is not None and margin.ndim == 1:
        return np.column_stack([-margin, margin])
    if hasattr(pipeline, "predict_proba"):
        return np.asarray(pipeline.predict_proba(X))
    return np.asarray(margin)


def pipeline_of(chain: Chain) -> Any:
    """Return a scikit-learn pipeline that scores rows of features as a chain does."""
    from sklearn.pipeline import Pipeline

    if chain.kind not in _MADE:
        raise UsageError(f"{chain.kind} learned nothing that could be exported; it is the network's own verdict")
    estimator = _MADE[chain.kind](chain, dict(chain.fitted), np.arange(len(chain.classes)))
    return Pipeline([*_scaler(chain), (chain.kind.replace("-", "_"), estimator)])


def _scaler(chain: Chain) -> list[tuple[str, Any]]:
    from sklearn.preprocessing import Normalizer, StandardScaler

    if chain.scale == "l2":
        return [("scale", Normalizer().fit(np.zeros((1, chain.width))))]
    if chain.scale == "none":
        return []
    scaler = StandardScaler().fit(np.zeros((1, chain.width)))
    scaler.mean_, scaler.scale_ = chain.scaler["mean"], chain.scaler["std"]
    scaler.var_ = scaler.scale_**2
    return [("scale", scaler)]


def _svm(chain: Chain, arrays: dict[str, np.ndarray], classes: np.ndarray) -> Any:
    if len(classes) == 2 or chain.settings["multiclass"] == "ovr":
        return _linear(arrays["coef"], arrays["intercept"], classes)
    two = np.array([0, 1])
    parts = [_linear(coef[None], intercept[None], two)
             for coef, intercept in zip(arrays["coef"], arrays["intercept"], strict=True)]  # fmt: skip
    return _of_parts(chain, parts, classes)


def _linear(coef: np.ndarray, intercept: np.ndarray, classes: np.ndarray) -> Any:
    from sklearn.svm import LinearSVC

    made = LinearSVC()
    made.coef_, made.intercept_ = coef, intercept
    made.classes_, made.n_features_in_, made.n_iter_ = classes, coef.shape[1], 0
    return made


def _gaussian(chain: Chain, arrays: dict[str, np.ndarray], classes: np.ndarray) -> Any:
    parts = [
        _machine(arrays["vectors"], coef, float(intercept), float(gamma))
        for coef, intercept, gamma in zip(arrays["coef"].T, arrays["intercept"], arrays["gamma"], strict=True)
    ]
    return parts[0] if len(classes) == 2 else _of_parts(chain, parts, classes)


def _machine(vectors: np.ndarray, coef: np.ndarray, intercept: float, gamma: float) -> Any:
    """Return an SVC of two classes that holds these vectors: those with a negative coefficient come first."""
    from sklearn.svm import SVC

    order = np.argsort(coef > 0, kind="stable")
    order = order[coef[order] != 0]
    made = SVC(gamma=gamma).fit(np.stack([vectors[0], vectors[0] + 1]), [0, 1])
    made.support_ = np.arange(len(order), dtype=np.int32)
    made.support_vectors_ = np.ascontiguousarray(vectors[order])
    made._n_support = np.array([(coef < 0).sum(), (coef > 0).sum()], dtype=np.int32)
    made.dual_coef_, made.intercept_ = coef[order][None], np.array([intercept])
    made._dual_coef_, made._intercept_ = -made.dual_coef_, -made.intercept_
    made._gamma, made.shape_fit_ = gamma, (len(order), vectors.shape[1])
    return made


def _of_parts(chain: Chain, parts: list[Any], classes: np.ndarray) -> Any:
    """Put binary machines together: one against the rest, or each pair."""
    from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
    from sklearn.preprocessing import LabelBinarizer

    if chain.settings["multiclass"] == "ovr":
        made = OneVsRestClassifier(parts[0])
        made.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(classes)
    else:
        made = OneVsOneClassifier(parts[0])
        made.classes_, made.pairwise_indices_ = classes, None
    made.estimators_, made.n_features_in_ = parts, chain.width
    return made


def _logistic(chain: Chain, arrays: dict[str, np.ndarray], classes: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression

    made = LogisticRegression()
    made.coef_, made.intercept_, made.classes_ = arrays["coef"], arrays["intercept"], classes
    made.n_features_in_, made.n_iter_ = chain.width, np.zeros(1, dtype=np.int32)
    return made


def _forest(chain: Chain, arrays: dict[str, np.ndarray], classes: np.ndarray) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    made = RandomForestClassifier(n_estimators=len(arrays["roots"]))
    ends = [*arrays["roots"][1:].tolist(), len(arrays["feature"])]
    made.estimator_ = _empty_tree(chain, classes)
    made.estimators_ = [
        _tree_of(chain, arrays, classes, start, end) for start, end in zip(arrays["roots"].tolist(), ends, strict=True)
    ]
    made.classes_, made.n_classes_ = classes, len(classes)
    made.n_outputs_, made.n_features_in_ = 1, chain.width
    return made


def _tree(chain: Chain, arrays: dict[str, np.ndarray], classes: np.ndarray) -> Any:
    return _tree_of(chain, arrays, classes, 0, len(arrays["feature"]))


def _empty_tree(chain: Chain, classes: np.ndarray) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    made = DecisionTreeClassifier()
    made.classes_, made.n_classes_ = classes, len(classes)
    made.n_outputs_, made.n_features_in_ = 1, chain.width
    return made


def _tree_of(chain: Chain, arrays: dict[str, np.ndarray], classes: np.ndarray, start: int, end: int) -> Any:
    """Return one tree; scikit-learn trusts what it holds, so that a node of another tree is refused here."""
    from sklearn.tree._tree import NODE_DTYPE, Tree

    inner = arrays["left"][start:end] >= 0
    nodes = np.zeros(end - start, dtype=NODE_DTYPE)
    for name, side in (("left_child", "left"), ("right_child", "right")):
        nodes[name] = np.where(inner, arrays[side][start:end] - start, -1)
        if (nodes[name] >= len(nodes)).any() or (nodes[name] < -1).any():
            raise ModelError("the trees of this model run into each other, which scikit-learn cannot hold")
    nodes["feature"] = np.where(inner, arrays["feature"][start:end], -2)
    nodes["threshold"] = np.where(inner, arrays["threshold"][start:end], -2.0)
    nodes["n_node_samples"], nodes["weighted_n_node_samples"] = 1, 1.0
    depth = np.zeros(len(nodes), dtype=np.int64)
    for at in np.flatnonzero(inner).tolist():  # a child comes after its parent
        depth[[nodes["left_child"][at], nodes["right_child"][at]]] = depth[at] + 1
    tree = Tree(chain.width, np.array([len(classes)], dtype=np.intp), 1)
    values = np.ascontiguousarray(arrays["share"][start:end, None, :])
    tree.__setstate__({"max_depth": int(depth.max()), "node_count": len(nodes), "nodes": nodes, "values": values})
    made = _empty_tree(chain, classes)
    made.tree_, made.max_features_ = tree, chain.width
    return made


def _neighbours(chain: Chain, arrays: dict[str, np.ndarray], classes: np.ndarray) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(chain.settings["n_neighbors"]).fit(arrays["rows"], arrays["codes"])


def _prior(chain: Chain, arrays: dict[str, np.ndarray], classes: np.ndarray) -> Any:
    from sklearn.dummy import DummyClassifier

    made = DummyClassifier(strategy="prior")
    return made.fit(np.zeros((len(classes), chain.width)), classes, sample_weight=arrays["prior"])


_MADE: dict[str, Callable[[Chain, dict[str, np.ndarray], np.ndarray], Any]] = {
    "svm": _svm,
    "svc-linear": _svm,
    "svm-rbf": _gaussian,
    "rf": _forest,
    "tree": _tree,
    "logreg": _logistic,
    "knn": _neighbours,
    "dummy": _prior,
}
