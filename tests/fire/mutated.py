"""Image files of every format that is read, damaged in any way, among sound ones: an extraction goes through them all.

The bytes are anybody's, and decoders are written in C: what is damaged must cost itself and nothing beside it.
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fire.common import Tally

SIDES = (72, 96)
NEIGHBOURS = 5  # damaged files for each sound one
MOST_MEMORY = 2 * 10**9  # bytes more than the same run on sound files
NETWORK = {"backbone": "maia-custom2", "weights": "random", "size": 64, "precision": "fp32", "batch_size": 16}


def picture(rng: np.random.Generator) -> Image.Image:
    """Draw something with large and small parts, so that every branch of a coder is used."""
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(
        SIDES[::-1], Image.Resampling.BICUBIC
    )
    grain = rng.normal(0, 9, (*SIDES, 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8))


def _jpeg(rng: np.random.Generator) -> bytes:
    mode = str(rng.choice(["RGB", "L", "CMYK"]))
    return _saved(rng, "JPEG", mode, quality=int(rng.integers(30, 96)), progressive=bool(rng.integers(2)))


def _png(rng: np.random.Generator) -> bytes:
    return _saved(rng, "PNG", str(rng.choice(["RGB", "L", "P", "RGBA", "1", "I;16"])))


def _tiff(rng: np.random.Generator) -> bytes:
    how = str(rng.choice(["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]))
    return _saved(rng, "TIFF", str(rng.choice(["RGB", "L"])), compression=how)


def _bmp(rng: np.random.Generator) -> bytes:
    return _saved(rng, "BMP", str(rng.choice(["RGB", "L", "P", "1"])))


def _webp(rng: np.random.Generator) -> bytes:
    return _saved(rng, "WEBP", str(rng.choice(["RGB", "RGBA"])), lossless=bool(rng.integers(2)))


def _gif(rng: np.random.Generator) -> bytes:
    more = [picture(rng).convert("P") for _ in range(int(rng.integers(3)))]
    return _saved(rng, "GIF", "P", save_all=bool(more), append_images=more)


def _saved(rng: np.random.Generator, kind: str, mode: str, **options) -> bytes:
    image, stream = picture(rng), io.BytesIO()
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    (image if mode == "I;16" else image.convert(mode)).save(stream, kind, **options)
    return stream.getvalue()


def _dicom(rng: np.random.Generator) -> bytes:
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    about = FileMetaDataset()
    about.TransferSyntaxUID, about.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    about.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(rng.integers(1 << 40))])
    held = FileDataset("", {}, file_meta=about, preamble=bytes(128))
    held.SOPClassUID, held.SOPInstanceUID = about.MediaStorageSOPClassUID, about.MediaStorageSOPInstanceUID
    pixels = np.asarray(picture(rng).convert("L")).astype(np.uint16) * 16
    held.Rows, held.Columns, held.SamplesPerPixel = *pixels.shape, 1
    held.PhotometricInterpretation = str(rng.choice(["MONOCHROME1", "MONOCHROME2"]))
    held.BitsAllocated, held.BitsStored, held.HighBit, held.PixelRepresentation = 16, 12, 11, 0
    held.PixelData = pixels.tobytes()
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, held, enforce_file_format=True)
    return stream.getvalue()


FORMATS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "jpg": _jpeg,
    "png": _png,
    "tif": _tiff,
    "bmp": _bmp,
    "webp": _webp,
    "gif": _gif,
}


def formats() -> dict[str, Callable[[np.random.Generator], bytes]]:
    """Return what draws a sound file of each format that is read here."""
    from importlib.util import find_spec

    return {**FORMATS, **({"dcm": _dicom} if find_spec("pydicom") else {})}


def damaged(sound: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with bytes changed, cut, a stretch zeroed, moved, doubled or put in, or a number blown up."""
    content, kind = bytearray(sound), int(rng.integers(7))
    head = min(len(content), 600 if rng.random() < 0.5 else len(content))  # half of it where the header is
    at = int(rng.integers(head))
    length = int(rng.integers(1, max(2, len(content) // 8)))
    if kind == 0:
        for place in rng.integers(0, head, int(rng.integers(1, 17))).tolist():
            content[place] = int(rng.integers(256))
    elif kind == 1:
        content = content[: int(rng.integers(len(content)))]
    elif kind == 2:
        content[at : at + length] = bytes(len(content[at : at + length]))
    elif kind == 3:
        other = int(rng.integers(len(content)))
        content[at : at + length] = content[other : other + length]
    elif kind == 4:
        content[at:at] = content[at : at + length]
    elif kind == 5:
        content[at:at] = rng.bytes(length)
    else:
        size = int(rng.choice([2, 4, 8]))
        content[at : at + size] = bytes([int(rng.choice([0x00, 0x7F, 0x80, 0xFF]))] * len(content[at : at + size]))
    return bytes(content)


def drawn(folder: Path, each: int, *, seed: int) -> dict[str, str]:
    """Draw two datasets of the same names: all files of ``clean`` are sound, most of ``bad`` damaged; return which."""
    rng, kinds = np.random.default_rng(seed), formats()
    names: dict[str, str] = {}
    for row in range(each * len(kinds)):
        kind = [*kinds][row % len(kinds)]
        sound, broken = kinds[kind](rng), b""
        while not broken or broken == sound:
            broken = damaged(sound, rng)
        names[_put(folder, row, kind, sound, broken)] = kind
        if row % NEIGHBOURS == 0:
            _put(folder, row, f"sound.{kind}", sound, sound)
    return names


def _put(folder: Path, row: int, ending: str, clean: bytes, bad: bytes) -> str:
    name = f"{'nv' if row % 2 else 'mel'}/{row:05}.{ending}"
    for tree, content in (("clean", clean), ("bad", bad)):
        path = folder / tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return name


@dataclass
class Facts:
    """What an extraction came to: failures by image, features file, and the peak memory of all its processes, bytes."""

    failed: dict[str, str]
    file: str
    memory: int

    def to_json(self) -> str:
        return json.dumps(vars(self))


def extracted(folder: Path, data: str) -> Facts:
    """Extract a dataset and tell how much memory this process and the largest of its children took."""
    import warnings

    from featx import extract

    warnings.simplefilter("ignore")  # Pillow's on odd files; the tests hold warnings for errors
    found = extract(folder / data, cache=folder / f"cache-{data}", max_failures=1.0, **NETWORK)
    peaks = [resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Facts(found.failed, str(found.files[0]), sum(peaks))


def many(folder: Path, each: int, *, seed: int = 0) -> Tally:
    """Extract a folder with so many damaged files of each format, and hold it against one of sound files.

    ``lost`` are sound images without features, and failures without a reason; ``wrong`` are rows of sound images that
    are not the same to the bit; ``unreadable`` counts runs that ended, or took more than 2 GB beyond the sound one.
    """
    tally, names = Tally(), drawn(folder, each, seed=seed)
    runs = {data: _run(folder, data) for data in ("clean", "bad")}
    shutil.rmtree(folder / "bad")
    tally.trials = len(names)
    if not all(runs.values()):
        tally.unreadable += 1
        return tally
    clean, bad = runs["clean"], runs["bad"]
    tally.lost += len(clean.failed) + len(set(bad.failed) - set(names)) + sum(not why for why in bad.failed.values())
    _compare(tally, names, clean, bad)
    more = bad.memory - clean.memory
    tally.unreadable += more > MOST_MEMORY
    for why in bad.failed.values():
        tally.count(why.partition(":")[0])
    tally.count("decoded all the same", len(names) - len(bad.failed))
    tally.count("MB more than on sound files", round(more / 1e6))
    tally.count("MB on sound files", round(clean.memory / 1e6))
    return tally


def _compare(tally: Tally, names: dict[str, str], clean: Facts, bad: Facts) -> None:
    from featx.cache import OK, FeatureFile

    with FeatureFile.open(clean.file) as one, FeatureFile.open(bad.file) as other:
        rows = np.array([row for row, name in enumerate(one.paths) if name not in names])
        status, records, paths = other.status(), other.records(), other.paths
        tally.wrong += one.paths != paths or not other.complete
        tally.wrong += int((one.load()[rows] != other.load()[rows]).any(axis=1).sum())
    tally.lost += int((status[rows] != OK).sum())
    failed = {paths[row] for row in np.flatnonzero(status != OK).tolist() if records["reason"][row]}
    tally.lost += len(failed ^ set(bad.failed))
    tally.count("sound neighbours", len(rows))


def _run(folder: Path, data: str) -> Facts | None:
    words = [sys.executable, "-m", "fire", "mutated.extracted", str(folder), json.dumps({"data": data})]
    home = Path(__file__).parents[1]
    told = subprocess.run(words, capture_output=True, text=True, cwd=home, check=False, env={**os.environ})
    if told.returncode:
        print(told.stderr, file=sys.stderr)
        return None
    return Facts(**json.loads(told.stdout))
