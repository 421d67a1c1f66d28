"""The built-in demo dataset: invented lesions, laid out on disk exactly as HAM10000 is downloaded.

It serves whoever has no data yet, tests, and benchmarks at any number of images. Every table, picture and folder
that it makes says that it is synthetic. This file must never know how a picture is drawn, nor any feature.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from featx.atomic import write_text
from featx.datasets.base import SYNTHETIC
from featx.datasets.demo_picture import DIAGNOSES, picture
from featx.errors import DataError, UsageError

TABLE = "HAM10000_metadata.csv"
PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
FIRST_IMAGE = 24306  # the number of HAM10000's first image

# Lesions and images of each of DIAGNOSES in HAM10000 (Tschandl, Rosendahl and Kittler 2018), counted in its table.
LESIONS = np.array([5403, 614, 727, 327, 228, 98, 73])
IMAGES = np.array([6705, 1113, 1099, 514, 327, 142, 115])
LEAST = 8  # lesions of every diagnosis, so that halves can be divided by three again
SMALL = 300  # images up to which the shares are flattened most

# Mean age and its deviation, how diagnoses were confirmed, and where lesions lie: about as in HAM10000.
AGES = {
    "nv": (46, 15),
    "mel": (61, 15),
    "bkl": (64, 14),
    "bcc": (67, 14),
    "akiec": (67, 11),
    "vasc": (51, 21),
    "df": (53, 13),
}
CONFIRMED: dict[str, dict[str, float]] = {
    "nv": {"follow_up": 0.55, "histo": 0.37, "consensus": 0.08},
    "bkl": {"histo": 0.70, "consensus": 0.24, "confocal": 0.06},
    "vasc": {"consensus": 0.53, "histo": 0.47},
    "df": {"consensus": 0.52, "histo": 0.48},
}
PLACES: dict[str, dict[str, float]] = {
    "nv": {"lower extremity": 24, "back": 23, "trunk": 20, "abdomen": 14, "upper extremity": 11, "foot": 5, "chest": 3},
    "mel": {"back": 31, "upper extremity": 20, "lower extremity": 18, "face": 10, "chest": 8, "abdomen": 7, "trunk": 6},
    "bkl": {"face": 32, "back": 20, "lower extremity": 17, "upper extremity": 10, "chest": 8, "trunk": 8, "scalp": 5},
    "bcc": {"back": 38, "face": 21, "lower extremity": 12, "upper extremity": 10, "chest": 10, "scalp": 5, "neck": 4},
    "akiec": {"face": 37, "lower extremity": 21, "upper extremity": 20, "back": 9, "scalp": 5, "hand": 4, "chest": 4},
    "vasc": {"trunk": 24, "lower extremity": 21, "abdomen": 21, "back": 17, "upper extremity": 9, "face": 6, "ear": 2},
    "df": {"lower extremity": 71, "upper extremity": 21, "abdomen": 4, "foot": 2, "unknown": 2},
}

README = """{synthetic}

Every picture in this folder was drawn by a program from random numbers. No skin, no lesion and no patient was ever
photographed, and no number computed from these files is a clinical result. The layout is that of HAM10000, so that
whatever reads the one reads the other.

