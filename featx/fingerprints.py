"""Fingerprints of image files: what a file is, without what its picture means.

Size, format and camera show whether the file alone gives a label away; the digest, the hash and the spectrum of the
picture find copies of it. Taken once and remembered beside size and time of each file. This file must never know
diagnoses, groups or features.

The hash is the 64-bit DCT hash of Zauner (2010, "Implementation and benchmarking of perceptual image hash functions",
section 3.2), on the upper left 8 x 8 block of the cosine transform without its constant term. On dermoscopy, fundus
and chest X-rays it is too weak to stand alone (figures in ``near_duplicates``), so the spectrum stands beside it.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from featx import atomic, engine
from featx.cache.places import Places
from featx.datasets import Dataset
from featx.engine import OnProgress
from featx.errors import ImageError
from featx.images import DECODE_RULES, MAX_PIXELS, Source, Stat, decode, read, stat_of
from featx.provenance import digest_json

if TYPE_CHECKING:
    from PIL import Image

FORMAT = "featx-fingerprints"
RULES = 1  # raised whenever a change here changes a fingerprint
SIDE = 32  # of the grey picture that is transformed
DRAFT = 128  # a JPEG is decoded at the smallest scale that leaves its sides so long: a quarter of the time
HASH_SIDE, SPECTRUM_SIDE = 8, 16  # of the blocks of lowest frequencies that are kept
FLAT = 1.0  # grey levels of standard deviation below which there is no picture, only rounding and noise
EXIF_CAMERA = (0x010F, 0x0110, 0x0131)  # make, model, software
LONGEST = 200  # characters of the camera that are kept


class Fingerprint(NamedTuple):
    """What one image file is.

    Attributes
    ----------
    sha256 : str
        Digest of its bytes, 64 hex digits.
    phash : int
        Perceptual hash of the upright picture, 64 bits; 0 where the picture is flat.
    bytes : int
        Its size.
    width, height : int
        Pixels as stored, before EXIF turns them.
    mode : str
        Pillow's mode as stored (``L``, ``RGB``, ``P``): for a JPEG whether it is stored as grey or in colour.
    format : str
        Pillow's name of the format (``JPEG``, ``PNG``); empty where Pillow does not know it by itself.
    camera : str
        EXIF make, model and software, printable, parted by commas; empty where there is none.
    spectrum : str
        Signed bytes as 512 hex digits, see :func:`spectrum_of`; empty where the picture is flat.
    """

    sha256: str
    phash: int
    bytes: int
    width: int
    height: int
    mode: str
    format: str
    camera: str
    spectrum: str = ""


@dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of a dataset: every sample is in one of the two.

    Attributes
    ----------
    of : dict of str to Fingerprint
        By sample id.
    failed : dict of str to str
        Why there is none, by sample id.
    """

    of: dict[str, Fingerprint]
    failed: dict[str, str]


# takes paths of files and a callable that is told of progress; returns of each file the row of its fingerprint, as
# row_of gives it, or why there is none
Look = Callable[[Sequence[str], "OnProgress | None"], "list[list[Any] | str]"]


class _Known(NamedTuple):
    stat: Stat
    fingerprint: Fingerprint


