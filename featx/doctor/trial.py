"""Weights at hand, settings that surprise, and a tiny extraction from end to end.

This file must never know how findings are shown.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from featx.cache.places import Places
from featx.cache.verifying import verify
from featx.doctor.finding import NOTE, OK, WRONG, Finding
from featx.errors import FeatxError
from featx.provenance import digest_file

IMAGES, SIDE, NETWORK = 6, 48, "maia-custom2"


def weights(places: Places) -> Finding:
    """Look for weights in torch's folder of downloads, and hold each against the digest in its name."""
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = sorted(folder.glob("*.pth")) if folder.is_dir() else []
    broken = [path for path in files if not _as_named(path)]
    if broken:
        names = ", ".join(str(path) for path in broken)
        return Finding(
            "weights", WRONG, f"not what their names promise: {names}", "delete them; they are fetched again"
        )
    known = f"; {count} remembered in {places.memo}" if (count := _remembered(places.memo)) else ""
    if not files:
        told = f"no ImageNet weights in {folder}{known}"
        return Finding(
            "weights", NOTE, told, "the first --weights imagenet fetches them; without a network, --weights FILE"
        )
    return Finding("weights", OK, f"{', '.join(path.stem for path in files)} in {folder}{known}")


def _as_named(path: Path) -> bool:
    """Return whether the digest in a download's name is that of its bytes; true where its name holds none."""
    promised = re.search(r"-([0-9a-f]{8,64})$", path.stem)
    return promised is None or digest_file(path).startswith(promised[1])


def _remembered(memo: Path) -> int:
    try:
        content = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    return len(content) if isinstance(content, dict) else 0


def settings() -> Iterator[Finding]:
    """Tell settings of this process that surprise people hours later."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY:
        told = f"files may have {limit / 1e6:,.1f} MB at most (ulimit -f)"
        yield Finding("settings", NOTE, told, "ulimit -f unlimited, where feature files will be larger")
    if sys.getfilesystemencoding() != "utf-8":
        told = f"names of files are read as {sys.getfilesystemencoding()}"
        yield Finding("settings", NOTE, told, "set PYTHONUTF8=1 or a UTF-8 locale, before names go into a cache")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        if os.environ.get(name) == "1":
            yield Finding("settings", NOTE, f"{name}=1: the network runs on one core", f"unset {name}")
    said = [f"{name}={value}" for name in ("FEATX_CACHE", "FEATX_DATA") if (value := os.environ.get(name))]
    if said:
        yield Finding("settings", OK, ", ".join(said))


def self_test() -> Finding:
    """Extract six tiny images, one of them broken, with a small network; again; and verify what came out."""
    with tempfile.TemporaryDirectory(prefix="featx-doctor-") as folder:
        try:
            wrong = _extracted(Path(folder))
        except FeatxError as error:
            wrong = str(error)
        except Exception as error:  # whatever it is, it is what the doctor was asked to find
            wrong = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    if wrong:
        return Finding(
            "self-test", WRONG, wrong, "mend what is wrong above, and run `featx --debug doctor` for the rest"
        )
    told = f"{IMAGES} images through a small network: features stored, found again and verified, a broken image told"
    return Finding("self-test", OK, told)


def _extracted(folder: Path) -> str:
    """Return what went wrong, empty where nothing did."""
    from featx.extraction import extract

    _draw(folder / "data")
    about = {"backbone": NETWORK, "weights": "random", "size": 64, "cache": folder / "cache", "max_failures": 1.0}
    found, again = (extract(folder / "data", **about) for _ in range(2))  # type: ignore[arg-type]
    if len(found.failed) != 1 or found.computed != IMAGES + 1:
        return f"{found.computed} images and {len(found.failed)} failures, not {IMAGES + 1} and 1"
    if again.computed or again.passes:
        return "a second extraction computed what was there"
    seen = verify(found.files[0])
    return "" if seen.sound and seen.ok == seen.images == IMAGES else f"bad rows: {seen.bad or seen.finish}"


def _draw(folder: Path) -> None:
    """Make images of two kinds and one that is none."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        place = folder / ("mel", "nv")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(place / f"{number}.jpg")
    (folder / "nv" / "broken.jpg").write_bytes(b"no image")
