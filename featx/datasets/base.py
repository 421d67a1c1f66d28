"""What a dataset is: samples with a diagnosis and a group, and a reason for every row that is not among them.

An adapter reads one format on disk and yields a :class:`Dataset`. Adapters never look at pixels and know no classes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from featx.errors import DataError
from featx.images import SUFFIXES
from featx.provenance import canonical_json

SYNTHETIC = "synthetic demo data"
SKIPPED_FOLDERS = {"__MACOSX", "lost+found"}
NO_NAMES = {"", "nan", "na", "n/a", "none", "null", "unknown", "-", "?"}
PEOPLE = ("patient", "subject", "person")


@dataclass(frozen=True)
class Sample:
    """One row of a dataset.

    Attributes
    ----------
    id : str
        Its name, distinct in the dataset.
    path : str
        The image file, relative to the dataset's root (or absolute, where a table says so).
    diagnosis : str
        What the dataset says that it is.
    group : str
        What may not be divided: patient, lesion or case; the image itself where nothing is known.
    unit : str
        What a result may be reported for; the image itself where nothing is known.
    attributes : mapping of str to str
        Whatever else the dataset says (age, sex, site, source, official split).
    """

    id: str
    path: str
    diagnosis: str
    group: str
    unit: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """The samples of a dataset, and what became of the rest: found = kept + dropped.

    Attributes
    ----------
    name : str
        Its folder in the cache.
    adapter : str
        The adapter that read it.
    root : pathlib.Path
        Where its paths start.
    samples : tuple of Sample
        The rows kept.
    dropped : mapping of str to int
        Rows not kept, by reason.
    group_kind, unit_kind : str or None
        What a group and a unit are (``lesion``, ``patient``); None where each image stands for itself.
    synthetic : bool
        Whether it is the built-in demo, whose numbers mean nothing clinically.
    notes : tuple of str
        What the user should know about it.
    designs : tuple of str
        The designs of the shelf that can be asked of it; empty where its diagnoses alone decide.
    lacks : mapping of str to str
        Why another design cannot; the empty name stands for all the rest.
    labels_in_paths : bool
        Whether folders and names of the files are the labels.
    """

    name: str
    adapter: str
    root: Path
    samples: tuple[Sample, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    group_kind: str | None = None
    unit_kind: str | None = None
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    designs: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    labels_in_paths: bool = False

    @property
    def found(self) -> int:
        """Rows found, kept or not."""
        return len(self.samples) + sum(self.dropped.values())

    @property
    def title(self) -> str:
        """Its name for tables and records; synthetic data say so in it."""
        return f"{self.name} ({SYNTHETIC})" if self.synthetic else self.name

    @property
    def grouping(self) -> str:
        """One sentence on what the groups promise, and what not."""
        if self.group_kind is None:
            return "groups unknown: each image is its own group, so that images of one lesion or patient may straddle"
        promise = f"no {self.group_kind} straddles"
        return promise if self.group_kind in PEOPLE else f"{promise}; patients unknown"

    def refusal(self, design: str) -> str | None:
        """Return why a design of the shelf cannot be asked of this dataset, or None where it can."""
        if not self.designs or design in self.designs:
            return None
        return self.lacks.get(design) or self.lacks.get("") or "its labels do not answer it"

    def to_table(self) -> str:
        """Return the sample table as JSON, to travel in a feature file; :func:`from_table` reads it."""
        return canonical_json(
            {
                "name": self.name,
                "adapter": self.adapter,
                "root": str(self.root),
                "dropped": dict(self.dropped),
                "group_kind": self.group_kind,
                "unit_kind": self.unit_kind,
                "synthetic": self.synthetic,
                "notes": list(self.notes),
                "designs": list(self.designs),
                "lacks": dict(self.lacks),
                "labels_in_paths": self.labels_in_paths,
                "rows": [[s.id, s.diagnosis, s.group, s.unit, dict(s.attributes)] for s in self.samples],
            }
        )


def from_table(text: str, paths: Sequence[str]) -> Dataset:
    """Rebuild a dataset from the table and the paths of a feature file.

    Raises
    ------
    DataError
        Where the text is no sample table, or speaks of another number of rows.
    """
    try:
        value: dict[str, Any] = json.loads(text)
        samples = tuple(
            Sample(name, path, diagnosis, group, unit, attributes)
            for (name, diagnosis, group, unit, attributes), path in zip(value.pop("rows"), paths, strict=True)
        )
        root, notes, asked = Path(value.pop("root")), tuple(value.pop("notes")), tuple(value.pop("designs", ()))
        return Dataset(root=root, samples=samples, notes=notes, designs=asked, **value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"the sample table of this feature file cannot be read ({error}); extract it again") from error


@dataclass(frozen=True)
class Columns:
    """Where the labels stand: the table, where it does not lie beside the images, and which of its columns hold what.

    None lets the adapter find out.
    """

    labels: str | os.PathLike[str] | None = None
    image: str | None = None
    label: str | None = None
    group: str | None = None
    unit: str | None = None
    split: str | None = None


class Adapter(Protocol):
    """What reads one format on disk.

    Attributes
    ----------
    name : str
        Its name on the shelf.
    expects : str
        One line on the layout.
    precedence : int
        Where several adapters recognise a folder, the highest reads it; equals are an error.
    supersedes : tuple of str
        Equals that may recognise what is this format's.
    designs : tuple of str
        As of :class:`Dataset`.
    """

    name: str
    expects: str
    precedence: int
    supersedes: tuple[str, ...]
    designs: tuple[str, ...]

    def recognise(self, data: Path) -> str | None:
        """Return what speaks for this format at a path, or None."""

    def read(self, data: Path, *, columns: Columns) -> Dataset:
        """Read the dataset at a path."""


def known_name(text: str) -> str:
    """Return the name of a patient, a lesion or a case as a table writes it, empty where it says nothing.

    ``nan`` and the like are no names; ``20.0``, which is ``20`` after a program has taken a column for numbers, is 20.
    """
    if text.strip().lower() in NO_NAMES:
        return ""
    return re.sub(r"^(\d+)\.0+$", r"\1", text.strip())


def slug(text: str) -> str:
    """Return a text as part of a file name: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "data"


def image_files(root: Path) -> list[str]:
    """List the image files under a folder, by name, as sorted POSIX paths relative to it.

    Links are followed, each folder once; hidden folders and ``__MACOSX`` are left out.

    Raises
    ------
    DataError
        Where a folder cannot be read: its images would vanish without a word.
    """
    found: list[str] = []
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse_unreadable):
        here = Path(folder).stat()
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith("."))
        prefix = os.path.relpath(folder, root)
        found += [
            name if prefix == "." else f"{prefix}/{name}"
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def _refuse_unreadable(error: OSError) -> None:
    raise DataError(
        f"the folder {error.filename} cannot be read ({error.strerror}); make it readable or move it away"
    ) from error


def refuse_repeats(values: Iterable[tuple[int, str]], *, what: str, table: Path) -> None:
    """Raise DataError at the first line of a table whose value (an id, an image) an earlier line has."""
    seen: dict[str, int] = {}
    for line, value in values:
        if (first := seen.setdefault(value, line)) != line:
            raise DataError(
                f"{table}, line {line}: the {what} {value!r} stands in line {first} already; each row needs its own, "
                "so take one of the two out"
            )
