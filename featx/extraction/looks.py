"""What image files are, found in a process of its own: a decoder that crashes, loops or eats memory costs that image.

Knows files and fingerprints; never a network, features or the cache's feature files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featx import fingerprints
from featx.cache.places import Places
from featx.datasets import Dataset
from featx.engine import OnProgress
from featx.extraction.crew import Child, Crew
from featx.extraction.job import Item, Look
from featx.fingerprints import Fingerprints

AT_ONCE = 16  # files handed over together


def take(
    dataset: Dataset,
    *,
    places: Places,
    crew: Crew | None = None,
    jobs: int | None = None,
    skip: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
) -> Fingerprints:
    """Take the fingerprint of every image of a dataset, as :func:`featx.fingerprints.take` does, but not in here.

    Parameters
    ----------
    dataset, places, skip, on_progress
        As of :func:`featx.fingerprints.take`.
    crew : Crew, optional
        Who looks; a process of its own by default, which is started only where a file is to be opened.
    jobs : int, optional
        Threads of that process; all cores by default.
    """

    def look(paths: Sequence[str], tell: OnProgress | None) -> list[list[Any] | str]:
        if crew is not None:
            return looked(crew, paths, on_progress=tell)
        with Child(jobs) as own:
            return looked(own, paths, on_progress=tell)

    return fingerprints.take(dataset, places=places, look=look, skip=skip, on_progress=on_progress)


def looked(crew: Crew, paths: Sequence[str], *, on_progress: OnProgress | None = None) -> list[list[Any] | str]:
    """Return of each file the row of its fingerprint, or why there is none.

    Parameters
    ----------
    crew : Crew
        Who looks.
    paths : sequence of str
        Absolute paths of files.
    on_progress : callable, optional
        Told (done, total) files.
    """
    items = [Item(row, path) for row, path in enumerate(paths)]
    crew.open(Look(Path("/")))
    found: dict[int, list[Any] | str] = {}
    for done in crew.work([items[at : at + AT_ONCE] for at in range(0, len(items), AT_ONCE)]):
        found |= {**done.prints, **dict(done.reasons())}
        if on_progress is not None:
            on_progress(len(found), len(paths))
    return [found[row] for row in range(len(paths))]