def take(
    dataset: Dataset,
    *,
    places: Places,
    look: Look | None = None,
    jobs: int | None = None,
    skip: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
) -> Fingerprints:
    """Take the fingerprint of every image of a dataset; files that have not changed since are not opened.

    Parameters
    ----------
    dataset : Dataset
        Its samples and where they lie.
    places : Places
        The cache, which remembers them in ``places.fingerprints(dataset.name)``; a damaged or older file there counts
        as none, and a place that cannot be written costs the next run the same work, nothing more.
    look : callable, optional
        Takes the fingerprints of files; in threads of this process by default, which dies if a decoder does.
    jobs : int, optional
        Threads of the default; all cores by default.
    skip : mapping of str to str, optional
        Paths of samples that are not to be opened, with the reason: a decoder may die of them.
    on_progress : callable, optional
        Told (done, total) of the files that had to be opened.

    Returns
    -------
    Fingerprints
        Of each sample, or the reason why there is none.
    """
    memo = places.fingerprints(dataset.name)
    known = _read(memo)
    root = dataset.root.resolve()  # in the key: another folder under this name has other files
    full = {sample.path: str(root / sample.path) for sample in dataset.samples}
    failed = {full[path]: reason for path, reason in (skip or {}).items() if path in full}
    changed = (path for path in dict.fromkeys(full.values()) if path not in known or known[path].stat != stat_of(path))
    asked = [path for path in changed if path not in failed]
    found = (look or _here(jobs))(asked, on_progress) if asked else []
    failed |= {path: told for path, told in zip(asked, found, strict=True) if isinstance(told, str)}
    fresh = {path: _from_row(told) for path, told in zip(asked, found, strict=True) if not isinstance(told, str)}
    known |= fresh
    if fresh:
        _remember(memo, known)
    at = {sample.id: full[sample.path] for sample in dataset.samples}
    return Fingerprints(
        {name: known[path].fingerprint for name, path in at.items() if path not in failed},
        {name: failed[path] for name, path in at.items() if path in failed},
    )


def row_of(source: Source) -> list[Any] | None:
    """Return the fingerprint of an image file that was read as plain values for :func:`keep`; None where it has none.

    Whoever decodes an image for another purpose has its bytes at hand, and need not open it twice.
    """
    try:
        return row_or_refusal(source)
    except ImageError:
        return None


def row_or_refusal(source: Source) -> list[Any]:
    """Return the fingerprint of an image file that was read as plain values for :func:`keep`.

    Raises
    ------
    ImageError
        Where there is none, with the reason.
    """
    return _to_row(_Known(source.stat, fingerprint(source)))


def keep(dataset: Dataset, rows: Mapping[str, list[Any]], *, places: Places) -> None:
    """Remember fingerprints that were taken elsewhere, by path of the sample, as :func:`row_of` gave them."""
    if rows:
        root, memo = dataset.root.resolve(), places.fingerprints(dataset.name)
        _remember(memo, {**_read(memo), **{str(root / path): _from_row(row) for path, row in rows.items()}})


def restamp(dataset: Dataset, sources: Mapping[str, Source], *, places: Places) -> None:
    """Remember another size and time of files whose bytes are what they were, by path of the sample."""
    if not sources:
        return
    root, memo = dataset.root.resolve(), places.fingerprints(dataset.name)
    known = _read(memo)
    now = {str(root / path): source for path, source in sources.items()}
    same = {path for path in now.keys() & known.keys() if known[path].fingerprint.sha256 == now[path].sha256}
    if same:
        _remember(memo, known | {path: known[path]._replace(stat=now[path].stat) for path in same})


def remembered(name: str, *, places: Places) -> dict[str, Fingerprint]:
    """Return what is remembered of the images of a dataset, by the digest of their bytes; no image is asked for."""
    return {known.fingerprint.sha256: known.fingerprint for known in _read(places.fingerprints(name)).values()}


def _here(jobs: int | None) -> Look:
    def look(paths: Sequence[str], on_progress: OnProgress | None) -> list[list[Any] | str]:
        return engine.run(_look, [(Path(path),) for path in paths], jobs=jobs, on_progress=on_progress)

    return look


def _look(path: Path) -> list[Any] | str:
    try:
        return row_or_refusal(read(path))
    except ImageError as error:
        return str(error)


def fingerprint(source: Source) -> Fingerprint:
    """Return the fingerprint of an image file that was read.

    Raises
    ------
    ImageError
        Where :func:`featx.images.decode` refuses the bytes, with its reason.
    """
    picture = _drafted(source.data) or decode(source.data)
    coefficients = transformed(picture)
    return Fingerprint(
        source.sha256,
        phash_of(coefficients),
        len(source.data),
        *_stored(source.data, picture),
        spectrum=spectrum_of(coefficients),
    )


def _drafted(data: bytes) -> Image.Image | None:
    """Return a small upright grey version of a JPEG, or None for the full decoder to read it or to say why not."""
    from PIL import Image, ImageOps

    try:
        image = Image.open(io.BytesIO(data))
        if image.format != "JPEG" or image.width * image.height > MAX_PIXELS:
            return None
        image.draft("L", (DRAFT, DRAFT))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image
    except Exception:  # whatever it is, decode meets it again and gives it its name
        return None


