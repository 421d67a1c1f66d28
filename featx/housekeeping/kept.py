"""What a cache keeps beside features: what is made again when it is lacking, and what is not.

Decoded pixels, activations, converted networks, cells and unfinished trainings cost time to make again and nothing
else, so that what nobody used for long may go. Runs, folds and trained weights are results: they are summed up and
never pruned.
This file must never know what is in a picture, a network or a cell.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from featx.cache.places import Places
from featx.housekeeping.entries import Entry
from featx.provenance import version

UNUSED_DAYS = 90  # after which what can be made again counts as unused
KILLED_AFTER = 86_400.0  # seconds after which a temporary file is nobody's: no write takes so long
RESULTS = {"runs": "runs", "folds": "folds", "weights": "weights"}


class Section(NamedTuple):
    """One kind of things that are made again when they are lacking.

    Attributes
    ----------
    folder : str
        Where they lie, from the root of the cache.
    what : str
        What they are.
    entries : list of Entry
        Each.
    """

    folder: str
    what: str
    entries: list[Entry]


def sections(places: Places, *, unused_days: float = UNUSED_DAYS, now: float | None = None) -> list[Section]:
    """Return what is made again when it is lacking, by kind, kinds of which there is none left out.

    Parameters
    ----------
    places : Places
        The cache.
    unused_days : float
        Days without use after which a thing counts as unused.
    now : float, optional
        The time, seconds since 1970.
    """
    long_ago = (time.time() if now is None else now) - unused_days * 86_400
    kinds: list[tuple[str, str, Callable[[Path], Iterator[Entry]]]] = [
        ("pixels", "decoded images", partial(_indexed, ending=".u8")),
        ("frozen", "activations of frozen networks", partial(_indexed, ending=".act")),
        ("runtime", "converted networks", _graphs),
        ("cells", "cells of comparisons", _cells),
        ("weights/unfinished", "unfinished trainings", _trainings),
    ]
    found = [Section(at, what, [_aged(entry, long_ago) for entry in of(places.root / at)]) for at, what, of in kinds]
    return [section for section in found if section.entries]


def leftovers(places: Places, *, now: float | None = None) -> list[Entry]:
    """Return temporary files and folders, outside of those of feature files, that no run can be writing any more."""
    before = (time.time() if now is None else now) - KILLED_AFTER
    found = [*places.root.rglob(".*.tmp"), *places.root.glob("runtime/.new-*")]
    entries = [_entry(path) for path in sorted(found) if not path.is_symlink()]
    why = {"leftover": "a run was killed while it wrote this"}
    return [replace(entry, stale=why) for entry in entries if entry.changed < before]


def totals(places: Places) -> dict[str, int]:
    """Return the bytes of results and of the demo's images, by what they are."""
    sizes = {name: _bytes_under(places.root / folder) for folder, name in RESULTS.items()}
    sizes["weights"] -= _bytes_under(places.weights / "unfinished")
    return {name: size for name, size in {**sizes, "demo images": _bytes_under(places.demo_data)}.items() if size}


def _entry(path: Path, *others: Path, **about: Any) -> Entry:
    size = sum(_bytes_under(part) if part.is_dir() else part.stat().st_size for part in (path, *others))
    return Entry(path, size, path.stat().st_mtime, parts=others, locked=False, **about)


def _aged(entry: Entry, long_ago: float) -> Entry:
    """Return an entry with what its age says against it: how long ago it was written or read."""
    used = max(entry.changed, *map(_used, _parts(entry)))
    if used >= long_ago:
        return entry
    days = f"for {(time.time() - used) / 86_400:.0f} days"
    return replace(entry, stale={**entry.stale, "unused": f"not used {days}; made again when it is wanted"})


def _used(path: Path) -> float:
    """Return when a file was last used; what is JSON is read here too, and bears its use as a time of change."""
    found = path.stat()
    return found.st_mtime if path.suffix == ".json" else max(found.st_mtime, found.st_atime)


def _parts(entry: Entry) -> list[Path]:
    inside = [path for path in entry.path.iterdir() if path.is_file()] if entry.path.is_dir() else [entry.path]
    return [*inside, *entry.parts]


def _indexed(folder: Path, *, ending: str) -> Iterator[Entry]:
    """Yield decoded images or activations, each file with its index; one of the two alone serves nobody."""
    for path in sorted(folder.glob(f"*{ending}")):
        index = path.with_suffix(".json")
        if index.is_file():
            yield _entry(path, index)
        else:
            yield _entry(path, stale={"leftover": "its index was never written"})
    for path in sorted(folder.glob("*.json")):
        if not path.with_suffix(ending).exists():
            yield _entry(path, stale={"leftover": "the images that it is the index of are not there"})


def _graphs(folder: Path) -> Iterator[Entry]:
    """Yield converted networks, each a folder."""
    for path in sorted(folder.glob("[!.]*")):
        if path.is_dir():
            yield _entry(path, stale=_against_graph(path / "about.json"))


def _against_graph(about: Path) -> dict[str, str]:
    try:
        then = json.loads(about.read_text(encoding="utf-8"))["plan"]["versions"]
        changed = [f"{name} {was}, now {now}" for name, was in then.items() if was != (now := version(name))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"damaged": "what it says of itself cannot be read"}
    return {"other-versions": f"converted by {'; '.join(changed)}"} if changed else {}


def _cells(folder: Path) -> Iterator[Entry]:
    for path in sorted(folder.glob("*.npz")):
        yield _entry(path)


def _trainings(folder: Path) -> Iterator[Entry]:
    for path in sorted(folder.glob("*.pt")):
        yield _entry(path)


def _bytes_under(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
