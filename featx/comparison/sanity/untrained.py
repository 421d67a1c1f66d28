"""Features that owe nothing to training, pixels and random weights, to hold a result against. Extracts nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from featx import significance
from featx.cache import FeatureFile
from featx.comparison import certainty
from featx.comparison.cells import Cell
from featx.comparison.question import Question
from featx.comparison.sanity.asked import Asked, metric_of
from featx.comparison.sanity.row import Sanity
from featx.errors import CacheError
from featx.matrix import Features, read_features
from featx.significance import Difference


def nothing_learned(asked: Asked, tables: Sequence[Features]) -> list[Sanity]:
    """Score features that owe nothing to training, where they were extracted from the same images."""
    rows = []
    for what in ("pixels", "random weights"):
        table = _like(asked, tables, what)
        if table is None:
            told = f"not extracted: {_command(asked, what)}"
            rows += [Sanity(what, q.design.name, None, None, None, "info", told) for q in asked.questions]
            continue
        cells = asked.fit(table, asked.questions, asked.classifier)
        rows += [_held_against(asked, what, q, cell) for q, cell in zip(asked.questions, cells, strict=True)]
    return rows


def _kind(spec: Mapping[str, Any], env: Mapping[str, Any]) -> str:
    if spec.get("backbone") == "pixels":
        return "pixels"
    return "random weights" if re.fullmatch(r"random\d*", str(env.get("weights", ""))) else ""


def _like(asked: Asked, tables: Sequence[Features], what: str) -> Features | None:
    """Return features of a kind: of those compared, else of the cache; of the same backbone and layer before others."""
    first = asked.table.about["spec"]
    found = [
        (False, table.about, table.path) for table in tables if _kind(table.about["spec"], table.about["env"]) == what
    ]
    for path in asked.places.feature_files(asked.table.dataset.name):
        try:
            with FeatureFile.open(path) as file:
                if file.complete and _kind(file.spec, file.env) == what:
                    found.append((True, {"spec": file.spec}, path))
        except CacheError:
            continue  # what is damaged is no candidate; it is told where it is asked for

    def rank(one: tuple[bool, Any, Any]) -> tuple[bool, bool, bool, str]:
        spec = one[1]["spec"]
        return (
            one[0],
            spec.get("backbone") != first.get("backbone"),
            spec.get("layer") != first.get("layer"),
            one[2].name,
        )

    for cached, _, path in sorted(found, key=rank):
        table = next((t for t in tables if t.path == path), None) or _read(path)
        if table is not None and (not cached or _same_images(asked, table)):
            return table
    return None


def _read(path: Any) -> Features | None:
    try:
        return read_features(path)
    except CacheError:
        return None


def _same_images(asked: Asked, table: Features) -> bool:
    def held(one: Features) -> dict[str, str]:
        rows = zip(one.dataset.samples, one.digests, one.usable, strict=True)
        return {sample.id: digest for sample, digest, usable in rows if usable}

    own, other = held(asked.table), held(table)
    return all(other.get(name) == own[name] for name in asked.common)


def _command(asked: Asked, what: str) -> str:
    spec, env = asked.table.about["spec"], asked.table.about["env"]
    data = env.get("root") or "DATA"
    if what == "pixels":
        return f"`featx extract {data} --backbone pixels`"
    backbone, layer = spec.get("backbone", "NAME"), spec.get("layer")
    return f"`featx extract {data} --backbone {backbone} --weights random{f' --layer {layer}' * bool(layer)}`"


def _held_against(asked: Asked, what: str, question: Question, cell: Cell) -> Sanity:
    """Return a row that says whether the features are better than what owes nothing to training."""
    name, real = question.design.name, asked.cells[question.design.name]
    (told,) = certainty.judge([question], [real, cell], asked.plan, seed=asked.settings.seed)
    interval = told.intervals[1]
    low, high = (interval.low, interval.high) if interval else (None, None)
    value = float(cell.values(metric_of(question)).mean())
    about = f"{cell.features}, {cell.classifier}, mean and 95 % interval"
    if cell.features == real.features:
        return Sanity(what, name, value, low, high, "info", f"{about}; these are the features compared themselves")
    if not told.pairs:
        return Sanity(what, name, value, low, high, "info", f"{about}; no test of the difference is valid here")
    test = told.pairs[0].main
    level, words = _better(test)
    return Sanity(what, name, value, low, high, level, f"{about}; {real.features} scores {words}")


def _better(test: Difference) -> tuple[str, str]:
    """Return the level of a difference of features less those that learned nothing, and its words."""
    gap = f"{abs(test.difference):.3f}"
    if test.p >= significance.LEVEL:
        smallest = "" if test.smallest is None else f"; this study could show {test.smallest:.3f}"
        return "amber", f"{gap} {'more' if test.difference >= 0 else 'less'}, no difference shown{smallest}"
    return (
        ("green", f"{gap} more (p = {test.p:.2g})")
        if test.difference > 0
        else ("red", f"{gap} less (p = {test.p:.2g})")
    )
