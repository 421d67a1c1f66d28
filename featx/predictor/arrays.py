"""Which arrays a model of each kind holds, of what type and shape, and what must be true of them before any is used.

Shapes are compared with the file's own table before anything is read. Never knows files or images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from featx.errors import ModelError

F8, I4, U1 = "F64", "I32", "U8"
DTYPES = {F8: np.float64, I4: np.int32, U1: np.uint8}
LARGEST, SMALLEST = 1e30, 1e-30  # beyond these, sums of products leave all numbers
SVMS = ("svm", "svc-linear", "svm-rbf")


class Shape(NamedTuple):
    """What a file's table says of an array."""

    dtype: str
    shape: tuple[int, ...]


def check_shapes(header: Mapping[str, Any], found: Mapping[str, Shape]) -> None:
    """Raise ModelError where a file does not hold the very arrays that its header calls for; nothing is read for it."""
    wanted = _wanted(header, found)
    if other := sorted(wanted.keys() ^ found.keys()):
        what = "lacks" if other[0] in wanted else "holds what does not belong there:"
        raise ModelError(f"it {what} the array {other[0][:60]!r}")
    for name, one in wanted.items():
        if found[name] != one or min(one.shape) < 1:
            raise ModelError(f"array {name!r} is {_told(found[name])}, where {_told(one)} belongs")


def _told(one: Shape) -> str:
    return f"{one.dtype} {'x'.join(map(str, one.shape))}"


def _wanted(header: Mapping[str, Any], found: Mapping[str, Shape]) -> dict[str, Shape]:
    d, c = int(header["width"]), len(header["classes"])

    def size(name: str, axis: int = 0) -> int:
        shape = found[name].shape if name in found else ()
        return shape[axis] if axis < len(shape) else 1

    wanted = _of_kind(header, size=size)
    rows, k = int(header["data"]["rows"]), min(size("known.axes"), d)
    wanted |= {"known.mean": Shape(F8, (d,)), "known.axes": Shape(F8, (k, d)), "known.spread": Shape(F8, (k,))}
    wanted |= {
        "known.rest": Shape(F8, (1,)),
        "known.distances": Shape(F8, (rows,)),
        "seen": Shape(U1, (size("seen"), 32)),
    }
    if header["scale"] == "standard":
        wanted |= {"scaler.mean": Shape(F8, (d,)), "scaler.std": Shape(F8, (d,))}
    if "platt" in found:
        wanted["platt"] = Shape(F8, (1 if c == 2 else c, 2))
    return wanted


def _of_kind(header: Mapping[str, Any], *, size: Any) -> dict[str, Shape]:
    d, c, kind = int(header["width"]), len(header["classes"]), header["kind"]
    p = problems(kind, c, header["settings"])
    if kind in ("svm", "svc-linear", "logreg"):
        own = {"coef": Shape(F8, (p, d)), "intercept": Shape(F8, (p,))}
    elif kind == "svm-rbf":
        m = size("fitted.vectors")
        own = {"vectors": Shape(F8, (m, d)), "coef": Shape(F8, (m, p))}
        own |= {"intercept": Shape(F8, (p,)), "gamma": Shape(F8, (p,))}
    elif kind in ("rf", "tree"):
        nodes = size("fitted.feature")
        own = {name: Shape(I4, (nodes,)) for name in ("feature", "left", "right")}
        own |= {"threshold": Shape(F8, (nodes,)), "share": Shape(F8, (nodes, c))}
        own["roots"] = Shape(I4, (size("fitted.roots") if kind == "rf" else 1,))
    elif kind == "knn":
        n = size("fitted.rows")
        own = {"rows": Shape(F8, (n, d)), "codes": Shape(I4, (n,))}
    else:
        own = {"prior": Shape(F8, (c,))} if kind == "dummy" else {}
    return {f"fitted.{name}": one for name, one in own.items()}


def problems(kind: str, classes: int, settings: Mapping[str, Any]) -> int:
    """Return how many binary problems a linear or kernel classifier is made of.

    Raises
    ------
    ModelError
        Where the settings do not say how the classes were divided.
    """
    if ("multiclass" in settings) != (kind in SVMS) or ("n_neighbors" in settings) != (kind == "knn"):
        raise ModelError(f"its settings are not those of {kind}")
    if classes == 2:
        return 1
    return classes * (classes - 1) // 2 if settings.get("multiclass") == "ovo" else classes


def check_values(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ModelError where a value cannot be: not finite, out of range, or a tree that leads nowhere."""
    for name, array in arrays.items():
        if array.dtype == np.float64 and not (np.abs(array) <= LARGEST).all():
            raise ModelError(f"array {name!r} holds values that are not finite, or beyond all sense")
    kind, width, classes = header["kind"], int(header["width"]), len(header["classes"])
    positive = ("known.spread", "known.rest", "scaler.std", "fitted.gamma")
    for name in positive:
        if name in arrays and not (arrays[name] >= SMALLEST).all():
            raise ModelError(f"array {name!r} holds values that are not above 0")
    if (np.diff(arrays["known.distances"]) < 0).any():
        raise ModelError("its distances are not in order")
    if kind in ("rf", "tree"):
        _check_trees({name: arrays[f"fitted.{name}"] for name in TREES}, width)
    if kind == "knn":
        _refuse_outside("fitted.codes", arrays["fitted.codes"], classes)
        if header["settings"]["n_neighbors"] > len(arrays["fitted.rows"]):
            raise ModelError("it asks for more neighbours than it holds")
    if header["threshold"]["value"] is not None and classes != 2:
        raise ModelError(f"it has a threshold for {classes} classes; only two are divided by one")
    if kind == "argmax" and width != classes and (width, classes) != (1, 2):
        raise ModelError(f"it holds {classes} classes for {width} outputs of a network")
    for name in ("fitted.share", "fitted.prior"):
        if name in arrays and not ((arrays[name] >= 0) & (arrays[name] <= 1 + 1e-9)).all():
            raise ModelError(f"array {name!r} holds shares that are none")


TREES = ("roots", "feature", "left", "right", "threshold", "share")


def _check_trees(trees: Mapping[str, np.ndarray], width: int) -> None:
    """Raise where a walk could leave the nodes or go on for ever: a child comes after its parent, or there is none."""
    nodes, feature = len(trees["feature"]), trees["feature"]
    inner = trees["left"] != -1
    _refuse_outside("fitted.roots", trees["roots"], nodes)
    _refuse_outside("fitted.feature", feature[inner], width)
    number = np.arange(nodes)[inner]
    for side in ("left", "right"):
        child = trees[side][inner]
        if not ((child > number) & (child < nodes)).all():
            raise ModelError("a tree has a child that does not come after its parent")
    if not (trees["right"][~inner] == -1).all():
        raise ModelError("a tree has a leaf with a child")


def _refuse_outside(name: str, values: np.ndarray, limit: int) -> None:
    if not ((values >= 0) & (values < limit)).all():
        raise ModelError(f"array {name!r} holds numbers outside 0 to {limit - 1}")
