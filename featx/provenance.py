"""Where a number came from: digests of what went in, versions of what computed it.

Everything here is deterministic but :func:`environment`, which describes the machine. This file knows nothing
of images, features or classifiers, and it imports no heavy library to learn its version.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("featx", "torch", "torchvision", "scikit-learn", "numpy", "scipy", "h5py", "pillow", "joblib", "xxhash")
ABILITIES = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")  # what changes sums of products
LONE = re.compile(r"[\ud800-\udfff]")


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN.

    Raises
    ------
    ValueError
        Where the value holds NaN or infinity.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # a file name that is no UTF-8 comes with lone surrogates, which only an escape takes into UTF-8 and back
    return LONE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def digest_bytes(data: bytes) -> str:
    """Return the sha256 of bytes, as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON, as 64 hex digits."""
    return digest_bytes(canonical_json(value).encode())


def digest_file(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file's bytes, as 64 hex digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_arrays(arrays: Iterable[tuple[str, np.ndarray]]) -> str:
    """Return the sha256 over names, dtypes, shapes and bytes of arrays, in the order of their names.

    Two weights files that hold the same tensors agree, whatever their format (.pth, .safetensors).
    """
    state = hashlib.sha256()
    for name, array in sorted(arrays, key=lambda item: item[0]):
        array = np.asarray(array, order="C")
        state.update(canonical_json([name, str(array.dtype), list(array.shape)]).encode())
        state.update(array.reshape(-1).view(np.uint8).data)
    return state.hexdigest()


def version(library: str) -> str | None:
    """Return the installed version of a library without importing it, or None."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def versions(libraries: Iterable[str] = LIBRARIES) -> dict[str, str | None]:
    """Return the installed versions of libraries, by name."""
    return {library: version(library) for library in libraries}


def processor() -> str:
    """Return the processor's name with those of its abilities that change how sums of products are made."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    flags = set(told.get("flags", "").split())
    able = [flag for flag in ABILITIES if flag in flags]
    return told.get("model name", platform.machine()) + (f" ({', '.join(able)})" if able else "")


def environment(extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Describe what computes: Python, libraries, machine, command line; ``extra`` is added to it."""
    return {
        "python": platform.python_version(),
        "versions": versions(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "host": platform.node(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv else "",
        **(extra or {}),
    }
