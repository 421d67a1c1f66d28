"""Finding the image that a label table means: by its name, wherever it lies below a folder, whatever its ending.

Knows names of files, and their bytes only where two bear one name.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath

from featx.datasets.base import image_files
from featx.errors import DataError
from featx.images import SUFFIXES

_listings: ContextVar[dict[tuple[Path, int], list[Path]] | None] = ContextVar("listings", default=None)

PACKED = (".jpg", ".jpeg", ".png", ".webp")
SAMPLE = 4096  # bytes of each end of a packed file


class ImageIndex:
    """The image files below a folder, by name in any case.

    Parameters
    ----------
    root : pathlib.Path
        The folder.
    prefer : sequence of str
        Endings of the set's own images; a file of another ending (a mask of that name) is taken only where there is
        none of these.
    skip : str, optional
        Regular expression, searched for in each path; what matches is no image of the set (``_superpixels``).
    """

    def __init__(self, root: Path, *, prefer: Sequence[str] = (), skip: str | None = None) -> None:
        self.root = root
        self._prefer = tuple(prefer)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._used: set[str] = set()
        self._taken: set[str] = set()
        self._passed_over: set[str] = set()
        for path in image_files(root):
            if not (skip and re.search(skip, path)):
                self._by_stem[_stem(path)].append(path)

    def find(self, name: str, *, folder: str = "") -> str | None:
        """Return the path of the image of that name, relative to the root, or None.

        Parameters
        ----------
        name : str
            A file's name with or without ending, and with as many of its folders as the table writes.
        folder : str
            A word that one of the folders above it holds, where the set uses one name in several (``train``).

        Raises
        ------
        DataError
            Where several different files bear the name.
        """
        asked = _plain(name)
        named = self._by_stem.get(asked.rpartition("/")[2], ())
        found = [
            path
            for path in named
            if f"/{_plain(path)}".endswith(f"/{asked}") and folder.lower() in path.rpartition("/")[0].lower()
        ]
        own = [path for path in found if path.lower().endswith(self._prefer)] if self._prefer else []
        found = own or found
        self._used.update(found)
        if len(found) > 1:
            self._refuse_unlike(found)
        self._taken.update(found[:1])
        self._passed_over.update(named if found else ())
        return found[0] if found else None

    def take(self, path: str) -> None:
        """Count a file as found that the caller knows by its path: no look-up is needed."""
        self._used.add(path)
        self._taken.add(path)

    def unused(self) -> list[str]:
        """Return the files that were not taken and whose stem no look-up has found."""
        known = self._used | self._passed_over
        return sorted(path for paths in self._by_stem.values() for path in paths if path not in known)

    def copies(self) -> int:
        """Return how many of the files found no look-up has returned: copies in other folders."""
        return len(self._used - self._taken)

    def _refuse_unlike(self, found: Sequence[str]) -> None:
        """Refuse files of one name but other bytes: only one of them can be the image."""
        if (
            len({_size(self.root / path) for path in found}) > 1
            or len({_sampled(self.root / path) for path in found}) > 1
        ):
            raise DataError(
                f"{found[0]} and {found[1]} under {self.root} bear one name but are different files; "
                "move those away that are not meant"
            )


def find_tables(data: Path, patterns: Iterable[str], *, depth: int = 3) -> list[Path]:
    """Return the files whose names match one of the patterns (regular expressions, in any case), or the file given.

    Those of the highest level that has some, down to ``depth`` folders; hidden folders and ``__MACOSX`` are left out.
    A copy of a file that is found (same name, same bytes) is left out too.
    """
    shape = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
    if data.is_file():
        return [data] if shape.fullmatch(data.name) else []
    for level in range(1, depth + 1):
        found = [
            path
            for path in listing(data, level)
            if shape.fullmatch(path.name) and path.is_file() and not _hidden(path.relative_to(data))
        ]
        if found:
            return list({(path.name, path.read_bytes()): path for path in reversed(found)}.values())[::-1]
    return []


def find_first(data: Path, patterns: Iterable[str], *, depth: int = 3) -> list[Path]:
    """Return the files of the first pattern that has some, as :func:`find_tables` finds them."""
    return next(filter(None, (find_tables(data, [pattern], depth=depth) for pattern in patterns)), [])


@contextmanager
def listed_once() -> Iterator[None]:
    """List each folder once while a dataset is opened, though each format looks there for tables of its own."""
    token = _listings.set({})
    try:
        yield
    finally:
        _listings.reset(token)


def listing(data: Path, level: int) -> list[Path]:
    """Return what lies so many folders down and is no image by its name, in order."""
    kept = _listings.get()
    found = kept.get((data, level)) if kept is not None else None
    if found is None:
        found = sorted(_below(data, level))
        if kept is not None:
            kept[data, level] = found
    return found


def _below(folder: Path | str, level: int) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if level > 1:
            yield from _below(entry.path, level - 1) if entry.is_dir() else ()
        elif not entry.name.lower().endswith(SUFFIXES):
            yield Path(entry.path)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _plain(name: str) -> str:
    """Return a name in small letters, without an image's ending."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/")).lower()
    ending = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(ending)


def _stem(path: str) -> str:
    return PurePosixPath(_plain(path)).name


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _sampled(path: Path) -> bytes:
    """Return bytes that tell files of one size apart: all where pixels lie plain, both ends where they are packed."""
    try:
        with path.open("rb") as stream:
            if not path.name.lower().endswith(PACKED):
                return hashlib.file_digest(stream, "sha256").digest()
            head = stream.read(SAMPLE)
            stream.seek(max(0, path.stat().st_size - SAMPLE))
            return head + stream.read(SAMPLE)
    except OSError:
        return b""
