"""The folder that ``featx run`` left: the record of a study, and its runs, put together where their splits are one.

Computes nothing, and knows of a pipeline only what its record says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx.errors import RunError
from featx.report.joined import Named, joined
from featx.report.reading import LARGEST_RECORD, Run, read_run

FILE, FORMAT = "pipeline.json", 2  # what this page reads
AGAIN = "run `featx run` again: what is finished is not done again"


@dataclass(frozen=True)
class Study:
    """A study that was run, read.

    Attributes
    ----------
    folder : pathlib.Path
        Where it lies.
    record : dict
        ``pipeline.json``.
    runs : tuple of Run
        Its runs, put together.
    """

    folder: Path
    record: Mapping[str, Any]
    runs: tuple[Run, ...]

    @property
    def title(self) -> str:
        """What the study is about."""
        return str(self.record["pipeline"]["title"])

    @property
    def cite(self) -> str:
        """Whose protocol it is."""
        study = self.record["pipeline"]["study"]
        return str(study["cite"]) + (f" (doi {study['doi']})" if study.get("doi") else "")

    def histories(self, file: str) -> list[Mapping[str, Any]]:
        """Return name and history of each network of a training.

        Raises
        ------
        RunError
            Where the file is no finished training.
        """
        path = self.folder / "steps" / Path(file).name
        try:
            return list(_json(path)["result"]["networks"])
        except (KeyError, TypeError) as error:
            raise RunError(f"{path} holds no finished training; {AGAIN}") from error


def read(path: str | os.PathLike[str]) -> Study | Run:
    """Read a folder of a study or of a run.

    Parameters
    ----------
    path : path-like
        The folder, or the ``pipeline.json`` or ``run.json`` in it.

    Raises
    ------
    RunError
        Where it is neither, or not whole.
    """
    path = Path(path)
    folder = path.parent if path.name == FILE else path
    if (folder / FILE).is_file():
        return _study(folder)
    if (folder / "steps").is_dir() and not (folder / "run.json").exists():
        raise RunError(f"{folder} is of a study that was not run to its end; {AGAIN}")
    return read_run(path)


def _study(folder: Path) -> Study:
    record = _json(folder / FILE)
    try:
        if record.get("verb") != "run" or record.get("format") != FORMAT:
            raise RunError(f"{folder / FILE} was written by another version of featx; {AGAIN}")
        named = [
            Named(read_run(folder / "comparisons" / Path(told["folder"]).name), str(told["experiment"]))
            for told in record["comparisons"]
        ]
        study = Study(folder, record, tuple(joined(named)))
        _ = study.title, study.cite, *(record[name] for name in ("data", "scale", "seed", "tables", "figures"))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        told = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise RunError(f"{folder} does not hold a whole run of a study ({told}); {AGAIN}") from error
    return study


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST_RECORD:
            raise RunError(f"{path} is larger than any record of a study; give the folder that `featx run` wrote")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}); {AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is no record of a study ({error}); give the folder that `featx run` wrote") from error
