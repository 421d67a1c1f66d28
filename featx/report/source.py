"""The feature file behind a run: its samples, for what its own tables do not hold. Extracts and fits nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from featx.cache.places import Places
from featx.errors import CacheError, DataError
from featx.matrix import Features, read_features
from featx.report.reading import Run


def source_of(run: Run, *, cache: str | os.PathLike[str] | None = None) -> Features | str:
    """Return the features of a run's rows, or why they cannot be had.

    Parameters
    ----------
    run : Run
        Its record says where the file lay; it is also looked for in the cache, and in the cache that the run lies in.
    cache : path-like, optional
        The cache's folder.
    """
    told = run.features[0]
    found = [path for path in dict.fromkeys(_places(run, cache)) if path.is_file()]
    if not found:
        return f"the feature file {Path(told['file']).name} is not to be found; say where with --cache"
    reasons = []
    for path in found:
        try:
            features = read_features(path)
        except (CacheError, DataError) as error:
            reasons.append(str(error))
            continue
        if features.about["key"] == told["key"] and _holds_all(features, run):
            return features
        reasons.append(f"{path} holds other features than those of the run")
    return reasons[0]


def _places(run: Run, cache: str | os.PathLike[str] | None) -> Iterator[Path]:
    written = Path(str(run.features[0]["file"]))
    inside = Path(str(run.dataset["name"])) / written.name
    yield Places.at(cache).root / inside
    if cache is None:
        yield written
        for folder in run.folder.resolve().parents:
            yield folder / written
            yield folder / inside


def _holds_all(features: Features, run: Run) -> bool:
    held = {sample.id for sample in features.dataset.samples}
    return all(held.issuperset(side.samples) for sides in run.sides.values() for side in sides)
