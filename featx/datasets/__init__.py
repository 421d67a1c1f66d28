"""The shelf of dataset adapters, and the one road from a path to a dataset.

One format a file. Nothing here looks at pixels or knows classes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path

from featx.datasets.base import SYNTHETIC, Adapter, Columns, Dataset, Sample, from_table, image_files
from featx.datasets.image_index import listed_once
from featx.errors import DataError, UsageError
from featx.shelf import Shelf

__all__ = ["ADAPTERS", "SYNTHETIC", "Adapter", "Columns", "Dataset", "Sample", "from_table", "open_dataset"]

ADAPTERS: Shelf[Adapter] = Shelf(
    "dataset",
    {
        "ham10000": "featx.datasets.ham10000:ADAPTER",
        "isic2016": "featx.datasets.isic2016:ADAPTER",
        "isic2017": "featx.datasets.isic2017:ADAPTER",
        "isic2018": "featx.datasets.isic2018:ADAPTER",
        "isic2019": "featx.datasets.isic2019:ADAPTER",
        "isic2020": "featx.datasets.isic2020:ADAPTER",
        "isic-archive": "featx.datasets.isic_archive:ADAPTER",
        "atlas": "featx.datasets.atlas:ADAPTER",
        "derm7pt": "featx.datasets.derm7pt:ADAPTER",
        "ph2": "featx.datasets.ph2:ADAPTER",
        "kermany": "featx.datasets.kermany:ADAPTER",
        "eyepacs": "featx.datasets.eyepacs:ADAPTER",
        "aptos2019": "featx.datasets.aptos2019:ADAPTER",
        "idrid": "featx.datasets.idrid:ADAPTER",
        "messidor": "featx.datasets.messidor:ADAPTER",
        "imagefolder": "featx.datasets.imagefolder:ADAPTER",
        "csv": "featx.datasets.table_dataset:ADAPTER",
        "folder": "featx.datasets.folder:ADAPTER",
    },
)


FOLDERS_TRIED = 50


def open_dataset(
    data: str | os.PathLike[str], *, adapter: str | None = None, columns: Columns | None = None
) -> Dataset:
    """Read the dataset at a path, whichever format it has.

    Parameters
    ----------
    data : path-like
        A folder or a table.
    adapter : str, optional
        The format; found out where it is not given. A table beats class folders.
    columns : Columns, optional
        Where the labels stand, where that is not found out: another table, other columns.

    Raises
    ------
    DataError
        Nothing there, or nothing that an adapter recognises, or a damaged table.
    UsageError
        Several formats fit equally; the candidates are listed.
    """
    data = Path(data)
    if not os.path.exists(data):  # noqa: PTH110 (Path.exists raises on a name that is too long)
        raise DataError(f"there is no folder or table {str(data)!r}; give the path of a dataset, or set FEATX_DATA")
    columns = columns or Columns()
    labels = Path(columns.labels) if columns.labels is not None else data
    if not labels.exists():
        raise UsageError(f"there is no table of labels {str(labels)!r} (--labels)")
    with listed_once():
        chosen = ADAPTERS[adapter] if adapter else _recognise(labels)
        return chosen.read(data, columns=columns)


def _recognise(data: Path) -> Adapter:
    for candidates in _by_precedence():
        evidence = {adapter: found for adapter in candidates if (found := adapter.recognise(data))}
        beaten = {name for adapter in evidence for name in adapter.supersedes}
        evidence = {adapter: found for adapter, found in evidence.items() if adapter.name not in beaten}
        if len(evidence) > 1:
            told = "; ".join(f"{adapter.name} ({found})" for adapter, found in evidence.items())
            raise UsageError(f"{data} may be any of {told}; say which with --dataset")
        if evidence:
            return next(iter(evidence))
    raise DataError(f"{data} {_seen(data)}; {_advice(data)}")


def _advice(data: Path) -> str:
    """Return what to do about a folder that no adapter recognises: often the dataset lies a folder away."""
    below = (path for pattern in ("*", "*/*") for path in sorted(data.glob(pattern)) if path.is_dir())
    above = (path for path in sorted(data.resolve().parent.glob("*")) if path.is_file())
    tables = [ADAPTERS[name] for name in ADAPTERS if ADAPTERS[name].precedence > 0]
    for place in [*islice(below, FOLDERS_TRIED), *islice(above, FOLDERS_TRIED)]:
        if known := next((adapter.name for adapter in tables if adapter.recognise(place)), None):
            what = "give that" if place.is_dir() else f"give {place.parent}, or --labels with this table"
            return f"{place} looks like a dataset ({known}): {what}"
    return "`featx datasets` lists what can be read"


def _by_precedence() -> Iterator[list[Adapter]]:
    adapters = sorted((ADAPTERS[name] for name in ADAPTERS), key=lambda adapter: -adapter.precedence)
    return (list(equals) for _, equals in groupby(adapters, key=lambda adapter: adapter.precedence))


def _seen(data: Path) -> str:
    if not data.is_dir():
        return "is a file but no table"
    count = len(image_files(data))
    return (
        f"holds {count} images, but no table and no class folders that say what they are" if count else "has no images"
    )