def transformed(picture: Image.Image) -> np.ndarray:
    """Return the two-dimensional cosine transform (type II, orthonormal) of a picture, grey and 32 x 32.

    Returns
    -------
    numpy.ndarray of float64, shape (32, 32)
        Zero throughout where the picture is flat. Rounded to thousandths of a grey level: else the hash of a picture
        of few frequencies would be made of rounding errors.
    """
    from PIL import Image
    from scipy.fft import dctn

    grey = picture.convert("L").convert("F")  # so that the means below are not rounded to whole grey levels
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=float)
    return np.zeros_like(small) if small.std() < FLAT else np.round(dctn(small, type=2, norm="ortho"), 3)


def phash_of(coefficients: np.ndarray) -> int:
    """Return the perceptual hash: which of the 8 x 8 lowest frequencies are above their median.

    Row by row, the first the most significant bit; the constant term, which is brightness alone, has no part in the
    median, and its bit is 0.
    """
    low = coefficients[:HASH_SIDE, :HASH_SIDE].ravel()
    above = low > np.median(low[1:])
    above[0] = False
    return int.from_bytes(np.packbits(above).tobytes())


def spectrum_of(coefficients: np.ndarray) -> str:
    """Return the 16 x 16 lowest frequencies, each weighted by its distance from zero, as signed bytes in hex.

    Pictures of one kind agree in their lowest frequencies (a bright disc on black, a dark spot on skin), so that their
    plain correlation is near 1; times frequency, what sets them apart weighs as much. The largest becomes 127 or -127;
    as bytes the correlation of two spectra is off by about 1e-4.
    """
    row, column = np.mgrid[:SPECTRUM_SIDE, :SPECTRUM_SIDE]
    weighted = coefficients[:SPECTRUM_SIDE, :SPECTRUM_SIDE] * np.hypot(row, column)
    largest = np.abs(weighted).max()
    return np.rint(127 / largest * weighted).astype(np.int8).tobytes().hex() if largest else ""


def _stored(data: bytes, picture: Image.Image) -> tuple[int, int, str, str, str]:
    """Return width, height, mode, format and camera as the header of a readable file says."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.width, image.height, image.mode, image.format or "", _camera(image)
    except UnidentifiedImageError:  # decode reads a format that Pillow does not know
        return picture.width, picture.height, picture.mode, "", ""


def _camera(image: Image.Image) -> str:
    if image.format == "PNG" and "exif" not in image.info:
        return ""  # Pillow would decode all pixels to look for EXIF behind them
    try:
        exif = image.getexif()
        words = [_printable(exif.get(tag)) for tag in EXIF_CAMERA]
    except Exception:  # a damaged EXIF block says nothing of the camera; the picture is sound
        return ""
    return ", ".join(filter(None, words))[:LONGEST]


def _printable(value: Any) -> str:
    return "".join(filter(str.isprintable, value)).strip() if isinstance(value, str) else ""


def _read(memo: Path) -> dict[str, _Known]:
    """Return what is remembered, by path; nothing where the file is missing, damaged or of other rules."""
    try:
        value = json.loads(memo.read_text(encoding="utf-8"))
        files = value.pop("files")
        if value != _head(files):
            return {}
        return {path: _from_row(row) for path, row in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _remember(memo: Path, known: Mapping[str, _Known]) -> None:
    files = {path: _to_row(one) for path, one in known.items()}
    with contextlib.suppress(OSError):
        atomic.write_text(memo, json.dumps({**_head(files), "files": files}))


def _head(files: Mapping[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "rules": [RULES, DECODE_RULES], "digest": digest_json(files)}


def _to_row(known: _Known) -> list[Any]:
    sha256, phash, *rest = known.fingerprint
    return [known.stat.mtime_ns, sha256, f"{phash:016x}", *rest]


def _from_row(row: list[Any]) -> _Known:
    mtime_ns, sha256, phash, size, *rest = row
    return _Known(Stat(size, mtime_ns), Fingerprint(sha256, int(phash, 16), size, *rest))