images {images}, height x width {height} x {width}, seed {seed}
"""


class Shot(NamedTuple):
    """One image to make: its row of the table, where it goes, and what its picture depends on."""

    row: dict[str, str]
    path: Path
    lesion: tuple[int, ...]
    view: tuple[int, ...]


def generate(
    root: str | Path,
    *,
    images: int = 300,
    size: tuple[int, int] = (450, 600),
    seed: int = 0,
    jobs: int = 1,
    on_progress: Callable[[int, int], Any] | None = None,
) -> Path:
    """Write the demo dataset: dermoscopy-like JPEGs and their table, laid out as HAM10000 is downloaded.

    ``root`` then holds ``HAM10000_metadata.csv``, two folders with half of the images each, and a ``README.txt``. The
    column ``dataset``, the comment in each JPEG and the README say "synthetic demo data". The seven diagnoses overlap
    in looks. About 45 % of the images show a lesion that another image shows too (other zoom, turn, light, hairs).

    With few images the rare diagnoses are more frequent than in HAM10000: lesions are shared out by the square root
    of HAM10000's counts up to 300 images and come gradually to those counts at 10,015, and from 75 images on each
    diagnosis has at least 8 lesions. No prevalence of the demo means anything.

    Parameters
    ----------
    root : path-like
        The folder to fill; missing, empty, or with an earlier demo dataset, which is replaced.
    images : int
        How many images.
    size : tuple of int
        Height and width in pixels, at least 16 each.
    seed : int
        Not negative. A picture depends on the seed, its lesion's diagnosis and number, and the number of the view
        alone: neither on ``jobs`` nor on how many images there are.
    jobs : int
        How many images to draw at a time.
    on_progress : callable, optional
        Called with the number of images done and of all, after each image.

    Returns
    -------
    pathlib.Path
        ``root``. Its table is written last, so that a folder with a table is whole.

    Raises
    ------
    UsageError
        Where a number makes no sense.
    DataError
        Where ``root`` holds anything that is not an earlier demo dataset.
    """
    root = Path(root)
    _check(images, size, seed=seed, jobs=jobs)
    _clear(root)
    text = README.format(synthetic=SYNTHETIC, images=images, height=size[0], width=size[1], seed=seed)
    write_text(root / "README.txt", text)
    shots = list(plan(root, images=images, seed=seed))
    for part in PARTS:
        (root / part).mkdir(exist_ok=True)
    for done, _ in enumerate(_draw_all(shots, size, jobs=jobs), start=1):
        if on_progress is not None:
            on_progress(done, images)
    write_text(root / TABLE, _as_csv([shot.row for shot in shots]))
    return root


def plan(root: Path, *, images: int, seed: int) -> Iterator[Shot]:
    """Lay out every image: which lesion, which view, which names and attributes, in the order of the table.

    Parameters
    ----------
    root : pathlib.Path
        The folder of the dataset; nothing is written.
    images, seed : int
        As in :func:`generate`.

    Yields
    ------
    Shot
        One for each image; rows of one lesion follow each other, image ids do not follow the rows.
    """
    views = views_per_lesion(images)
    lesions = [(kind, number) for kind in range(len(DIAGNOSES)) for number in range(len(views[kind]))]
    rng = np.random.default_rng([seed, 0])
    lesion_names, image_names = rng.permutation(len(lesions)), iter(rng.permutation(images).tolist())
    for place in rng.permutation(len(lesions)).tolist():
        kind, number = lesions[place]
        person = _attributes(DIAGNOSES[kind], np.random.default_rng([seed, 1, kind, number]))
        for view in range(views[kind][number]):
            name = next(image_names)
            ids = {"lesion_id": f"HAM_{lesion_names[place]:07d}", "image_id": f"ISIC_{FIRST_IMAGE + name:07d}"}
            path = root / PARTS[int(name >= (images + 1) // 2)] / f"{ids['image_id']}.jpg"
            yield Shot(ids | person, path, (seed, 2, kind, number), (seed, 3, kind, number, view))


def views_per_lesion(images: int) -> list[list[int]]:
    """Share the images out: for each diagnosis, how many views each of its lesions has.

    Parameters
    ----------
    images : int
        How many in all.

    Returns
    -------
    list of list of int
        In the order of DIAGNOSES; one, two or three views a lesion.
    """
    count = max(1, round(images * int(LESIONS.sum()) / int(IMAGES.sum())))
    flat = np.interp(np.log(images), np.log([SMALL, IMAGES.sum()]), [0.5, 1.0])
    least = min(LEAST, count // len(DIAGNOSES))
    lesions = _shares(LESIONS**flat, count, least=least)
    again = _shares(lesions * (IMAGES / LESIONS - 1), images - count)
    return [_views(int(n), int(extra)) for n, extra in zip(lesions, again, strict=True)]


def _views(lesions: int, extra: int) -> list[int]:
    """Give ``extra`` second and third views to the first lesions, about one in five of them a third one."""
    thirds = max(extra // 5, extra - lesions)
    views = np.ones(lesions, int)
    views[: extra - thirds] += 1
    views[:thirds] += 1
    return views.tolist()


def _shares(weights: np.ndarray, total: int, *, least: int = 0) -> np.ndarray:
    """Divide a total by weights into whole numbers (largest remainder), none below ``least``."""
    exact = weights / weights.sum() * total
    poor = exact < least
    if poor.any():
        shares = np.full(len(weights), least)
        shares[~poor] = _shares(weights[~poor], total - least * int(poor.sum()), least=least)
        return shares
    shares = np.floor(exact).astype(int)
    shares[np.argsort(shares - exact, kind="stable")[: total - shares.sum()]] += 1
    return shares


def _attributes(diagnosis: str, rng: np.random.Generator) -> dict[str, str]:
    """Invent what the table says of one lesion beside its ids."""
    mean, deviation = AGES[diagnosis]
    age = 5.0 * round(float(np.clip(rng.normal(mean, deviation), 5, 85)) / 5)
    known = rng.random() > 0.03
    return {
        "dx": diagnosis,
        "dx_type": _pick(CONFIRMED.get(diagnosis, {"histo": 1.0}), rng),
        "age": f"{age:.1f}" if known else "",
        "sex": _pick({"male": 0.53, "female": 0.46, "unknown": 0.01}, rng),
        "localization": _pick(PLACES[diagnosis], rng),
        "dataset": SYNTHETIC,
    }


def _pick(weights: dict[str, float], rng: np.random.Generator) -> str:
    chances = np.array(list(weights.values()), float)
    return list(weights)[int(rng.choice(len(chances), p=chances / chances.sum()))]


def _draw_all(shots: list[Shot], size: tuple[int, int], *, jobs: int) -> Iterator[None]:
    """Draw and write every image, ``jobs`` at a time; yields after each.

    Threads are enough: drawing is NumPy and Pillow, which let other threads run. Matrix products take one thread each,
    so that their sums, and with them the bytes of a file, are the same however many work side by side.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda shot: _draw(shot, size), shots)


