"""The pipelines that come with featx: where they lie, in an installed package and in a clone. Reads none of them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from featx.errors import UnknownName, UsageError

PACKAGE = "featx.pipelines"  # in a wheel; a clone has the folder of that name at its top
SUFFIXES = (".yaml", ".yml")


def names() -> list[str]:
    """Return the names of the pipelines that are shipped."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def folder() -> Path:
    """Return the folder of the shipped pipelines."""
    package = Path(str(files("featx")))
    inside = package / "pipelines"
    return inside if inside.is_dir() else package.parent / "pipelines"


def find(text: str) -> Path:
    """Return the file that a name or a path means.

    Raises
    ------
    UnknownName
        Where no pipeline has that name; the nearest is suggested.
    UsageError
        Where the path is no file.
    """
    path = Path(text)
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        if path.is_file():
            return path
        raise UsageError(f"there is no pipeline file {text}; give one, or a name: {', '.join(names())}")
    found = folder() / f"{text}.yaml"
    if not found.is_file():
        raise UnknownName("pipeline", text, names())
    return found
