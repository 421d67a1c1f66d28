"""What a training that is killed goes on from: written whole or not at all, read without running code.

Knows tensors and plain values, not what they mean.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values; whoever reads sees the old one or the new one."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def load(path: Path) -> dict[str, Any] | None:
    """Return the state of a file; None where there is none, or one that cannot be read."""
    import torch

    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, BadZipFile):
        return None