def _draw(shot: Shot, size: tuple[int, int]) -> None:
    lesion, view = np.random.default_rng(shot.lesion), np.random.default_rng(shot.view)
    image = picture(shot.row["dx"], lesion, view=view, size=size)
    image.save(shot.path, quality=90, comment=SYNTHETIC)


def _as_csv(rows: list[dict[str, str]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _check(images: int, size: tuple[int, int], *, seed: int, jobs: int) -> None:
    if images < 1:
        raise UsageError(f"the demo dataset cannot have {images} images; ask for at least 1")
    if len(size) != 2 or min(size) < 16:
        raise UsageError(f"a size of {size} is not a height and a width of 16 pixels or more; give (450, 600) or so")
    if seed < 0:
        raise UsageError(f"the seed {seed} is negative; give 0 or a whole number above it")
    if jobs < 1:
        raise UsageError(f"{jobs} jobs cannot draw anything; give at least 1")


def _clear(root: Path) -> None:
    """Take an earlier demo dataset out of the folder, and touch nothing that is not one."""
    if not root.exists():
        return
    readme = root / "README.txt"
    if any(root.iterdir()) and not (readme.is_file() and readme.read_text(encoding="utf-8").startswith(SYNTHETIC)):
        raise DataError(f"{root} holds files that are no demo dataset; give a new or an empty folder for it")
    (root / TABLE).unlink(missing_ok=True)
    for part in PARTS:
        for image in (root / part).glob("ISIC_*.jpg"):
            image.unlink()
