"""Feature files, shards and sets in a cache, and what is against them. Never looks at a row, an image or torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from featx.backbones import BACKBONES
from featx.cache import FeatureFile, sets
from featx.cache.places import Places
from featx.cache.shards import shard_of
from featx.errors import CacheDamaged, CacheError, UnknownName
from featx.housekeeping.entries import Entry
from featx.images import DECODE_RULES
from featx.provenance import version

COMPUTING = ("torch", "torchvision", "pillow")
_TEMPORARY = re.compile(r".+\.h5(\.shard-\d+-of-\d+)?\.tmp-\d+")


def holdings(places: Places, dataset: str | None = None) -> list[Entry]:
    """Return the feature files, shards, sets and leftovers of a cache, by dataset and name.

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
    files = {path: path.relative_to(places.root).parts[0] for path in (*_files(places), *_sets(places))}
    if dataset is not None and dataset not in files.values():
        raise UnknownName("dataset in the cache", dataset, set(files.values()))
    return [entry for path, name in sorted(files.items()) if dataset in (None, name) for entry in _entry(path)]


def _files(places: Places) -> list[Path]:
    """Return what may be feature files: those of datasets, and those of a set, which has a folder of its own."""
    found = (*places.root.glob("*/*.h5*"), *places.root.glob("*/*/*.h5*"))
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _sets(places: Places) -> list[Path]:
    found = places.root.glob(f"*/*{sets.SUFFIX}")
    return [path for path in found if path.is_file() and not path.is_symlink()]


def feature_files(places: Places) -> list[Path]:
    """Return every feature file of a cache, whatever it is a part of."""
    return [path for path in _files(places) if path.suffix == ".h5"]


def _entry(path: Path) -> Iterator[Entry]:
    """Yield what a file is, where it is one of the store's."""
    found = path.stat()
    about: dict[str, Any] = {"path": path, "size": found.st_size, "changed": found.st_mtime}
    if _TEMPORARY.fullmatch(path.name):
        yield Entry(**about, stale={"leftover": "a run was killed while it made this file"})
    elif sets.is_set(path):
        yield Entry(**about, stale=dict(_against_set(path)), locked=False)
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


def _against_set(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what is against a set: it serves nothing without all of its files, which another training makes again."""
    try:
        lacking = [member.path.name for member in sets.read(path).members if not member.path.is_file()]
    except CacheError as error:
        yield "damaged", str(error).partition(";")[0]
        return
    if lacking:
        yield "incomplete", f"{len(lacking)} of its feature files are not there, {lacking[0]} for one"


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
