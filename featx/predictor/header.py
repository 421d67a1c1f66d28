"""The header of a model file: what may stand in it, and of which type. Everything else is refused.

A file is untrusted: words come from closed lists, numbers have limits, and nothing is looked up by a name that a file
gives. Never knows arrays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from featx.backbones import BACKBONES
from featx.classifiers import SCALES
from featx.errors import ModelError
from featx.images import INTERPOLATIONS, RESIZES
from featx.predictor.scorers import KINDS
from featx.runtime import POOLS, PRECISIONS

FORMAT = 1
MOST_TEXT = 16 * 2**20  # bytes of the header
MOST_CLASSES = 1000
MOST_WIDTH = 10_000_000


class Words(NamedTuple):
    """One of some words."""

    known: tuple[str, ...]


class Number(NamedTuple):
    """A finite number within limits, or None where it may be missing."""

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    optional: bool = False


class Text(NamedTuple):
    """A text, or None where it may be missing."""

    longest: int = 10_000
    optional: bool = False


class Each(NamedTuple):
    """A list of so many values of one type."""

    type: Any
    least: int = 0
    most: int = 100_000


class Anything(NamedTuple):
    """Any object: it is shown, and nothing hangs on it."""


THREE = Each(Number(-1e6, 1e6), 3, 3)
SCHEMA: dict[str, Any] = {
    "format": Number(FORMAT, FORMAT, whole=True),
    "kind": Words(tuple(KINDS)),
    "scale": Words(SCALES),
    "settings": {"?multiclass": Words(("ovr", "ovo")), "?n_neighbors": Number(1, 1e6, whole=True)},
    "classes": Each(Text(200), 2, MOST_CLASSES),
    "width": Number(1, MOST_WIDTH, whole=True),
    "threshold": {"value": Number(optional=True), "how": Text()},
    "spec": {
        "backbone": Words(tuple(BACKBONES)),
        "code": Anything(),
        "weights": Text(64),
        "layer": Text(200),
        "pool": Words((*POOLS, "")),
        "transform": {
            "decode": Text(100),
            "size": Number(1, 4096, whole=True),
            "resize": Words(RESIZES),
            "interpolation": Words(INTERPOLATIONS),
            "antialias": bool,
            "trim": bool,
        },
        "normalise": {
            "name": Text(100),
            "scale": Number(-1e6, 1e6),
            "mean": THREE,
            "std": THREE,
            "bgr": bool,
        },
        "precision": Words(PRECISIONS),
        "stored": Words(("float32", "uint8")),
    },
    "network": {"label": Text(500), "record": Text(MOST_TEXT, optional=True), "embedded": bool},
    "unit": Text(200),
    "design": Anything(),
    "chosen": Anything(),
    "evaluation": {
        "metric": Text(100),
        "mean": Number(optional=True),
        "values": Each(Number()),
        "folds": Text(200),
        "apparent": Number(optional=True),
        "inner": Number(optional=True),
        "told": Text(),
    },
    "data": {"title": Text(), "rows": Number(1, 1e9, whole=True), "synthetic": bool},
    "provenance": Anything(),
}


def read_header(text: str) -> dict[str, Any]:
    """Return the header of a model.

    Raises
    ------
    ModelError
        Where it is no JSON, or holds anything but what belongs there.
    """
    try:
        told = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"its header is no JSON ({str(error)[:100]})") from None
    _check(told, SCHEMA, "header")
    if len(set(told["classes"])) != len(told["classes"]):
        raise ModelError("two of its classes have one name")
    return dict(told)


def write_header(told: Mapping[str, Any]) -> str:
    """Return a header as text, checked as it will be when it is read."""
    text = json.dumps(told, sort_keys=True, ensure_ascii=True, allow_nan=False, default=str)
    if len(text) > MOST_TEXT:
        raise ModelError(f"its header would have {len(text)} bytes, limit {MOST_TEXT}")
    read_header(text)
    return text


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _check(value: Any, wanted: Any, where: str) -> None:
    if isinstance(wanted, Anything):
        return
    if isinstance(wanted, dict):
        _check_object(value, wanted, where)
    elif isinstance(wanted, Each):
        if not isinstance(value, list) or not wanted.least <= len(value) <= wanted.most:
            raise ModelError(f"{where}: a list of {wanted.least} to {wanted.most} values was expected")
        for at, one in enumerate(value):
            _check(one, wanted.type, f"{where}[{at}]")
    elif not _is(value, wanted):
        raise ModelError(f"{where}: {str(value)[:40]!r} is not what was expected there")


def _check_object(value: Any, wanted: Mapping[str, Any], where: str) -> None:
    needed = {name for name in wanted if not name.startswith("?")}
    known = {name.removeprefix("?"): kind for name, kind in wanted.items()}
    if not isinstance(value, dict) or not needed <= value.keys() <= known.keys():
        told = sorted(value.keys() ^ known.keys())[:3] if isinstance(value, dict) else [type(value).__name__]
        raise ModelError(f"{where}: other entries than expected ({', '.join(name[:40] for name in told)})")
    for name, one in value.items():
        _check(one, known[name], f"{where}.{name}")


def _is(value: Any, wanted: Any) -> bool:
    if wanted is bool:
        return isinstance(value, bool)
    if isinstance(wanted, Words):
        return isinstance(value, str) and value in wanted.known
    if value is None:
        return bool(wanted.optional)
    if isinstance(wanted, Text):
        return isinstance(value, str) and len(value) <= wanted.longest
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole and (wanted.whole or not isinstance(value, float)):
        return False
    return wanted.low <= value <= wanted.high and abs(value) <= 1e300  # an int may be beyond every float
