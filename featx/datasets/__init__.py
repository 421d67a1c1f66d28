"""The shelf of dataset adapters, and the one road from a path to a dataset.

One format a file. Nothing here looks at pixels or knows classes.
"""

from __future__ import annotations

from pathlib import Path

from featx.datasets.base import SYNTHETIC, Adapter, Columns, Dataset, Sample, from_table
from featx.errors import DataError, UsageError
from featx.shelf import Shelf

__all__ = ["ADAPTERS", "SYNTHETIC", "Adapter", "Columns", "Dataset", "Sample", "from_table", "open_dataset"]

ADAPTERS: Shelf[Adapter] = Shelf(
    "dataset",
    {
        "ham10000": "featx.datasets.ham10000:ADAPTER",
        "csv": "featx.datasets.table_dataset:ADAPTER",
        "folder": "featx.datasets.folder:ADAPTER",
    },
)


def open_dataset(data: str | Path, *, adapter: str | None = None, columns: Columns | None = None) -> Dataset:
    """Read the dataset at a path, whichever format it has.

    Parameters
    ----------
    data : path-like
        A folder or a table.
    adapter : str, optional
        The format; found out where it is not given. A table beats class folders.
    columns : Columns, optional
        Columns of a table, where they are not found by their names.

    Raises
    ------
    DataError
        Nothing there, or nothing that an adapter recognises, or a damaged table.
    UsageError
        Several formats fit equally; the candidates are listed.
    """
    data = Path(data)
    if not data.exists():
        raise DataError(f"there is no folder or table {str(data)!r}; give the path of a dataset, or set FEATX_DATA")
    chosen = ADAPTERS[adapter] if adapter else _recognise(data)
    return chosen.read(data, columns=columns or Columns())


def _recognise(data: Path) -> Adapter:
    evidence = {name: ADAPTERS[name].recognise(data) for name in ADAPTERS}
    fitting = [ADAPTERS[name] for name, found in evidence.items() if found]
    if not fitting:
        told = "; ".join(f"{name}: {ADAPTERS[name].expects}" for name in ADAPTERS)
        raise DataError(f"{data} is no dataset that featx knows. It knows {told}")
    best = max(adapter.precedence for adapter in fitting)
    fitting = [adapter for adapter in fitting if adapter.precedence == best]
    if len(fitting) > 1:
        told = "; ".join(f"{adapter.name} ({evidence[adapter.name]})" for adapter in fitting)
        raise UsageError(f"{data} may be any of {told}; say which with --dataset")
    return fitting[0]
