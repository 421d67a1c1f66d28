"""From features, classes and groups of all rows to a model file: one refit, its threshold, its probabilities.

What is chosen is chosen by the scores that inner fits gave rows which they did not see. Never knows folds or test rows:
what an evaluation found is handed in as it stands.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx.backbones.trained import ENTRY
from featx.cache.places import Places
from featx.calibration import platt
from featx.classifiers import CLASSIFIERS, PLAIN, Classifier, accelerated, fixed_params, scaled
from featx.clinical import threshold_at
from featx.errors import UsageError
from featx.matrix import Features, read_features
from featx.metrics import ranking_score
from featx.predictor import far, file
from featx.predictor.network import tensors_of
from featx.predictor.refit import Refit, refit, refuse_unknown
from featx.provenance import environment
from featx.seen import seen_by
from featx.units import mean_scores

OPERATING_POINT = "specificity=0.9"
HIGHEST = "highest"


class Rows(NamedTuple):
    """What is learned from.

    Attributes
    ----------
    ids, groups, units : sequence of str, length n
        Of the rows that have a class.
    y : numpy.ndarray of int64, shape (n,)
        Their class codes.
    classes : sequence of str
        Names by code.
    """

    ids: Sequence[str]
    groups: Sequence[str]
    units: Sequence[str]
    y: np.ndarray
    classes: Sequence[str]


class Saved(NamedTuple):
    """What was written: where, which model, and its header."""

    path: Path
    digest: str
    header: dict[str, Any]


def save(
    path: str | os.PathLike[str],
    features: Features,
    rows: Rows,
    *,
    classifier: str,
    design: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    params: Sequence[str] = (),
    scale: str | None = None,
    seed: int = 0,
    inner: str = "kfold",
    solver: str = "auto",
    accelerate: str = PLAIN,
    unit: str = "image",
    operating_point: str = OPERATING_POINT,
    embed_weights: bool = False,
    cache: str | os.PathLike[str] | None = None,
) -> Saved:
    """Fit a classifier on all rows and write the whole chain, from image to class, into one file.

    Parameters
    ----------
    path : path-like
        The file, ``.featx``.
    features : Features
        A feature file of one network.
    rows : Rows
        What is learned from.
    classifier : str
        A name of the shelf.
    design : mapping
        What the classes are, for the record.
    evaluation : mapping
        ``metric``, ``mean``, ``values`` and ``folds`` of the evaluation that came before.
    params, scale, seed, inner, solver, accelerate
        As of :func:`featx.comparison.compare`.
    unit : str
        What threshold and probabilities are made for: ``image``, or what ``rows.units`` are.
    operating_point : str
        ``specificity=0.9`` or ``sensitivity=0.9``, reached on the inner fits' scores, or ``highest``. Of two classes.
    embed_weights : bool
        Whether the network's weights go into the file.
    cache : path-like, optional
        The cache's folder.

    Raises
    ------
    UsageError
        Where the features are of several networks, or the classifier's fit cannot be written as arrays.
    """
    kind, fixed = check(path, classifier, params, accelerate=accelerate, operating_point=operating_point)
    if features.parts:
        raise UsageError("--save takes the features of one network; a set holds one network a split")
    places, at = Places.at(cache), features.rows_of(rows.ids)
    X = features.X[at]
    given: dict[str, Any] = {"scale": scale, "seed": seed, "inner": inner, "solver": solver}
    found = refit(kind, X, y=rows.y, groups=rows.groups, params=fixed, **given)
    known = far.summary(scaled(X.astype(np.float64), X[:0], scale=found.scale)[0], rows.groups, seed=seed)
    held = None if _foreseen(features, at, places) else _held_back(found, rows, unit)
    threshold, how = _threshold(held, operating_point, unit) if len(rows.classes) == 2 else (None, _BY_HIGHEST)
    spec, label = features.about["spec"], _label(features)
    record = _record(features)
    header = {
        "format": 1,
        "kind": found.kind,
        "scale": found.scale,
        "settings": found.settings,
        "classes": list(rows.classes),
        "width": int(X.shape[1]),
        "threshold": {"value": threshold, "how": how},
        "spec": {**spec, "pool": spec["pool"] or ""},
        "network": {"label": label, "record": record, "embedded": embed_weights},
        "unit": unit,
        "design": dict(design),
        "chosen": found.verdict.chosen,
        "evaluation": _evaluation(found, rows, evaluation),
        "data": {
            "title": features.dataset.title,
            "rows": len(rows.ids),
            "synthetic": bool(features.dataset.synthetic),
        },
        "provenance": {
            **environment(),
            "seed": seed,
            "inner": found.verdict.inner_scheme,
            "solver": solver,
            "accelerate": accelerate,
            "converged": found.verdict.converged,
            "features": {"key": features.about["key"], "finished": features.about["finished"]},
        },
    }
    arrays = {f"fitted.{name}": array for name, array in found.fitted.items()}
    arrays |= {f"scaler.{name}": array for name, array in found.scaler.items()}
    arrays |= {f"known.{name}": array for name, array in known.items()}
    arrays["seen"] = _seen_images(features, at, places)
    if held is not None:
        arrays["platt"] = np.array(_maps(*held))
    network = tensors_of(spec, label=label, places=places) if embed_weights else None
    return Saved(Path(path), file.write(path, header, arrays, network=network), header)


def save_evaluated(
    path: str | os.PathLike[str],
    run: Mapping[str, Any],
    questions: Sequence[Any],
    *,
    operating_point: str = OPERATING_POINT,
    embed_weights: bool = False,
    cache: str | os.PathLike[str] | None = None,
) -> Saved:
    """Fit on all rows what a run evaluated, with the run's own settings, and write it.

    Parameters
    ----------
    path : path-like
        The file, ``.featx``.
    run : mapping
        The record of a comparison of one feature file, classifier and design.
    questions : sequence
        Its questions: ids, groups, units and classes of the rows.
    operating_point, embed_weights, cache
        As of :func:`save`.

    Raises
    ------
    UsageError
        Where the run compared several feature files, classifiers or designs.
    """
    settings, results = run["settings"], run["results"]
    if len(results) != 1 or len(questions) != 1:
        raise UsageError(f"--save writes one model; {len(results)} were evaluated: take one design and one --features")
    ((name, how),) = settings["classifiers"].items()
    (question,), (found,) = questions, results
    rows = Rows(question.ids, question.groups, question.units, question.y, question.assignment.classes)
    return save(
        path,
        read_features(run["features"][0]["file"]),
        rows,
        classifier=name,
        design=question.design.describe(),
        evaluation={**{key: found[key] for key in ("metric", "mean", "values")}, "folds": settings["folds"]["scheme"]},
        params=[f"{key}={value}" for key, value in how["fixed"].items()],
        scale=how["scale"],
        seed=settings["seed"],
        inner=settings["inner"],
        solver="auto" if how["solver"] == "together" else "sklearn",
        accelerate=how["accelerate"].partition(" ")[0],
        unit=settings["unit"],
        operating_point=operating_point,
        embed_weights=embed_weights,
        cache=cache,
    )


def check(
    path: str | os.PathLike[str], classifier: str, params: Sequence[str], *, accelerate: str, operating_point: str
) -> tuple[Classifier, dict[str, Any]]:
    """Return the classifier and what is fixed of it; what cannot be saved is refused before hours of work.

    Raises
    ------
    UsageError
        For a folder that is none, a fit that cannot be written, or an operating point that is none.
    """
    (kind,) = accelerated([CLASSIFIERS[classifier]], accelerate)
    refuse_unknown(kind)
    _point(operating_point)
    if Path(path).is_dir() or not Path(path).absolute().parent.is_dir():
        raise UsageError(f"--save {path}: give a file in a folder that is there, such as model.featx")
    return kind, fixed_params(params, [kind])[kind.name]


def _point(text: str) -> dict[str, float]:
    """Read an operating point: one wanted share by its name, nothing for the class of the highest score."""
    name, _, value = text.partition("=")
    try:
        if text == HIGHEST:
            return {}
        if name in ("specificity", "sensitivity") and 0 < float(value) <= 1:
            return {name: float(value)}
    except ValueError:
        pass
    raise UsageError(
        f"--operating-point {text!r}: expected specificity=SHARE or sensitivity=SHARE, above 0 and at most 1, or "
        f"{HIGHEST}"
    )


def _foreseen(features: Features, at: Sequence[int], places: Places) -> bool:
    """Return whether the network has learned from rows: what inner fits say of those is then no forecast."""
    seen = seen_by(features.about["spec"], places, Places(features.path.parent.parent))
    return features.foreseen or (seen is not None and bool(seen.rows(features.dataset, features.digests)[at].any()))


def _seen_images(features: Features, at: Sequence[int], places: Places) -> np.ndarray:
    """Return the digests of all images that this fit or the network learned from, uint8 (n, 32)."""
    seen = seen_by(features.about["spec"], places, Places(features.path.parent.parent))
    digests = {features.digests[row] for row in at} | (set(seen.images) if seen else set())
    return np.array([list(bytes.fromhex(digest)) for digest in sorted(digests - {""})], dtype=np.uint8)


def _held_back(found: Refit, rows: Rows, unit: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the classes and scores of what inner fits did not see, by unit; None where a class has none."""
    inner = found.verdict.inner
    if inner is None:
        return None
    kept = np.flatnonzero(~np.isnan(inner).any(1))
    y, scores = rows.y[kept], inner[kept]
    if unit != "image":
        units, groups = ([names[row] for row in kept.tolist()] for names in (rows.units, rows.groups))
        y, scores, _ = mean_scores(units, scores, y=y, groups=groups)
    return (y, scores) if len(np.unique(y)) == len(rows.classes) else None


