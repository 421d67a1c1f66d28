"""What lies in a cache, how large and how old it is, and what of it nobody can use any more.

Heads and finish records are read, no rows, no image and no torch. This file must never know what features are for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featx.backbones import BACKBONES
from featx.cache import FeatureFile
from featx.cache.lock import Lock
from featx.cache.places import Places
from featx.cache.shards import shard_of
from featx.errors import CacheDamaged, CacheError, UnknownName
from featx.images import DECODE_RULES
from featx.provenance import version

REASONS = {
    "damaged": "its head is not what was written, so that nothing in it can be read",
    "unreadable": "it cannot be opened",
    "outdated": "made by rules of an older featx, which are not served any more",
    "leftover": "a temporary file of a run that was killed",
    "incomplete": "not finished; an extraction goes on from there",
    "no-dataset": "the folder of its images is not there (now)",
    "other-versions": "computed with other versions of torch, torchvision or Pillow than are installed",
}
USELESS = ("damaged", "outdated", "leftover")  # what prune takes unless told otherwise: nothing that can still serve
COMPUTING = ("torch", "torchvision", "pillow")
SECTIONS = {"cells": "cells of comparisons", "runs": "runs", "folds": "folds", "weights": "weights"}
_TEMPORARY = re.compile(r".+\.h5(\.shard-\d+-of-\d+)?\.tmp-\d+")


@dataclass(frozen=True)
class Entry:
    """One file of a cache.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    size : int
        Bytes.
    changed : float
        When it was last written, seconds since 1970.
    rows, missing, dim : int
        Its rows, those of them that were never written, and its features a row; 0 where its head cannot be read.
    stale : dict of str to str
        What is against it: reason (of ``REASONS``) and the particulars.
    """

    path: Path
    size: int
    changed: float
    rows: int = 0
    missing: int = 0
    dim: int = 0
    stale: Mapping[str, str] = field(default_factory=dict)

    def age(self, now: float | None = None) -> float:
        """Return seconds since it was last written."""
        return max(0.0, (time.time() if now is None else now) - self.changed)


def holdings(places: Places, dataset: str | None = None) -> list[Entry]:
    """Return the feature files, shards and leftovers of a cache, by dataset and name.

    Parameters
    ----------
    places : Places
        The cache.
    dataset : str, optional
        Only what lies under this dataset's name.

    Raises
    ------
    UnknownName
        Where the cache holds no such dataset.
    """
    files = {path: path.relative_to(places.root).parts[0] for path in _files(places)}
    if dataset is not None and dataset not in files.values():
        raise UnknownName("dataset in the cache", dataset, set(files.values()))
    return [entry for path, name in files.items() if dataset in (None, name) for entry in _entry(path)]


def _files(places: Places) -> list[Path]:
    """Return what may be feature files: those of datasets, and those of a set, which has a folder of its own."""
    found = (*places.root.glob("*/*.h5*"), *places.root.glob("*/*/*.h5*"))
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def feature_files(places: Places) -> list[Path]:
    """Return every feature file of a cache, whatever it is a part of."""
    return [path for path in _files(places) if path.suffix == ".h5"]


def totals(places: Places) -> dict[str, int]:
    """Return the bytes of everything else in the cache, by what it is."""
    sizes = {name: _bytes_under(places.root / folder) for folder, name in SECTIONS.items()}
    return {name: size for name, size in {**sizes, "demo images": _bytes_under(places.demo_data)}.items() if size}


def prunable(entries: Collection[Entry], reasons: Collection[str] = USELESS) -> list[Entry]:
    """Return the entries that any of some reasons is against.

    Raises
    ------
    UnknownName
        On a reason that is none.
    """
    for reason in reasons:
        if reason not in REASONS:
            raise UnknownName("reason", reason, REASONS)
    return [entry for entry in entries if set(entry.stale) & set(reasons)]


def prune(entries: Collection[Entry]) -> tuple[list[Entry], dict[Path, str]]:
    """Delete files; one that is being written, or was written since it was listed, stays.

    Returns
    -------
    gone : list of Entry
    kept : dict of pathlib.Path to str
        Those that stay, with the reason.
    """
    gone, kept = [], {}
    for entry in entries:
        why = _deleted(entry)
        if why:
            kept[entry.path] = why
        else:
            gone.append(entry)
    return gone, kept


def _deleted(entry: Entry) -> str:
    """Delete a file under its lock, and return why not where it stays."""
    whole = Path(re.sub(r"\.tmp-\d+$", "", str(entry.path)))
    try:
        lock = Lock(whole)
    except CacheError as error:
        return str(error)
    try:
        if entry.path.stat().st_mtime != entry.changed:
            return "it was written since it was listed"
        entry.path.unlink()
    except OSError as error:
        return error.strerror or str(error)
    finally:
        lock.release()
    return ""


def _entry(path: Path) -> Iterator[Entry]:
    """Yield what a file is, where it is one of the store's."""
    found = path.stat()
    about: dict[str, Any] = {"path": path, "size": found.st_size, "changed": found.st_mtime}
    if _TEMPORARY.fullmatch(path.name):
        yield Entry(**about, stale={"leftover": "a run was killed while it made this file"})
    elif path.suffix == ".h5" or shard_of(path):
        yield _read_entry(path, about)


def _read_entry(path: Path, about: dict[str, Any]) -> Entry:
    try:
        with FeatureFile.open(path) as file:
            missing = int(file.never_written().sum())
            about |= {"rows": file.n, "dim": file.dim, "missing": missing}
            return Entry(**about, stale=dict(_against(file, missing)))
    except CacheDamaged as error:
        return Entry(**about, stale={"damaged": str(error).partition(": ")[2].partition(";")[0]})
    except CacheError as error:
        return Entry(**about, stale={"unreadable": str(error)})


def _against(file: FeatureFile, missing: int) -> Iterator[tuple[str, str]]:
    """Yield what is against a file whose head is sound."""
    if why := _older_rules(file.spec):
        yield "outdated", why
    if not file.complete:
        yield "incomplete", f"{missing} of {file.n} rows were never written" if missing else "not finished"
    root = file.env.get("root")
    if isinstance(root, str) and not Path(root).is_dir():
        yield "no-dataset", f"{root} is not there"
    if why := _other_versions(file.env.get("versions")):
        yield "other-versions", why


def _older_rules(spec: Mapping[str, Any]) -> str:
    """Return in which rules a spec differs from those of this featx: an extraction would never ask for it again."""
    transform, name = spec.get("transform"), str(spec.get("backbone"))
    decode = transform.get("decode") if isinstance(transform, dict) else None
    rules = re.search(r"rules (\d+)", decode) if isinstance(decode, str) else None
    if rules and int(rules[1]) < DECODE_RULES:
        return f"decode rules {rules[1]}, now {DECODE_RULES}"
    code, now = spec.get("code"), BACKBONES[name].code_version if name in BACKBONES else None
    if isinstance(code, int) and isinstance(now, int) and code < now:
        return f"code {code} of {name}, now {now}"
    return ""


def _other_versions(then: Any) -> str:
    """Return what of the libraries that compute features had another version."""
    if not isinstance(then, dict):
        return ""
    now = {name: version(name) for name in COMPUTING}
    changed = [name for name in COMPUTING if then.get(name) and now[name] and then[name] != now[name]]
    return ", ".join(f"{name} {then[name]}, now {now[name]}" for name in changed)


def _bytes_under(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
