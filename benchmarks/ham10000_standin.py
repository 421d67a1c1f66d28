"""Stand-in pictures for HAM10000: its official table, and an invented picture for each of its 10,015 rows.

The pictures are the demo's: drawn from a seed and the row's lesion and diagnosis, so that something can be learned and
the images of a lesion are alike. The table keeps its rows and gains the column ``dataset``, which says "synthetic demo
data" in each: featx then says so wherever a number stands. For measuring at full scale what needs no real pictures.

    python benchmarks/ham10000_standin.py HAM10000_metadata.csv FOLDER [--size 150x200] [--rows 10015] [--seed 0]
"""

from __future__ import annotations

import argparse
import csv
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from featx.atomic import write_text
from featx.datasets.base import SYNTHETIC
from featx.datasets.demo import PARTS, TABLE
from featx.datasets.demo_picture import picture
from featx.engine import cores

Row = dict[str, str]


def rows_of(table: Path, *, most: int | None = None) -> list[Row]:
    """Return the rows of the official table, each marked as synthetic: all, or the first so many."""
    with open(table, newline="", encoding="utf-8-sig") as stream:
        rows = [{**row, "dataset": SYNTHETIC} for row in csv.DictReader(stream)]
    return rows if most is None else rows[:most]


def drawn(rows: list[Row], root: Path, *, size: tuple[int, int], seed: int = 0) -> Path:
    """Write a picture for each row, where there is none yet, and then the table; return the folder."""
    for part in PARTS:
        (root / part).mkdir(parents=True, exist_ok=True)
    write_text(root / "README.txt", f"{SYNTHETIC}\n\nThe rows are HAM10000's, the pictures were drawn by a program.\n")
    half = (len(rows) + 1) // 2
    places = [root / PARTS[at >= half] / f"{row['image_id']}.jpg" for at, row in enumerate(rows)]
    with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda row, path: _draw(row, path, size, seed), rows, places))
    write_text(root / TABLE, _as_csv(rows))
    return root


def _draw(row: Row, path: Path, size: tuple[int, int], seed: int) -> None:
    if path.exists():
        return
    lesion, view = (
        np.random.default_rng([seed, at, int(row[name].rpartition("_")[2])])
        for at, name in enumerate(("lesion_id", "image_id"))
    )
    stream = io.BytesIO()
    picture(row["dx"], lesion, view=view, size=size).save(stream, "JPEG", quality=90, comment=SYNTHETIC)
    path.write_bytes(stream.getvalue())


def _as_csv(rows: list[Row]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width)


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=_size, default=(150, 200), help="height x width in pixels")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rows = rows_of(asked.table, most=asked.rows)
    print(f"{len(rows)} pictures in {drawn(rows, asked.folder, size=asked.size, seed=asked.seed)}")


if __name__ == "__main__":
    main()
