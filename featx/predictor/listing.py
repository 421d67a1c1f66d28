"""Which images are meant: files, folders, a list of paths, a folder into which they arrive; and what each is of.

Knows names of files only, and opens none but the table that says what each image is of.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from featx.datasets.tables import read_table
from featx.errors import DataError, UsageError
from featx.images import SUFFIXES, Stat, stat_of

IMAGE_COLUMNS = ("image", "image_id", "path", "file", "filename", "isic_id")
LIST = "-"
MOST_PATHS = 1_000_000


def images_of(given: Sequence[str], *, listed: Iterable[str] = ()) -> list[str]:
    """Return the image files that are meant, in the order given; those of a folder by name, with its subfolders.

    Parameters
    ----------
    given : sequence of str
        Files, folders, and ``-`` for a list.
    listed : iterable of str
        The lines of that list: one path each.

    Raises
    ------
    UsageError
        Where nothing is meant, or a folder holds no image.
    """
    found: list[str] = []
    for name in given:
        if name == LIST:
            found += [line.rstrip("\r\n") for line in listed if line.strip()]
        elif Path(name).is_dir():
            inside = in_folder(name)
            if not inside:
                raise UsageError(f"{name} holds no image ({', '.join(SUFFIXES)})")
            found += inside
        else:
            found.append(name)
    if not found:
        raise UsageError("no image was named; give files, a folder, or - for a list of paths on standard input")
    if len(found) > MOST_PATHS:
        raise UsageError(f"{len(found)} images at once are more than {MOST_PATHS}; predict them in parts")
    return found


def in_folder(folder: str | os.PathLike[str]) -> list[str]:
    """Return the image files of a folder and its subfolders, by name; hidden ones are left out."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            str(Path(root) / name)
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    return found


def units_from(path: str | os.PathLike[str], images: Sequence[str], *, column: str) -> list[str]:
    """Return what each image is of, from a table.

    Parameters
    ----------
    path : path-like
        A table with a column of images (file names, with or without ending) and one of units.
    images : sequence of str, length n
        The image files.
    column : str
        The column of units.

    Raises
    ------
    DataError
        Where the table says nothing of an image, or two things.
    """
    table = read_table(Path(path))
    image = table.column(None, names=IMAGE_COLUMNS, option="a column called image", what="image")
    unit = table.column(column, names=(), option="--unit-column", what="unit")
    known: dict[str, str] = {}
    for line, row in table.rows:
        name, value = Path(row[image]).name, row[unit]
        for word in {name, Path(name).stem}:
            if known.setdefault(word, value) != value:
                raise DataError(f"{path}, line {line}: {name!r} is of {value!r} here and of {known[word]!r} before")
    lost = [name for name in images if not _of(name, known)]
    if lost:
        raise DataError(f"{path} says of {len(lost)} images not what they are of; the first is {lost[0]!r}")
    return [_of(name, known) for name in images]


def _of(image: str, known: dict[str, str]) -> str:
    name = Path(image).name
    return known.get(name) or known.get(Path(name).stem) or ""


def arrivals(
    folder: str | os.PathLike[str], *, seconds: float, sleep: Callable[[float], object] = time.sleep
) -> Iterator[list[str]]:
    """Yield the image files that arrive in a folder, as often as some have; those that are there already come first.

    A file has arrived when two looks found it of the same size and time: copying takes longer than a name. One that
    is written anew arrives again.

    Parameters
    ----------
    folder : path-like
        Looked at with its subfolders.
    seconds : float
        Between two looks.
    sleep : callable
        What waits.

    Raises
    ------
    UsageError
        Where there is no such folder.
    """
    if not Path(folder).is_dir():
        raise UsageError(f"--watch {folder}: no such folder")
    done: dict[str, Stat] = {}
    before: dict[str, Stat] = {}
    while True:
        now = {name: stat for name in in_folder(folder) if (stat := stat_of(name)) and stat.size}
        ready = [name for name, stat in now.items() if before.get(name) == stat and done.get(name) != stat]
        done |= {name: now[name] for name in ready}
        before = now
        if ready:
            yield ready
        else:
            sleep(seconds)