_BY_HIGHEST = "the class of the highest score"


def _threshold(held: tuple[np.ndarray, np.ndarray] | None, text: str, unit: str) -> tuple[float | None, str]:
    point = _point(text)
    if not point or held is None:
        why = "" if not point else f"; {text} was asked for, but no row has a score of a fit that had not seen it"
        return None, f"{_BY_HIGHEST}{why}"
    y, scores = held
    of = "training images" if unit == "image" else f"the training {unit}s"
    how = f"{text}, on the scores of {of} by inner fits that did not see them"
    return threshold_at(y == 1, scores[:, 1], **point), how


def _maps(y: np.ndarray, scores: np.ndarray) -> list[tuple[float, float]]:
    codes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    return [platt(y == code, scores[:, code]) for code in codes]


def _evaluation(found: Refit, rows: Rows, told: Mapping[str, Any]) -> dict[str, Any]:
    apparent = float(ranking_score(rows.y, found.verdict.scores))
    return {
        **told,
        "apparent": apparent,
        "inner": found.verdict.inner_score,
        "told": (
            "mean is of models fitted on train sides alone; this model is fitted on all rows, and no row is left to "
            "test it. Where it was taken from among several by that mean, the mean is too high. apparent is its AUC on "
            "the rows that it was fitted on, and says nothing of new images; inner that of inner fits on rows that "
            "they did not see"
        ),
    }


def _label(features: Features) -> str:
    return str(features.about["env"].get("weights") or features.label.partition("@")[2].partition("--")[0])


def _record(features: Features) -> str | None:
    """Return what a weights file that was trained here says of itself: it tells how the network is built."""
    import contextlib

    from safetensors import safe_open

    path = features.about["env"].get("weights_file")
    if not isinstance(features.about["spec"]["code"], str) or not path or not Path(path).is_file():
        return None
    with contextlib.suppress(Exception), safe_open(path, framework="numpy") as content:
        return (content.metadata() or {}).get(ENTRY)
    return None
