"""One thing in a cache, what may be against it, and how it is deleted. Knows files, not what is in them."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from featx.cache.lock import Lock
from featx.errors import CacheError, UnknownName

REASONS = {
    "damaged": "its head is not what was written, so that nothing in it can be read",
    "unreadable": "it cannot be opened",
    "outdated": "made by rules of an older featx, which are not served any more",
    "leftover": "a temporary file of a run that was killed",
    "incomplete": "not finished; an extraction goes on from there",
    "no-dataset": "the folder of its images is not there (now)",
    "other-versions": "computed with other versions of libraries than are installed",
    "unused": "not used for a long time; made again when it is wanted",
}
USELESS = ("damaged", "outdated", "leftover")  # what prune takes unless told otherwise: nothing that can still serve


@dataclass(frozen=True)
class Entry:
    """One thing in a cache: a file, or some that belong together.

    Attributes
    ----------
    path : pathlib.Path
        The file or folder.
    size : int
        Bytes, of ``parts`` too.
    changed : float
        When it was last written, seconds since 1970.
    rows, missing, dim : int
        Of a feature file its rows, those of them that were never written, and its features a row; 0 where its head
        cannot be read.
    stale : dict of str to str
        What is against it: reason (of ``REASONS``) and the particulars.
    parts : tuple of pathlib.Path
        Other files that go with it.
    locked : bool
        Whether who writes it holds the lock beside it.
    """

    path: Path
    size: int
    changed: float
    rows: int = 0
    missing: int = 0
    dim: int = 0
    stale: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[Path, ...] = ()
    locked: bool = True

    def age(self, now: float | None = None) -> float:
        """Return seconds since it was last written."""
        return max(0.0, (time.time() if now is None else now) - self.changed)


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
        why = _deleted_under_lock(entry) if entry.locked else _deleted(entry)
        if why:
            kept[entry.path] = why
        else:
            gone.append(entry)
    return gone, kept


def _deleted_under_lock(entry: Entry) -> str:
    whole = Path(re.sub(r"\.tmp-\d+$", "", str(entry.path)))
    try:
        lock = Lock(whole)
    except CacheError as error:
        return str(error)
    try:
        return _deleted(entry)
    finally:
        lock.release()


def _deleted(entry: Entry) -> str:
    """Delete what an entry stands for, and return why not where it stays."""
    try:
        if entry.path.lstat().st_mtime != entry.changed:
            return "it was written since it was listed"
        if entry.path.is_dir():
            shutil.rmtree(entry.path)
        else:
            entry.path.unlink()
        for part in entry.parts:
            part.unlink(missing_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return ""
