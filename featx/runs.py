"""Records of runs: what went in, what came out, and the tables that other tools read.

Texts from data (names, labels) are written so that a spreadsheet takes none of them for a formula. This file never
knows how a score was made or how a page looks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from featx import atomic
from featx.errors import UsageError
from featx.provenance import digest_json
from featx.spreadsheet import csv_text


def new_id(verb: str, about: Mapping[str, Any]) -> str:
    """Return a name for a run: when, what, and a part of the digest of what went in."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{now}-{verb}-{digest_json(about)[:6]}"


def folder_for(out: str | os.PathLike[str] | None, *, runs: Path, run_id: str) -> Path:
    """Return the folder of a run: the one asked for, or one of its own among the runs.

    Raises
    ------
    UsageError
        Where the folder asked for is a file.
    """
    folder = Path(out) if out else _unused(runs / run_id)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder} is a file; give a folder")
    return folder


def make_ready(out: str | os.PathLike[str], *, roots: Iterable[str]) -> None:
    """Make the folder asked for before any work, so that one that cannot be written to is told at once.

    Raises
    ------
    UsageError
        Where it is a file, or the very folder of the images (``roots``): tables of labels are looked for there.
    """
    folder = folder_for(out, runs=Path(), run_id="")
    if any(root and folder.resolve() == Path(root).resolve() for root in roots):
        raise UsageError(f"--out {folder} is the folder of the images; give another one")
    folder.mkdir(parents=True, exist_ok=True)


def _unused(folder: Path) -> Path:
    """Return a folder of that name that is not there yet: two runs may begin in one second."""
    names = (folder, *(folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000)))
    return next(name for name in names if not name.exists())


def write_json(path: Path, value: Mapping[str, Any]) -> Path:
    """Write a record as JSON; NaN and infinity are refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=str)
    return atomic.write_text(path, _encodable(text) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write a table as CSV: texts quoted and harmless to a spreadsheet, numbers plain, None empty."""
    return atomic.write_text(path, csv_text(header, rows))


def _encodable(text: str) -> str:
    """Escape what no UTF-8 can hold (parts of file names), as JSON would."""
    return text.encode("utf-8", "backslashreplace").decode()
